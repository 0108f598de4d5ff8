/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_qlinear.c -- operators of com.microsoft on 8-bit numbers that stand for others: what
 * they stand for, the operator of ai.onnx, and back to 8 bits. An operand is three inputs:
 * the numbers, their scale, their zero point, which may be absent.
 */
#include "loader/onnx/lower/lower.h"

#define END { NULL, 0, false }

const struct attr_spec old_qlinear_softmax[] = { { "opset", ATTR_INT, true },
	{ "axis", ATTR_INT, false }, END };
const struct attr_spec old_qlinear_concat[] = { { "axis", ATTR_INT, true }, END };
const struct attr_spec old_qlinear_leaky_relu[] = { { "alpha", ATTR_FLOAT, false }, END };
const struct attr_spec old_channels_last[] = { { "channels_last", ATTR_INT, false }, END };

/* Operand of the inputs from i on as float32. */
static int32_t real(struct lower *x, int i)
{
	int32_t in[3] = { lower_in(x, i), lower_in(x, i + 1),
		lower_has_in(x, i + 2) ? x->in[i + 2] : VALUE_NONE };
	return lower_emit(x, OP_DEQUANTIZE, in[2] == VALUE_NONE ? 2 : 3, in);
}

/* The draft becomes v in 8 bits by the scale, input i, and the zero point behind it; without
   one it has the type of input 0. */
static void quantized(struct lower *x, int32_t v, int i)
{
	int32_t scale = lower_in(x, i), zero = lower_has_in(x, i + 1) ? x->in[i + 1] : VALUE_NONE;
	if (zero == VALUE_NONE)
		lower_default_int(x, "output_dtype", lower_dtype(x, lower_in(x, 0)));
	lower_quantized(x, v, scale, zero);
}

/* An operator of two operands. */
static void qlinear_binary(struct lower *x, enum op_id op)
{
	int32_t in[2];
	for (int i = 0; i < 2; i++)
		in[i] = real(x, 3 * i);
	quantized(x, lower_emit(x, op, 2, in), 6);
}

void lower_qlinear_add(struct lower *x)
{
	qlinear_binary(x, OP_ADD);
}

void lower_qlinear_mul(struct lower *x)
{
	qlinear_binary(x, OP_MUL);
}

void lower_qlinear_sigmoid(struct lower *x)
{
	quantized(x, LOWER_EMIT(x, SIGMOID, real(x, 0)), 3);
}

void lower_qlinear_leaky_relu(struct lower *x)
{
	float alpha = lower_take_float(x, "alpha", 0.01F);
	int32_t v = real(x, 0);
	lower_with(x, (struct attr){ .name = "alpha", .kind = ATTR_FLOAT, .f = alpha });
	quantized(x, LOWER_EMIT(x, LEAKY_RELU, v), 3);
}

/* Before opset 13 all dimensions from the axis on were one. */
void lower_qlinear_softmax(struct lower *x)
{
	bool flat = lower_take_int(x, "opset", 13) < 13;
	int64_t axis = lower_take_int(x, "axis", flat ? 1 : -1);
	int32_t v = real(x, 0), shape = VALUE_NONE;
	if (flat) {
		shape = LOWER_EMIT(x, SHAPE, v);
		lower_with_int(x, "axis", axis);
		v = LOWER_EMIT(x, FLATTEN, v);
	}
	lower_with_int(x, "axis", flat ? -1 : axis);
	v = LOWER_EMIT(x, SOFTMAX, v);
	if (flat) {
		lower_with_int(x, "allowzero", 1);
		v = LOWER_EMIT(x, RESHAPE, v, shape);
	}
	quantized(x, v, 3);
}

void lower_qlinear_where(struct lower *x)
{
	int32_t in[3] = { lower_in(x, 0) };
	in[1] = real(x, 1);
	in[2] = real(x, 4);
	quantized(x, lower_emit(x, OP_WHERE, 3, in), 7);
}

