/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decimal.h -- decimals whose digits fit in 64 bits, and the floats nearest to them
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* For what is written once for both formats and must not branch on which. */
#define DECIMAL_INLINE static inline __attribute__((always_inline))

/* A binary format of IEEE 754. */
struct decimal_format {
	int bits;             /* of a significand, the hidden one included */
	int exp_min, exp_max; /* of normal numbers, 1.x * 2^e */
};
static const struct decimal_format DECIMAL_F32 = { 24, -126, 127 };
static const struct decimal_format DECIMAL_F64 = { 53, -1022, 1023 };

struct decimal {
	uint64_t digits; /* value = digits * 10^exp10 */
	int exp10;
};

/* The nearest float, ties to even; infinity beyond the largest. False: it is so near to the
   middle of two that 128 bits of 10^exp10 cannot tell. */
bool decimal_to_f32(struct decimal d, float *ret);
bool decimal_to_f64(struct decimal d, double *ret);

/* v, itself a number rounded to the nearest double, rounded further to a float. False: v is
   the middle of two floats, and what the first rounding did would decide. v is 0 or in the
   range of normal floats. */
static inline bool decimal_narrow(double v, float *ret)
{
	uint64_t bits;
	memcpy(&bits, &v, sizeof(bits));
	*ret = (float)v;
	return (bits & 0x1fffffff) != 0x10000000;
}
