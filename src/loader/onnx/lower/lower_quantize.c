/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_quantize.c -- products and convolutions of quantized numbers, in terms of whole ones
 *
 * QLinearConv and QLinearMatMul are what they stand for, between DequantizeLinear and
 * QuantizeLinear, which the pass "quantize" makes one integer kernel of. Where scales are not
 * float32, or lists that DequantizeLinear does not take, products go in int32, which wraps as the
 * specification's does, and convolutions in float64, whose sums of whole numbers are exact up
 * to 2^53: these are right, and slow. Sums of products that are asked for as such are
 * IntegerMatMul's, where B is a matrix, and IntegerConv's, where A or the image has one zero point.
 */
#include "loader/onnx/lower/lower.h"

const struct attr_spec old_qgemm[] = { { "alpha", ATTR_FLOAT, false },
	{ "transA", ATTR_INT, false }, { "transB", ATTR_INT, false }, { NULL, 0, false } };

static bool is_one(const struct shape *s)
{
	return s->rank == 0 || (s->rank == 1 && s->dim[0] == 1);
}

/* A list with dimensions of one behind it, so many; a scalar as it is. */
static int32_t list_before(struct lower *x, int32_t list, int behind)
{
	int64_t axes[RANK_MAX];
	for (int i = 0; i < behind; i++)
		axes[i] = i + 1;
	if (lower_shape(x, list)->rank != 1 || behind < 1 || behind >= RANK_MAX)
		return list;
	return LOWER_EMIT(x, UNSQUEEZE, list, lower_ints(x, axes, behind));
}

/* Input i less its zero point, input zero, which may be a list. */
static int32_t centred(struct lower *x, int i, int zero, int behind, enum dtype to)
{
	int32_t v = lower_as(x, lower_in(x, i), to);
	if (!lower_has_in(x, zero))
		return v;
	int32_t z = list_before(x, lower_as(x, x->in[zero], to), behind);
	return LOWER_EMIT(x, SUB, v, z);
}

void lower_quantized(struct lower *x, int32_t v, int32_t scale, int32_t zero)
{
	LOWER_BECOME(x, QUANTIZE, 1, v, scale, zero);
}

/* The draft quantizes sum times scale by its inputs y and y + 1. */
static void requantize(struct lower *x, int32_t sum, int32_t scale, int y)
{
	int32_t v = LOWER_EMIT(x, MUL, LOWER_EMIT(x, CAST_LIKE, sum, scale), scale);
	lower_quantized(x, v, lower_in(x, y), lower_in(x, y + 1));
}

/* Operands of sums of products and their zero points; false: there is more than one zero point
   of the first operand, or of the second one no list. */
static bool read_integers(struct lower *x, int a_zero, int b_zero, int32_t *ret)
{
	const int from[4] = { 0, 1, a_zero, b_zero };
	for (int i = 0; i < 4; i++)
		ret[i] = lower_has_in(x, from[i]) ? x->in[from[i]] : VALUE_NONE;
	for (int i = 2; i < 4; i++) {
		struct shape zero = ret[i] == VALUE_NONE ? SHAPE_SCALAR : *lower_shape(x, ret[i]);
		if (!is_one(&zero) && (i == 2 || zero.rank != 1))
			return false;
	}
	return x->rc == ERR_OK;
}

/* IntegerMatMul's. */
static bool read_integer_matmul(struct lower *x, int a_zero, int b_zero, int32_t *ret)
{
	struct shape a = *lower_shape(x, lower_in(x, 0)), b = *lower_shape(x, lower_in(x, 1));
	return a.rank >= 1 && b.rank == 2 && read_integers(x, a_zero, b_zero, ret);
}

