/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_quantize.c -- QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear
 */
#include "exec/infer/infer.h"

#include <inttypes.h>

#define T_F4 T(F4E2M1)
#define T_QUANTIZED \
	(T(I8) | T(U8) | T(I16) | T(U16) | T(I4) | T(U4) | T(I2) | T(U2) | T_F8 | T_F4)
#define T_SCALED (T(F32) | T_HALF)

static bool is_one(const struct shape *s)
{
	return s->rank == 0 || (s->rank == 1 && s->dim[0] == 1);
}

/* Scale has one element, one per index of the axis, or one per block along the axis. */
static enum err_code check_scale(const struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape, *scale = &x->in[1]->shape;
	int64_t block = node_int(x->node, "block_size", 0);
	int axis;
	TRY(infer_want_int(x, "block_size", 0, 0, INT32_MAX, err));
	if (s->rank < 0 || scale->rank < 0)
		return ERR_OK;
	if (!block && is_one(scale))
		return ERR_OK;
	/* The default is meant for images and is out of range for lists. */
	TRY(infer_axis(x, "axis", s->rank > 1 ? 1 : 0, s->rank, &axis, err));
	if (!block)
		return infer_want_list(x, 1, s->dim[axis], err);
	TRY(infer_want_rank(x, 1, s->rank, s->rank, err));
	for (int i = 0; i < s->rank; i++) {
		int64_t want = s->dim[i];
		if (i == axis && want >= 0)
			want = (want + block - 1) / block;
		if (dim_conflict(scale->dim[i], want))
			return infer_fail(x, err,
				"scale is %s, its dimension %d must be %" PRId64
				" for blocks of %" PRId64,
				SHAPE_TEXT(scale), i, want, block);
	}
	return ERR_OK;
}

static enum err_code check_zero_point(const struct infer *x, struct err *err)
{
	const struct shape *scale = &x->in[1]->shape, *zero = &x->in[2]->shape;
	bool alike = scale->rank == zero->rank || scale->rank < 0 || zero->rank < 0;
	bool both_one = is_one(scale) && is_one(zero);
	for (int i = 0; alike && i < scale->rank && i < zero->rank; i++)
		alike = !dim_conflict(scale->dim[i], zero->dim[i]);
	if (alike || both_one)
		return ERR_OK;
	return infer_fail(x, err, "scale is %s and the zero point is %s, they must be alike",
		SHAPE_TEXT(scale), SHAPE_TEXT(zero));
}

/* The type that the attribute asks for, or `otherwise`; one of set. */
static enum err_code output_type(const struct infer *x, enum dtype otherwise, uint64_t set,
	enum dtype *ret, struct err *err)
{
	int64_t asked = node_int(x->node, "output_dtype", 0);
	*ret = asked > 0 && asked < DTYPE_TENSOR ? (enum dtype)asked : otherwise;
	if (asked < 0 || asked >= DTYPE_TENSOR ||
		(*ret != DTYPE_UNDEFINED && !dtype_in(*ret, set)))
		return infer_fail(
			x, err, "output_dtype is %" PRId64 ", which it does not make", asked);
	return ERR_OK;
}

enum err_code infer_quantize(struct infer *x, struct err *err)
{
	enum dtype type = DTYPE_U8, zero;
	TRY(infer_want_type(x, 0, T_SCALED | T(I32), err));
	TRY(infer_want_type(x, 1, T_SCALED | T(I32) | T(F8E8M0), err));
	TRY(infer_want_int(x, "saturate", 1, 0, 1, err));
	TRY(check_scale(x, err));
	int64_t precision = node_int(x->node, "precision", 0);
	if (precision && (precision < 0 || precision >= DTYPE_TENSOR ||
				 !dtype_in((enum dtype)precision, T_FLOAT)))
		return infer_fail(
			x, err, "precision is %" PRId64 ", which is no float type", precision);
	if (infer_has(x, 2)) {
		TRY(infer_want_type(x, 2, T_QUANTIZED, err));
		TRY(check_zero_point(x, err));
		type = x->in[2]->type.dtype;
	}
	zero = type;
	TRY(output_type(x, type, T_QUANTIZED, &type, err));
	if (infer_has(x, 2) && zero != DTYPE_UNDEFINED && zero != type)
		return infer_fail(x, err, "output_dtype is %s and the zero point is %s",
			dtype_name(type), dtype_name(zero));
	infer_set(x, 0, type, &x->in[0]->shape);
	return ERR_OK;
}

enum err_code infer_dequantize(struct infer *x, struct err *err)
{
	enum dtype type = x->in[1]->type.dtype;
	TRY(infer_want_type(x, 0, T_QUANTIZED | T(I32), err));
	TRY(infer_want_type(x, 1, T_SCALED | T(F8E8M0), err));
	TRY(check_scale(x, err));
	if (infer_has(x, 2)) {
		TRY(infer_want_same_type(x, 0, 2, err));
		TRY(check_zero_point(x, err));
	}
	/* float8e8m0 scales without output_dtype say no type to compute in. */
	TRY(output_type(x, type, T_SCALED, &type, err));
	infer_set(x, 0, type, &x->in[0]->shape);
	return ERR_OK;
}

/* One scale and one zero point come out with it. */
enum err_code infer_dynamic_quantize(struct infer *x, struct err *err)
{
	struct shape one = SHAPE_SCALAR;
	TRY(infer_want_type(x, 0, T(F32), err));
	infer_set(x, 0, DTYPE_U8, &x->in[0]->shape);
	infer_set(x, 1, DTYPE_F32, &one);
	infer_set(x, 2, DTYPE_U8, &one);
	return ERR_OK;
}
