/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of widen.h. Compiled once per instruction set. */
#include "exec/cpu/widen.h"

#include "exec/cpu/vec_isa.h"
#include "exec/half.h"

#if defined(__AVX512F__)
#define HALVES 16
static inline void widen_some(float *dst, const uint16_t *src)
{
	_mm512_storeu_ps(dst, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)src)));
}

static inline void narrow_some(uint16_t *dst, const float *src)
{
	__m256i h = _mm512_cvtps_ph(
		_mm512_loadu_ps(src), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
	_mm256_storeu_si256((__m256i *)dst, h);
}
#elif defined(__F16C__)
#define HALVES 8
static inline void widen_some(float *dst, const uint16_t *src)
{
	_mm256_storeu_ps(dst, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)src)));
}

static inline void narrow_some(uint16_t *dst, const float *src)
{
	__m128i h = _mm256_cvtps_ph(
		_mm256_loadu_ps(src), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
	_mm_storeu_si128((__m128i *)dst, h);
}
#else
#define HALVES 1
static inline void widen_some(float *dst, const uint16_t *src)
{
	*dst = half_to_float(*src);
}

static inline void narrow_some(uint16_t *dst, const float *src)
{
	*dst = float_to_half(*src);
}
#endif

static void widen_half(float *dst, const uint16_t *src, int64_t n)
{
	int64_t i = 0;
	for (; i + HALVES <= n; i += HALVES)
		widen_some(dst + i, src + i);
	for (; i < n; i++)
		dst[i] = half_to_float(src[i]);
}

static void narrow_half(uint16_t *dst, const float *src, int64_t n)
{
	int64_t i = 0;
	for (; i + HALVES <= n; i += HALVES)
		narrow_some(dst + i, src + i);
	for (; i < n; i++)
		dst[i] = float_to_half(src[i]);
}

static void widen_bfloat(float *restrict dst, const uint16_t *restrict src, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		dst[i] = bfloat_to_float(src[i]);
}

static void narrow_bfloat(uint16_t *restrict dst, const float *restrict src, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		dst[i] = float_to_bfloat(src[i]);
}

const struct half_loops VEC_NAME(
	half_loops) = { { widen_half, widen_bfloat }, { narrow_half, narrow_bfloat } };
