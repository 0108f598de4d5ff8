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
#include "exec/cpu/int8/qproduct_round.h"

#ifdef __AVX512F__
#define TILE_PIXELS 14
#else
#define TILE_PIXELS 4
#endif
#define POINTERS ((TILE_PIXELS + 2) / 3)
#define PANEL_VECS (QPRODUCT_PANEL / VEC_FLOATS)
#define SLOT_BYTES (QPRODUCT_PANEL * QPRODUCT_SLOT) /* of a panel */

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

/* Tiles of one panel, side by side; x, y, z are the first pixel's, w, bias, factor the panel's. */
struct tile {
	const struct qproduct_job *j;
	const struct rounding *rounding;
	const uint8_t *x, *z;
	const int8_t *w;
	const int32_t *bias, *windows, *w_zero;
	const float *factor;
	uint8_t *y;
	int32_t *sums;
	int64_t y_pixel, tiles;
	const int8_t *ahead; /* what is wanted soon, so many bytes of it with each slot */
	int64_t ahead_step, ahead_tiles; /* and with how many tiles */
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

/* Two pixels at once where vectors are so long; the last one may be alone. */
INLINE void store(const struct tile *t, const int pixels, const bool z, const bool mid,
	ivec sum[TILE_PIXELS][PANEL_VECS])
{
	const struct rounding *restrict r = t->rounding;
	const int64_t y_pixel = t->y_pixel;
	const uint8_t *from = t->z;
	uint8_t *y = t->y;
	vec factor[PANEL_VECS];
	UNROLL for (int v = 0; v < PANEL_VECS; v++)
		factor[v] = *(const vec *)(t->factor + v * VEC_FLOATS);
#ifdef __AVX512F__
	UNROLL for (int i = 0; i < pixels; i += 2) {
		vec v[4];
		UNROLL for (int k = 0; k < 4; k++) {
			int pixel = i + k / 2 < pixels ? i + k / 2 : i;
			const uint8_t *at = z ? from + pixel * y_pixel + k % 2 * VEC_FLOATS : NULL;
			v[k] = rescale(r, mid, at, sum[pixel][k % 2], factor[k % 2]);
		}
		__m512i all = narrow(r, mid, v);
		_mm256_storeu_si256((__m256i *)(y + i * y_pixel), _mm512_castsi512_si256(all));
		if (i + 1 < pixels)
			_mm256_storeu_si256((__m256i *)(y + (i + 1) * y_pixel),
				_mm512_extracti64x4_epi64(all, 1));
	}
#else
	UNROLL for (int i = 0; i < pixels; i++)
		UNROLL for (int v = 0; v < PANEL_VECS; v++) {
			int64_t at = i * y_pixel + v * VEC_FLOATS;
			vec x = rescale(r, mid, z ? from + at : NULL, sum[i][v], factor[v]);
			*(bytes *)(y + at) = narrow_one(r, x);
		}
#endif
}

INLINE void
begin(const struct tile *t, const int pixels, ivec sum[TILE_PIXELS][PANEL_VECS])
{
	UNROLL for (int v = 0; v < PANEL_VECS; v++) {
		ivec bias = *(const ivec *)(t->bias + v * VEC_FLOATS);
		UNROLL for (int i = 0; i < pixels; i++)
			sum[i][v] = bias;
	}
	if (!t->windows)
		return;
	UNROLL for (int v = 0; v < PANEL_VECS; v++) {
		ivec zero = *(const ivec *)(t->w_zero + v * VEC_FLOATS);
		UNROLL for (int i = 0; i < pixels; i++)
			sum[i][v] -= zero * t->windows[i];
	}
}

INLINE void multiply(const struct tile *t, const int pixels)
{
	const struct qproduct_job *j = t->j;
	const int64_t x_pixel = j->x_pixel, slots = j->slots, ahead_step = t->ahead_step;
	ivec sum[TILE_PIXELS][PANEL_VECS];
	begin(t, pixels, sum);
	if (!t->sums)
		UNROLL for (int i = 0; i < pixels; i++)
			__builtin_prefetch(t->y + i * t->y_pixel, FOR_WRITING);
	const int8_t *w = t->w, *ahead = t->ahead;
	for (int64_t r = 0; r < j->runs; r++) {
		const uint8_t *x[POINTERS];
		UNROLL for (int g = 0; g < (pixels + 2) / 3; g++)
			x[g] = t->x + j->run_at[r] + 3 * g * x_pixel;
		for (int64_t s = 0; s < slots; s++, ahead += ahead_step) {
			ivec b[PANEL_VECS];
			__builtin_prefetch(ahead, FOR_READING, SECOND_LEVEL);
			UNROLL for (int v = 0; v < PANEL_VECS; v++)
				b[v] = *(const ivec *)(w + (size_t)v * sizeof(ivec));
			UNROLL for (int i = 0; i < pixels; i++) {
				int32_t four = slot_at(x[i / 3] + i % 3 * x_pixel);
				UNROLL for (int v = 0; v < PANEL_VECS; v++)
					sum[i][v] = dot(sum[i][v], four, b[v]);
			}
			UNROLL for (int g = 0; g < (pixels + 2) / 3; g++)
				x[g] += QPRODUCT_SLOT;
			w += SLOT_BYTES;
		}
	}
	if (t->sums)
		leave(t, pixels, sum);
	else if (!t->z)
		store(t, pixels, false, false, sum);
	else if (t->rounding->mid)
		store(t, pixels, true, true, sum);
	else
		store(t, pixels, true, false, sum);
}

/* On to the pixels behind these. */
INLINE void advance(struct tile *t, const int pixels)
{
	t->x += pixels * t->j->x_pixel;
	t->windows += t->windows ? pixels : 0;
	t->sums += t->sums ? pixels * t->y_pixel : 0;
	t->y += t->sums ? 0 : pixels * t->y_pixel;
	t->z += t->z ? pixels * t->y_pixel : 0;
	t->ahead += t->j->runs * t->j->slots * t->ahead_step;
	t->ahead_step = --t->ahead_tiles > 0 ? t->ahead_step : 0;
}

#define TILE(pixels) \
	static void tile_##pixels(struct tile *t) \
	{ \
		for (int64_t i = 0; i < t->tiles; i++, advance(t, pixels)) \
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

static void (*const tiles[TILE_PIXELS + 1])(struct tile *t) = { NULL, tile_1, tile_2, tile_3,
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
	const uint8_t *from = t->z;
	int64_t y_pixel = t->y_pixel;
	for (int i = 0; i < pixels && from; i++)
		memcpy(z + i * QPRODUCT_PANEL, from + i * y_pixel, (size_t)channels);
	t->y = y;
	t->z = from ? z : NULL;
	t->y_pixel = QPRODUCT_PANEL;
	tiles[pixels](t);
	for (int i = 0; i < pixels; i++)
		memcpy(to + i * y_pixel, y + i * QPRODUCT_PANEL, (size_t)channels);
	t->y = to + pixels * y_pixel;
	t->z = from ? from + pixels * y_pixel : NULL;
	t->y_pixel = y_pixel;
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
	t->sums = to + pixels * y_pixel;
	t->y_pixel = y_pixel;
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

/* The tiles of one panel. */
struct panel {
	const struct qproduct_job *j;
	const struct rounding *rounding;
	const int8_t *w;
	int64_t c; /* its first channel */
	int64_t row_tiles;
	int64_t ahead_step; /* of the panel behind it, which all tiles share; 0: there is none */
};

static void panel_init(struct panel *p)
{
	const struct qproduct_job *j = p->j;
	p->row_tiles = (j->pixels + TILE_PIXELS - 1) / TILE_PIXELS;
	if (p->c + QPRODUCT_PANEL < j->channels)
		p->ahead_step = max_i64(SLOT_BYTES / max_i64(j->rows * p->row_tiles, 1), 1);
}

static void look_ahead(const struct panel *p, int64_t tile, struct tile *t)
{
	int64_t slots = p->j->runs * p->j->slots;
	t->ahead = p->w;
	if (!p->ahead_step || tile * p->ahead_step >= SLOT_BYTES)
		return;
	t->ahead = p->w + slots * (SLOT_BYTES + tile * p->ahead_step);
	t->ahead_step = p->ahead_step;
	t->ahead_tiles = SLOT_BYTES / p->ahead_step - tile;
}

static void run_tiles(const struct panel *p, struct tile *t, int pixels, int64_t n)
{
	int64_t channels = p->j->channels - p->c;
	t->tiles = channels < QPRODUCT_PANEL ? 1 : n;
	for (int64_t i = 0; i < n; i += t->tiles)
		if (channels >= QPRODUCT_PANEL)
			tiles[pixels](t);
		else if (t->sums)
			sum_part(t, pixels, channels);
		else
			multiply_part(t, pixels, channels);
}

/* One row, whose pixels are dealt out to tiles evenly. */
static void run_row(const struct panel *p, int64_t row)
{
	const struct qproduct_job *j = p->j;
	struct tile t = { .j = j, .rounding = p->rounding, .w = p->w, .bias = j->bias + p->c,
		.x = j->x + row * j->x_row };
	if (j->windows) {
		t.windows = j->windows + row * j->pixels;
		t.w_zero = j->w_zero + p->c;
	}
	place_results(j, row * j->y_row + p->c, p->c, &t);
	look_ahead(p, row * p->row_tiles, &t);
	int64_t pixels = j->pixels / p->row_tiles, longer = j->pixels % p->row_tiles;
	run_tiles(p, &t, (int)pixels + 1, longer);
	run_tiles(p, &t, (int)pixels, p->row_tiles - longer);
}

/* A panel's weights, which may fill the second-level cache, serve all rows at once. */
static void qproduct_run(const struct qproduct_job *j)
{
	__attribute__((uninitialized)) struct rounding rounding;
	int64_t panel_bytes = j->runs * j->slots * SLOT_BYTES;
	if (!j->sums)
		rounding_init(&rounding, j->requant);
	struct panel p = { .j = j, .rounding = &rounding, .w = j->w };
	for (; p.c < j->channels; p.c += QPRODUCT_PANEL, p.w += panel_bytes) {
		p.ahead_step = 0;
		panel_init(&p);
		for (int64_t row = 0; row < j->rows; row++)
			run_row(&p, row);
	}
}

const struct qproduct VEC_NAME(
	qproduct) = { .run = qproduct_run, .run_apart = VEC_NAME(qproduct_apart) };
