/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_shape.c -- operators that looked at the shape of their input in another way
 */
#include "loader/onnx/lower/lower.h"

const struct attr_spec old_softmax[] = { { "axis", ATTR_INT, false }, { NULL, 0, false } };

/* Over all dimensions from the axis on, as one. */
void lower_softmax(struct lower *x)
{
	int32_t a = lower_in(x, 0);
	int64_t axis = lower_take_int(x, "axis", 1);
	int rank = lower_shape(x, a)->rank;
	if (axis == -1 || (rank != RANK_UNKNOWN && axis == rank - 1)) {
		lower_default_int(x, "axis", -1);
		return;
	}
	int32_t shape = LOWER_EMIT(x, SHAPE, a);
	lower_with_int(x, "axis", axis);
	int32_t flat = LOWER_EMIT(x, FLATTEN, a);
	lower_with_int(x, "axis", -1);
	int32_t soft = lower_emit(x, x->op, 1, &flat);
	x->op = OP_RESHAPE;
	lower_set_in(x, 0, soft);
	lower_set_in(x, 1, shape);
	lower_default_int(x, "allowzero", 1);
}

/* Negative indices were out of range, and gave a row of `off`; today they count from the
   end. So they become ones that still are out of range. */
void lower_one_hot(struct lower *x)
{
	lower_with_int(x, "to", DTYPE_I64);
	int32_t index = LOWER_EMIT(x, CAST, lower_in(x, 0));
	int32_t is_negative = LOWER_EMIT(x, LESS, index, lower_scalar(x, 0));
	lower_set_in(x, 0, LOWER_EMIT(x, WHERE, is_negative, lower_scalar(x, INT64_MAX), index));
}

static int32_t as_index(struct lower *x, int32_t v)
{
	lower_with_int(x, "to", DTYPE_I64);
	return LOWER_EMIT(x, RESHAPE, LOWER_EMIT(x, CAST, v), lower_int(x, -1));
}

/* Inputs tiles and axis: one dimension is repeated. */
void lower_tile(struct lower *x)
{
	static const int64_t one = 1;
	static const struct tensor one_tensor = {
		.data = (void *)&one, .dtype = DTYPE_I64, .shape = { .rank = 1, .dim = { 1 } }
	};
	int32_t a = lower_in(x, 0), tiles = as_index(x, lower_in(x, 1));
	int32_t axis = as_index(x, lower_in(x, 2));
	int32_t rank = LOWER_EMIT(x, SHAPE, LOWER_EMIT(x, SHAPE, a));
	lower_with(x, (struct attr){ .name = "value", .kind = ATTR_TENSOR, .t = &one_tensor });
	int32_t ones = LOWER_EMIT(x, CONSTANT_OF_SHAPE, rank);
	x->n_in = 1;
	lower_set_in(x, 1, LOWER_EMIT(x, SCATTER_ELEMENTS, ones, axis, tiles));
}
