/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cast.h -- what casts of numbers and of text share
 *
 * Threads: any; no state.
 */
#pragma once

#include "exec/cpu/cpu.h"

/* Element i of out, of any integer type or bool; wraps to the bits that the type has. */
void cast_write_int(enum dtype to, void *out, int64_t i, int64_t v);

/* Towards zero, and cut to the range; NaN is the least one. */
static inline int64_t cast_cut_i64(double x)
{
	return x >= 0x1p63 ? INT64_MAX : x >= -0x1p63 ? (int64_t)x : INT64_MIN;
}

static inline uint64_t cast_cut_u64(double x)
{
	return x >= 0x1p64 ? UINT64_MAX : x >= 0x1p63 ? (uint64_t)x : (uint64_t)cast_cut_i64(x);
}

/* n elements of one type as another; by the types that they become and come from. NULL: none. */
typedef void (*cast_fn)(void *out, const void *in, int64_t n);
extern const cast_fn *const cast_loops_base[DTYPE_COUNT_];
#ifdef __x86_64__
extern const cast_fn *const cast_loops_avx2[DTYPE_COUNT_], *const cast_loops_avx512[DTYPE_COUNT_];
#endif
