/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_reduce.c -- operators that walk along axes: reductions, ArgMax, CumSum, TopK
 */
#include "exec/infer/infer.h"
#include "exec/infer/move_geometry.h"

#include <inttypes.h>

#define T_WIDE (T_FLOAT | T(I32) | T(I64) | T(U32) | T(U64))

/* s without the axes in mask, or with 1 in their place. */
static struct shape reduced(const struct shape *s, uint32_t mask, bool keepdims)
{
	struct shape out = { .rank = 0 };
	for (int i = 0; i < s->rank; i++)
		if (!(mask >> i & 1))
			out.dim[out.rank++] = s->dim[i];
		else if (keepdims)
			out.dim[out.rank++] = 1;
	return out;
}

/* The axes are not known yet: what the rank will be, if at least their number is. */
static struct shape reduced_unknown(const struct shape *s, const struct shape *axes, bool keepdims)
{
	struct shape out = { .rank = s->rank };
	if (!keepdims) {
		bool counted = axes->rank == 1 && axes->dim[0] > 0 && axes->dim[0] <= s->rank;
		out.rank = counted ? s->rank - (int)axes->dim[0] : RANK_UNKNOWN;
	}
	for (int i = 0; i < out.rank; i++)
		out.dim[i] = DIM_UNKNOWN;
	return out;
}

enum err_code infer_reduce(struct infer *x, struct err *err)
{
	bool extreme = x->node->op == OP_REDUCE_MAX || x->node->op == OP_REDUCE_MIN;
	bool keepdims = node_int(x->node, "keepdims", 1) != 0;
	const struct shape *s = &x->in[0]->shape;
	const struct tensor *axes = infer_has(x, 1) ? x->in[1]->data : NULL;
	struct shape out = SHAPE_UNKNOWN;
	TRY(infer_want_type(x, 0, extreme ? T_WIDE | T(I8) | T(U8) | T(BOOL) : T_WIDE, err));
	TRY(infer_want_int(x, "keepdims", 1, 0, 1, err));
	TRY(infer_want_int(x, "noop_with_empty_axes", 0, 0, 1, err));
	if (infer_has(x, 1)) {
		TRY(infer_want_type(x, 1, T(I64), err));
		TRY(infer_want_list(x, 1, -1, err));
	}
	bool awaited = infer_has(x, 1) && !axes;
	if (awaited)
		TRY(infer_need_data(x, 1));
	if (s->rank >= 0 && awaited) {
		out = reduced_unknown(s, &x->in[1]->shape, keepdims);
	} else if (s->rank >= 0) {
		uint32_t mask;
		TRY(reduce_axes(x->node, axes, s->rank, &mask, err));
		out = reduced(s, mask, keepdims);
	}
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_arg(struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape;
	struct shape out = SHAPE_UNKNOWN;
	int axis;
	TRY(infer_want_type(x, 0, T_NUM, err));
	TRY(infer_want_int(x, "keepdims", 1, 0, 1, err));
	TRY(infer_want_int(x, "select_last_index", 0, 0, 1, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	if (s->rank > 0) {
		TRY(infer_axis(x, "axis", 0, s->rank, &axis, err));
		if (s->dim[axis] == 0)
			return infer_fail(x, err, "input is %s: axis %d has no element to choose",
				SHAPE_TEXT(s), axis);
		out = reduced(s, 1u << axis, node_int(x->node, "keepdims", 1) != 0);
	}
	infer_set(x, 0, DTYPE_I64, &out);
	return ERR_OK;
}

/* Input i is one axis of input 0, if both are known. */
static enum err_code want_axis_input(const struct infer *x, int i, struct err *err)
{
	int axis, rank = x->in[0]->shape.rank;
	const struct tensor *t = x->in[i]->data;
	TRY(infer_want_type(x, i, T(I32) | T(I64), err));
	TRY(infer_want_scalar(x, i, err));
	if (t && rank >= 0 && !shape_axis(tensor_int(t, 0), rank, &axis))
		return infer_fail(x, err, "axis is %" PRId64 ", it must be in [%d,%d]",
			tensor_int(t, 0), -rank, rank - 1);
	return ERR_OK;
}

enum err_code infer_cum_sum(struct infer *x, struct err *err)
{
	TRY(infer_want_type(x, 0, T_WIDE, err));
	TRY(want_axis_input(x, 1, err));
	TRY(infer_want_int(x, "exclusive", 0, 0, 1, err));
	TRY(infer_want_int(x, "reverse", 0, 0, 1, err));
	infer_set(x, 0, x->in[0]->type.dtype, &x->in[0]->shape);
	return ERR_OK;
}

enum err_code infer_top_k(struct infer *x, struct err *err)
{
	struct shape out = x->in[0]->shape;
	struct infer_ints k;
	int axis;
	TRY(infer_want_type(x, 0, T_NUM, err));
	TRY(infer_want_type(x, 1, T(I64), err));
	TRY(infer_want_scalar(x, 1, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	if (!x->in[1]->data)
		TRY(infer_need_data(x, 1));
	if (out.rank > 0) {
		TRY(infer_axis(x, "axis", -1, out.rank, &axis, err));
		int64_t have = out.dim[axis];
		out.dim[axis] = infer_ints(x, 1, &k) && k.n == 1 ? k.v[0] : DIM_UNKNOWN;
		if (x->in[1]->data && (k.v[0] < 0 || (have >= 0 && k.v[0] > have)))
			return infer_fail(x, err,
				"K is %" PRId64 ", axis %d of input 0, %s, has fewer", k.v[0], axis,
				SHAPE_TEXT(&x->in[0]->shape));
	}
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	infer_set(x, 1, DTYPE_I64, &out);
	return ERR_OK;
}
