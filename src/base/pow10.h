/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pow10.h -- powers of ten in binary, for who reads and writes decimals
 *
 * 10^q lies in [m * 2^e, (m + 1) * 2^e) with m = pow10_bits(q), a number of 128 bits whose
 * first is set, and e = pow10_log2(q) - 127; m is exact for the powers that fit in it.
 *
 * Threads: any. Memory: constants.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define POW10_MIN (-342) /* 10^19 of these are below half the smallest double */
#define POW10_MAX 324    /* brings the smallest double to 17 digits */

struct pow10 {
	uint64_t high, low;
};

extern const struct pow10 pow10_table[POW10_MAX - POW10_MIN + 1];

/* Those that are doubles, and those that 64 bits hold. */
#define POW10_F64_MAX 22
#define POW10_U64_MAX 19
extern const double pow10_f64[POW10_F64_MAX + 1];
extern const uint64_t pow10_u64[POW10_U64_MAX + 1];

/* POW10_MIN <= q <= POW10_MAX, here and below. */
static inline struct pow10 pow10_bits(int q)
{
	return pow10_table[q - POW10_MIN];
}

/* Are the bits all that 10^q has? */
static inline bool pow10_is_exact(int q)
{
	return q >= 0 && q <= 55;
}

/* floor(log2(10^q)) */
static inline int pow10_log2(int q)
{
	return (q * 217706) >> 16;
}
