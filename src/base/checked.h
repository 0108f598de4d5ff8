/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checked.h -- arithmetic on sizes that came from outside
 *
 * Every product or sum of such sizes goes through here: true means that it overflowed,
 * and then *ret is not to be used.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

static inline MUST_CHECK bool mul_overflows(size_t a, size_t b, size_t *ret)
{
	return __builtin_mul_overflow(a, b, ret);
}

static inline MUST_CHECK bool add_overflows(size_t a, size_t b, size_t *ret)
{
	return __builtin_add_overflow(a, b, ret);
}

static inline MUST_CHECK bool mul_i64_overflows(int64_t a, int64_t b, int64_t *ret)
{
	return __builtin_mul_overflow(a, b, ret);
}

static inline MUST_CHECK bool add_i64_overflows(int64_t a, int64_t b, int64_t *ret)
{
	return __builtin_add_overflow(a, b, ret);
}

/* Rounds up to a multiple of the power of two align; x must be far from SIZE_MAX. */
static inline size_t round_up(size_t x, size_t align)
{
	return (x + align - 1) & ~(align - 1);
}
