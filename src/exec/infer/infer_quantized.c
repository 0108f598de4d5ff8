/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_quantized.c -- what our passes make of operators between DequantizeLinear and
 * QuantizeLinear: sums of integers, requantized
 */
#include "exec/infer/conv_geometry.h"
#include "exec/infer/infer.h"

#define T_BYTE (T(I8) | T(U8))

/* A zero point for all, or one for each of n. */
static enum err_code want_zero_point(
	struct infer *x, int i, enum dtype dtype, int64_t n, struct err *err)
{
	if (!infer_has(x, i))
		return ERR_OK;
	const struct shape *s = &x->in[i]->shape;
	TRY(infer_want_type(x, i, T_BYTE, err));
	if (x->in[i]->type.dtype != dtype)
		return infer_fail(x, err, "input %d is %s, the numbers are %s", i,
			dtype_name(x->in[i]->type.dtype), dtype_name(dtype));
	TRY(infer_want_rank(x, i, 0, 1, err));
	if (s->rank == 1 && s->dim[0] != 1 && dim_conflict(s->dim[0], n))
		return infer_fail(x, err,
			"input %d is %s, one zero point or one per channel is wanted", i,
			SHAPE_TEXT(s));
	return ERR_OK;
}

/* X, W, factor, bias and W's zero point per channel; Z as the result. Attributes are of the
   result's range. */
static enum err_code want_operands(struct infer *x, int64_t channels, struct err *err)
{
	TRY(infer_want_type(x, 0, T_BYTE, err));
	TRY(infer_want_type(x, 1, T_BYTE, err));
	TRY(infer_want_type(x, 2, T(F32), err));
	TRY(infer_want_list(x, 2, channels, err));
	if (infer_has(x, 3)) {
		TRY(infer_want_type(x, 3, T(I32), err));
		TRY(infer_want_list(x, 3, channels, err));
	}
	TRY(want_zero_point(x, 5, x->in[1]->type.dtype, channels, err));
	return infer_has(x, 4) ? infer_want_type(x, 4, T_BYTE, err) : ERR_OK;
}

static enum err_code want_attributes(struct infer *x, enum dtype *ret, struct err *err)
{
	TRY(infer_want_int(x, "to", DTYPE_U8, 0, DTYPE_COUNT_ - 1, err));
	*ret = (enum dtype)node_int(x->node, "to", DTYPE_U8);
	if (!dtype_in(*ret, T_BYTE))
		return infer_fail(x, err, "to is %s, it must be int8 or uint8", dtype_name(*ret));
	int64_t low = *ret == DTYPE_I8 ? INT8_MIN : 0, high = low + UINT8_MAX;
	TRY(infer_want_int(x, "x_zero", 0, INT8_MIN, UINT8_MAX, err));
	TRY(infer_want_int(x, "z_zero", 0, INT8_MIN, UINT8_MAX, err));
	TRY(infer_want_int(x, "y_zero", 0, low, high, err));
	TRY(infer_want_int(x, "low", low, low, high, err));
	TRY(infer_want_int(x, "high", high, low, high, err));
	TRY(infer_want_int(x, "mid_low", 0, -UINT8_MAX, UINT8_MAX, err));
	return infer_want_int(x, "mid_high", 0, -UINT8_MAX, UINT8_MAX, err);
}

static enum err_code want_sum(struct infer *x, const struct shape *out, struct err *err)
{
	if (!infer_has(x, 4))
		return ERR_OK;
	const struct shape *z = &x->in[4]->shape;
	bool same = z->rank < 0 || out->rank < 0 || z->rank == out->rank;
	for (int i = 0; same && out->rank >= 0 && i < z->rank; i++)
		same = !dim_conflict(z->dim[i], out->dim[i]);
	return same ? ERR_OK : infer_fail(x, err, "Z is %s, the output %s: they must be equal",
					 SHAPE_TEXT(z), SHAPE_TEXT(out));
}