void lower_matmul_integer(struct lower *x)
{
	int32_t in[4];
	if (read_integer_matmul(x, 2, 3, in)) {
		lower_become(x, OP_INTEGER_MATMUL, 1, 4, in);
		return;
	}
	int behind = lower_shape(x, lower_in(x, 0))->rank == 1 ? 0 : 1;
	int32_t a = centred(x, 0, 2, behind, DTYPE_I32), b = centred(x, 1, 3, 0, DTYPE_I32);
	x->op = OP_MATMUL;
	x->n_in = 0;
	lower_set_in(x, 0, a);
	lower_set_in(x, 1, b);
}

/* -- as floats that stand between ------------------------------------------------------------ */

/* Has operand i a scale and, behind it, a zero point that DequantizeLinear takes? */
static bool is_float32(struct lower *x, int i)
{
	if (lower_dtype(x, lower_in(x, i + 1)) != DTYPE_F32)
		return false;
	struct shape scale = *lower_shape(x, x->in[i + 1]);
	if (scale.rank < 0 || scale.rank > 1 || !lower_has_in(x, i + 2))
		return scale.rank == 0 || scale.rank == 1;
	const struct shape *zero = lower_shape(x, x->in[i + 2]);
	return shape_equal(&scale, zero) || (is_one(&scale) && is_one(zero));
}

static int32_t dequantized(struct lower *x, int32_t v, int32_t scale, int32_t zero, int axis)
{
	const int32_t in[3] = { v, scale, zero };
	if (!is_one(lower_shape(x, scale)))
		lower_with_int(x, "axis", axis);
	return lower_emit(x, OP_DEQUANTIZE, zero == VALUE_NONE ? 2 : 3, in);
}

static int32_t operand(struct lower *x, int i, int axis)
{
	int32_t zero = lower_has_in(x, i + 2) ? x->in[i + 2] : VALUE_NONE;
	return dequantized(x, lower_in(x, i), lower_in(x, i + 1), zero, axis);
}

static const struct tensor *constant_in(struct lower *x, int i)
{
	int32_t v = lower_in(x, i);
	return v == VALUE_NONE ? NULL : x->graph->value[v].constant;
}

/* Does the bias, input i, have a scale that is known? */
static bool is_bias_known(struct lower *x, int i)
{
	return !lower_has_in(x, i) || (constant_in(x, 1) && constant_in(x, 4));
}

/* Input i, in units of the product of both scales, of which the second may be a list along
   the last axis. */
static int32_t dequantized_bias(struct lower *x, int i)
{
	if (!lower_has_in(x, i))
		return VALUE_NONE;
	const struct tensor *image = constant_in(x, 1), *kernel = constant_in(x, 4);
	int64_t n = tensor_count(kernel);
	float *scale = arena_alloc(x->scratch, (size_t)n * sizeof(*scale) + 1);
	if (!scale || n > INT32_MAX) {
		x->rc = err_oom(x->err);
		return VALUE_NONE;
	}
	for (int64_t k = 0; k < n; k++)
		scale[k] = (float)(tensor_float(image, 0) * tensor_float(kernel, k));
	int last = lower_shape(x, x->in[i])->rank - 1;
	return dequantized(x, x->in[i], lower_floats(x, scale, (int32_t)n), VALUE_NONE, last);
}

static bool convolve_floats(struct lower *x)
{
	if (!is_float32(x, 0) || !is_float32(x, 3) || !is_bias_known(x, 8))
		return false;
	const int32_t in[3] = { operand(x, 0, 0), operand(x, 3, 0), dequantized_bias(x, 8) };
	int32_t y = lower_emit_draft(x, OP_CONV, in[2] == VALUE_NONE ? 2 : 3, in);
	lower_quantized(x, y, lower_in(x, 6), lower_in(x, 7));
	return true;
}

static bool multiply_floats(struct lower *x)
{
	int a_rank = lower_shape(x, lower_in(x, 0))->rank,
	    b_rank = lower_shape(x, lower_in(x, 3))->rank;
	if (!is_float32(x, 0) || !is_float32(x, 3) || a_rank < 2 || b_rank < 2)
		return false;
	int32_t a = operand(x, 0, a_rank - 2), b = operand(x, 3, b_rank - 1);
	lower_quantized(x, LOWER_EMIT(x, MATMUL, a, b), lower_in(x, 6), lower_in(x, 7));
	return true;
}

