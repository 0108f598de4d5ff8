/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qproduct_round.h -- vectors of sums to bytes, by struct requant
 *
 * For files that are compiled once per instruction set.
 */
#pragma once

#include "exec/cpu/int8/qproduct.h"

#include <string.h>
#include "exec/cpu/vec_isa.h"

#define INLINE static inline __attribute__((always_inline))

typedef int32_t ivec __attribute__((vector_size(VEC_FLOATS * 4), aligned(1), may_alias));
typedef uint8_t bytes __attribute__((vector_size(VEC_FLOATS), aligned(1), may_alias));

/* As __builtin_convertvector() does, of which the compiler makes a load for each byte. */
INLINE ivec widened(const uint8_t *x)
{
#if defined(__AVX512F__)
	return (ivec)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)x));
#elif defined(__AVX2__)
	return (ivec)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)x));
#else
	return __builtin_convertvector(*(const bytes *)x, ivec);
#endif
}

/* min() gives the second one where v is no number, as the sums' conversion does the lowest: so it
   stays what clamping makes of it. */
INLINE vec at_most(vec v, vec high)
{
#ifdef __AVX512F__
	return (vec)_mm512_min_ps((__m512)high, (__m512)v);
#else
	return vec_select(v > high, high, v);
#endif
}

INLINE vec at_least(vec v, vec low)
{
#ifdef __AVX512F__
	return (vec)_mm512_max_ps((__m512)v, (__m512)low);
#else
	return vec_select(v < low, low, v);
#endif
}

/* To the nearest whole number, halves to the even one; |v| < 2^22. */
INLINE vec whole(vec v)
{
#ifdef __AVX512F__
	return (vec)_mm512_roundscale_ps((__m512)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
	const vec magic = vec_all(0x1.8p23f);
	return v + magic - magic;
#endif
}

/* struct requant as the loops take it, made once for all tiles. */
struct rounding {
	bool mid;
	vec mid_low, mid_high, mid_factor, z_factor, z_shift, low, high;
	int32_t y_zero;
	uint8_t z_flip;
#ifdef __AVX512F__
	/* What is added before saturation, and the bounds; those of int8 wear 128 on the way. */
	__m512i to_byte, byte_low, byte_high, byte_flip;
#endif
};

/* Of no factor is more left than what puts any result beyond its bounds. */
#define FACTOR_MAX 0x1p20f

static float factor_of(float f)
{
	return f > FACTOR_MAX ? FACTOR_MAX : f < -FACTOR_MAX ? -FACTOR_MAX : f;
}

static void rounding_init(struct rounding *ret, const struct requant *r)
{
	float z_factor = factor_of(r->z_factor);
	*ret = (struct rounding){ .mid = r->mid_factor != 0, .mid_low = vec_all(r->mid_low),
		.mid_high = vec_all(r->mid_high), .mid_factor = vec_all(factor_of(r->mid_factor)),
		.z_factor = vec_all(z_factor), .z_shift = vec_all(-(float)r->z_zero * z_factor),
		.low = vec_all(r->low), .high = vec_all(r->high), .y_zero = r->y_zero,
		.z_flip = r->z_flip };
#ifdef __AVX512F__
	int low = (int)r->low + r->y_zero, high = (int)r->high + r->y_zero,
	    below = low < 0 ? 128 : 0;
	ret->to_byte = _mm512_set1_epi16((short)(r->y_zero + below));
	ret->byte_low = _mm512_set1_epi8((char)(low + below));
	ret->byte_high = _mm512_set1_epi8((char)(high + below));
	ret->byte_flip = _mm512_set1_epi8((char)below);
#endif
}

/* All but the last rounding. */
INLINE vec rescale(const struct rounding *r, const bool mid, const uint8_t *z, ivec sum, vec factor)
{
	vec v = __builtin_convertvector(sum, vec) * factor;
	if (!z)
		return v;
	if (mid)
		v = whole(at_most(at_least(v, r->mid_low), r->mid_high)) * r->mid_factor;
	ivec n = widened(z) ^ (int32_t)r->z_flip;
	return v + r->z_shift + __builtin_convertvector(n, vec) * r->z_factor;
}

/* Bytes of one vector's numbers. */
INLINE bytes narrow_one(const struct rounding *r, vec v)
{
	v = whole(at_most(at_least(v, r->low), r->high));
	return __builtin_convertvector(__builtin_convertvector(v, ivec) + r->y_zero, bytes);
}

#ifdef __AVX512F__
/* Bytes of 64 numbers, by instructions that saturate. */
INLINE __m512i narrow(const struct rounding *r, const bool small, const vec v[4])
{
	const __m512i order =
		_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
	__m512i n[4];
	UNROLL for (int i = 0; i < 4; i++)
		n[i] = _mm512_cvtps_epi32((__m512)(small ? v[i] : at_most(v[i], r->high)));
	__m512i a = _mm512_adds_epi16(_mm512_packs_epi32(n[0], n[1]), r->to_byte);
	__m512i b = _mm512_adds_epi16(_mm512_packs_epi32(n[2], n[3]), r->to_byte);
	__m512i all = _mm512_packus_epi16(a, b);
	all = _mm512_min_epu8(_mm512_max_epu8(all, r->byte_low), r->byte_high);
	return _mm512_permutexvar_epi32(order, _mm512_xor_si512(all, r->byte_flip));
}
#endif
