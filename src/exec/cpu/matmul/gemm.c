/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * The innermost step keeps a tile of c in registers and goes along k: a row of a packed
 * panel of b (two vectors) times one number of each row of a. Tiles of few rows take
 * several panels at once, so that there are always enough independent sums. What surrounds
 * it keeps one panel and GEMM_TILES packed tiles of a in the second-level cache: blocks of
 * rows, pieces of k, panels, tiles. Rows are dealt out to tiles evenly (128 rows are ten
 * tiles of 12 or 13, not nine of 14 and one of 2).
 *
 * Weights often come from memory: while a tile goes along k it fetches its part of the next
 * panel, so that the first tile there does not wait, and the lines of c that it will write.
 *
 * Between pieces of k the sums rest in c as floats, which is what they are in registers,
 * so the pieces do not show in the result.
 *
 * What stands along k is a slot (slot.h). Packing makes slots of both sides (gemm_slots.h); sums
 * are floats.
 *
 * Compiled once per instruction set; ISA is base, avx2, avx512 or avx512_bf16.
 */
#include "exec/cpu/matmul/gemm.h"

#include "exec/cpu/matmul/gemm_slots.h"

#ifdef __AVX512F__
#define TILE_ROWS 14
#define PANELS_MAX 8
#else
#define TILE_ROWS 6
#define PANELS_MAX 4
#endif

/* One tile: rows of a packed tile times `panels` panels that lie k_all rows apart. */
struct tile {
	const float *a, *b;
	int64_t k, k_all; /* slots */
	float *c;
	int64_t c_row;
	bool more;   /* c holds the sums so far */
	bool finish; /* they are complete: what follows is applied to them */
	float factor[3];     /* of the product and of each addend */
	const float *add[2]; /* NULL: none; neighbours along a row */
	int64_t add_row[2];
	const char *ahead; /* what is wanted soon, so many bytes of it with each slot */
	int64_t ahead_step;
};

/* Arguments of __builtin_prefetch(). */
enum { FOR_READING, FOR_WRITING };
enum { SECOND_LEVEL = 2 };

static inline __attribute__((always_inline)) void
multiply(const struct tile *t, const int rows, const int panels)
{
	const int vecs = panels * PANEL_VECS;
	vec sum[TILE_ROWS][PANELS_MAX * PANEL_VECS];
	UNROLL for (int i = 0; i < rows; i++)
		UNROLL for (int j = 0; j < vecs; j++)
			sum[i][j] = t->more ? *(const vec *)(t->c + i * t->c_row + j * VEC_FLOATS)
					    : (vec){ 0 };
	UNROLL for (int i = 0; i < rows; i++)
		UNROLL for (int j = 0; j < vecs; j++)
			__builtin_prefetch(t->c + i * t->c_row + j * VEC_FLOATS, FOR_WRITING);
	const float *a = t->a;
	const char *ahead = t->ahead;
	for (int64_t k = 0; k < t->k; k++, a += rows, ahead += t->ahead_step) {
		__builtin_prefetch(ahead, FOR_READING, SECOND_LEVEL);
		vec b[PANELS_MAX * PANEL_VECS];
		UNROLL for (int j = 0; j < vecs; j++)
			b[j] = *(const vec *)(t->b + ((j / PANEL_VECS) * t->k_all + k) * PANEL +
					      j % PANEL_VECS * VEC_FLOATS);
		UNROLL for (int i = 0; i < rows; i++) {
			vec x = vec_all(a[i]);
			UNROLL for (int j = 0; j < vecs; j++)
				sum[i][j] = slot_add_products(sum[i][j], x, b[j]);
		}
	}
	if (t->finish) {
		vec factor = vec_all(t->factor[0]);
		UNROLL for (int i = 0; i < rows; i++)
			UNROLL for (int j = 0; j < vecs; j++)
				sum[i][j] *= factor;
		for (int s = 0; s < 2; s++) {
			const float *add = t->add[s];
			if (!add)
				continue;
			factor = vec_all(t->factor[s + 1]);
			UNROLL for (int i = 0; i < rows; i++, add += t->add_row[s])
				UNROLL for (int j = 0; j < vecs; j++)
					sum[i][j] += factor * *(const vec *)(add + j * VEC_FLOATS);
		}
	}
	UNROLL for (int i = 0; i < rows; i++)
		UNROLL for (int j = 0; j < vecs; j++)
			*(vec *)(t->c + i * t->c_row + j * VEC_FLOATS) = sum[i][j];
}

typedef void (*tile_fn)(const struct tile *t);

#define TILE(rows, panels) \
	static void tile_##rows##_##panels(const struct tile *t) \
	{ \
		multiply(t, rows, panels); \
	}