/* QGemm of these attributes. */
static bool gemm_floats(struct lower *x, float alpha, bool trans_a, bool trans_b)
{
	if (alpha != 1 || !lower_has_in(x, 7) || !is_float32(x, 0) || !is_float32(x, 3) ||
		!is_bias_known(x, 6))
		return false;
	const int32_t in[3] = { operand(x, 0, trans_a), operand(x, 3, !trans_b),
		dequantized_bias(x, 6) };
	lower_with_int(x, "transA", trans_a);
	lower_with_int(x, "transB", trans_b);
	int32_t y = lower_emit(x, OP_GEMM, in[2] == VALUE_NONE ? 2 : 3, in);
	lower_quantized(x, y, lower_in(x, 7), lower_in(x, 8));
	return true;
}

/* -- as whole numbers ------------------------------------------------------------------------- */

/* Scales and zero points of a are per row, of b per column. */
void lower_qlinear_matmul(struct lower *x)
{
	if (multiply_floats(x))
		return;
	int behind = lower_shape(x, lower_in(x, 0))->rank == 1 ? 0 : 1;
	int32_t a = centred(x, 0, 2, behind, DTYPE_I32), b = centred(x, 3, 5, 0, DTYPE_I32);
	int32_t scale = LOWER_EMIT(x, MUL, list_before(x, lower_in(x, 1), behind),
		lower_in(x, 4));
	requantize(x, LOWER_EMIT(x, MATMUL, a, b), scale, 6);
}

/* All the draft's attributes are Conv's. */
static int32_t convolve(struct lower *x, int32_t image, int32_t kernel)
{
	return lower_emit_draft(x, OP_CONV, 2, (const int32_t[]){ image, kernel });
}

void lower_conv_integer(struct lower *x)
{
	int32_t in[4];
	if (read_integers(x, 2, 3, in)) {
		lower_become(x, OP_INTEGER_CONV, 1, 4, in);
		return;
	}
	int behind = lower_shape(x, lower_in(x, 1))->rank - 1;
	int32_t image = centred(x, 0, 2, 0, DTYPE_F64);
	int32_t kernel = centred(x, 1, 3, behind, DTYPE_F64);
	int32_t sum = convolve(x, image, kernel);
	x->op = OP_CAST;
	x->n_in = 0;
	lower_set_in(x, 0, sum);
	lower_default_int(x, "to", DTYPE_I32);
}

/* The bias is in units of the two scales' product; the kernel's are per output channel. */
void lower_qlinear_conv(struct lower *x)
{
	if (convolve_floats(x))
		return;
	int rank = lower_shape(x, lower_in(x, 3))->rank;
	int32_t image = centred(x, 0, 2, 0, DTYPE_F64);
	int32_t kernel = centred(x, 3, 5, rank - 1, DTYPE_F64);
	int32_t sum = convolve(x, image, kernel);
	if (lower_has_in(x, 8))
		sum = LOWER_EMIT(
			x, ADD, sum, list_before(x, lower_as(x, x->in[8], DTYPE_F64), rank - 2));
	int32_t scale =
		LOWER_EMIT(x, MUL, lower_in(x, 1), list_before(x, lower_in(x, 4), rank - 2));
	requantize(x, sum, scale, 6);
}

/* -- com.microsoft: products of 8-bit numbers that come out as floats -------------------------- */

static int32_t integer_product(struct lower *x, int a_zero, int b_zero)
{
	int32_t in[4];
	if (read_integer_matmul(x, a_zero, b_zero, in)) {
		int n = in[3] != VALUE_NONE ? 4 : in[2] != VALUE_NONE ? 3 : 2;
		return lower_emit(x, OP_INTEGER_MATMUL, n, in);
	}
	int32_t a = centred(x, 0, a_zero, 0, DTYPE_I32), b = centred(x, 1, b_zero, 0, DTYPE_I32);
	return LOWER_EMIT(x, MATMUL, a, b);
}

