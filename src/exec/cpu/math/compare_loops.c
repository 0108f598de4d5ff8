/* SPDX-License-Identifier: Apache-2.0 */
/* The comparing loops: any type in, bool out. A NaN equals nothing, itself included. */
#include "exec/cpu/math/loop2.h"

#define EQUAL_(id, T, U) LOOP2(equal_##T, uint8_t, T, T, a == b)
#define GREATER_(id, T, U) LOOP2(greater_##T, uint8_t, T, T, a > b)
#define GREATER_EQ_(id, T, U) LOOP2(greater_eq_##T, uint8_t, T, T, a >= b)
#define LESS_(id, T, U) LOOP2(less_##T, uint8_t, T, T, a < b)
#define LESS_EQ_(id, T, U) LOOP2(less_eq_##T, uint8_t, T, T, a <= b)
FOR_NUM(EQUAL_)
FOR_NUM(GREATER_)
FOR_NUM(GREATER_EQ_)
FOR_NUM(LESS_)
FOR_NUM(LESS_EQ_)
LOOP2(equal_bool, uint8_t, uint8_t, uint8_t, !a == !b)
LOOP2(equal_string, uint8_t, struct slice, struct slice, slice_eq(a, b))

#define ROW(id, T, U, fn) [DTYPE_##id] = fn##_##T,
static const binary_fn loops[][DTYPE_COUNT_] = {
	[OP_EQUAL] = { FOR_NUM(ROW, equal) [DTYPE_BOOL] = equal_bool,
		[DTYPE_STRING] = equal_string },
	[OP_GREATER] = { FOR_NUM(ROW, greater) },
	[OP_GREATER_OR_EQUAL] = { FOR_NUM(ROW, greater_eq) },
	[OP_LESS] = { FOR_NUM(ROW, less) },
	[OP_LESS_OR_EQUAL] = { FOR_NUM(ROW, less_eq) },
};

binary_fn compare_find(enum op_id op, enum dtype dtype)
{
	return (size_t)op < sizeof(loops) / sizeof(loops[0]) ? loops[op][dtype] : NULL;
}
