/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.h -- what stands along the sum in packed operands of products
 *
 * A slot is a float, or, where SLOT_BF16 is set, a pair of bfloat16 whose products are added
 * at once. Either way it is as long as a float, and that is how it is passed on; sums are
 * floats.
 *
 * For files that are compiled once per instruction set. Threads: any. Memory: none.
 */
#pragma once

#include "exec/cpu/vec_isa.h"

#ifdef SLOT_BF16
#include <immintrin.h>
#include "exec/half.h"

#define PER_SLOT 2

/* sum + x * b, slot by slot. */
static inline __attribute__((always_inline)) vec slot_add_products(vec sum, vec x, vec b)
{
	return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)b);
}

/* A vector of floats that are neighbours along the sum. */
static inline __attribute__((always_inline)) void slot_put(float *to, vec v)
{
	_mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh((__m512)v));
}

/* A vector of floats from as many bfloat16, as slot_put() leaves them. */
static inline __attribute__((always_inline)) vec slot_get(const float *from)
{
	__m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from));
	return (vec)_mm512_slli_epi32(wide, 16);
}

/* A vector of slots, each of what stands at its place in both. */
static inline __attribute__((always_inline)) vec slot_pairs(vec low, vec high)
{
	__m512i l = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)low));
	__m512i h = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)high));
	return (vec)_mm512_or_si512(l, _mm512_slli_epi32(h, 16));
}

static inline float slot_of(float low, float high)
{
	uint32_t pair = float_to_bfloat(low) | (uint32_t)float_to_bfloat(high) << 16;
	float slot;
	memcpy(&slot, &pair, sizeof(slot));
	return slot;
}

/* Of what begins at x. */
static inline float slot_at(const float *x)
{
	return slot_of(x[0], x[1]);
}
#else
#define PER_SLOT 1

static inline __attribute__((always_inline)) vec slot_add_products(vec sum, vec x, vec b)
{
	return sum + x * b;
}

static inline __attribute__((always_inline)) void slot_put(float *to, vec v)
{
	*(vec *)to = v;
}

static inline __attribute__((always_inline)) vec slot_get(const float *from)
{
	return *(const vec *)from;
}

static inline float slot_at(const float *x)
{
	return *x;
}
#endif
