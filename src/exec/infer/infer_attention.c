/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_attention.c -- Attention and what goes with it: rotary embeddings, key-value caches,
 * and the recurrent kinds of attention
 */
#include "exec/infer/attention_geometry.h"

#include <inttypes.h>

static enum err_code check_attention_types(const struct infer *x, struct err *err)
{
	static const int like[] = { ATTENTION_Q, ATTENTION_Q, ATTENTION_V, ATTENTION_MASK,
		ATTENTION_Q, ATTENTION_V };
	for (int i = ATTENTION_Q; i <= ATTENTION_PAST_V; i++) {
		if (!infer_has(x, i))
			continue;
		TRY(infer_want_type(x, i, i == ATTENTION_MASK ? T_FLOAT | T(BOOL) : T_FLOAT, err));
		TRY(infer_want_same_type(x, like[i], i, err));
	}
	if (infer_has(x, ATTENTION_LENGTHS))
		TRY(infer_want_type(x, ATTENTION_LENGTHS, T(I64), err));
	int64_t precision = node_int(x->node, "softmax_precision", DTYPE_F32);
	if (precision < 0 || precision >= DTYPE_TENSOR || !dtype_in((enum dtype)precision, T_FLOAT))
		return infer_fail(x, err,
			"softmax_precision is %" PRId64 ", which is no float type", precision);
	return ERR_OK;
}

enum err_code infer_attention(struct infer *x, struct err *err)
{
	struct shape in[ATTENTION_INPUTS_];
	struct attention_geometry g;
	TRY(check_attention_types(x, err));
	for (int i = 0; i < ATTENTION_INPUTS_; i++)
		in[i] = infer_has(x, i) ? x->in[i]->shape : SHAPE_UNKNOWN;
	if (infer_has(x, ATTENTION_PAST_K) != infer_has(x, ATTENTION_PAST_V))
		return infer_fail(x, err, "past_key and past_value must be given together");
	if (infer_has(x, ATTENTION_LENGTHS) && infer_has(x, ATTENTION_PAST_K))
		return infer_fail(
			x, err, "nonpad_kv_seqlen does not go with past_key and past_value");
	TRY(infer_want_rank(x, ATTENTION_Q, 3, 4, err));
	enum dtype dtype = x->in[ATTENTION_Q]->type.dtype, v_dtype = x->in[ATTENTION_V]->type.dtype;
	for (int i = 0; i < x->n_out; i++)
		infer_set(x, i, i == ATTENTION_PRESENT_V ? v_dtype : dtype, &SHAPE_UNKNOWN);
	if (in[ATTENTION_Q].rank == RANK_UNKNOWN)
		return ERR_OK;

	TRY(attention_geometry(x->node, in, &g, err));
	int64_t keys = attention_keys(&g);
	int64_t hidden = g.v_head >= 0 && g.q_heads >= 0 ? g.v_head * g.q_heads : DIM_UNKNOWN;
	struct shape y = g.packed ? shape_of(g.batch, g.q_len, hidden)
				  : shape_of(g.batch, g.q_heads, g.q_len, g.v_head);
	struct shape scores = shape_of(g.batch, g.q_heads, g.q_len, keys);
	struct shape k = shape_of(g.batch, g.kv_heads, keys, g.head);
	struct shape v = shape_of(g.batch, g.kv_heads, keys, g.v_head);
	infer_set(x, ATTENTION_Y, dtype, &y);
	infer_set(x, ATTENTION_PRESENT_K, dtype, &k);
	infer_set(x, ATTENTION_PRESENT_V, v_dtype, &v);
	infer_set(x, ATTENTION_SCORES, dtype, &scores);
	return ERR_OK;
}

/* -- RotaryEmbedding: X, cos, sin, positions ------------------------------------------------- */

