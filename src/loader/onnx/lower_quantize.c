/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_quantize.c -- products and convolutions of quantized numbers, in terms of whole ones
 *
 * Products go in int32, which wraps as the specification's does. Convolutions go in float64,
 * whose sums of whole numbers are exact up to 2^53.
 */
#include "loader/onnx/lower.h"

static int32_t cast(struct lower *x, int32_t v, enum dtype to)
{
	lower_with_int(x, "to", to);
	return LOWER_EMIT(x, CAST, v);
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
	int32_t v = cast(x, lower_in(x, i), to);
	if (!lower_has_in(x, zero))
		return v;
	int32_t z = list_before(x, cast(x, x->in[zero], to), behind);
	return LOWER_EMIT(x, SUB, v, z);
}

/* The draft quantizes sum times scale by its inputs y and y + 1. */
static void requantize(struct lower *x, int32_t sum, int32_t scale, int y)
{
	int32_t y_scale = lower_in(x, y), y_zero = lower_in(x, y + 1);
	x->n_in = 0;
	x->op = OP_QUANTIZE;
	lower_set_in(x, 0, LOWER_EMIT(x, MUL, LOWER_EMIT(x, CAST_LIKE, sum, scale), scale));
	lower_set_in(x, 1, y_scale);
	lower_set_in(x, 2, y_zero);
}

void lower_matmul_integer(struct lower *x)
{
	int behind = lower_shape(x, lower_in(x, 0))->rank == 1 ? 0 : 1;
	int32_t a = centred(x, 0, 2, behind, DTYPE_I32), b = centred(x, 1, 3, 0, DTYPE_I32);
	x->op = OP_MATMUL;
	x->n_in = 0;
	lower_set_in(x, 0, a);
	lower_set_in(x, 1, b);
}

/* Scales and zero points of a are per row, of b per column. */
void lower_qlinear_matmul(struct lower *x)
{
	int behind = lower_shape(x, lower_in(x, 0))->rank == 1 ? 0 : 1;
	int32_t a = centred(x, 0, 2, behind, DTYPE_I32), b = centred(x, 3, 5, 0, DTYPE_I32);
	int32_t scale = LOWER_EMIT(x, MUL, list_before(x, lower_in(x, 1), behind),
		lower_in(x, 4));
	requantize(x, LOWER_EMIT(x, MATMUL, a, b), scale, 6);
}

/* All the draft's attributes are Conv's. */
static int32_t convolve(struct lower *x, int32_t image, int32_t kernel)
{
	if (x->n_attr > LOWER_SPARE) {
		lower_fail(x, ERR_INVALID_ARGUMENT, "it has %d attributes", x->n_attr);
		return VALUE_NONE;
	}
	for (int32_t i = 0; i < x->n_attr; i++)
		lower_with(x, x->attr[i]);
	x->n_attr = 0;
	return LOWER_EMIT(x, CONV, image, kernel);
}

void lower_conv_integer(struct lower *x)
{
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
	int rank = lower_shape(x, lower_in(x, 3))->rank;
	int32_t image = centred(x, 0, 2, 0, DTYPE_F64);
	int32_t kernel = centred(x, 3, 5, rank - 1, DTYPE_F64);
	int32_t sum = convolve(x, image, kernel);
	if (lower_has_in(x, 8))
		sum = LOWER_EMIT(x, ADD, sum, list_before(x, cast(x, x->in[8], DTYPE_F64), rank - 2));
	int32_t scale = LOWER_EMIT(x, MUL, lower_in(x, 1), list_before(x, lower_in(x, 4), rank - 2));
	requantize(x, sum, scale, 6);
}