static int32_t as_float32(struct lower *x, int32_t v)
{
	return lower_dtype(x, v) == DTYPE_F32 ? v : lower_as(x, v, DTYPE_F32);
}

int32_t lower_product_to_float(struct lower *x, const struct lower_product *p)
{
	int32_t product = integer_product(x, p->a_zero, p->b_zero);
	int32_t a_scale = as_float32(x, lower_in(x, p->a_scale));
	int32_t b_scale = as_float32(x, lower_in(x, p->b_scale));
	int32_t scale = LOWER_EMIT(x, MUL, a_scale, b_scale);
	int32_t v = LOWER_EMIT(x, MUL, lower_as(x, product, DTYPE_F32), scale);
	if (!lower_has_in(x, p->bias))
		return v;
	int32_t bias = as_float32(x, x->in[p->bias]);
	return LOWER_EMIT(x, ADD, v, bias);
}

/* Inputs A, B, their scales, their zero points, bias; B's are per column. */
void lower_matmul_integer_to_float(struct lower *x)
{
	static const struct lower_product at = { 2, 3, 4, 5, 6 };
	enum dtype dtype = lower_dtype(x, lower_in(x, at.a_scale));
	int32_t v = lower_product_to_float(x, &at);
	lower_become(x, dtype == DTYPE_F16 ? OP_CAST : OP_IDENTITY, 1, 1, &v);
	if (x->op == OP_CAST)
		lower_default_int(x, "to", dtype);
}

/* Inputs A, which is quantized here, B, its scale and zero point, bias. */
void lower_dynamic_quantize_matmul(struct lower *x)
{
	int32_t a = lower_in(x, 0), b = lower_in(x, 1), b_scale = lower_in(x, 2);
	int32_t b_zero = lower_has_in(x, 3) ? x->in[3] : VALUE_NONE;
	int32_t bias = lower_has_in(x, 4) ? x->in[4] : VALUE_NONE;
	int32_t q = lower_emit_outs(x, OP_DYNAMIC_QUANTIZE, 1, &a, 3);
	if (x->rc != ERR_OK)
		return;
	LOWER_BECOME(x, NONE, 1, q, b, q + 1, b_scale, q + 2, b_zero, bias);
	lower_matmul_integer_to_float(x);
}

/* Inputs A and B with scale and zero point, C in units of the scales' product, and the
   result's scale and zero point; without them it is a float. */
void lower_qgemm(struct lower *x)
{
	float alpha = lower_take_float(x, "alpha", 1);
	bool trans_b = lower_take_int(x, "transB", 0) != 0;
	bool trans_a = lower_take_int(x, "transA", 0) != 0;
	if (gemm_floats(x, alpha, trans_a, trans_b))
		return;
	int32_t a = centred(x, 0, 2, 0, DTYPE_I32), b = centred(x, 3, 5, trans_b, DTYPE_I32);
	int32_t in[3] = { a, b, lower_has_in(x, 6) ? x->in[6] : VALUE_NONE };
	lower_with_int(x, "transA", trans_a);
	lower_with_int(x, "transB", trans_b);
	int32_t sum = lower_emit(x, OP_GEMM, in[2] == VALUE_NONE ? 2 : 3, in);
	int32_t scale = LOWER_EMIT(x, MUL, lower_in(x, 1), lower_in(x, 4));
	if (alpha != 1)
		scale = LOWER_EMIT(x, MUL, scale, lower_float(x, DTYPE_F32, (double)alpha));
	if (lower_has_in(x, 7)) {
		requantize(x, sum, scale, 7);
		return;
	}
	sum = lower_as(x, sum, DTYPE_F32);
	LOWER_BECOME(x, MUL, 1, sum, scale);
}
