/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of pixels of bfloat16 by AMX's tiles
 *
 * DESIGN
 *
 * Sums of up to 32 pixels by a panel's two vectors are in four registers (amx.h), which go along
 * the taps: pixels' slots are read where they lie, at equal distances, weights as conv_tile.c's. A
 * step is as many slots as divide a tap's run. Where pixels are more than 16, the second register
 * of them ends with the last one and begins in the first one: those in both are summed twice, the
 * same way.
 *
 * The sums go to the stack, and from there through conv_tile.c's tile, of no taps, which does what
 * is done to complete ones. What divides badly, and filtered sums, are that tile's from the
 * beginning.
 */
#include "exec/cpu/conv/conv_vec.h"

#include "exec/cpu/amx.h"
#include "exec/cpu/vec_isa.h"

#define PIXELS (2 * AMX_ROWS)
#define PANEL (TILE_VECS * VEC_FLOATS)
#define LINE_FLOATS 16

typedef float row_sums[PIXELS][PANEL];

/* Some pixels of a row, at most PIXELS. */
struct part {
	const struct conv_tile *t;
	int64_t pixels, step;
};

static void fetch_result(const struct part *p)
{
	const struct conv_tile *t = p->t;
	for (int64_t j = 0; j < TILE_VECS; j++)
		for (int64_t i = 0; i < p->pixels; i++) {
			int64_t at = i * t->dst_pixel + j * t->dst_block;
			__builtin_prefetch(t->dst + at, 1);
			if (t->sum && t->sum != t->dst)
				__builtin_prefetch(t->sum + at, 0);
		}
}

static inline __attribute__((always_inline)) void multiply(
	const struct part *p, const bool two, row_sums sums)
{
	static const float zeros[PANEL];
	const struct conv_tile *t = p->t;
	const int64_t pixel = t->src_pixel * (int64_t)sizeof(float), step = p->step;
	const float *w = t->weights, *ahead = t->ahead;
	amx_written();
	amx_load_bias(t->more ? zeros : t->bias, two);
	for (int64_t tap = 0; tap < t->taps; tap++) {
		const float *x = t->src + t->tap[tap];
		for (int64_t k = 0; k < t->run; k += step, x += step, w += step * PANEL) {
			_tile_loadd(AMX_B0, w, PANEL * sizeof(float));
			_tile_loadd(AMX_A0, x, pixel);
			_tile_dpbf16ps(AMX_SUM_00, AMX_A0, AMX_B0);
			_tile_loadd(AMX_B1, w + VEC_FLOATS, PANEL * sizeof(float));
			_tile_dpbf16ps(AMX_SUM_01, AMX_A0, AMX_B1);
			if (two) {
				_tile_loadd(
					AMX_A1, x + (p->pixels - AMX_ROWS) * t->src_pixel, pixel);
				_tile_dpbf16ps(AMX_SUM_10, AMX_A1, AMX_B0);
				_tile_dpbf16ps(AMX_SUM_11, AMX_A1, AMX_B1);
			}
			for (int64_t i = 0; i < step * t->ahead_step; i += LINE_FLOATS)
				__builtin_prefetch(ahead + i, 0, 2);
			ahead += step * t->ahead_step;
		}
	}
	amx_store_sums(sums[0], sums[p->pixels - AMX_ROWS], two);
}

/* Complete, or added to those that rest in the result. */
static void settle(const struct part *p, const row_sums sums)
{
	const struct conv_vec *vec = &conv_vec_avx512_bf16;
	struct conv_tile t = *p->t;
	int64_t n = (p->pixels + vec->pixels - 1) / vec->pixels;
	t.taps = 0;
	for (int64_t i = 0; i < n; i++) {
		int64_t from = p->pixels * i / n, pixels = p->pixels * (i + 1) / n - from;
		t.from = sums[from];
		t.also = t.more ? sums[from] : NULL;
		vec->tile(&t, (int)pixels, TILE_VECS);
		t.dst += pixels * t.dst_pixel;
		t.sum += t.sum ? pixels * t.dst_pixel : 0;
	}
}

static bool suits(const struct conv_tile *t, int64_t step, int vecs)
{
	return step > 0 && vecs == TILE_VECS && !t->second && !t->from && !t->also && !t->rest;
}

/* What the row's tiles of conv_tile.c would fetch. */
static int64_t ahead_step(const struct conv_tile *row, int64_t pixels, int64_t n)
{
	int64_t tile = conv_vec_avx512_bf16.pixels, tiles = (pixels + tile - 1) / tile;
	return (row->ahead_step * tiles + n - 1) / n;
}

bool conv_row_amx(const struct conv_tile *row, int64_t pixels, int vecs)
{
	__attribute__((uninitialized, aligned(64))) row_sums sums;
	int64_t step = amx_step(row->run), n = (pixels + PIXELS - 1) / PIXELS;
	if (!suits(row, step, vecs))
		return false;
	struct conv_tile t = *row;
	t.ahead_step = ahead_step(row, pixels, n);
	amx_begin((int)min_i64(pixels, AMX_ROWS), (int)step);
	for (int64_t i = 0; i < n; i++) {
		int64_t width = pixels * (i + 1) / n - pixels * i / n;
		struct part p = {&t, width, step};
		fetch_result(&p);
		if (width > AMX_ROWS)
			multiply(&p, true, sums);
		else
			multiply(&p, false, sums);
		settle(&p, sums);
		t.src += width * t.src_pixel;
		t.dst += width * t.dst_pixel;
		t.sum += t.sum ? width * t.dst_pixel : 0;
		t.ahead += t.ahead_step * t.taps * t.run;
	}
	amx_end();
	return true;
}
