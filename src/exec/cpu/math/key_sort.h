/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_sort.h -- sort by the digits of keys whose lower half is an index
 *
 * Threads: any. Memory: the caller's.
 */
#pragma once

#include <stdint.h>
#include "exec/half.h"

/* A float's place among all of them; the zeros are equal, NaN is above. */
static inline uint32_t key_place(float x)
{
	uint32_t bits = float_bits(x + 0.0f);
	return x != x ? UINT32_MAX : bits >> 31 ? ~bits : bits | 0x80000000u;
}

/* Sorts n keys by their upper halves, equal ones as they came; other is as large. Returns where
   they are then. */
uint64_t *key_sort(uint64_t *keys, uint64_t *other, int64_t n);
