/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gemm_slots.h -- rows of the left matrix, and of panels of the right one, as slots along k
 *
 * For gemm.c, which is compiled once per instruction set. Threads: any. Memory: none.
 */
#pragma once

#include "exec/cpu/matmul/slot.h"

#define PANEL_VECS 2
#define PANEL (PANEL_VECS * VEC_FLOATS)

static inline int64_t slots_of(int64_t k)
{
	return (k + PER_SLOT - 1) / PER_SLOT;
}

#ifdef __AVX512F__
#define PACK_SLOTS VEC_FLOATS

/* Four rows of PACK_SLOTS into as many columns of four, `stride` apart. Each lane of four is
   transposed by itself, so that lane l of column j is the column 4 l + j. */
static inline void transpose_rows(float *to, int64_t stride, const __m512 *row)
{
	__m512d low01 = (__m512d)_mm512_unpacklo_ps(row[0], row[1]);
	__m512d low23 = (__m512d)_mm512_unpacklo_ps(row[2], row[3]);
	__m512d high01 = (__m512d)_mm512_unpackhi_ps(row[0], row[1]);
	__m512d high23 = (__m512d)_mm512_unpackhi_ps(row[2], row[3]);
	const __m512 column[4] = { (__m512)_mm512_unpacklo_pd(low01, low23),
		(__m512)_mm512_unpackhi_pd(low01, low23),
		(__m512)_mm512_unpacklo_pd(high01, high23),
		(__m512)_mm512_unpackhi_pd(high01, high23) };
	UNROLL for (int j = 0; j < 4; j++) {
		_mm_storeu_ps(to + j * stride, _mm512_castps512_ps128(column[j]));
		_mm_storeu_ps(to + (4 + j) * stride, _mm512_extractf32x4_ps(column[j], 1));
		_mm_storeu_ps(to + (8 + j) * stride, _mm512_extractf32x4_ps(column[j], 2));
		_mm_storeu_ps(to + (12 + j) * stride, _mm512_extractf32x4_ps(column[j], 3));
	}
}

/* PACK_SLOTS slots, from floats that are neighbours along k. */
static inline __m512 slots_at(const float *a)
{
#ifdef SLOT_BF16
	return (__m512)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(a + PACK_SLOTS), _mm512_loadu_ps(a));
#else
	return _mm512_loadu_ps(a);
#endif
}

/* Four rows of PACK_SLOTS slots. */
static inline void pack_quad(float *to, int64_t rows, const float *a, int64_t a_row)
{
	const __m512 row[4] = { slots_at(a), slots_at(a + a_row), slots_at(a + 2 * a_row),
		slots_at(a + 3 * a_row) };
	transpose_rows(to, rows, row);
}
#else
#define PACK_SLOTS 4

typedef float quad __attribute__((vector_size(16), aligned(4), may_alias));

/* Four rows of four into four columns of four, `stride` apart. */
static inline void pack_quad(float *to, int64_t stride, const float *a, int64_t a_row)
{
	quad r0 = *(const quad *)a, r1 = *(const quad *)(a + a_row);
	quad r2 = *(const quad *)(a + 2 * a_row), r3 = *(const quad *)(a + 3 * a_row);
	quad low01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
	quad low23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
	quad high01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
	quad high23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
	*(quad *)to = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
	*(quad *)(to + stride) = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
	*(quad *)(to + 2 * stride) = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
	*(quad *)(to + 3 * stride) = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}
#endif

/* Slot `at` along k of the row at a. */
static inline float slot_along(const float *a, int64_t a_k, int64_t at, int64_t k)
{
#ifdef SLOT_BF16
	const float *x = a + PER_SLOT * at * a_k;
	return slot_of(x[0], PER_SLOT * at + 1 < k ? x[a_k] : 0);
#else
	(void)k;
	return a[at * a_k];
#endif
}

/* Rows [0, rows) of a, k deep, slot by slot along k. The last four may be some of those before,
   once more. */
static inline void pack_tile(
	float *to, const float *a, int64_t a_row, int64_t a_k, int rows, int64_t k)
{
	int64_t whole = a_k == 1 && rows >= 4 ? k / (PER_SLOT * PACK_SLOTS) * PACK_SLOTS : 0;
	for (int64_t at = 0; at < whole; at += PACK_SLOTS)
		for (int i = 0; i < rows; i += 4) {
			int row = i + 4 <= rows ? i : rows - 4;
			pack_quad(
				to + at * rows + row, rows, a + row * a_row + at * PER_SLOT, a_row);
		}
	for (int i = 0; i < rows; i++)
		for (int64_t at = whole; at < slots_of(k); at++)
			to[at * rows + i] = slot_along(a + i * a_row, a_k, at, k);
}

/* A row of a panel: slots of columns [0, cols) from row k of b, and those after it. */
static inline void pack_row(
	float *to, const float *row, int64_t b_k, int64_t b_col, int64_t cols, bool more)
{
	(void)b_k, (void)more;
#ifdef SLOT_BF16
	if (cols == PANEL && b_col == 1 && more) {
		UNROLL for (int l = 0; l < PANEL; l += VEC_FLOATS)
			*(vec *)(to + l) =
				slot_pairs(*(const vec *)(row + l), *(const vec *)(row + b_k + l));
		return;
	}
	for (int64_t l = 0; l < cols; l++)
		to[l] = slot_of(row[l * b_col], more ? row[l * b_col + b_k] : 0);
#else
	for (int64_t l = 0; l < cols; l++)
		to[l] = row[l * b_col];
#endif
	for (int64_t l = cols; l < PANEL; l++)
		to[l] = 0;
}
