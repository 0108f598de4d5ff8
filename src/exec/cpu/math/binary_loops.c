/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic loops: one expression per operator, one loop per type. */
#include "exec/cpu/math/loop2.h"

#include <math.h>

#define ADD_(id, T, U) LOOP2(add_##T, T, T, T, (U)a + (U)b)
#define SUB_(id, T, U) LOOP2(sub_##T, T, T, T, (U)a - (U)b)
#define MUL_(id, T, U) LOOP2(mul_##T, T, T, T, (U)a * (U)b)
/* A NaN on either side stays one. */
#define MAX_(id, T, U) LOOP2(max_##T, T, T, T, a > b || a != a ? a : b)
#define MIN_(id, T, U) LOOP2(min_##T, T, T, T, a < b || a != a ? a : b)
#define PRELU_(id, T, U) LOOP2(prelu_##T, T, T, T, a < 0 ? (T)((U)a * (U)b) : a)
FOR_NUM(ADD_)
FOR_NUM(SUB_)
FOR_NUM(MUL_)
FOR_NUM(MAX_)
FOR_NUM(MIN_)
FOR_REAL(PRELU_)
FOR_SIGNED(PRELU_)
#define PRELU_U_(id, T, U) LOOP2(prelu_##T, T, T, T, a)
FOR_UNSIGNED(PRELU_U_)

static int64_t no_divisor(const struct kernel_args *args)
{
	kernel_fault(args, FAULT_DIVIDE, 0);
	return 0;
}

