/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/infer/attention_geometry.h"

#include <inttypes.h>
#include <math.h>

static const char *const names[ATTENTION_INPUTS_] = { "Q", "K", "V", "attn_mask", "past_key",
	"past_value", "nonpad_kv_seqlen" };

/* Dimension `axis` of input i is *dim, as far as both are known. */
static enum err_code
want_dim(const struct shape *in, int i, int axis, int64_t *dim, struct err *err)
{
	if (in[i].rank == RANK_UNKNOWN)
		return ERR_OK;
	int64_t is = in[i].dim[axis];
	if (dim_conflict(is, *dim))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%s is %s, its dimension %d must be %" PRId64, names[i], SHAPE_TEXT(&in[i]),
			axis, *dim);
	*dim = dim_merge(*dim, is);
	return ERR_OK;
}

static enum err_code want_rank(const struct shape *in, int i, int rank, struct err *err)
{
	if (in[i].rank == RANK_UNKNOWN || in[i].rank == rank)
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "%s is %s, its rank must be %d", names[i],
		SHAPE_TEXT(&in[i]), rank);
}

/* The last dimension of a packed input, dealt out to heads. */
static enum err_code
split_heads(const struct shape *in, int i, int64_t heads, int64_t *head, struct err *err)
{
	if (in[i].rank == RANK_UNKNOWN || in[i].dim[2] < 0)
		return ERR_OK;
	if (in[i].dim[2] % heads || dim_conflict(in[i].dim[2] / heads, *head))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%s is %s, which %" PRId64 " heads cannot share", names[i],
			SHAPE_TEXT(&in[i]), heads);
	*head = in[i].dim[2] / heads;
	return ERR_OK;
}

static enum err_code read_packed(const struct node *n, const struct shape *in,
	struct attention_geometry *g, struct err *err)
{
	g->q_heads = node_int(n, "q_num_heads", 0);
	g->kv_heads = node_int(n, "kv_num_heads", 0);
	if (g->q_heads < 1 || g->kv_heads < 1 || g->q_heads > HEADS_MAX || g->kv_heads > HEADS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"q_num_heads is %" PRId64 " and kv_num_heads %" PRId64
			", both must be in [1,%d] for inputs of rank 3",
			g->q_heads, g->kv_heads, HEADS_MAX);
	for (int i = ATTENTION_Q; i <= ATTENTION_V; i++) {
		TRY(want_rank(in, i, 3, err));
		TRY(want_dim(in, i, 0, &g->batch, err));
		TRY(want_dim(in, i, 1, i == ATTENTION_Q ? &g->q_len : &g->kv_len, err));
		TRY(split_heads(in, i, i == ATTENTION_Q ? g->q_heads : g->kv_heads,
			i == ATTENTION_V ? &g->v_head : &g->head, err));
	}
	return ERR_OK;
}

static enum err_code
read_heads(const struct shape *in, struct attention_geometry *g, struct err *err)
{
	for (int i = ATTENTION_Q; i <= ATTENTION_V; i++) {
		bool q = i == ATTENTION_Q;
		TRY(want_rank(in, i, 4, err));
		TRY(want_dim(in, i, 0, &g->batch, err));
		TRY(want_dim(in, i, 1, q ? &g->q_heads : &g->kv_heads, err));
		TRY(want_dim(in, i, 2, q ? &g->q_len : &g->kv_len, err));
		TRY(want_dim(in, i, 3, i == ATTENTION_V ? &g->v_head : &g->head, err));
	}
	return ERR_OK;
}

static enum err_code
read_past(const struct shape *in, struct attention_geometry *g, struct err *err)
{
	for (int i = ATTENTION_PAST_K; i <= ATTENTION_PAST_V; i++) {
		if (in[i].rank == RANK_UNKNOWN)
			continue;
		TRY(want_rank(in, i, 4, err));
		TRY(want_dim(in, i, 0, &g->batch, err));
		TRY(want_dim(in, i, 1, &g->kv_heads, err));
		TRY(want_dim(in, i, 2, &g->past_len, err));
		TRY(want_dim(in, i, 3, i == ATTENTION_PAST_V ? &g->v_head : &g->head, err));
	}
	return ERR_OK;
}

/* Broadcasts to [batch, q_heads, q_len, keys]; the last dimension may be shorter. */
static enum err_code
check_mask(const struct shape *in, const struct attention_geometry *g, struct err *err)
{
	const struct shape *m = &in[ATTENTION_MASK];
	const struct shape to = shape_of(g->batch, g->q_heads, g->q_len, attention_keys(g));
	bool fits = m->rank <= 4 && m->rank != 0;
	for (int i = 0; fits && i < m->rank; i++) {
		int64_t is = m->dim[i], want = to.dim[4 - m->rank + i];
		bool last = i == m->rank - 1;
		fits = !dim_conflict(is, want) || (last ? is < want : is == 1);
	}
	if (fits || m->rank == RANK_UNKNOWN)
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "attn_mask is %s, which does not broadcast to %s",
		SHAPE_TEXT(m), SHAPE_TEXT(&to));
}

static enum err_code
read_attrs(const struct node *n, struct attention_geometry *g, struct err *err)
{
	int64_t causal = node_int(n, "is_causal", 0),
		mode = node_int(n, "qk_matmul_output_mode", 0);
	float scale = node_float(n, "scale", 0);
	if (causal != 0 && causal != 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"is_causal is %" PRId64 ", it must be 0 or 1", causal);
	if (mode < ATTENTION_RAW || mode > ATTENTION_SOFTMAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"qk_matmul_output_mode is %" PRId64 ", it must be in [0,3]", mode);
	if (g->q_heads > 0 && g->kv_heads > 0 && g->q_heads % g->kv_heads)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%" PRId64 " heads of queries, which %" PRId64
			" heads of keys cannot share",
			g->q_heads, g->kv_heads);
	g->causal = causal;
	g->mode = (enum attention_mode)mode;
	g->softcap = (double)node_float(n, "softcap", 0);
	g->scale = (double)scale;
	if (!node_attr(n, "scale") && g->head > 0)
		g->scale = 1 / sqrt((double)g->head);
	return ERR_OK;
}

enum err_code attention_geometry(const struct node *n, const struct shape *in,
	struct attention_geometry *ret, struct err *err)
{
	*ret = (struct attention_geometry){ .batch = DIM_UNKNOWN, .q_heads = DIM_UNKNOWN,
		.kv_heads = DIM_UNKNOWN, .q_len = DIM_UNKNOWN, .kv_len = DIM_UNKNOWN,
		.past_len = node_has_in(n, ATTENTION_PAST_K) ? DIM_UNKNOWN : 0, .head = DIM_UNKNOWN,
		.v_head = DIM_UNKNOWN };
	ret->packed = in[ATTENTION_Q].rank == 3;
	if (ret->packed)
		TRY(read_packed(n, in, ret, err));
	else
		TRY(read_heads(in, ret, err));
	TRY(read_past(in, ret, err));
	TRY(check_mask(in, ret, err));
	if (in[ATTENTION_LENGTHS].rank != RANK_UNKNOWN) {
		TRY(want_rank(in, ATTENTION_LENGTHS, 1, err));
		TRY(want_dim(in, ATTENTION_LENGTHS, 0, &ret->batch, err));
	}
	return read_attrs(n, ret, err);
}

int64_t attention_keys(const struct attention_geometry *g)
{
	if (g->past_len == 0)
		return g->kv_len;
	return g->past_len >= 0 && g->kv_len >= 0 ? g->past_len + g->kv_len : DIM_UNKNOWN;
}
