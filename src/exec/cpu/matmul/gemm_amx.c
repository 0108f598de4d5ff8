/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of bfloat16 by AMX's tiles
 *
 * DESIGN
 *
 * As gemm.c: blocks of rows of a, pieces of k, panels of b, tiles. Here a tile is 32 rows by a
 * panel of 32 columns in four registers (amx.h), and a step along k is 16 slots. Panels are as
 * gemm.c packs them, filled up with zeros to whole steps. Rows of a are rounded to bfloat16 and
 * laid step after step, 16 rows of one side by side, so that a register is filled from 16 lines
 * that follow each other; the last rows are filled up, too, and what they give is not read. Few
 * rows take as many rows of a register.
 *
 * A register of sums is left on the stack, from where vectors take it on: sums of former pieces,
 * factors, what is added.
 *
 * A piece of a panel stays near while all rows go by. What is fetched ahead is the panel behind
 * it, each tile its share; where rows are few it is what comes soon.
 */
#include "exec/cpu/matmul/gemm.h"

#include "exec/cpu/amx.h"
#include "exec/cpu/matmul/gemm_slots.h"

#define STEP AMX_SLOTS
#define DEPTH (24 * STEP) /* of a piece, at most */
#define BLOCK (2 * AMX_ROWS * GEMM_TILES)
#define STEP_FLOATS (AMX_ROWS * STEP) /* of a register of a */
#define LINE 64
/* Bytes between what is read and what is fetched where b is read once. */
#define AHEAD 8192

_Static_assert(DEPTH <= GEMM_DEPTH, "gemm_scratch_bytes() counts on it");
_Static_assert(PANEL == 2 * AMX_ROWS, "a panel is two registers wide");

/* A run of k of a block of rows. */
struct piece {
	int64_t row, rows; /* of c */
	int64_t k, depth;  /* slots; whole steps */
	int64_t k_all;	   /* slots of a panel */
	int64_t tiles;	   /* of AMX_ROWS rows */
	bool last;
	int64_t ahead_lines; /* with each step, all in all */
};

static int64_t steps_of(int64_t k)
{
	return (slots_of(k) + STEP - 1) / STEP;
}

/* -- a ----------------------------------------------------------------------------------------- */

/* Slots [at, at + STEP) of a row of which k are there. */
static inline __m512i row_slots(const float *a, int64_t a_k, int64_t at, int64_t k)
{
	int64_t n = k - PER_SLOT * at;
	if (a_k == 1 && n >= PER_SLOT * STEP)
		return (__m512i)slots_at(a + PER_SLOT * at);
	float some[PER_SLOT * STEP] = {0};
	for (int64_t i = 0; i < min_i64(n, PER_SLOT * STEP); i++)
		some[i] = a[(PER_SLOT * at + i) * a_k];
	return (__m512i)slots_at(some);
}

/* Rows of a as registers, tile after tile. */
static void pack_a(const struct gemm_job *g, const struct piece *p)
{
	const float *a = g->a + p->row * g->a_row + p->k * PER_SLOT * g->a_k;
	int64_t k = g->k - p->k * PER_SLOT, filled = gemm_round_up(p->rows, AMX_ROWS);
	for (int64_t i = 0; i < filled; i++) {
		float *to = g->scratch + i / AMX_ROWS * AMX_ROWS * p->depth + i % AMX_ROWS * STEP;
		for (int64_t at = 0; at < p->depth; at += STEP, to += STEP_FLOATS)
			_mm512_storeu_si512(to, i < p->rows
							? row_slots(a + i * g->a_row, g->a_k, at, k)
							: _mm512_setzero_si512());
	}
}

/* -- tiles ------------------------------------------------------------------------------------- */

typedef float tile_sums[2 * AMX_ROWS][PANEL];