/* cos and sin have one row per position, or one per token where there are no positions. */
static enum err_code check_caches(const struct infer *x, int64_t batch, int64_t len, int64_t half,
	struct err *err)
{
	bool by_position = infer_has(x, 3);
	for (int i = 1; i < 3; i++) {
		const struct shape *s = &x->in[i]->shape;
		TRY(infer_want_rank(x, i, by_position ? 2 : 3, by_position ? 2 : 3, err));
		if (s->rank < 0)
			continue;
		if (dim_conflict(s->dim[s->rank - 1], half))
			return infer_fail(x, err,
				"input %d is %s, its last dimension must be half of what is "
				"turned, %" PRId64,
				i, SHAPE_TEXT(s), half);
		if (!by_position &&
			(dim_conflict(s->dim[0], batch) || dim_conflict(s->dim[1], len)))
			return infer_fail(x, err, "input %d is %s, X is %s", i, SHAPE_TEXT(s),
				SHAPE_TEXT(&x->in[0]->shape));
	}
	const struct shape *cos = &x->in[1]->shape, *sin = &x->in[2]->shape;
	if (cos->rank > 0 && sin->rank > 0 && dim_conflict(cos->dim[0], sin->dim[0]))
		return infer_fail(x, err, "the cosines are %s and the sines %s", SHAPE_TEXT(cos),
			SHAPE_TEXT(sin));
	if (!by_position)
		return ERR_OK;
	const struct shape *ids = &x->in[3]->shape;
	TRY(infer_want_type(x, 3, T(I64), err));
	TRY(infer_want_rank(x, 3, 2, 2, err));
	if (ids->rank == 2 && (dim_conflict(ids->dim[0], batch) || dim_conflict(ids->dim[1], len)))
		return infer_fail(x, err, "position_ids is %s, X is %s", SHAPE_TEXT(ids),
			SHAPE_TEXT(&x->in[0]->shape));
	return ERR_OK;
}

enum err_code infer_rotary_embedding(struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape;
	int64_t heads = node_int(x->node, "num_heads", 0), head = DIM_UNKNOWN;
	int64_t turned = node_int(x->node, "rotary_embedding_dim", 0);
	for (int i = 0; i < 3; i++) {
		TRY(infer_want_type(x, i, T(F32) | T_HALF, err));
		TRY(infer_want_same_type(x, 0, i, err));
	}
	TRY(infer_want_rank(x, 0, 3, 4, err));
	TRY(infer_want_int(x, "interleaved", 0, 0, 1, err));
	TRY(infer_want_int(x, "rotary_embedding_dim", 0, 0, INT32_MAX, err));
	infer_set(x, 0, x->in[0]->type.dtype, s);
	if (s->rank < 0)
		return ERR_OK;
	if (s->rank == 3)
		TRY(infer_want_int(x, "num_heads", 0, 1, INT32_MAX, err));
	head = s->dim[s->rank - 1];
	if (s->rank == 3 && head > 0 && head % heads)
		return infer_fail(x, err, "X is %s, which %" PRId64 " heads cannot share",
			SHAPE_TEXT(s), heads);
	if (s->rank == 3 && head > 0)
		head /= heads;
	if (turned == 0)
		turned = head;
	if (head >= 0 && (turned % 2 || turned > head))
		return infer_fail(x, err,
			"%" PRId64 " elements of each head's %" PRId64
			" are to be turned, that must be "
			"an even number of them",
			turned, head);
	return check_caches(
		x, s->dim[0], s->dim[s->rank - 2], turned >= 0 ? turned / 2 : DIM_UNKNOWN, err);
}

/* -- TensorScatter: past, update, where each sequence's begins ------------------------------- */