#if PANELS_MAX == 8
TILE(1, 8)
#endif
TILE(1, 4)
TILE(1, 2)
#if PANELS_MAX == 8
TILE(2, 4)
#endif
TILE(2, 2)
TILE(3, 2)
TILE(1, 1)
TILE(2, 1)
TILE(3, 1)
TILE(4, 1)
TILE(5, 1)
TILE(6, 1)
#if TILE_ROWS > 6
TILE(7, 1)
TILE(8, 1)
TILE(9, 1)
TILE(10, 1)
TILE(11, 1)
TILE(12, 1)
TILE(13, 1)
TILE(14, 1)
#endif

static const tile_fn tiles[TILE_ROWS + 1] = {
	NULL, tile_1_1, tile_2_1, tile_3_1, tile_4_1, tile_5_1, tile_6_1,
#if TILE_ROWS > 6
	tile_7_1, tile_8_1, tile_9_1, tile_10_1, tile_11_1, tile_12_1, tile_13_1, tile_14_1
#endif
};

/* Of few rows, over several panels: one row needs sixteen sums for the second-level cache to
   give all it can. */
#define WIDE_ROWS 3
static const tile_fn wide_tiles[WIDE_ROWS + 1][PANELS_MAX + 1] = {
#if PANELS_MAX == 8
	[1][8] = tile_1_8,
	[2][4] = tile_2_4,
#endif
	[1][4] = tile_1_4,
	[1][2] = tile_1_2,
	[2][2] = tile_2_2,
	[3][2] = tile_3_2,
};

/* What is added after the product where a tile cannot: to the last columns, and what is
   not neighbours along a row. */
static void finish_row(const struct gemm_job *g, float *c, int64_t i, int64_t j, int64_t cols)
{
	for (int64_t l = 0; l < cols; l++)
		c[l] *= g->alpha;
	for (int s = 0; s < 2; s++) {
		if (!g->add[s])
			continue;
		const float *x = g->add[s] + i * g->add_row[s] + j * g->add_col[s];
		float by = s == 0 ? g->beta : 1;
		for (int64_t l = 0; l < cols; l++)
			c[l] += by * x[l * g->add_col[s]];
	}
}

/* Where a run of k of a unit stands. */
struct piece {
	int64_t row, rows; /* of c */
	int64_t k, depth; /* slots */
	bool last;
	const float *a; /* packed tiles */
	int64_t tiles;
};

/* Tile i of n gets the rows [*from, *to). */
static void deal(int64_t rows, int64_t n, int64_t i, int64_t *from, int64_t *to)
{
	*from = rows * i / n;
	*to = rows * (i + 1) / n;
}

static void multiply_tile(const struct tile *t, int rows, int64_t panels)
{
	if (panels > 1)
		wide_tiles[rows][panels](t);
	else
		tiles[rows](t);
}

/* The last panel, of fewer columns than a tile writes: by way of the stack. */
static __attribute__((noinline)) void multiply_part(struct tile *t, int rows, int64_t cols)
{
	float part[TILE_ROWS * PANEL];
	float *c = t->c;
	int64_t c_row = t->c_row;
	for (int i = 0; i < rows && t->more; i++)
		memcpy(part + i * PANEL, c + i * c_row, (size_t)cols * sizeof(float));
	t->c = part;
	t->c_row = PANEL;
	multiply_tile(t, rows, 1);
	for (int i = 0; i < rows; i++)
		memcpy(c + i * c_row, part + i * PANEL, (size_t)cols * sizeof(float));
}

/* Can tiles finish their sums themselves? */
static bool is_foldable(const struct gemm_job *g)
{
	return (!g->add[0] || g->add_col[0] == 1) && (!g->add[1] || g->add_col[1] == 1);
}

static void fold_finish(const struct gemm_job *g, struct tile *t, int64_t row, int64_t col)
{
	t->finish = true;
	t->factor[0] = g->alpha;
	t->factor[1] = g->beta;
	t->factor[2] = 1;
	for (int s = 0; s < 2; s++)
		if (g->add[s]) {
			t->add[s] = g->add[s] + row * g->add_row[s] + col;
			t->add_row[s] = g->add_row[s];
		}
}

/* The panel that comes after this one, shared out to the tiles; a lone tile reads b as it
   lies there, which the processor sees coming. */
static void look_ahead(const struct gemm_job *g, const struct piece *p, int64_t tile, int64_t next,
	struct tile *t)
{
	bool more = next * PANEL < g->n;
	t->ahead = (const char *)t->b;
	if (p->tiles == 1 || (!more && p->last))
		return;
	const float *b = g->b + (more ? next * t->k_all + p->k : p->k + p->depth) * PANEL;
	t->ahead_step = PANEL * (int64_t)sizeof(float) / p->tiles;
	t->ahead = (const char *)b + tile * t->ahead_step * p->depth;
}