/* -1 apart: the lowest number has no positive counterpart, and the processor traps. */
#define DIV_S_(id, T, U) \
	LOOP2(div_##T, T, T, T, b == 0 ? no_divisor(args) : b == -1 ? (T)(0 - (U)a) : a / b)
#define DIV_U_(id, T, U) LOOP2(div_##T, T, T, T, b == 0 ? (T)no_divisor(args) : a / b)
#define DIV_F_(id, T, U) LOOP2(div_##T, T, T, T, a / b)
FOR_SIGNED(DIV_S_)
FOR_UNSIGNED(DIV_U_)
FOR_REAL(DIV_F_)

/* Mod takes the divisor's sign, fmod the dividend's. */
#define REM_S(a, b) ((b) == -1 ? 0 : (a) % (b))
#define MOD_S_(id, T, U) \
	LOOP2(mod_##T, T, T, T, \
		b == 0 ? no_divisor(args) \
		       : REM_S(a, b) + (REM_S(a, b) != 0 && (REM_S(a, b) < 0) != (b < 0) ? b : 0))
#define MOD_U_(id, T, U) LOOP2(mod_##T, T, T, T, b == 0 ? (T)no_divisor(args) : a % b)
#define FMOD_S_(id, T, U) LOOP2(fmod_##T, T, T, T, b == 0 ? no_divisor(args) : REM_S(a, b))
FOR_SIGNED(MOD_S_)
FOR_UNSIGNED(MOD_U_)
FOR_SIGNED(FMOD_S_)
LOOP2(fmod_float, float, float, float, fmodf(a, b))
LOOP2(fmod_double, double, double, double, fmod(a, b))

#define BITWISE_(id, T, U) \
	LOOP2(bitwise_and_##T, T, T, T, (U)a & (U)b) \
	LOOP2(bitwise_or_##T, T, T, T, (U)a | (U)b) \
	LOOP2(bitwise_xor_##T, T, T, T, (U)a ^ (U)b)
FOR_INTS(BITWISE_)

/* Beyond the width nothing is left, where C leaves it open. */
#define SHIFT_(id, T, U) \
	LOOP2(shift_left_##T, T, T, T, b < sizeof(T) * 8 ? (U)a << b : 0) \
	LOOP2(shift_right_##T, T, T, T, b < sizeof(T) * 8 ? (U)a >> b : 0)
FOR_UNSIGNED(SHIFT_)

LOOP2(and_bool, uint8_t, uint8_t, uint8_t, a && b)
LOOP2(or_bool, uint8_t, uint8_t, uint8_t, a || b)
LOOP2(xor_bool, uint8_t, uint8_t, uint8_t, !a != !b)

#define ROW(id, T, U, fn) [DTYPE_##id] = fn##_##T,
static const binary_fn loops[][DTYPE_COUNT_] = {
	[OP_ADD] = { FOR_NUM(ROW, add) },
	[OP_SUB] = { FOR_NUM(ROW, sub) },
	[OP_MUL] = { FOR_NUM(ROW, mul) },
	[OP_DIV] = { FOR_NUM(ROW, div) },
	[OP_MAX] = { FOR_NUM(ROW, max) },
	[OP_MIN] = { FOR_NUM(ROW, min) },
	[OP_SUM] = { FOR_REAL(ROW, add) },
	[OP_MEAN] = { FOR_REAL(ROW, add) },
	[OP_PRELU] = { FOR_NUM(ROW, prelu) },
	[OP_MOD] = { FOR_INTS(ROW, mod) FOR_REAL(ROW, fmod) },
	[OP_BITWISE_AND] = { FOR_INTS(ROW, bitwise_and) },
	[OP_BITWISE_OR] = { FOR_INTS(ROW, bitwise_or) },
	[OP_BITWISE_XOR] = { FOR_INTS(ROW, bitwise_xor) },
	[OP_BIT_SHIFT] = { FOR_UNSIGNED(ROW, shift_left) },
	[OP_AND] = { [DTYPE_BOOL] = and_bool },
	[OP_OR] = { [DTYPE_BOOL] = or_bool },
	[OP_XOR] = { [DTYPE_BOOL] = xor_bool },
};
static const binary_fn right_shift[DTYPE_COUNT_] = { FOR_UNSIGNED(ROW, shift_right) };
static const binary_fn truncated_mod[DTYPE_COUNT_] = {
	FOR_SIGNED(ROW, fmod) FOR_UNSIGNED(ROW, mod) FOR_REAL(ROW, fmod)
};

binary_fn binary_find(enum op_id op, enum dtype dtype)
{
	return (size_t)op < sizeof(loops) / sizeof(loops[0]) ? loops[op][dtype] : NULL;
}

binary_fn right_shift_find(enum dtype dtype)
{
	return right_shift[dtype];
}

binary_fn truncated_mod_find(enum dtype dtype)
{
	return truncated_mod[dtype];
}

/* -- powers ---------------------------------------------------------------------------- */

/* Whole exponents of integers exactly, wrapping as products do. */
static uint64_t int_power(uint64_t base, uint64_t exponent)
{
	uint64_t r = 1;
	for (; exponent; exponent >>= 1) {
		if (exponent & 1)
			r *= base;
		base *= base;
	}
	return r;
}

static uint64_t power_of_int(int64_t base, double as_double, double exponent)
{
	if (exponent >= 0 && exponent < 0x1p63 && exponent == (double)(int64_t)exponent)
		return int_power((uint64_t)base, (uint64_t)exponent);
	double r = pow(as_double, exponent);
	/* Outside of both ranges, NaN too, there is no right answer; 0 is a defined one. */
	return r > -0x1p63 && r < 0 ? (uint64_t)(int64_t)r : r >= 0 && r < 0x1p64 ? (uint64_t)r : 0;
}

#define POW_I_(id, T, U) LOOP2(pow_##T, T, T, double, power_of_int((int64_t)a, (double)a, b))
FOR_INTS(POW_I_)
LOOP2(pow_any_float, float, float, double, pow((double)a, b))
LOOP2(pow_any_double, double, double, double, pow(a, b))
LOOP2(square_float, float, float, double, a * a)
LOOP2(square_double, double, double, double, a * a)
LOOP2(cube_float, float, float, double, a * a * a)
LOOP2(root_float, float, float, double, sqrtf(a))

/* Squares and roots, which normalizations are written with, need no pow. */
binary_fn power_easy(const float *a, const double *b, int64_t n, int64_t a_step, int64_t b_step)
{
	if (b_step || !a_step)
		return NULL;
	if (*b != 0.5)
		return *b == 2 ? square_float : *b == 3 ? cube_float : NULL;
	/* The root of -0 and of -infinity differ from their power. */
	float low = 1;
	for (int64_t i = 0; i < n; i++)
		low = a[i] > 0 ? low : 0;
	return low > 0 ? root_float : NULL;
}

static void pow_float(const struct kernel_args *args, void *out, const void *a, const void *b,
	int64_t n, int64_t a_step, int64_t b_step)
{
	binary_fn easy = power_easy(a, b, n, a_step, b_step);
	(easy ? easy : pow_any_float)(args, out, a, b, n, a_step, b_step);
}

static void pow_double(const struct kernel_args *args, void *out, const void *a, const void *b,
	int64_t n, int64_t a_step, int64_t b_step)
{
	bool square = !b_step && *(const double *)b == 2;
	(square ? square_double : pow_any_double)(args, out, a, b, n, a_step, b_step);
}

static const binary_fn powers[DTYPE_COUNT_] = { FOR_NUM(ROW, pow) };

binary_fn power_find(enum dtype base)
{
	return powers[base];
}
