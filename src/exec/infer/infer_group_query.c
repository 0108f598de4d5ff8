/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_group_query.c -- GroupQueryAttention of com.microsoft
 */
#include "exec/infer/attention_geometry.h"
#include "exec/infer/group_query.h"

#include <inttypes.h>

/* Input i, if it is known, has these dimensions as far as they are. */
static enum err_code
want_shape(const struct shape *in, int i, int rank, const int64_t *want, struct err *err)
{
	struct shape s = shape_from(rank, want);
	bool fits = in[i].rank == rank || in[i].rank == RANK_UNKNOWN;
	for (int k = 0; fits && k < in[i].rank; k++)
		fits = !dim_conflict(in[i].dim[k], want[k]);
	if (fits)
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "input %d is %s, it must be %s", i,
		SHAPE_TEXT(&in[i]), SHAPE_TEXT(&s));
}

static enum err_code read_sizes(const struct node *n, const struct shape *in, struct group_query *g,
	struct err *err)
{
	const struct shape *q = &in[GROUP_QUERY_Q], *past = &in[GROUP_QUERY_PAST_K];
	int64_t shares = g->heads + (g->packed ? 2 * g->kv_heads : 0);
	if (q->rank != RANK_UNKNOWN && q->rank != 3)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"the queries are %s, their rank must be 3", SHAPE_TEXT(q));
	if (q->rank == 3) {
		g->batch = q->dim[0];
		g->len = q->dim[1];
		if (q->dim[2] % shares && q->dim[2] >= 0)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"the queries are %s, which %" PRId64 " heads cannot share",
				SHAPE_TEXT(q), shares);
		g->head = q->dim[2] >= 0 ? q->dim[2] / shares : DIM_UNKNOWN;
	}
	g->past_len = node_has_in(n, GROUP_QUERY_PAST_K) ? DIM_UNKNOWN : 0;
	if (past->rank == 4)
		g->past_len = past->dim[2];
	return ERR_OK;
}

static enum err_code check_shapes(
	const struct shape *in, const struct group_query *g, struct err *err)
{
	int64_t kv = g->head >= 0 ? g->head * g->kv_heads : DIM_UNKNOWN;
	for (int i = GROUP_QUERY_K; i <= GROUP_QUERY_V; i++)
		TRY(want_shape(in, i, 3, (int64_t[]){ g->batch, g->len, kv }, err));
	for (int i = GROUP_QUERY_PAST_K; i <= GROUP_QUERY_PAST_V; i++)
		TRY(want_shape(
			in, i, 4, (int64_t[]){ g->batch, g->kv_heads, g->past_len, g->head }, err));
	if (in[GROUP_QUERY_LENGTHS].rank != 2) /* [batch], of old models [batch, 1] */
		TRY(want_shape(in, GROUP_QUERY_LENGTHS, 1, &g->batch, err));
	else
		TRY(want_shape(in, GROUP_QUERY_LENGTHS, 2, (int64_t[]){ g->batch, 1 }, err));
	int64_t half = in[GROUP_QUERY_COS].rank == 2 ? in[GROUP_QUERY_COS].dim[1] : DIM_UNKNOWN;
	int64_t positions =
		in[GROUP_QUERY_COS].rank == 2 ? in[GROUP_QUERY_COS].dim[0] : DIM_UNKNOWN;
	for (int i = GROUP_QUERY_COS; i <= GROUP_QUERY_SIN; i++)
		TRY(want_shape(in, i, 2, (int64_t[]){ positions, half }, err));
	if (half >= 0 && g->head >= 0 && 2 * half > g->head)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"the cosines are %s, for heads of %" PRId64 " elements",
			SHAPE_TEXT(&in[GROUP_QUERY_COS]), g->head);
	TRY(want_shape(in, GROUP_QUERY_POSITIONS, 2, (int64_t[]){ g->batch, g->len }, err));
	return want_shape(in, GROUP_QUERY_SINK, 1, &g->heads, err);
}

enum err_code group_query_read(
	const struct node *n, const struct shape *in, struct group_query *ret, struct err *err)
{
	*ret = (struct group_query){ .packed = !node_has_in(n, GROUP_QUERY_K),
		.heads = node_int(n, "num_heads", 0), .kv_heads = node_int(n, "kv_num_heads", 0),
		.batch = DIM_UNKNOWN, .len = DIM_UNKNOWN, .head = DIM_UNKNOWN };
	if (ret->heads < 1 || ret->heads > HEADS_MAX || ret->kv_heads < 1 ||
		ret->heads % ret->kv_heads)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"num_heads is %" PRId64 " and kv_num_heads %" PRId64
			", the first must be a multiple of the second and at most %d",
			ret->heads, ret->kv_heads, HEADS_MAX);
	if (node_has_in(n, GROUP_QUERY_K) != node_has_in(n, GROUP_QUERY_V) ||
		node_has_in(n, GROUP_QUERY_PAST_K) != node_has_in(n, GROUP_QUERY_PAST_V) ||
		node_has_in(n, GROUP_QUERY_COS) != node_has_in(n, GROUP_QUERY_SIN))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"keys and values, their pasts, cosines and sines come in pairs");
	TRY(read_sizes(n, in, ret, err));
	return check_shapes(in, ret, err);
}

