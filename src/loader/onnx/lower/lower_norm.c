/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_norm.c -- normalization and dropout of older opsets
 */
#include "loader/onnx/lower/lower.h"

#define END { NULL, 0, false }

const struct attr_spec old_batch_norm[] = { { "consumed_inputs", ATTR_INTS, false },
	{ "is_test", ATTR_INT, false }, { "spatial", ATTR_INT, false }, END };
const struct attr_spec old_dropout[] = { { "consumed_inputs", ATTR_INTS, false },
	{ "is_test", ATTR_INT, false }, { "ratio", ATTR_FLOAT, false }, END };
const struct attr_spec old_mean_variance[] = { { "axes", ATTR_INTS, false }, END };
const struct attr_spec old_group_norm[] = { { "num_groups", ATTR_INT, true }, END };

/* Statistics per element instead of per channel: they broadcast over the batch only. */
static void norm_elements(struct lower *x)
{
	int32_t a = lower_in(x, 0), scale = lower_in(x, 1), bias = lower_in(x, 2);
	int32_t mean = lower_in(x, 3), var = lower_in(x, 4);
	const struct attr *epsilon = lower_take(x, "epsilon");
	float e = epsilon && epsilon->kind == ATTR_FLOAT ? epsilon->f : 1e-5f;
	int32_t eps = lower_float(x, lower_dtype(x, var), (double)e);
	int32_t deviation = LOWER_EMIT(x, SQRT, LOWER_EMIT(x, ADD, var, eps));
	int32_t unit = LOWER_EMIT(x, DIV, LOWER_EMIT(x, SUB, a, mean), deviation);
	lower_take(x, "momentum");
	x->op = OP_ADD;
	x->n_in = 0;
	lower_set_in(x, 0, LOWER_EMIT(x, MUL, unit, scale));
	lower_set_in(x, 1, bias);
}

void lower_batch_norm(struct lower *x)
{
	bool spatial = lower_take_int(x, "spatial", 1);
	lower_take_rest(x); /* is_test too: training would show in more outputs */
	if (x->n_out > 1)
		lower_fail(x, ERR_UNIMPLEMENTED, "it has %d outputs, which is training", x->n_out);
	if (!spatial)
		norm_elements(x);
}

/* The mask was of the input's type before opset 10: all ones, for nothing is dropped. */
void lower_dropout(struct lower *x)
{
	lower_take_rest(x);
	if (x->opset >= 10 || x->n_out < 2 || x->out[1] == VALUE_NONE)
		return;
	int32_t a = lower_in(x, 0);
	int32_t one = lower_float(x, lower_dtype(x, a), 1);
	lower_emit_out(x, OP_IDENTITY, LOWER_EMIT(x, EXPAND, one, LOWER_EMIT(x, SHAPE, a)), 1);
	x->n_out = 1;
}

/* Mean and variance over the axes: all but the channels, unless it says others. */
void lower_mean_variance(struct lower *x)
{
	static const int64_t otherwise[] = { 0, 2, 3 };
	const struct attr *a = lower_take(x, "axes");
	int32_t v = lower_in(x, 0);
	int32_t axes = lower_ints(x, a ? a->ints : otherwise, a ? a->n : 3);
	int32_t d = LOWER_EMIT(x, SUB, v, LOWER_EMIT(x, REDUCE_MEAN, v, axes));
	int32_t variance = LOWER_EMIT(x, REDUCE_MEAN, LOWER_EMIT(x, MUL, d, d), axes);
	int32_t epsilon = lower_float(x, lower_dtype(x, v), 1e-9);
	x->op = OP_DIV;
	lower_set_in(x, 0, d);
	lower_set_in(x, 1, LOWER_EMIT(x, ADD, LOWER_EMIT(x, SQRT, variance), epsilon));
}

/* One scale and bias per group, where today there is one per channel: repeat each. */
static int32_t per_channel(struct lower *x, int32_t per_group, int32_t shape)
{
	int32_t column = LOWER_EMIT(x, UNSQUEEZE, per_group, lower_int(x, 1));
	return LOWER_EMIT(x, RESHAPE, LOWER_EMIT(x, EXPAND, column, shape), lower_int(x, -1));
}

void lower_group_norm(struct lower *x)
{
	int32_t a = lower_in(x, 0), scale = lower_in(x, 1), bias = lower_in(x, 2);
	const struct attr *groups = lower_take(x, "num_groups");
	int32_t n = lower_int(x, groups->i);
	lower_set(x, *groups);
	if (groups->i < 1)
		lower_fail(x, ERR_INVALID_ARGUMENT, "num_groups is %lld", (long long)groups->i);
	int32_t each = LOWER_EMIT(x, DIV, lower_dims(x, a, 1, 2), n);
	lower_with_int(x, "axis", 0);
	int32_t shape = LOWER_EMIT(x, CONCAT, n, each);
	lower_set_in(x, 1, per_channel(x, scale, shape));
	lower_set_in(x, 2, per_channel(x, bias, shape));
}