/* 16 rows of a by a panel, or twice as many. */
static inline __attribute__((always_inline)) void multiply(const float *a, const float *b,
	const struct piece *p, const char *ahead, const bool two, tile_sums sums)
{
	const int64_t lines = p->ahead_lines, row = PANEL * sizeof(float);
	amx_written();
	_tile_zero(AMX_SUM_00);
	_tile_zero(AMX_SUM_01);
	if (two) {
		_tile_zero(AMX_SUM_10);
		_tile_zero(AMX_SUM_11);
	}
	for (int64_t k = 0; k < p->depth; k += STEP, a += STEP_FLOATS, b += STEP * PANEL) {
		_tile_loadd(AMX_B0, b, row);
		_tile_loadd(AMX_A0, a, AMX_ROW_BYTES);
		_tile_dpbf16ps(AMX_SUM_00, AMX_A0, AMX_B0);
		_tile_loadd(AMX_B1, b + VEC_FLOATS, row);
		_tile_dpbf16ps(AMX_SUM_01, AMX_A0, AMX_B1);
		if (two) {
			_tile_loadd(AMX_A1, a + AMX_ROWS * p->depth, AMX_ROW_BYTES);
			_tile_dpbf16ps(AMX_SUM_10, AMX_A1, AMX_B0);
			_tile_dpbf16ps(AMX_SUM_11, AMX_A1, AMX_B1);
		}
		for (int64_t i = 0; i < lines; i++, ahead += LINE)
			__builtin_prefetch(ahead, 0, 2);
	}
	amx_store_sums(sums[0], sums[AMX_ROWS], two);
}

static inline __m512 addend(const float *x, int64_t col, int64_t at, __mmask16 some)
{
	if (col == 1)
		return _mm512_maskz_loadu_ps(some, x + at);
	if (col == 0)
		return _mm512_set1_ps(*x);
	__m512i index =
		_mm512_mullo_epi64(_mm512_set1_epi64(col), (__m512i){0, 1, 2, 3, 4, 5, 6, 7});
	__m512 low = _mm512_castps256_ps512(_mm512_mask_i64gather_ps(
		_mm256_setzero_ps(), (__mmask8)some, index, x + at * col, 4));
	return _mm512_insertf32x8(low,
		_mm512_mask_i64gather_ps(
			_mm256_setzero_ps(), (__mmask8)(some >> 8), index, x + (at + 8) * col, 4),
		1);
}

/* Rows of sums on their way to c, whose columns begin at that of a panel. */
struct result {
	float *c;
	const float *add[2]; /* NULL: none */
	__mmask16 some[2];   /* columns that are there */
};

static inline __attribute__((always_inline)) void settle_rows(const struct gemm_job *g,
	struct result r, const tile_sums sums, int64_t rows, const bool more, const bool last)
{
	const __m512 alpha = _mm512_set1_ps(g->alpha);
	const __m512 by[2] = {_mm512_set1_ps(g->beta), _mm512_set1_ps(1)};
	for (int64_t i = 0; i < rows; i++, r.c += g->c_row) {
		__m512 v[2];
		UNROLL for (int k = 0; k < 2; k++) {
			v[k] = _mm512_load_ps(sums[i] + k * VEC_FLOATS);
			if (more)
				v[k] = _mm512_add_ps(
					_mm512_maskz_loadu_ps(r.some[k], r.c + k * VEC_FLOATS),
					v[k]);
			if (last)
				v[k] = _mm512_mul_ps(v[k], alpha);
		}
		UNROLL for (int s = 0; s < 2 && last; s++) {
			if (!r.add[s])
				continue;
			UNROLL for (int k = 0; k < 2; k++) {
				__m512 x =
					addend(r.add[s], g->add_col[s], k * VEC_FLOATS, r.some[k]);
				v[k] = _mm512_fmadd_ps(by[s], x, v[k]);
			}
			r.add[s] += g->add_row[s];
		}
		UNROLL for (int k = 0; k < 2; k++)
			_mm512_mask_storeu_ps(r.c + k * VEC_FLOATS, r.some[k], v[k]);
	}
}

/* From the stack to rows [row, row + rows) of c, columns of the panel that begins at col. */
static void settle(const struct gemm_job *g, const struct piece *p, const tile_sums sums,
	int64_t row, int64_t rows, int64_t col)
{
	uint32_t some = g->n - col < PANEL ? (1u << (g->n - col)) - 1 : ~0u;
	struct result r = {.c = g->c + row * g->c_row + col,
		.some = {(__mmask16)some, (__mmask16)(some >> VEC_FLOATS)}};
	for (int s = 0; s < 2; s++)
		if (g->add[s])
			r.add[s] = g->add[s] + row * g->add_row[s] + col * g->add_col[s];
	if (p->last && p->k == 0)
		settle_rows(g, r, sums, rows, false, true);
	else if (p->last)
		settle_rows(g, r, sums, rows, true, true);
	else if (p->k > 0)
		settle_rows(g, r, sums, rows, true, false);
	else
		settle_rows(g, r, sums, rows, false, false);
}

