/* SPDX-License-Identifier: Apache-2.0 */
/*
 * minifloat.h -- the float types of a byte and less, as codes
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/dtype.h"

enum minifloat_round { MINIFLOAT_UP, MINIFLOAT_DOWN, MINIFLOAT_NEAREST };

static inline bool dtype_is_minifloat(enum dtype d)
{
	return (d >= DTYPE_F8E4M3FN && d <= DTYPE_F8E5M2FNUZ) || d == DTYPE_F4E2M1 ||
	       d == DTYPE_F8E8M0;
}

/* Exact. */
float minifloat_decode(enum dtype dtype, uint8_t code);

/* Rounded to nearest even. saturate: what is too large, infinity too, becomes the largest
   number; else infinity, or NaN where the type has none. */
uint8_t minifloat_encode(enum dtype dtype, double v, bool saturate);

/* float8e8m0 has powers of two only, and its own rounding. */
uint8_t minifloat_encode_e8m0(float v, bool saturate, enum minifloat_round how);