static enum err_code check_types(const struct infer *x, struct err *err)
{
	for (int i = 0; i < GROUP_QUERY_INPUTS_; i++) {
		bool ints = i == GROUP_QUERY_LENGTHS || i == GROUP_QUERY_TOTAL;
		bool at = i == GROUP_QUERY_POSITIONS;
		if (!infer_has(x, i) && !ints)
			continue;
		TRY(infer_want_type(x, i, ints ? T(I32) : at ? T(I64) : T(F32) | T_HALF, err));
		if (!ints && !at)
			TRY(infer_want_same_type(x, 0, i, err));
	}
	return infer_want_scalar(x, GROUP_QUERY_TOTAL, err);
}

/* What newer versions of it can do, and we do not. */
static enum err_code check_attrs(const struct infer *x, struct err *err)
{
	static const char *const none[] = {
		"kv_cache_bit_width", "qk_output", "sliding_window_cache" };
	static const char *const quantized[] = { "k_quant_type", "v_quant_type" };
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		TRY(infer_want_int(x, none[i], 0, 0, 0, err));
	for (size_t i = 0; i < sizeof(quantized) / sizeof(quantized[0]); i++)
		if (!slice_is(node_string(x->node, quantized[i], "NONE"), "NONE"))
			return infer_fail(x, err, "%s: a quantized cache", quantized[i]);
	TRY(infer_want_int(x, "causal", 1, 0, 1, err));
	TRY(infer_want_int(x, "do_rotary", 0, 0, 1, err));
	if (node_int(x->node, "do_rotary", 0) && !infer_has(x, GROUP_QUERY_COS))
		return infer_fail(x, err, "do_rotary needs cosines and sines");
	return ERR_OK;
}

/* [batch or 1, heads or 1, len, at least what is there]. */
static enum err_code check_bias(const struct infer *x, const struct group_query *g, int64_t total,
	struct err *err)
{
	const struct shape *s = &x->in[GROUP_QUERY_BIAS]->shape;
	TRY(infer_want_rank(x, GROUP_QUERY_BIAS, 4, 4, err));
	if (s->rank != 4)
		return ERR_OK;
	bool fits = (s->dim[0] == 1 || !dim_conflict(s->dim[0], g->batch)) &&
		    (s->dim[1] == 1 || !dim_conflict(s->dim[1], g->heads)) &&
		    !dim_conflict(s->dim[2], g->len) &&
		    (total < 0 || s->dim[3] < 0 || s->dim[3] >= total);
	return fits ? ERR_OK
		    : infer_fail(x, err, "the bias of the scores is %s, which does not fit %" PRId64
			      " new tokens of %" PRId64, SHAPE_TEXT(s), g->len, total);
}

enum err_code infer_group_query_attention(struct infer *x, struct err *err)
{
	struct shape in[GROUP_QUERY_INPUTS_];
	struct group_query g;
	TRY(check_types(x, err));
	TRY(check_attrs(x, err));
	const struct tensor *t = x->in[GROUP_QUERY_TOTAL]->data;
	for (int i = 0; i < GROUP_QUERY_INPUTS_; i++)
		in[i] = infer_has(x, i) ? x->in[i]->shape : SHAPE_UNKNOWN;
	TRY(group_query_read(x->node, in, &g, err));
	if (!t)
		TRY(infer_need_data(x, GROUP_QUERY_TOTAL));
	int64_t total = t ? tensor_int(t, 0) : DIM_UNKNOWN, kept = DIM_UNKNOWN;
	if (t && total < 0)
		return infer_fail(x, err, "total_sequence_length is %" PRId64, total);
	if (total >= 0 && g.past_len >= 0)
		kept = total > g.past_len ? total : g.past_len;
	if (infer_has(x, GROUP_QUERY_BIAS))
		TRY(check_bias(x, &g, total, err));
	struct shape y = shape_of(g.batch, g.len, g.head >= 0 ? g.head * g.heads : DIM_UNKNOWN);
	struct shape present = shape_of(g.batch, g.kv_heads, kept, g.head);
	infer_set(x, 0, x->in[0]->type.dtype, &y);
	infer_set(x, 1, x->in[0]->type.dtype, &present);
	infer_set(x, 2, x->in[0]->type.dtype, &present);
	return ERR_OK;
}