enum err_code infer_quantized_conv(struct infer *x, struct err *err)
{
	enum dtype to;
	struct shape out;
	const struct shape *w = &x->in[1]->shape;
	TRY(want_attributes(x, &to, err));
	TRY(infer_conv_shape(x, &out, err));
	TRY(want_operands(x, w->rank > 0 ? w->dim[0] : DIM_UNKNOWN, err));
	TRY(want_sum(x, &out, err));
	infer_set(x, 0, to, &out);
	return ERR_OK;
}

enum err_code infer_quantized_matmul(struct infer *x, struct err *err)
{
	enum dtype to;
	const struct shape *w = &x->in[1]->shape;
	struct shape out = x->in[0]->shape;
	TRY(want_attributes(x, &to, err));
	TRY(infer_want_int(x, "trans_b", 0, 0, 1, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	TRY(infer_want_rank(x, 1, 2, 2, err));
	int trans = (int)node_int(x->node, "trans_b", 0);
	int64_t k = w->rank == 2 ? w->dim[trans] : DIM_UNKNOWN,
		n = w->rank == 2 ? w->dim[!trans] : DIM_UNKNOWN;
	TRY(want_operands(x, n, err));
	if (out.rank > 0 && dim_conflict(out.dim[out.rank - 1], k))
		return infer_fail(x, err, "X is %s and W is %s: their inner dimensions differ",
			SHAPE_TEXT(&x->in[0]->shape), SHAPE_TEXT(w));
	if (out.rank > 0)
		out.dim[out.rank - 1] = n;
	TRY(want_sum(x, &out, err));
	infer_set(x, 0, to, &out);
	return ERR_OK;
}

/* Sums of products of X and W, both less their zero points. */
enum err_code infer_integer_conv(struct infer *x, struct err *err)
{
	struct shape out;
	const struct shape *w = &x->in[1]->shape;
	TRY(infer_want_type(x, 0, T_BYTE, err));
	TRY(infer_want_type(x, 1, T_BYTE, err));
	TRY(infer_conv_shape(x, &out, err));
	TRY(want_zero_point(x, 2, x->in[0]->type.dtype, 1, err));
	TRY(want_zero_point(
		x, 3, x->in[1]->type.dtype, w->rank > 0 ? w->dim[0] : DIM_UNKNOWN, err));
	infer_set(x, 0, DTYPE_I32, &out);
	return ERR_OK;
}

/* Sums of products of A and B, both less their zero points; B is a matrix. */
enum err_code infer_integer_matmul(struct infer *x, struct err *err)
{
	struct shape out = x->in[0]->shape;
	const struct shape *b = &x->in[1]->shape;
	int64_t k = b->rank == 2 ? b->dim[0] : DIM_UNKNOWN,
		n = b->rank == 2 ? b->dim[1] : DIM_UNKNOWN;
	TRY(infer_want_type(x, 0, T_BYTE, err));
	TRY(infer_want_type(x, 1, T_BYTE, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	TRY(infer_want_rank(x, 1, 2, 2, err));
	TRY(want_zero_point(x, 2, x->in[0]->type.dtype, 1, err));
	TRY(want_zero_point(x, 3, x->in[1]->type.dtype, n, err));
	if (out.rank > 0 && dim_conflict(out.dim[out.rank - 1], k))
		return infer_fail(x, err, "A is %s and B is %s: their inner dimensions differ",
			SHAPE_TEXT(&x->in[0]->shape), SHAPE_TEXT(b));
	if (out.rank > 0)
		out.dim[out.rank - 1] = n;
	infer_set(x, 0, DTYPE_I32, &out);
	return ERR_OK;
}

/* Of images, one number per channel. */
enum err_code infer_quantized_global_pool(struct infer *x, struct err *err)
{
	enum dtype to;
	struct shape out = x->in[0]->shape;
	TRY(want_attributes(x, &to, err));
	TRY(infer_want_type(x, 0, T_BYTE, err));
	TRY(infer_want_rank(x, 0, 3, RANK_MAX, err));
	for (int i = 2; i < out.rank; i++)
		out.dim[i] = 1;
	infer_set(x, 0, to, &out);
	return ERR_OK;
}
