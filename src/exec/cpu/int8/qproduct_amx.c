/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of products of 8-bit numbers by AMX's tiles
 *
 * DESIGN
 *
 * As qproduct.c: panels of 32 channels, rows, tiles of pixels, which are read where they lie. A
 * tile is 32 pixels by a panel in four registers (amx.h), and a step as many slots as divide a run.
 * Where pixels are more than 16, the second register of them ends with the last one and begins in
 * the first one: those in both are summed twice.
 *
 * The sums go to the stack, from where vectors make bytes of them. What divides badly is
 * qproduct.c's.
 */
#include "exec/cpu/amx.h"
#include "exec/cpu/int8/qproduct_round.h"

#define PIXELS (2 * AMX_ROWS)
#define SLOT_BYTES (QPRODUCT_PANEL * QPRODUCT_SLOT) /* of a panel */
#define LINE 64

_Static_assert(QPRODUCT_PANEL == 2 * VEC_FLOATS, "a panel is two registers wide");

typedef int32_t tile_sums[PIXELS][QPRODUCT_PANEL];

/* Some pixels of a row, at most PIXELS, and one panel. */
struct tile {
	const struct qproduct_job *j;
	const struct rounding *rounding;
	int64_t pixels, step;
	const uint8_t *x;
	const int8_t *w;
	int64_t c; /* the panel's first channel */
	const int32_t *windows;
	int64_t at;	     /* of its results: elements before them */
	const int8_t *ahead; /* what is wanted soon, so many lines of it with each step */
	int64_t ahead_lines;
};

/* -- sums -------------------------------------------------------------------------------------- */

INLINE void multiply(const struct tile *t, const bool two, tile_sums sums)
{
	const struct qproduct_job *j = t->j;
	const int64_t pixel = j->x_pixel, step = t->step, lines = t->ahead_lines;
	const int8_t *w = t->w, *ahead = t->ahead;
	amx_written();
	amx_load_bias(j->bias + t->c, two);
	for (int64_t r = 0; r < j->runs; r++) {
		const uint8_t *x = t->x + j->run_at[r];
		const uint8_t *second = x + (t->pixels - AMX_ROWS) * pixel;
		for (int64_t s = 0; s < j->slots; s += step) {
			_tile_loadd(AMX_B0, w, SLOT_BYTES);
			_tile_loadd(AMX_A0, x, pixel);
			_tile_dpbusd(AMX_SUM_00, AMX_A0, AMX_B0);
			_tile_loadd(AMX_B1, w + sizeof(ivec), SLOT_BYTES);
			_tile_dpbusd(AMX_SUM_01, AMX_A0, AMX_B1);
			if (two) {
				_tile_loadd(AMX_A1, second, pixel);
				_tile_dpbusd(AMX_SUM_10, AMX_A1, AMX_B0);
				_tile_dpbusd(AMX_SUM_11, AMX_A1, AMX_B1);
			}
			for (int64_t i = 0; i < lines; i++, ahead += LINE)
				__builtin_prefetch(ahead, 0, 2);
			x += step * QPRODUCT_SLOT;
			second += step * QPRODUCT_SLOT;
			w += step * SLOT_BYTES;
		}
	}
	amx_store_sums(sums[0], sums[t->pixels - AMX_ROWS], two);
}

/* -- what becomes of them ---------------------------------------------------------------------- */

static void take_windows(const struct tile *t, tile_sums sums)
{
	const int32_t *zero = t->j->w_zero + t->c;
	for (int64_t i = 0; i < t->pixels; i++)
		for (int64_t m = 0; m < QPRODUCT_PANEL; m += VEC_FLOATS)
			*(ivec *)(sums[i] + m) -= *(const ivec *)(zero + m) * t->windows[i];
}

/* Two pixels at once; the last one may be alone. */
INLINE void store(const struct tile *t, const bool z, const bool mid, const tile_sums sums,
	const uint8_t *from, uint8_t *y, int64_t y_pixel)
{
	const struct rounding *r = t->rounding;
	vec factor[2];
	for (int v = 0; v < 2; v++)
		factor[v] = *(const vec *)(t->j->factor + t->c + v * VEC_FLOATS);
	for (int64_t i = 0; i < t->pixels; i += 2) {
		vec v[4];
		UNROLL for (int k = 0; k < 4; k++) {
			int64_t pixel = min_i64(i + k / 2, t->pixels - 1);
			int64_t c = k % 2 * VEC_FLOATS;
			const uint8_t *at = z ? from + pixel * y_pixel + c : NULL;
			v[k] = rescale(r, mid, at, *(const ivec *)(sums[pixel] + c), factor[k % 2]);
		}
		__m512i all = narrow(r, mid, v);
		_mm256_storeu_si256((__m256i *)(y + i * y_pixel), _mm512_castsi512_si256(all));
		if (i + 1 < t->pixels)
			_mm256_storeu_si256((__m256i *)(y + (i + 1) * y_pixel),
				_mm512_extracti64x4_epi64(all, 1));
	}
}