enum err_code infer_tensor_scatter(struct infer *x, struct err *err)
{
	const struct shape *past = &x->in[0]->shape, *update = &x->in[1]->shape;
	struct slice mode = node_string(x->node, "mode", "linear");
	int axis = 0;
	TRY(infer_want_same_type(x, 0, 1, err));
	TRY(infer_want_rank(x, 0, 2, RANK_MAX, err));
	if (!slice_is(mode, "linear") && !slice_is(mode, "circular"))
		return infer_fail(
			x, err, "mode is '%.*s', it must be linear or circular", SLICE_ARG(mode));
	infer_set(x, 0, x->in[0]->type.dtype, past);
	if (infer_has(x, 2)) {
		TRY(infer_want_type(x, 2, T(I64), err));
		TRY(infer_want_list(x, 2, past->rank > 0 ? past->dim[0] : DIM_UNKNOWN, err));
	}
	if (past->rank < 0)
		return ERR_OK;
	TRY(infer_axis(x, "axis", -2, past->rank, &axis, err));
	if (axis == 0)
		return infer_fail(x, err, "axis is 0, which is the batch");
	TRY(infer_want_rank(x, 1, past->rank, past->rank, err));
	for (int i = 0; i < update->rank; i++) {
		bool longer = past->dim[i] >= 0 && update->dim[i] > past->dim[i];
		if (i == axis ? longer : dim_conflict(past->dim[i], update->dim[i]))
			return infer_fail(x, err, "the update is %s, which does not fit into %s",
				SHAPE_TEXT(update), SHAPE_TEXT(past));
	}
	return ERR_OK;
}

/* -- LinearAttention: query, key, value, past state, decay, beta ----------------------------- */

/* Dimension `axis` of input i is `want` or `other`, as far as it is known. */
static enum err_code want_dim(const struct infer *x, int i, int axis, int64_t want, int64_t other,
	struct err *err)
{
	if (!infer_has(x, i) || x->in[i]->shape.rank < 0)
		return ERR_OK;
	const struct shape *s = &x->in[i]->shape;
	if (!dim_conflict(s->dim[axis], want) || !dim_conflict(s->dim[axis], other))
		return ERR_OK;
	return infer_fail(x, err, "input %d is %s, its dimension %d must be %" PRId64, i,
		SHAPE_TEXT(s), axis, want);
}

/* A dimension dealt out to heads; DIM_UNKNOWN where it is not known. */
static enum err_code per_head(
	const struct infer *x, int i, int64_t heads, int64_t *ret, struct err *err)
{
	const struct shape *s = &x->in[i]->shape;
	*ret = DIM_UNKNOWN;
	if (s->rank < 0 || s->dim[2] < 0)
		return ERR_OK;
	if (s->dim[2] % heads)
		return infer_fail(x, err, "input %d is %s, which %" PRId64 " heads cannot share", i,
			SHAPE_TEXT(s), heads);
	*ret = s->dim[2] / heads;
	return ERR_OK;
}

static enum err_code check_update_rule(const struct infer *x, struct err *err)
{
	struct slice rule = node_string(x->node, "update_rule", "gated_delta");
	bool gated = slice_is(rule, "gated") || slice_is(rule, "gated_delta");
	bool delta = slice_is(rule, "delta") || slice_is(rule, "gated_delta");
	if (!gated && !delta && !slice_is(rule, "linear"))
		return infer_fail(x, err,
			"update_rule is '%.*s', it must be linear, gated, delta or gated_delta",
			SLICE_ARG(rule));
	if (gated && !infer_has(x, 4))
		return infer_fail(x, err, "update_rule %.*s needs a decay", SLICE_ARG(rule));
	if (delta && !infer_has(x, 5))
		return infer_fail(x, err, "update_rule %.*s needs a beta", SLICE_ARG(rule));
	return ERR_OK;
}

