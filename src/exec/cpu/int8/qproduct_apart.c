/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of products of 8-bit numbers where each channel is a convolution of its own
 *
 * DESIGN
 *
 * Channels side by side are a vector, which goes along a window whose numbers and weights are
 * widened to 32 bits; a product of 16-bit halves then does for them. A tile is a few pixels of one
 * vector of channels. Where neighbouring windows share columns each column is widened once for all
 * of its tile, which takes widths and steps that the compiler knows.
 *
 * A row that tiles do not divide has its last tile moved back: some pixels are made twice.
 *
 * Compiled once per instruction set; ISA is base, avx2, avx512 or avx512_vnni.
 */
#include "exec/cpu/int8/qproduct_round.h"

#define TILE_MAX 8
#define TILE_SMALL 4
#define WIDTH_MAX 5 /* of a window whose columns are shared */

/* Pixels of a row, one vector of channels; x, y, z, sums are the first one's. */
struct tile {
	const struct qproduct_job *j;
	const struct rounding *rounding;
	const uint8_t *x, *z;
	const int32_t *w, *bias;
	int64_t filled; /* weights from a tap to the next */
	const float *factor;
	uint8_t *y;
	int32_t *sums;
	int64_t y_pixel;
};

/* x is no larger than 255, w than 16 bits. */
INLINE ivec add_product(ivec sum, ivec x, ivec w)
{
#if defined(__AVX512VNNI__)
	return (ivec)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)x, (__m512i)w);
#elif defined(__AVX512F__)
	return sum + (ivec)_mm512_madd_epi16((__m512i)x, (__m512i)w);
#elif defined(__AVX2__)
	return sum + (ivec)_mm256_madd_epi16((__m256i)x, (__m256i)w);
#else
	return sum + x * w;
#endif
}

/* `width` taps of a row, where pixel i's window begins at column i * step. */
INLINE void add_shared(const struct tile *t, const int pixels, const int width, const int step,
	const uint8_t *x, const int32_t *w, ivec sum[TILE_MAX])
{
	const int64_t tap = t->j->tap, filled = t->filled;
	ivec weight[WIDTH_MAX];
	UNROLL for (int k = 0; k < width; k++)
		weight[k] = *(const ivec *)(w + k * filled);
	UNROLL for (int column = 0; column < (pixels - 1) * step + width; column++) {
		ivec v = widened(x + column * tap);
		UNROLL for (int k = 0; k < width; k++) {
			int from = column - k;
			if (from >= 0 && from % step == 0 && from / step < pixels)
				sum[from / step] = add_product(sum[from / step], v, weight[k]);
		}
	}
}

/* Any row. */
INLINE void add_taps(const struct tile *t, const int pixels, const uint8_t *x, const int32_t *w,
	ivec sum[TILE_MAX])
{
	const struct qproduct_job *j = t->j;
	for (int64_t k = 0; k < j->slots; k++, x += j->tap, w += t->filled)
		UNROLL for (int i = 0; i < pixels; i++)
			sum[i] = add_product(sum[i], widened(x + i * j->x_pixel), *(const ivec *)w);
}

INLINE void store(const struct tile *t, const int pixels, const bool z, const bool mid,
	ivec sum[TILE_MAX])
{
	const struct rounding *restrict r = t->rounding;
	const int64_t y_pixel = t->y_pixel;
	const vec factor = *(const vec *)t->factor;
#ifdef __AVX512F__
	UNROLL for (int i = 0; i < pixels; i += 4) {
		vec v[4];
		UNROLL for (int k = 0; k < 4; k++) {
			int at = i + k < pixels ? i + k : i;
			v[k] = rescale(r, mid, z ? t->z + at * y_pixel : NULL, sum[at], factor);
		}
		uint8_t all[4 * VEC_FLOATS];
		_mm512_storeu_si512(all, narrow(r, mid, v));
		UNROLL for (int k = 0; k < 4; k++)
			if (i + k < pixels)
				memcpy(t->y + (i + k) * y_pixel, all + k * VEC_FLOATS, VEC_FLOATS);
	}
#else
	UNROLL for (int i = 0; i < pixels; i++) {
		vec v = rescale(r, mid, z ? t->z + i * y_pixel : NULL, sum[i], factor);
		*(bytes *)(t->y + i * y_pixel) = narrow_one(r, v);
	}
#endif
}

/* width 0: any. */
INLINE void multiply(const struct tile *t, const int pixels, const int width, const int step)
{
	const struct qproduct_job *j = t->j;
	const int32_t *w = t->w;
	ivec sum[TILE_MAX];
	UNROLL for (int i = 0; i < pixels; i++)
		sum[i] = *(const ivec *)t->bias;
	for (int64_t r = 0; r < j->runs; r++, w += j->slots * t->filled)
		if (width)
			add_shared(t, pixels, width, step, t->x + j->run_at[r], w, sum);
		else
			add_taps(t, pixels, t->x + j->run_at[r], w, sum);
	if (t->sums)
		UNROLL for (int i = 0; i < pixels; i++)
			*(ivec *)(t->sums + i * t->y_pixel) = sum[i];
	else if (!t->z)
		store(t, pixels, false, false, sum);
	else if (t->rounding->mid)
		store(t, pixels, true, true, sum);
	else
		store(t, pixels, true, false, sum);
}

