/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_select.c -- operators that pick entries by what is in them (Compress, Unique,
 * NonMaxSuppression), ReverseSequence, which turns some of them around, and ImageDecoder,
 * whose result no header tells before it is read
 */
#include "exec/infer/infer.h"

#include <inttypes.h>

enum err_code infer_compress(struct infer *x, struct err *err)
{
	struct shape s = x->in[0]->shape;
	int axis = 0;
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(infer_want_type(x, 1, T(BOOL), err));
	TRY(infer_want_rank(x, 1, 1, 1, err));
	if (!node_attr(x->node, "axis")) {
		infer_set(x, 0, x->in[0]->type.dtype,
			&(struct shape){ .rank = 1, .dim = { DIM_UNKNOWN } });
		return ERR_OK;
	}
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	if (s.rank >= 0) {
		TRY(infer_axis(x, "axis", 0, s.rank, &axis, err));
		s.dim[axis] = DIM_UNKNOWN;
	}
	infer_set(x, 0, x->in[0]->type.dtype, &s);
	return ERR_OK;
}

enum err_code infer_unique(struct infer *x, struct err *err)
{
	struct shape s = x->in[0]->shape, list = { .rank = 1, .dim = { DIM_UNKNOWN } };
	int axis = 0;
	TRY(infer_want_type(x, 0, T_NUM | T(BOOL) | T(STRING) | T(C64) | T(C128), err));
	TRY(infer_want_int(x, "sorted", 1, 0, 1, err));
	if (!node_attr(x->node, "axis")) {
		s = list;
	} else {
		TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
		if (s.rank >= 0) {
			TRY(infer_axis(x, "axis", 0, s.rank, &axis, err));
			s.dim[axis] = DIM_UNKNOWN;
		}
	}
	infer_set(x, 0, x->in[0]->type.dtype, &s);
	for (int i = 1; i < x->n_out; i++)
		infer_set(x, i, DTYPE_I64, &list);
	return ERR_OK;
}

/* Dimensions of two inputs that must be one. */
static enum err_code want_same_dim(
	const struct infer *x, int a, int da, int b, int db, struct err *err)
{
	const struct shape *s = &x->in[a]->shape, *t = &x->in[b]->shape;
	if (s->rank < 0 || t->rank < 0 || !dim_conflict(s->dim[da], t->dim[db]))
		return ERR_OK;
	return infer_fail(x, err,
		"input %d is %s and input %d is %s: dimensions %d and %d must be equal", a,
		SHAPE_TEXT(s), b, SHAPE_TEXT(t), da, db);
}

enum err_code infer_non_max_suppression(struct infer *x, struct err *err)
{
	const struct shape *boxes = &x->in[0]->shape;
	for (int i = 0; i < 2; i++) {
		TRY(infer_want_type(x, i, T(F32), err));
		TRY(infer_want_rank(x, i, 3, 3, err));
	}
	if (boxes->rank == 3 && dim_conflict(boxes->dim[2], 4))
		return infer_fail(
			x, err, "input 0 is %s, its last dimension must be 4", SHAPE_TEXT(boxes));
	TRY(want_same_dim(x, 0, 0, 1, 0, err));
	TRY(want_same_dim(x, 0, 1, 1, 2, err));
	for (int i = 2; i < 5; i++) {
		if (!infer_has(x, i))
			continue;
		TRY(infer_want_type(x, i, i == 2 ? T(I64) : T(F32), err));
		TRY(infer_want_scalar(x, i, err));
	}
	TRY(infer_want_int(x, "center_point_box", 0, 0, 1, err));
	infer_set(x, 0, DTYPE_I64, &(struct shape){ .rank = 2, .dim = { DIM_UNKNOWN, 3 } });
	return ERR_OK;
}

enum err_code infer_image_decoder(struct infer *x, struct err *err)
{
	struct slice format = node_string(x->node, "pixel_format", "RGB");
	bool gray = slice_is(format, "Grayscale");
	TRY(infer_want_type(x, 0, T(U8), err));
	TRY(infer_want_rank(x, 0, 1, 1, err));
	if (!gray && !slice_is(format, "RGB") && !slice_is(format, "BGR"))
		return infer_fail(x, err,
			"pixel_format is '%.*s', it must be RGB, BGR or Grayscale",
			SLICE_ARG(format));
	infer_set(x, 0, DTYPE_U8,
		&(struct shape){ .rank = 3, .dim = { DIM_UNKNOWN, DIM_UNKNOWN, gray ? 1 : 3 } });
	return ERR_OK;
}

enum err_code infer_reverse_sequence(struct infer *x, struct err *err)
{
	int64_t time = node_int(x->node, "time_axis", 0),
		batch = node_int(x->node, "batch_axis", 1);
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(infer_want_rank(x, 0, 2, RANK_MAX, err));
	TRY(infer_want_type(x, 1, T(I64), err));
	TRY(infer_want_rank(x, 1, 1, 1, err));
	TRY(infer_want_int(x, "time_axis", 0, 0, 1, err));
	if (batch != 1 - time)
		return infer_fail(x, err, "batch_axis is %" PRId64 " and time_axis %" PRId64
			", one must be 0 and the other 1", batch, time);
	TRY(want_same_dim(x, 0, (int)batch, 1, 0, err));
	infer_set(x, 0, x->in[0]->type.dtype, &x->in[0]->shape);
	return ERR_OK;
}