enum err_code infer_linear_attention(struct infer *x, struct err *err)
{
	const struct shape *q = &x->in[0]->shape;
	int64_t heads = node_int(x->node, "q_num_heads", 0),
		kv = node_int(x->node, "kv_num_heads", 0);
	int64_t head, k_head, v_head;
	TRY(infer_want_int(x, "q_num_heads", 0, 1, HEADS_MAX, err));
	TRY(infer_want_int(x, "kv_num_heads", 0, 1, HEADS_MAX, err));
	if (heads % kv)
		return infer_fail(x, err, "%" PRId64 " heads of queries, which %" PRId64
			" heads of keys cannot share", heads, kv);
	for (int i = 0; i < 6; i++) {
		if (i > 2 && !infer_has(x, i))
			continue;
		TRY(infer_want_type(x, i, T(F32) | T_HALF, err));
		if (i != 3)
			TRY(infer_want_same_type(x, 0, i, err));
		TRY(infer_want_rank(x, i, i == 3 ? 4 : 3, i == 3 ? 4 : 3, err));
		if (q->rank == 3)
			TRY(want_dim(x, i, 0, q->dim[0], q->dim[0], err));
		if (q->rank == 3 && i != 3)
			TRY(want_dim(x, i, 1, q->dim[1], q->dim[1], err));
	}
	TRY(check_update_rule(x, err));
	TRY(per_head(x, 0, heads, &head, err));
	TRY(per_head(x, 1, kv, &k_head, err));
	TRY(per_head(x, 2, kv, &v_head, err));
	if (dim_conflict(head, k_head))
		return infer_fail(x, err, "a query has %" PRId64 " elements and a key %" PRId64,
			head, k_head);
	head = dim_merge(head, k_head);
	TRY(want_dim(x, 3, 1, kv, kv, err));
	TRY(want_dim(x, 3, 2, head, head, err));
	TRY(want_dim(x, 3, 3, v_head, v_head, err));
	TRY(want_dim(x, 4, 2, kv, head >= 0 ? kv * head : DIM_UNKNOWN, err));
	TRY(want_dim(x, 5, 2, kv, 1, err));
	struct shape y = shape_of(q->rank == 3 ? q->dim[0] : DIM_UNKNOWN,
		q->rank == 3 ? q->dim[1] : DIM_UNKNOWN, v_head >= 0 ? v_head * heads : DIM_UNKNOWN);
	struct shape state = shape_of(y.dim[0], kv, head, v_head);
	infer_set(x, 0, x->in[0]->type.dtype, &y);
	infer_set(x, 1, x->in[infer_has(x, 3) ? 3 : 0]->type.dtype, &state);
	return ERR_OK;
}

/* -- CausalConvWithState: X, kernel, bias, past ---------------------------------------------- */

enum err_code infer_causal_conv(struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape, *w = &x->in[1]->shape;
	struct slice act = node_string(x->node, "activation", "none");
	if (!slice_is(act, "none") && !slice_is(act, "silu") && !slice_is(act, "swish"))
		return infer_fail(x, err, "activation is '%.*s', it must be none, silu or swish",
			SLICE_ARG(act));
	TRY(infer_want_one_type(x, 0, T(F32) | T_HALF, err));
	TRY(infer_want_rank(x, 0, 3, 3, err));
	TRY(infer_want_rank(x, 1, 3, 3, err));
	int64_t batch = s->rank == 3 ? s->dim[0] : DIM_UNKNOWN;
	int64_t channels = s->rank == 3 ? s->dim[1] : w->rank == 3 ? w->dim[0] : DIM_UNKNOWN;
	int64_t taps = w->rank == 3 ? w->dim[2] : DIM_UNKNOWN,
		kept = taps > 0 ? taps - 1 : DIM_UNKNOWN;
	TRY(want_dim(x, 1, 0, channels, channels, err));
	TRY(want_dim(x, 1, 1, 1, 1, err));
	if (taps == 0)
		return infer_fail(
			x, err, "the kernel is %s, it must have an element", SHAPE_TEXT(w));
	if (infer_has(x, 2))
		TRY(infer_want_list(x, 2, channels, err));
	if (infer_has(x, 3)) {
		TRY(infer_want_rank(x, 3, 3, 3, err));
		TRY(want_dim(x, 3, 0, batch, batch, err));
		TRY(want_dim(x, 3, 1, channels, channels, err));
		TRY(want_dim(x, 3, 2, kept, kept, err));
	}
	struct shape past = shape_of(batch, channels, kept);
	infer_set(x, 0, x->in[0]->type.dtype, s);
	infer_set(x, 1, x->in[0]->type.dtype, &past);
	return ERR_OK;
}
