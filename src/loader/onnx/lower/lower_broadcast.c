/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_broadcast.c -- before opset 7, the second operand's dimensions could be matched
 * with the first's from an axis on; today they are matched from the end
 */
#include "loader/onnx/lower/lower.h"

const struct attr_spec old_broadcast[] = { { "axis", ATTR_INT, false },
	{ "broadcast", ATTR_INT, false }, { "consumed_inputs", ATTR_INTS, false },
	{ NULL, 0, false } };

/* b with dimensions of one behind it, so that it ends where a does. */
static int32_t align(struct lower *x, int32_t a, int32_t b, int64_t axis)
{
	int rank_a = lower_shape(x, a)->rank, rank_b = lower_shape(x, b)->rank;
	int64_t axes[RANK_MAX];
	if (rank_a < 0 || rank_b < 0) {
		lower_fail(x, ERR_UNIMPLEMENTED,
			"it broadcasts at an axis, and the ranks of its inputs are not known");
		return VALUE_NONE;
	}
	int64_t first = axis < 0 ? axis + rank_a : axis;
	if (first < 0 || first > rank_a - rank_b) {
		lower_fail(x, ERR_INVALID_ARGUMENT, "axis %lld with inputs of rank %d and %d",
			(long long)axis, rank_a, rank_b);
		return VALUE_NONE;
	}
	int behind = rank_a - rank_b - (int)first;
	for (int i = 0; i < behind; i++)
		axes[i] = rank_b + i;
	return behind ? LOWER_EMIT(x, UNSQUEEZE, b, lower_ints(x, axes, behind)) : b;
}

void lower_broadcast(struct lower *x)
{
	bool broadcast = lower_take_int(x, "broadcast", 0);
	const struct attr *axis = lower_take(x, "axis");
	if (broadcast && axis)
		lower_set_in(x, 1, align(x, lower_in(x, 0), lower_in(x, 1), axis->i));
	lower_take_rest(x);
}

/* One slope per channel, or one for all. */
void lower_prelu(struct lower *x)
{
	int32_t a = lower_in(x, 0), slope = lower_in(x, 1);
	lower_take_rest(x);
	const struct shape *s = lower_shape(x, slope);
	if (s->rank == 1 && s->dim[0] != 1)
		lower_set_in(x, 1, align(x, a, slope, 1));
}