typedef void (*tile_fn)(const struct tile *t);

/* Windows of one kind: tiles of `pixels`, of TILE_SMALL, of one. */
struct window {
	int64_t width, step;
	int64_t pixels;
	tile_fn large, small, one;
};

#define TILE(size, width, step, pixels) \
	static void size##_##width##_##step(const struct tile *t) \
	{ \
		multiply(t, pixels, width, step); \
	}
#define TILES(width, step, pixels) \
	TILE(large, width, step, pixels) \
	TILE(small, width, step, TILE_SMALL) \
	TILE(one, width, step, 1)
#define WINDOW(width, step, pixels) \
	{ width, step, pixels, large_##width##_##step, small_##width##_##step, \
		one_##width##_##step }
TILES(3, 1, 8)
TILES(3, 2, 4)
TILES(5, 1, 8)
TILES(5, 2, 4)
TILES(0, 0, 8)
static const struct window windows[] = { WINDOW(3, 1, 8), WINDOW(3, 2, 4), WINDOW(5, 1, 8),
	WINDOW(5, 2, 4), WINDOW(0, 0, 8) };

static const struct window *find_window(const struct qproduct_job *j)
{
	const struct window *w = windows;
	while (w->width && (w->width != j->slots || w->step * j->tap != j->x_pixel))
		w++;
	return w;
}

/* The last channels, fewer than a vector: by way of the stack. */
static __attribute__((noinline)) void multiply_part(
	struct tile t, tile_fn tile, int64_t pixels, int64_t channels)
{
	uint8_t y[TILE_MAX * VEC_FLOATS], z[TILE_MAX * VEC_FLOATS] = { 0 };
	int32_t sums[TILE_MAX * VEC_FLOATS];
	const struct tile whole = t;
	for (int64_t i = 0; i < pixels && t.z; i++)
		memcpy(z + i * VEC_FLOATS, whole.z + i * whole.y_pixel, (size_t)channels);
	t.y_pixel = VEC_FLOATS;
	t.y = y;
	t.z = t.z ? z : NULL;
	t.sums = t.sums ? sums : NULL;
	tile(&t);
	for (int64_t i = 0; i < pixels; i++)
		if (t.sums)
			memcpy(whole.sums + i * whole.y_pixel, sums + i * VEC_FLOATS,
				(size_t)channels * sizeof(*sums));
		else
			memcpy(whole.y + i * whole.y_pixel, y + i * VEC_FLOATS, (size_t)channels);
}

/* t at pixel `at` of the row, channel c. */
static void run_tile(struct tile t, tile_fn tile, int64_t at, int64_t pixels, int64_t c)
{
	const struct qproduct_job *j = t.j;
	int64_t to = at * j->y_pixel;
	t.x += at * j->x_pixel;
	t.z = t.z ? t.z + to : NULL;
	t.y = t.sums ? NULL : t.y + to;
	t.sums = t.sums ? t.sums + to : NULL;
	if (j->channels - c < VEC_FLOATS)
		multiply_part(t, tile, pixels, j->channels - c);
	else
		tile(&t);
}

/* One row of one vector of channels. */
static void run_row(const struct tile *t, const struct window *w, int64_t c)
{
	int64_t n = t->j->pixels;
	int64_t pixels = n >= w->pixels ? w->pixels : n >= TILE_SMALL ? TILE_SMALL : 1;
	tile_fn tile = pixels == w->pixels ? w->large : pixels == TILE_SMALL ? w->small : w->one;
	for (int64_t i = 0; i < n; i += pixels)
		run_tile(*t, tile, min_i64(i, n - pixels), pixels, c);
}

void VEC_NAME(qproduct_apart)(const struct qproduct_job *j)
{
	__attribute__((uninitialized)) struct rounding rounding;
	const struct window *w = find_window(j);
	if (!j->sums)
		rounding_init(&rounding, j->requant);
	int64_t filled = (j->channels + QPRODUCT_PANEL - 1) / QPRODUCT_PANEL * QPRODUCT_PANEL;
	for (int64_t row = 0; row < j->rows; row++)
		for (int64_t c = 0; c < j->channels; c += VEC_FLOATS) {
			int64_t to = row * j->y_row + c;
			struct tile t = { .j = j, .rounding = &rounding, .filled = filled,
				.y_pixel = j->y_pixel, .x = j->x + row * j->x_row + c,
				.w = (const int32_t *)j->w + c, .bias = j->bias + c };
			if (j->sums) {
				t.sums = j->sums + to;
			} else {
				t.y = j->y + to;
				t.z = j->z ? j->z + to : NULL;
				t.factor = j->factor + c;
			}
			run_row(&t, w, c);
		}
}