/* One tile of one or several panels. */
static void run_tile(const struct gemm_job *g, const struct piece *p, int64_t tile, int64_t panel,
	int64_t panels)
{
	int64_t from, to, col = panel * PANEL, cols = min_i64(panels * PANEL, g->n - col);
	deal(p->rows, p->tiles, tile, &from, &to);
	int rows = (int)(to - from);
	float *c = g->c + (p->row + from) * g->c_row + col;
	struct tile t = { .a = p->a + from * p->depth,
		.b = g->b + (panel * slots_of(g->k) + p->k) * PANEL,
		.k = p->depth, .k_all = slots_of(g->k), .c = c, .c_row = g->c_row,
		.more = p->k > 0 };
	look_ahead(g, p, tile, panel + panels, &t);
	if (cols < panels * PANEL) {
		multiply_part(&t, rows, cols);
	} else {
		if (p->last && is_foldable(g))
			fold_finish(g, &t, p->row + from, col);
		multiply_tile(&t, rows, panels);
	}
	for (int i = 0; i < rows && p->last && !t.finish; i++)
		finish_row(g, c + i * g->c_row, p->row + from + i, col, cols);
}

/* Panels whose sums are activated at once: long enough runs, and not yet out of the cache. */
#define ACT_PANELS 4

static void activate(const struct gemm_job *g, const struct piece *p, int64_t panel, int64_t panels)
{
	int64_t col = panel * PANEL, cols = min_i64(panels * PANEL, g->n - col);
	for (int64_t i = 0; i < p->rows; i++) {
		float *c = g->c + (p->row + i) * g->c_row + col;
		g->act(c, c, cols, g->act_param);
	}
}

/* How many panels a tile takes from this one on; a wide one writes whole panels only. */
static int64_t panels_at_once(const struct gemm_job *g, const struct piece *p, int64_t panel)
{
	if (p->tiles > 1 || p->rows > WIDE_ROWS)
		return 1;
	for (int64_t n = PANELS_MAX; n > 1; n /= 2)
		if (wide_tiles[p->rows][n] && (panel + n) * PANEL <= g->n)
			return n;
	return 1;
}

/* All panels for one block of rows and one piece of k. */
static void run_piece(const struct gemm_job *g, const struct piece *p)
{
	int64_t panels = (g->n + PANEL - 1) / PANEL, active = 0, step;
	for (int64_t at = 0; at < panels; at += step) {
		step = panels_at_once(g, p, at);
		for (int64_t i = 0; i < p->tiles; i++)
			run_tile(g, p, i, at, step);
		bool due = at + step - active >= ACT_PANELS || at + step == panels;
		if (g->act && p->last && due) {
			activate(g, p, active, at + step - active);
			active = at + step;
		}
	}
}

static void gemm_run(const struct gemm_job *g)
{
	int64_t block = (int64_t)TILE_ROWS * GEMM_TILES;
	int64_t slots = slots_of(g->k), pieces = max_i64((slots + GEMM_DEPTH - 1) / GEMM_DEPTH, 1);
	for (int64_t row = 0; row < g->m; row += block)
		for (int64_t i = 0; i < pieces; i++) {
			struct piece p = { .row = row, .rows = min_i64(block, g->m - row),
				.last = i == pieces - 1 };
			int64_t end;
			deal(slots, pieces, i, &p.k, &end);
			p.depth = end - p.k;
			p.tiles = (p.rows + TILE_ROWS - 1) / TILE_ROWS;
			int64_t from_k = p.k * PER_SLOT,
				k = min_i64(p.depth * PER_SLOT, g->k - from_k);
			const float *a = g->a + row * g->a_row + from_k * g->a_k;
			/* One row of floats along k is packed as it lies. */
			p.a = PER_SLOT == 1 && p.rows == 1 && g->a_k == 1 ? a : g->scratch;
			for (int64_t t = 0; t < p.tiles && p.a == g->scratch; t++) {
				int64_t from, to;
				deal(p.rows, p.tiles, t, &from, &to);
				pack_tile(g->scratch + from * p.depth, a + from * g->a_row,
					g->a_row, g->a_k, (int)(to - from), k);
			}
			run_piece(g, &p);
		}
}

static void gemm_pack(float *to, const float *b, int64_t b_k, int64_t b_col, int64_t k, int64_t n)
{
	for (int64_t j = 0; j < n; j += PANEL) {
		int64_t cols = min_i64(PANEL, n - j);
		if (cols == PANEL && b_k == 1 && b_col != 1) {
			/* Columns that lie along k are as rows of a. */
			pack_tile(to, b + j * b_col, b_col, 1, PANEL, k);
			to += slots_of(k) * PANEL;
			continue;
		}
		for (int64_t i = 0; i < k; i += PER_SLOT, to += PANEL) {
			const float *row = b + i * b_k + j * b_col;
			if (PER_SLOT == 1 && cols == PANEL && b_col == 1)
				memcpy(to, row, PANEL * sizeof(float));
			else
				pack_row(to, row, b_k, b_col, cols, i + 1 < k);
		}
	}
}

const struct gemm VEC_NAME(gemm) = {
	.rows = TILE_ROWS,
	.cols = PANEL,
	.per_slot = PER_SLOT,
	.step = 1,
	.flops_per_ns = 80,
	.run = gemm_run,
	.pack = gemm_pack,
};
