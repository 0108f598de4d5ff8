/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vec_isa.h -- one vector of the instruction set that a file is compiled for
 *
 * For files that are compiled once per instruction set (ISA is base, avx2 or avx512): the
 * widest vector of floats, the blocked layout whose blocks it fills, and names with the
 * instruction set's at the end.
 */
#pragma once

#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif
#include "exec/cpu/cpu.h"

#ifndef ISA
#define ISA base
#endif

#ifdef __AVX512F__
#define VEC_FLOATS 16
#define VEC_LAYOUT LAYOUT_NCHW16C
#elif defined(__AVX2__)
#define VEC_FLOATS 8
#define VEC_LAYOUT LAYOUT_NCHW8C
#else
#define VEC_FLOATS 4 /* no layout has such blocks */
#endif

#define VEC_GLUE_(a, b) a##_##b
#define VEC_GLUE(a, b) VEC_GLUE_(a, b)
/* prepare_x becomes prepare_x_avx2. */
#define VEC_NAME(stem) VEC_GLUE(stem, ISA)

/* Of two vectors, for __builtin_shufflevector(). */
#if VEC_FLOATS == 16
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD_LANES 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif VEC_FLOATS == 8
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14
#define ODD_LANES 1, 3, 5, 7, 9, 11, 13, 15
#endif

/* Before loops of few turns over vectors, which then stay in registers. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* For arrays of vectors: not across lines of the cache, and not zeroed first, as the
   compiler is told to do with all that is automatic. */
#define VEC_ARRAY __attribute__((aligned(64), uninitialized)) vec

/* Any float array may be read through a pointer to it. */
typedef float vec __attribute__((vector_size(VEC_FLOATS * sizeof(float)), aligned(4), may_alias));
typedef int32_t vec_mask
	__attribute__((vector_size(VEC_FLOATS * sizeof(float)), aligned(4), may_alias));

/* By way of the bits: adding x to zeros would be an addition, for the sake of -0. */
static inline __attribute__((always_inline)) vec vec_all(float x)
{
	int32_t bits;
	memcpy(&bits, &x, sizeof(bits));
	return (vec)((vec_mask){ 0 } + bits);
}

/* Per element a where the mask is set, else b. */
static inline __attribute__((always_inline)) vec vec_select(vec_mask mask, vec a, vec b)
{
	return (vec)(((vec_mask)a & mask) | ((vec_mask)b & ~mask));
}

static inline __attribute__((always_inline)) bool vec_any(vec_mask mask)
{
#if defined(__AVX512F__)
	return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX2__)
	return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
	int32_t any = 0;
	for (int i = 0; i < VEC_FLOATS; i++)
		any |= mask[i];
	return any != 0;
#endif
}

/* -- the first n of a vector's floats, 0 <= n <= VEC_FLOATS; what is behind is not touched --- */

#if defined(__AVX2__) && !defined(__AVX512F__)
static inline __m256i vec_first_mask(int64_t n)
{
	static const int32_t ones[2 * VEC_FLOATS] = { -1, -1, -1, -1, -1, -1, -1, -1 };
	return _mm256_loadu_si256((const __m256i *)(ones + VEC_FLOATS - n));
}
#endif

/* The others are those of rest. */
static inline __attribute__((always_inline)) vec vec_load_first(const float *x, int64_t n, vec rest)
{
#if defined(__AVX512F__)
	return (vec)_mm512_mask_loadu_ps((__m512)rest, (__mmask16)((1u << n) - 1), x);
#elif defined(__AVX2__)
	__m256i mask = vec_first_mask(n);
	return (vec)_mm256_blendv_ps(
		(__m256)rest, _mm256_maskload_ps(x, mask), _mm256_castsi256_ps(mask));
#else
	for (int i = 0; i < VEC_FLOATS; i++)
		rest[i] = i < n ? x[i] : rest[i];
	return rest;
#endif
}

static inline __attribute__((always_inline)) void vec_store_first(float *y, int64_t n, vec v)
{
#if defined(__AVX512F__)
	_mm512_mask_storeu_ps(y, (__mmask16)((1u << n) - 1), (__m512)v);
#elif defined(__AVX2__)
	_mm256_maskstore_ps(y, vec_first_mask(n), (__m256)v);
#else
	for (int i = 0; i < n; i++)
		y[i] = v[i];
#endif
}

/* Between low and high; NaN stays. The instructions give their second operand where one is NaN. */
static inline __attribute__((always_inline)) vec vec_clamp(vec x, vec low, vec high)
{
#if defined(__AVX512F__)
	return (vec)_mm512_min_ps((__m512)high, _mm512_max_ps((__m512)low, (__m512)x));
#elif defined(__AVX2__)
	return (vec)_mm256_min_ps((__m256)high, _mm256_max_ps((__m256)low, (__m256)x));
#else
	x = vec_select(x < low, low, x);
	return vec_select(x > high, high, x);
#endif
}

/* A vector in two halves that do not lie together; high may be NULL: zeros, or not wanted. */
typedef float half_vec
	__attribute__((vector_size(VEC_FLOATS * sizeof(float) / 2), aligned(4), may_alias));

static inline vec vec_join(const float *low, const float *high)
{
	half_vec half[2] = { *(const half_vec *)low };
	if (high)
		half[1] = *(const half_vec *)high;
	vec v;
	memcpy(&v, half, sizeof(v));
	return v;
}

static inline void vec_part(vec v, float *low, float *high)
{
	half_vec half[2];
	memcpy(half, &v, sizeof(v));
	*(half_vec *)low = half[0];
	if (high)
		*(half_vec *)high = half[1];
}