static void store_panel(
	const struct tile *t, const tile_sums sums, const uint8_t *z, uint8_t *y, int64_t y_pixel)
{
	if (!z)
		store(t, false, false, sums, NULL, y, y_pixel);
	else if (t->rounding->mid)
		store(t, true, true, sums, z, y, y_pixel);
	else
		store(t, true, false, sums, z, y, y_pixel);
}

/* The last panel, of fewer channels than are stored: by way of the stack. */
static __attribute__((noinline)) void store_part(
	const struct tile *t, const tile_sums sums, const uint8_t *z, uint8_t *y, int64_t channels)
{
	uint8_t part[PIXELS][QPRODUCT_PANEL], add[PIXELS][QPRODUCT_PANEL] = {0};
	for (int64_t i = 0; i < t->pixels && z; i++)
		memcpy(add[i], z + i * t->j->y_pixel, (size_t)channels);
	store_panel(t, sums, z ? add[0] : NULL, part[0], QPRODUCT_PANEL);
	for (int64_t i = 0; i < t->pixels; i++)
		memcpy(y + i * t->j->y_pixel, part[i], (size_t)channels);
}

static void settle(const struct tile *t, tile_sums sums)
{
	const struct qproduct_job *j = t->j;
	int64_t channels = min_i64(j->channels - t->c, QPRODUCT_PANEL);
	if (t->windows)
		take_windows(t, sums);
	if (j->sums) {
		for (int64_t i = 0; i < t->pixels; i++)
			memcpy(j->sums + t->at + i * j->y_pixel, sums[i],
				(size_t)channels * sizeof(sums[i][0]));
		return;
	}
	const uint8_t *z = j->z ? j->z + t->at : NULL;
	if (channels < QPRODUCT_PANEL)
		store_part(t, sums, z, j->y + t->at, channels);
	else
		store_panel(t, sums, z, j->y + t->at, j->y_pixel);
}

/* -- loops ------------------------------------------------------------------------------------- */

/* The tiles of one panel. */
struct panel {
	const struct qproduct_job *j;
	const struct rounding *rounding;
	const int8_t *w;
	int64_t c, step;
	int64_t bytes; /* of the panel */
	int64_t row_tiles;
	int64_t ahead_lines; /* of the panel behind it, with each step of a tile */
};

/* Each tile fetches its share of the next panel, in whole lines: the last may find all done. */
static void look_ahead(const struct panel *p, int64_t tile, struct tile *t)
{
	int64_t share = p->bytes / (p->step * SLOT_BYTES) * p->ahead_lines * LINE;
	if (p->c + QPRODUCT_PANEL >= p->j->channels || tile * share >= p->bytes)
		return;
	t->ahead = p->w + p->bytes + tile * share;
	t->ahead_lines = p->ahead_lines;
}

static void run_row(const struct panel *p, int64_t row)
{
	__attribute__((uninitialized, aligned(64))) tile_sums sums;
	const struct qproduct_job *j = p->j;
	for (int64_t i = 0; i < p->row_tiles; i++) {
		int64_t from = j->pixels * i / p->row_tiles;
		struct tile t = {.j = j,
			.rounding = p->rounding,
			.step = p->step,
			.pixels = j->pixels * (i + 1) / p->row_tiles - from,
			.x = j->x + row * j->x_row + from * j->x_pixel,
			.w = p->w,
			.c = p->c,
			.windows = j->windows ? j->windows + row * j->pixels + from : NULL,
			.at = row * j->y_row + from * j->y_pixel + p->c};
		look_ahead(p, row * p->row_tiles + i, &t);
		if (t.pixels > AMX_ROWS)
			multiply(&t, true, sums);
		else
			multiply(&t, false, sums);
		settle(&t, sums);
	}
}

static void qproduct_run(const struct qproduct_job *j)
{
	__attribute__((uninitialized)) struct rounding rounding;
	struct panel p = {.j = j,
		.rounding = &rounding,
		.w = j->w,
		.step = amx_step(j->slots),
		.bytes = j->runs * j->slots * SLOT_BYTES,
		.row_tiles = (j->pixels + PIXELS - 1) / PIXELS};
	if (!p.step) {
		qproduct_avx512_vnni.run(j);
		return;
	}
	int64_t tiles = max_i64(j->rows * p.row_tiles, 1), lines = p.step * SLOT_BYTES / LINE;
	p.ahead_lines = (lines + tiles - 1) / tiles;
	if (!j->sums)
		rounding_init(&rounding, j->requant);
	amx_begin((int)min_i64(j->pixels, AMX_ROWS), (int)p.step);
	for (; p.c < j->channels; p.c += QPRODUCT_PANEL, p.w += p.bytes)
		for (int64_t row = 0; row < j->rows; row++)
			run_row(&p, row);
	amx_end();
}

const struct qproduct qproduct_avx512_amx = {
	.run = qproduct_run,
	.run_apart = qproduct_apart_avx512_vnni,
};
