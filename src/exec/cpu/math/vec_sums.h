/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vec_sums.h -- sums and the largest of a row of floats, in the lanes of SUMS vectors
 *
 * For files that are compiled once per instruction set (vec_isa.h). Each lane's sum is
 * short, so that float is enough for rows of some ten thousand.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <math.h>
#include "exec/cpu/vec_isa.h"

#define SUMS 4
#define SUMS_STEP (SUMS * VEC_FLOATS)
#define SUMS_ROW 16384 /* floats whose sum may be a float */

/* By halves: one lane after the other would take as long as the row. So do the instructions. */
static inline float sum_of_vec(vec v)
{
#ifdef __AVX512F__
	return _mm512_reduce_add_ps((__m512)v);
#else
	float lane[VEC_FLOATS];
	*(vec *)lane = v;
	for (int n = VEC_FLOATS / 2; n > 0; n /= 2)
		for (int i = 0; i < n; i++)
			lane[i] += lane[i + n];
	return lane[0];
#endif
}

static inline float sum_of_lanes(const vec *sums)
{
	return sum_of_vec((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

/* b where they are equal or one is NaN, which is what the instructions give. */
static inline vec max_vec(vec a, vec b)
{
#if defined(__AVX512F__)
	return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
	return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
	return vec_select(a > b, a, b);
#endif
}

static inline float max_of_vec(vec v)
{
#ifdef __AVX512F__
	return _mm512_reduce_max_ps((__m512)v);
#else
	float lane[VEC_FLOATS];
	*(vec *)lane = v;
	for (int n = VEC_FLOATS / 2; n > 0; n /= 2)
		for (int i = 0; i < n; i++)
			lane[i] = lane[i + n] > lane[i] ? lane[i + n] : lane[i];
	return lane[0];
#endif
}

static inline float max_of_lanes(const vec *best)
{
	return max_of_vec(max_vec(max_vec(best[0], best[1]), max_vec(best[2], best[3])));
}

/* Sum of (x - mean) to the power of 1 or 2. */
static inline __attribute__((always_inline)) float sum_powers(const float *x, int64_t n, float mean,
	bool square)
{
	vec sums[SUMS] = { 0 }, middle = vec_all(mean);
	int64_t k = 0;
	for (; k + SUMS_STEP <= n; k += SUMS_STEP)
		UNROLL for (int i = 0; i < SUMS; i++) {
			vec d = *(const vec *)(x + k + i * VEC_FLOATS) - middle;
			if (square)
				d *= d;
			sums[i] += d;
		}
	for (; k < n; k += VEC_FLOATS) {
		vec v = n - k < VEC_FLOATS ? vec_load_first(x + k, n - k, middle)
					   : *(const vec *)(x + k);
		vec d = v - middle;
		if (square)
			d *= d;
		sums[0] += d;
	}
	return sum_of_lanes(sums);
}

/* The same of rows of any length. */
static inline __attribute__((always_inline)) double sum_powers_long(
	const float *x, int64_t n, float mean, bool square)
{
	double s = 0;
	for (int64_t k = 0; k < n; k += SUMS_ROW)
		s += (double)sum_powers(x + k, min_i64(SUMS_ROW, n - k), mean, square);
	return s;
}

/* Of numbers; a NaN may be passed over. */
static inline float max_of(const float *x, int64_t n)
{
	vec best[SUMS];
	int64_t k = 0;
	UNROLL for (int i = 0; i < SUMS; i++)
		best[i] = vec_all(-INFINITY);
	for (; k + SUMS_STEP <= n; k += SUMS_STEP)
		UNROLL for (int i = 0; i < SUMS; i++) {
			vec v = *(const vec *)(x + k + i * VEC_FLOATS);
			best[i] = max_vec(v, best[i]);
		}
	for (; k + VEC_FLOATS <= n; k += VEC_FLOATS)
		best[0] = max_vec(*(const vec *)(x + k), best[0]);
	if (k < n)
		best[0] = max_vec(vec_load_first(x + k, n - k, best[0]), best[0]);
	return max_of_lanes(best);
}

/* The largest, or the least: its sign and those of all turned. NaN if there is one. */
static inline __attribute__((always_inline)) float most_of(const float *x, int64_t n, bool least)
{
	int32_t turn = least ? INT32_MIN : 0;
	vec lowest = (vec)((vec_mask)vec_all(-INFINITY) ^ turn), best[2];
	vec_mask none = { 0 };
	best[0] = best[1] = vec_all(-INFINITY);
	for (int64_t k = 0; k < n; k += 2 * VEC_FLOATS)
		UNROLL for (int i = 0; i < 2; i++) {
			const float *at = x + min_i64(k + i * VEC_FLOATS, n);
			int64_t left = x + n - at;
			vec v = left < VEC_FLOATS ? vec_load_first(at, left, lowest)
						  : *(const vec *)at;
			none |= v != v;
			best[i] = max_vec((vec)((vec_mask)v ^ turn), best[i]);
		}
	float most = max_of_vec(max_vec(best[0], best[1]));
	return vec_any(none) ? NAN : least ? -most : most;
}

static inline float dot_of(const float *x, const float *y, int64_t n)
{
	vec sums[SUMS] = { 0 };
	int64_t k = 0;
	for (; k + SUMS_STEP <= n; k += SUMS_STEP)
		UNROLL for (int i = 0; i < SUMS; i++)
			sums[i] += *(const vec *)(x + k + i * VEC_FLOATS) *
				   *(const vec *)(y + k + i * VEC_FLOATS);
	for (; k + VEC_FLOATS <= n; k += VEC_FLOATS)
		sums[0] += *(const vec *)(x + k) * *(const vec *)(y + k);
	if (k < n)
		sums[0] += vec_load_first(x + k, n - k, vec_all(0)) *
			   vec_load_first(y + k, n - k, vec_all(0));
	return sum_of_lanes(sums);
}
