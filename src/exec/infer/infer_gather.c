/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_gather.c -- operators that read or write at indices: Gather*, Scatter*, OneHot, NonZero
 */
#include "exec/infer/infer.h"

#include <inttypes.h>

#define T_INDEX (T(I32) | T(I64))

/* Longer lists of indices are left to the kernel, which checks each of them anyway. */
#define CHECKED_INDICES_MAX 4096

/* Known indices lie in [-d, d - 1]. */
static enum err_code check_indices(const struct infer *x, int i, int64_t d, struct err *err)
{
	const struct tensor *t = x->in[i]->data;
	if (!t || d < 0 || tensor_count(t) > CHECKED_INDICES_MAX)
		return ERR_OK;
	for (int64_t k = 0; k < tensor_count(t); k++) {
		int64_t v = tensor_int(t, k);
		if (v < -d || v >= d)
			return infer_fail(x, err,
				"index %" PRId64 " is out of range for a dimension of %" PRId64, v,
				d);
	}
	return ERR_OK;
}

enum err_code infer_gather(struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape, *ix = &x->in[1]->shape;
	struct shape out = { .rank = 0 };
	int axis;
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(infer_want_type(x, 1, T_INDEX, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	if (s->rank < 0 || ix->rank < 0) {
		infer_set(x, 0, x->in[0]->type.dtype, &SHAPE_UNKNOWN);
		return ERR_OK;
	}
	TRY(infer_axis(x, "axis", 0, s->rank, &axis, err));
	TRY(check_indices(x, 1, s->dim[axis], err));
	if (s->rank - 1 + ix->rank > RANK_MAX)
		return infer_fail(x, err, "output would have rank %d, the largest is %d",
			s->rank - 1 + ix->rank, RANK_MAX);
	for (int i = 0; i < axis; i++)
		out.dim[out.rank++] = s->dim[i];
	for (int i = 0; i < ix->rank; i++)
		out.dim[out.rank++] = ix->dim[i];
	for (int i = axis + 1; i < s->rank; i++)
		out.dim[out.rank++] = s->dim[i];
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

/* Input i has input 0's rank, and no dimension larger but that of the axis. */
static enum err_code want_elements(const struct infer *x, int i, int *ret_axis, struct err *err)
{
	const struct shape *s = &x->in[0]->shape, *ix = &x->in[i]->shape;
	TRY(infer_want_type(x, i, T_INDEX, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	if (s->rank < 0)
		return ERR_OK;
	TRY(infer_axis(x, "axis", 0, s->rank, ret_axis, err));
	TRY(infer_want_rank(x, i, s->rank, s->rank, err));
	for (int k = 0; k < ix->rank; k++)
		if (k != *ret_axis && s->dim[k] >= 0 && ix->dim[k] > s->dim[k])
			return infer_fail(x, err, "indices are %s, more than data %s along axis %d",
				SHAPE_TEXT(ix), SHAPE_TEXT(s), k);
	return check_indices(x, i, s->dim[*ret_axis], err);
}

enum err_code infer_gather_elements(struct infer *x, struct err *err)
{
	int axis;
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(want_elements(x, 1, &axis, err));
	infer_set(x, 0, x->in[0]->type.dtype, &x->in[1]->shape);
	return ERR_OK;
}

/* reduction is one of the Scatter operators'. */
static enum err_code want_reduction(const struct infer *x, struct err *err)
{
	static const char *const names[] = { "none", "add", "mul", "max", "min" };
	struct slice s = node_string(x->node, "reduction", "none");
	for (int i = 0; i < 5; i++)
		if (slice_is(s, names[i]))
			return i == 0 ? ERR_OK : infer_want_type(x, 0, T_NUM | T(BOOL), err);
	return infer_fail(
		x, err, "reduction is '%.*s', it must be none, add, mul, max or min", SLICE_ARG(s));
}

enum err_code infer_scatter_elements(struct infer *x, struct err *err)
{
	int axis;
	const struct shape *ix = &x->in[1]->shape, *u = &x->in[2]->shape;
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(infer_want_same_type(x, 0, 2, err));
	TRY(want_reduction(x, err));
	TRY(want_elements(x, 1, &axis, err));
	for (int k = 0; k < ix->rank && u->rank >= 0; k++)
		if (u->rank != ix->rank || dim_conflict(u->dim[k], ix->dim[k]))
			return infer_fail(x, err, "updates are %s, indices %s: they must be alike",
				SHAPE_TEXT(u), SHAPE_TEXT(ix));
	infer_set(x, 0, x->in[0]->type.dtype, &x->in[0]->shape);
	return ERR_OK;
}

/* indices [.., k] walk the k dimensions of data from `batch` on: what an element of the
   indices' last dimension picks has the dimensions after those. */
static enum err_code nd_shape(const struct infer *x, int batch, struct shape *ret, struct err *err)
{
	const struct shape *s = &x->in[0]->shape, *ix = &x->in[1]->shape;
	struct shape out = { .rank = 0 };
	*ret = SHAPE_UNKNOWN;
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	TRY(infer_want_rank(x, 1, 1, RANK_MAX, err));
	if (s->rank < 0 || ix->rank < 0)
		return ERR_OK;
	int64_t k = ix->dim[ix->rank - 1];
	if (batch >= ix->rank || batch > s->rank)
		return infer_fail(x, err, "batch_dims is %d, indices are %s and data %s", batch,
			SHAPE_TEXT(ix), SHAPE_TEXT(s));
	if (k > s->rank - batch || k == 0)
		return infer_fail(x, err, "indices are %s: their last dimension must be in [1,%d]",
			SHAPE_TEXT(ix), s->rank - batch);
	for (int i = 0; i < batch; i++)
		if (dim_conflict(s->dim[i], ix->dim[i]))
			return infer_fail(x, err,
				"data is %s, indices are %s: batch dimension %d differs",
				SHAPE_TEXT(s), SHAPE_TEXT(ix), i);
	if (k < 0)
		return ERR_OK;
	if (ix->rank - 1 + s->rank - batch - k > RANK_MAX)
		return infer_fail(x, err, "the largest rank is %d", RANK_MAX);
	for (int i = 0; i < ix->rank - 1; i++)
		out.dim[out.rank++] = ix->dim[i];
	for (int i = batch + (int)k; i < s->rank; i++)
		out.dim[out.rank++] = s->dim[i];
	*ret = out;
	return ERR_OK;
}

enum err_code infer_gather_nd(struct infer *x, struct err *err)
{
	struct shape out;
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(infer_want_type(x, 1, T(I64), err));
	TRY(infer_want_int(x, "batch_dims", 0, 0, RANK_MAX - 1, err));
	TRY(nd_shape(x, (int)node_int(x->node, "batch_dims", 0), &out, err));
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_scatter_nd(struct infer *x, struct err *err)
{
	struct shape want;
	const struct shape *u = &x->in[2]->shape;
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(infer_want_type(x, 1, T(I64), err));
	TRY(infer_want_same_type(x, 0, 2, err));
	TRY(want_reduction(x, err));
	TRY(nd_shape(x, 0, &want, err));
	bool same = u->rank < 0 || want.rank < 0 || u->rank == want.rank;
	for (int i = 0; same && want.rank >= 0 && i < u->rank; i++)
		same = !dim_conflict(u->dim[i], want.dim[i]);
	if (!same)
		return infer_fail(x, err, "updates are %s, data and indices need %s", SHAPE_TEXT(u),
			SHAPE_TEXT(&want));
	infer_set(x, 0, x->in[0]->type.dtype, &x->in[0]->shape);
	return ERR_OK;
}

enum err_code infer_one_hot(struct infer *x, struct err *err)
{
	const struct shape *ix = &x->in[0]->shape;
	const struct tensor *depth = x->in[1]->data;
	struct shape out = { .rank = ix->rank < 0 ? RANK_UNKNOWN : ix->rank + 1 };
	int axis;
	TRY(infer_want_type(x, 0, T_NUM, err));
	TRY(infer_want_type(x, 1, T_NUM, err));
	TRY(infer_want_scalar(x, 1, err));
	TRY(infer_want_list(x, 2, 2, err));
	if (!depth)
		TRY(infer_need_data(x, 1));
	int64_t d = depth ? (int64_t)tensor_float(depth, 0) : DIM_UNKNOWN;
	if (depth && d < 1)
		return infer_fail(x, err, "depth is %" PRId64 ", it must be positive", d);
	if (out.rank > RANK_MAX)
		return infer_fail(x, err, "the largest rank is %d", RANK_MAX);
	if (out.rank > 0) {
		TRY(infer_axis(x, "axis", -1, out.rank, &axis, err));
		for (int i = 0, k = 0; i < out.rank; i++)
			out.dim[i] = i == axis ? d : ix->dim[k++];
	}
	infer_set(x, 0, x->in[2]->type.dtype, &out);
	return ERR_OK;
}

/* How many there are is seen at run only. */
enum err_code infer_non_zero(struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape;
	TRY(infer_want_type(x, 0, T_NUM | T(BOOL) | T(STRING), err));
	struct shape out = shape_of(s->rank < 0 ? DIM_UNKNOWN : s->rank, DIM_UNKNOWN);
	infer_set(x, 0, DTYPE_I64, &out);
	return ERR_OK;
}
