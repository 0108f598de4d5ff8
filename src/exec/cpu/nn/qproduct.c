/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * As gemm.c: a tile of sums stays in registers, here pixels times one panel of channels, and
 * goes along the window's bytes: four of a pixel, to all lanes, times four of each channel.
 * Nothing is packed of x, whose pixels lie at equal distances. AVX512-VNNI has one instruction
 * for a slot; the others widen the four bytes one after the other.
 *
 * Weights come from memory, mostly: while a tile goes along its window it fetches its part of
 * the next panel, and the lines that it will write.
 *
 * Compiled once per instruction set; ISA is base, avx2, avx512 or avx512_vnni.
 */
#include "exec/cpu/nn/qproduct.h"

#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif
#include "exec/cpu/vec_isa.h"

#ifdef __AVX512F__
#define TILE_PIXELS 14
#else
#define TILE_PIXELS 4
#endif
#define PANEL_VECS (QPRODUCT_PANEL / VEC_FLOATS)
#define SLOT_BYTES (QPRODUCT_PANEL * QPRODUCT_SLOT) /* of a panel */

#define INLINE static inline __attribute__((always_inline))

typedef int32_t ivec __attribute__((vector_size(VEC_FLOATS * 4), aligned(1), may_alias));
typedef uint8_t bytes __attribute__((vector_size(VEC_FLOATS), aligned(1), may_alias));

INLINE ivec dot(ivec sum, int32_t x, ivec w)
{
#ifdef __AVX512VNNI__
	return (ivec)_mm512_dpbusd_epi32((__m512i)sum, _mm512_set1_epi32(x), (__m512i)w);
#else
	uint32_t u = (uint32_t)x;
	sum += (w << 24 >> 24) * (int32_t)(u & 255);
	sum += (w << 16 >> 24) * (int32_t)(u >> 8 & 255);
	sum += (w << 8 >> 24) * (int32_t)(u >> 16 & 255);
	return sum + (w >> 24) * (int32_t)(u >> 24);
#endif
}

static inline int32_t slot_at(const uint8_t *x)
{
	int32_t v;
	memcpy(&v, x, sizeof(v));
	return v;
}

/* -- from sums to bytes --------------------------------------------------------------------------- */

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

/* A copy of struct requant that writing results does not change. */
struct rounding {
	vec mid_low, mid_high, mid_factor, z_factor, low, high;
	int32_t y_zero, z_zero;
	uint8_t z_flip;
};

INLINE struct rounding rounding_of(const struct requant *r)
{
	return (struct rounding){ vec_all(r->mid_low), vec_all(r->mid_high), vec_all(r->mid_factor),
		vec_all(r->z_factor), vec_all(r->low), vec_all(r->high), r->y_zero, r->z_zero, r->z_flip };
}

/* All but the last rounding. */
INLINE vec rescale(const struct rounding *r, const bool mid, const uint8_t *z, ivec sum, vec factor)
{
	vec v = __builtin_convertvector(sum, vec) * factor;
	if (mid)
		v = whole(at_most(at_least(v, r->mid_low), r->mid_high)) * r->mid_factor;
	if (z) {
		ivec n = __builtin_convertvector(*(const bytes *)z ^ r->z_flip, ivec) - r->z_zero;
		v += __builtin_convertvector(n, vec) * r->z_factor;
	}
	return v;
}

#ifdef __AVX512F__
/* Bytes of 64 numbers, by instructions that saturate; those of int8 wear 128 on the way. */
INLINE __m512i narrow(const struct rounding *r, const vec v[4])
{
	const int below = (int)r->low[0] + r->y_zero < 0 ? 128 : 0;
	const __m512i zero = _mm512_set1_epi16((short)(r->y_zero + below));
	const __m512i low = _mm512_set1_epi8((char)((int)r->low[0] + r->y_zero + below));
	const __m512i high = _mm512_set1_epi8((char)((int)r->high[0] + r->y_zero + below));
	const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
	__m512i n[4];
	UNROLL for (int i = 0; i < 4; i++)
		n[i] = _mm512_cvtps_epi32((__m512)at_most(v[i], r->high));
	__m512i a = _mm512_adds_epi16(_mm512_packs_epi32(n[0], n[1]), zero);
	__m512i b = _mm512_adds_epi16(_mm512_packs_epi32(n[2], n[3]), zero);
	__m512i all = _mm512_packus_epi16(a, b);
	all = _mm512_min_epu8(_mm512_max_epu8(all, low), high);
	all = _mm512_xor_si512(all, _mm512_set1_epi8((char)below));
	return _mm512_permutexvar_epi32(order, all);
}
#endif