/* -- loops ------------------------------------------------------------------------------------- */

/* The lines of c that a tile will write. */
static void fetch_c(const struct gemm_job *g, int64_t row, int64_t rows, int64_t col)
{
	for (int64_t i = 0; i < rows; i++) {
		const float *c = g->c + (row + i) * g->c_row + col;
		__builtin_prefetch(c, 1);
		__builtin_prefetch(c + VEC_FLOATS, 1);
	}
}

static void run_panel(const struct gemm_job *g, const struct piece *p, int64_t col)
{
	__attribute__((uninitialized, aligned(64))) tile_sums sums;
	const float *b = g->b + col * p->k_all + p->k * PANEL;
	const char *ahead =
		p->tiles <= 2 ? (const char *)b + AHEAD : (const char *)(b + p->k_all * PANEL);
	for (int64_t i = 0; i < p->tiles; i += 2) {
		const float *a = g->scratch + i * AMX_ROWS * p->depth;
		int64_t row = p->row + i * AMX_ROWS,
			rows = min_i64(p->row + p->rows - row, 2 * AMX_ROWS);
		fetch_c(g, row, rows, col);
		if (i + 1 < p->tiles)
			multiply(a, b, p, ahead, true, sums);
		else
			multiply(a, b, p, ahead, false, sums);
		ahead += p->depth / STEP * p->ahead_lines * LINE;
		settle(g, p, sums, row, rows, col);
	}
}

/* Panels whose sums are activated at once. */
#define ACT_COLS (4 * PANEL)

static void activate(const struct gemm_job *g, const struct piece *p, int64_t col)
{
	for (int64_t i = p->row; i < p->row + p->rows; i++) {
		float *c = g->c + i * g->c_row + col;
		g->act(c, c, min_i64(ACT_COLS, g->n - col), g->act_param);
	}
}

static void run_piece(const struct gemm_job *g, const struct piece *p)
{
	pack_a(g, p);
	for (int64_t from = 0; from < g->n; from += ACT_COLS) {
		for (int64_t col = from; col < min_i64(from + ACT_COLS, g->n); col += PANEL)
			run_panel(g, p, col);
		if (g->act && p->last)
			activate(g, p, from);
	}
}

static void gemm_run(const struct gemm_job *g)
{
	int64_t steps = steps_of(g->k), pieces = max_i64((steps * STEP + DEPTH - 1) / DEPTH, 1);
	amx_begin((int)min_i64(g->m, AMX_ROWS), STEP);
	for (int64_t row = 0; row < g->m; row += BLOCK)
		for (int64_t i = 0; i < pieces; i++) {
			struct piece p = {.row = row,
				.rows = min_i64(BLOCK, g->m - row),
				.k_all = steps * STEP,
				.last = i == pieces - 1};
			p.k = steps * i / pieces * STEP;
			p.depth = steps * (i + 1) / pieces * STEP - p.k;
			p.tiles = (p.rows + AMX_ROWS - 1) / AMX_ROWS;
			int64_t pairs = (p.tiles + 1) / 2;
			p.ahead_lines =
				(STEP * PANEL * (int64_t)sizeof(float) / LINE + pairs - 1) / pairs;
			run_piece(g, &p);
		}
	amx_end();
}

static void gemm_pack(float *to, const float *b, int64_t b_k, int64_t b_col, int64_t k, int64_t n)
{
	int64_t filled = steps_of(k) * STEP * PANEL, there = slots_of(k) * PANEL;
	for (int64_t j = 0; j < n; j += PANEL, to += filled) {
		gemm_avx512_bf16.pack(to, b + j * b_col, b_k, b_col, k, min_i64(PANEL, n - j));
		memset(to + there, 0, (size_t)(filled - there) * sizeof(float));
	}
}

const struct gemm gemm_avx512_amx = {
	.rows = 2 * AMX_ROWS,
	.cols = PANEL,
	.per_slot = PER_SLOT,
	.step = STEP,
	.flops_per_ns = 1200,
	.run = gemm_run,
	.pack = gemm_pack,
};