/* The output's scale and zero point come first. */
void lower_qlinear_concat(struct lower *x)
{
	int32_t n = (x->n_in - 2) / 3;
	int32_t *part = ARENA_ARRAY(x->scratch, int32_t, (size_t)(n > 0 ? n : 1));
	int64_t axis = lower_take_int(x, "axis", 0);
	if (!part)
		x->rc = err_oom(x->err);
	if (n < 1 || x->n_in != 2 + 3 * n)
		lower_fail(x, ERR_INVALID_ARGUMENT, "it has %d inputs, not 2 and 3 for each part",
			x->n_in);
	for (int32_t i = 0; i < n && x->rc == ERR_OK; i++)
		part[i] = real(x, 2 + 3 * i);
	if (x->rc != ERR_OK)
		return;
	int32_t scale = lower_in(x, 0), zero = lower_in(x, 1);
	lower_with_int(x, "axis", axis);
	int32_t v = lower_emit(x, OP_CONCAT, n, part);
	lower_quantized(x, v, scale, zero);
}

/* -- pools, and images whose channels come last ------------------------------------------------ */

/* The attribute of the Transpose that moves v's channels to where we have them, or back. */
static struct attr channels_perm(struct lower *x, int32_t v, bool back)
{
	int rank = lower_shape(x, v)->rank;
	int64_t *perm = ARENA_ARRAY(x->graph->arena, int64_t, RANK_MAX);
	if (!perm || rank < 3) {
		lower_fail(x, ERR_UNIMPLEMENTED, "its rank is not known, or less than 3");
		return (struct attr){ 0 };
	}
	for (int i = 1; i < rank; i++)
		perm[i] = back ? (i == rank - 1 ? 1 : i + 1) : i == 1 ? rank - 1 : i - 1;
	perm[0] = 0;
	return (struct attr){ .name = "perm", .kind = ATTR_INTS, .n = rank, .ints = perm };
}

static int32_t move_channels(struct lower *x, int32_t v, bool back)
{
	struct attr perm = channels_perm(x, v, back);
	if (x->rc != ERR_OK)
		return VALUE_NONE;
	lower_with(x, perm);
	return LOWER_EMIT(x, TRANSPOSE, v);
}

static void qlinear_pool(struct lower *x, enum op_id op)
{
	bool last = lower_take_int(x, "channels_last", 0) != 0;
	int32_t v = real(x, 0);
	if (last)
		v = move_channels(x, v, false);
	v = lower_emit_draft(x, op, 1, &v);
	quantized(x, last ? move_channels(x, v, true) : v, 3);
}

void lower_qlinear_average_pool(struct lower *x)
{
	qlinear_pool(x, OP_AVERAGE_POOL);
}

void lower_qlinear_global_average_pool(struct lower *x)
{
	qlinear_pool(x, OP_GLOBAL_AVERAGE_POOL);
}

void lower_nhwc_max_pool(struct lower *x)
{
	int32_t v = move_channels(x, lower_in(x, 0), false);
	v = lower_emit_draft(x, OP_MAX_POOL, 1, &v);
	LOWER_BECOME(x, TRANSPOSE, 1, v);
	lower_set(x, channels_perm(x, v, true));
}

/* Weights are as ever. */
void lower_qlinear_conv_ms(struct lower *x)
{
	bool last = lower_take_int(x, "channels_last", 0) != 0;
	int32_t image = lower_in(x, 0);
	if (last)
		lower_set_in(x, 0, move_channels(x, image, false));
	if (x->rc == ERR_OK)
		lower_qlinear_conv(x);
	if (!last || x->rc != ERR_OK)
		return;
	int32_t v = lower_emit_draft(x, x->op, x->n_in, x->in);
	LOWER_BECOME(x, TRANSPOSE, 1, v);
	lower_set(x, channels_perm(x, image, true));
}