/* Some pixels of one panel; x, y, z are the first pixel's, w, bias, factor the panel's. */
struct tile {
	const struct qproduct_job *j;
	const uint8_t *x, *z;
	const int8_t *w;
	const int32_t *bias;
	const float *factor;
	uint8_t *y;
	int32_t *sums;
	int64_t y_pixel;
	const int8_t *ahead; /* what is wanted soon, so many bytes of it with each slot */
	int64_t ahead_step;
};

/* Arguments of __builtin_prefetch(). */
enum { FOR_READING, FOR_WRITING };
enum { SECOND_LEVEL = 2 };

INLINE void leave(const struct tile *t, const int pixels, ivec sum[TILE_PIXELS][PANEL_VECS])
{
	UNROLL for (int i = 0; i < pixels; i++)
		UNROLL for (int v = 0; v < PANEL_VECS; v++)
			*(ivec *)(t->sums + i * t->y_pixel + v * VEC_FLOATS) = sum[i][v];
}

INLINE void store(const struct tile *t, const int pixels, const bool z, ivec sum[TILE_PIXELS][PANEL_VECS])
{
	const struct rounding r = rounding_of(t->j->requant);
	const bool mid = z && t->j->requant->mid_factor != 0;
	const int64_t y_pixel = t->y_pixel;
	const uint8_t *from = t->z;
	uint8_t *y = t->y;
	vec factor[PANEL_VECS];
	UNROLL for (int v = 0; v < PANEL_VECS; v++)
		factor[v] = *(const vec *)(t->factor + v * VEC_FLOATS);
#ifdef __AVX512F__
	/* Two pixels at once; the last one may be alone. */
	UNROLL for (int i = 0; i < pixels; i += 2) {
		vec v[4];
		UNROLL for (int k = 0; k < 4; k++) {
			int pixel = i + k / 2 < pixels ? i + k / 2 : i;
			const uint8_t *at = z ? from + pixel * y_pixel + k % 2 * VEC_FLOATS : NULL;
			v[k] = rescale(&r, mid, at, sum[pixel][k % 2], factor[k % 2]);
		}
		__m512i all = narrow(&r, v);
		_mm256_storeu_si256((__m256i *)(y + i * y_pixel), _mm512_castsi512_si256(all));
		if (i + 1 < pixels)
			_mm256_storeu_si256((__m256i *)(y + (i + 1) * y_pixel), _mm512_extracti64x4_epi64(all, 1));
	}
#else
	UNROLL for (int i = 0; i < pixels; i++)
		UNROLL for (int v = 0; v < PANEL_VECS; v++) {
			int64_t at = i * y_pixel + v * VEC_FLOATS;
			vec x = rescale(&r, mid, z ? from + at : NULL, sum[i][v], factor[v]);
			x = whole(at_most(at_least(x, r.low), r.high));
			ivec out = __builtin_convertvector(x, ivec) + r.y_zero;
			*(bytes *)(y + at) = __builtin_convertvector(out, bytes);
		}
#endif
}

INLINE void multiply(const struct tile *t, const int pixels)
{
	const struct qproduct_job *j = t->j;
	const int64_t x_pixel = j->x_pixel;
	ivec sum[TILE_PIXELS][PANEL_VECS];
	UNROLL for (int v = 0; v < PANEL_VECS; v++) {
		ivec bias = *(const ivec *)(t->bias + v * VEC_FLOATS);
		UNROLL for (int i = 0; i < pixels; i++)
			sum[i][v] = bias;
	}
	if (!t->sums)
		UNROLL for (int i = 0; i < pixels; i++)
			__builtin_prefetch(t->y + i * t->y_pixel, FOR_WRITING);
	const int8_t *w = t->w, *ahead = t->ahead;
	for (int64_t r = 0; r < j->runs; r++) {
		const uint8_t *x = t->x + j->run_at[r];
		for (int64_t s = 0; s < j->slots; s++, ahead += t->ahead_step) {
			ivec b[PANEL_VECS];
			__builtin_prefetch(ahead, FOR_READING, SECOND_LEVEL);
			UNROLL for (int v = 0; v < PANEL_VECS; v++)
				b[v] = *(const ivec *)(w + (size_t)v * sizeof(ivec));
			UNROLL for (int i = 0; i < pixels; i++) {
				int32_t four = slot_at(x + i * x_pixel);
				UNROLL for (int v = 0; v < PANEL_VECS; v++)
					sum[i][v] = dot(sum[i][v], four, b[v]);
			}
			x += QPRODUCT_SLOT;
			w += SLOT_BYTES;
		}
	}
	if (t->sums)
		leave(t, pixels, sum);
	else if (t->z)
		store(t, pixels, true, sum);
	else
		store(t, pixels, false, sum);
}

#define TILE(pixels) \
	static void tile_##pixels(const struct tile *t) \
	{ \
		multiply(t, pixels); \
	}
TILE(1)
TILE(2)
TILE(3)
TILE(4)
#if TILE_PIXELS > 4
TILE(5)
TILE(6)
TILE(7)
TILE(8)
TILE(9)
TILE(10)
TILE(11)
TILE(12)
TILE(13)
TILE(14)
#endif

static void (*const tiles[TILE_PIXELS + 1])(const struct tile *t) = { NULL, tile_1, tile_2, tile_3,
	tile_4,
#if TILE_PIXELS > 4
	tile_5, tile_6, tile_7, tile_8, tile_9, tile_10, tile_11, tile_12, tile_13, tile_14
#endif
};

/* The last panel, of fewer channels than a tile writes: by way of the stack. */
static __attribute__((noinline)) void multiply_part(struct tile *t, int pixels, int64_t channels)
{
	uint8_t y[TILE_PIXELS * QPRODUCT_PANEL], z[TILE_PIXELS * QPRODUCT_PANEL] = { 0 };
	uint8_t *to = t->y;
	for (int i = 0; i < pixels && t->z; i++)
		memcpy(z + i * QPRODUCT_PANEL, t->z + i * t->y_pixel, (size_t)channels);
	int64_t y_pixel = t->y_pixel;
	t->y = y;
	t->z = t->z ? z : NULL;
	t->y_pixel = QPRODUCT_PANEL;
	tiles[pixels](t);
	for (int i = 0; i < pixels; i++)
		memcpy(to + i * y_pixel, y + i * QPRODUCT_PANEL, (size_t)channels);
}

/* The same where sums are left. */
static __attribute__((noinline)) void sum_part(struct tile *t, int pixels, int64_t channels)
{
	int32_t part[TILE_PIXELS * QPRODUCT_PANEL], *to = t->sums;
	int64_t y_pixel = t->y_pixel;
	t->sums = part;
	t->y_pixel = QPRODUCT_PANEL;
	tiles[pixels](t);
	for (int i = 0; i < pixels; i++)
		memcpy(to + i * y_pixel, part + i * QPRODUCT_PANEL, (size_t)channels * sizeof(*to));
}

/* Where a tile's results go, and what is added to them. */
static void place_results(const struct qproduct_job *j, int64_t at, int64_t c, struct tile *t)
{
	t->y_pixel = j->y_pixel;
	t->sums = j->sums ? j->sums + at : NULL;
	if (j->sums)
		return;
	t->y = j->y + at;
	t->z = j->z ? j->z + at : NULL;
	t->factor = j->factor + c;
}

/* The panel behind w, if there is one, is shared out to the tiles of all rows. */
static void
look_ahead(const struct qproduct_job *j, int64_t tile, int64_t tiles, bool more, struct tile *t)
{
	int64_t slots = j->runs * j->slots, step = tiles < SLOT_BYTES ? SLOT_BYTES / tiles : 1;
	t->ahead = t->w;
	if (!more || tile * step >= SLOT_BYTES)
		return;
	t->ahead = t->w + slots * (SLOT_BYTES + tile * step);
	t->ahead_step = step;
}

/* One panel of one row, whose pixels are dealt out to tiles evenly. */
static void run_row(const struct qproduct_job *j, int64_t row, int64_t c, const int8_t *w)
{
	int64_t n = (j->pixels + TILE_PIXELS - 1) / TILE_PIXELS;
	for (int64_t i = 0; i < n; i++) {
		int64_t from = j->pixels * i / n, pixels = j->pixels * (i + 1) / n - from;
		int64_t at = row * j->y_row + from * j->y_pixel + c;
		struct tile t = { .j = j, .x = j->x + row * j->x_row + from * j->x_pixel, .w = w,
			.bias = j->bias + c };
		place_results(j, at, c, &t);
		look_ahead(j, row * n + i, j->rows * n, c + QPRODUCT_PANEL < j->channels, &t);
		if (j->channels - c >= QPRODUCT_PANEL)
			tiles[pixels](&t);
		else if (j->sums)
			sum_part(&t, (int)pixels, j->channels - c);
		else
			multiply_part(&t, (int)pixels, j->channels - c);
	}
}

/* A panel's weights, which may fill the second-level cache, serve all rows at once. */
static void qproduct_run(const struct qproduct_job *j)
{
	int64_t panel_bytes = j->runs * j->slots * SLOT_BYTES;
	const int8_t *w = j->w;
	for (int64_t c = 0; c < j->channels; c += QPRODUCT_PANEL, w += panel_bytes)
		for (int64_t row = 0; row < j->rows; row++)
			run_row(j, row, c, w);
}

const struct qproduct VEC_NAME(qproduct) = { .run = qproduct_run };
