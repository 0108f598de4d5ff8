/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MatMulNBits: weights of 2, 4 or 8 bits in blocks that have a scale and a zero point each.
 *
 * DESIGN. Few rows (a model that writes word by word has one) are bound by reading the
 * weights, so these stay packed: each column is unpacked in registers and summed at once.
 * More rows are bound by the product: a run of columns is unpacked to floats in the scratch,
 * packed as gemm.h wants it, and multiplied with all rows; there never are floats of all
 * weights. Columns of which each row has its own block (g_idx) always go this way.
 *
 * A unit of work is a run of columns.
 */
#include "exec/cpu/matmul/gemm.h"
#include "exec/cpu/matmul/nbits.h"

#include <string.h>
#include "base/checked.h"

#define DOT_ROWS 4     /* at most, to be done column by column */
#define UNIT_PANELS 4  /* of columns that are multiplied as floats, at once */
#define CHUNK 256      /* numbers of a column that are unpacked at once */

struct nbits_state {
	struct nbits_geometry g;
	struct split split; /* of columns; of panels */
	const struct gemm *gemm;
	const struct nbits_loop *loop;
	int64_t rows, chunk; /* chunk: blocks that are unpacked at once */
	size_t zero_at, column_at, panel_at; /* in the scratch, of which gemm's comes first */
};

struct nbits_column nbits_column_of(const struct kernel_args *a, const struct nbits_geometry *g,
	int64_t j, int64_t from, int64_t to, float *room)
{
	int64_t first = j * g->blocks + from;
	const struct tensor *in = &a->in[g->input];
	struct nbits_column c = { g, to - from, (const uint8_t *)in[0].data + first * g->blob, room,
		(const float *)in[1].data + first };
	if (!args_has_in(a, g->input + 2))
		return c;
	if (in[2].dtype == DTYPE_F32) {
		c.zero = (const float *)in[2].data + first;
		return c;
	}
	const uint8_t *packed = (const uint8_t *)in[2].data + j * g->zero_bytes;
	for (int64_t b = from; b < to; b++)
		room[b - from] =
			(float)(packed[b * g->bits / 8] >> b * g->bits % 8 & ((1 << g->bits) - 1));
	return c;
}

void nbits_default_zeros(const struct nbits_geometry *g, float *room)
{
	for (int64_t b = 0; b < g->blocks; b++)
		room[b] = (float)(1 << (g->bits - 1));
}

static float *default_zeros(const struct kernel_args *a, const struct nbits_state *s)
{
	float *room = (float *)((char *)a->scratch + s->zero_at);
	nbits_default_zeros(&s->g, room);
	return room;
}

static float bias_of(const struct kernel_args *a, int64_t j)
{
	return args_has_in(a, 5) ? ((const float *)a->in[5].data)[j] : 0;
}

/* Number k of the column. */
static int number_at(const struct nbits_column *c, int64_t k)
{
	int64_t bit = k * c->g->bits;
	return c->q[bit / 8] >> bit % 8 & ((1 << c->g->bits) - 1);
}

/* The column as floats where the block of each number is told one by one; false: by a number
   that is no block's. */
static bool unpack_by_index(const struct kernel_args *a, const struct nbits_column *c, float *to)
{
	const int32_t *block = a->in[4].data;
	for (int64_t k = 0; k < c->g->k; k++) {
		if (block[k] < 0 || block[k] >= c->g->blocks) {
			kernel_fault(a, FAULT_INDEX, block[k]);
			return false;
		}
		to[k] = ((float)number_at(c, k) - c->zero[block[k]]) * c->scale[block[k]];
	}
	return true;
}

/* -- few rows ---------------------------------------------------------------------------------- */

void nbits_deal(const struct nbits_geometry *g, const float *row, float *to)
{
	int64_t per = 8 / g->bits, apart = g->blocks * g->blob;
	for (int64_t s = 0; s < per; s++)
		for (int64_t i = 0; i < apart; i++)
			to[s * apart + i] = i * per + s < g->k ? row[i * per + s] : 0;
}

static void run_dots(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct nbits_state *s = a->state;
	float *zero = default_zeros(a, s);
	float *dealt = (float *)((char *)a->scratch + s->column_at);
	int64_t from, to, size = nbits_dealt(&s->g);
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = 0; i < s->rows && from < to; i++)
		nbits_deal(&s->g, (const float *)a->in[0].data + i * s->g.k, dealt + i * size);
	for (int64_t j = from; j < to; j++) {
		struct nbits_column c = nbits_column_of(a, &s->g, j, 0, s->g.blocks, zero);
		for (int64_t i = 0; i < s->rows; i++)
			((float *)a->out[0].data)[i * s->g.n + j] =
				s->loop->dot(&c, dealt + i * size) + bias_of(a, j);
	}
}

/* -- more rows --------------------------------------------------------------------------------- */

/* Columns [from, from + n) of blocks [first, last) as floats, one behind the other. */
static bool unpack_columns(const struct kernel_args *a, const struct nbits_state *s, int64_t from,
	int64_t n, int64_t first, int64_t last, float *zero, float *to)
{
	for (int64_t i = 0; i < n; i++, to += s->chunk * s->g.block) {
		struct nbits_column c = nbits_column_of(a, &s->g, from + i, first, last, zero);
		if (!args_has_in(a, 4))
			s->loop->unpack(&c, to);
		else if (!unpack_by_index(a, &c, to))
			return false;
	}
	return true;
}

/* Columns [from, to) as panels, by chunks of blocks that the first-level cache holds. */
static bool pack_columns(const struct kernel_args *a, const struct nbits_state *s, int64_t from,
	int64_t to, float *panel)
{
	const struct nbits_geometry *g = &s->g;
	float *zero = default_zeros(a, s), *column = (float *)((char *)a->scratch + s->column_at);
	int64_t cols = s->gemm->cols, apart = s->chunk * g->block;
	for (int64_t j = from; j < to; j += cols, panel += cols * g->k) {
		int64_t n = min_i64(cols, to - j);
		for (int64_t b = 0; b < g->blocks; b += s->chunk) {
			int64_t last = min_i64(b + s->chunk, g->blocks), k = b * g->block;
			if (!unpack_columns(a, s, j, n, b, last, zero, column))
				return false;
			s->gemm->pack(
				panel + k * cols, column, 1, apart, min_i64(g->k - k, apart), n);
		}
	}
	return true;
}

static void run_panels(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct nbits_state *s = a->state;
	float *panel = (float *)((char *)a->scratch + s->panel_at);
	int64_t from, to, block = (int64_t)s->gemm->rows * GEMM_TILES;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t p = from; p < to; p += UNIT_PANELS) {
		int64_t first = p * s->gemm->cols;
		int64_t last = min_i64(min_i64(p + UNIT_PANELS, to) * s->gemm->cols, s->g.n);
		if (!pack_columns(a, s, first, last, panel))
			return;
		struct gemm_job j = { .n = last - first, .k = s->g.k, .a_row = s->g.k, .a_k = 1,
			.b = panel, .c_row = s->g.n, .alpha = 1, .beta = 1, .add_col = { 1 },
			.scratch = a->scratch };
		if (args_has_in(a, 5))
			j.add[0] = (const float *)a->in[5].data + first;
		for (int64_t i = 0; i < s->rows; i += block) {
			j.m = min_i64(block, s->rows - i);
			j.a = (const float *)a->in[0].data + i * s->g.k;
			j.c = (float *)a->out[0].data + i * s->g.n + first;
			s->gemm->run(&j);
		}
	}
}

/* -- reference --------------------------------------------------------------------------------- */

static void run_reference(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct nbits_state *s = a->state;
	float *zero = default_zeros(a, s);
	float *w = (float *)((char *)a->scratch + s->column_at);
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t j = from; j < to; j++) {
		struct nbits_column c = nbits_column_of(a, &s->g, j, 0, s->g.blocks, zero);
		if (args_has_in(a, 4) && !unpack_by_index(a, &c, w))
			return;
		for (int64_t k = 0; k < s->g.k && !args_has_in(a, 4); k++)
			w[k] = ((float)number_at(&c, k) - c.zero[k / s->g.block]) *
			       c.scale[k / s->g.block];
		for (int64_t i = 0; i < s->rows; i++) {
			const float *row = (const float *)a->in[0].data + i * s->g.k;
			double sum = (double)bias_of(a, j);
			for (int64_t k = 0; k < s->g.k; k++)
				sum += (double)row[k] * (double)w[k];
			((float *)a->out[0].data)[i * s->g.n + j] = (float)sum;
		}
	}
}

/* -- prepare ----------------------------------------------------------------------------------- */

const struct nbits_loop *nbits_best_dot(int64_t blob)
{
#ifdef __x86_64__
	if (cpu_features() & CPU_AVX512 && blob % nbits_avx512.bytes == 0)
		return &nbits_avx512;
	if (cpu_features() & CPU_AVX2 && blob % nbits_avx2.bytes == 0)
		return &nbits_avx2;
#endif
	return blob % nbits_base.bytes == 0 ? &nbits_base : NULL;
}

/* floats: of rows or columns that the scratch holds; panels: of floats packed. */
static enum err_code nbits_scratch(struct nbits_state *s, struct kernel *ret, int64_t columns,
	int64_t floats, int64_t panels, struct err *err)
{
	int64_t block = s->gemm ? (int64_t)s->gemm->rows * GEMM_TILES : 0;
	size_t column, panel = 0;
	s->zero_at = s->gemm ? gemm_scratch_bytes(s->gemm, min_i64(s->rows, block), s->g.k) : 0;
	s->zero_at = round_up(s->zero_at, ARENA_ALIGN_TENSOR);
	s->column_at =
		s->zero_at + round_up((size_t)s->g.blocks * sizeof(float), ARENA_ALIGN_TENSOR);
	if (mul_overflows((size_t)floats, (size_t)columns * sizeof(float), &column) ||
		(s->gemm && mul_overflows((size_t)(panels * s->gemm->cols) * sizeof(float),
				    (size_t)s->g.k, &panel)))
		return err_oom(err);
	s->panel_at = s->column_at + round_up(column, ARENA_ALIGN_TENSOR);
	ret->scratch_bytes = s->panel_at + panel;
	return ERR_OK;
}

static struct nbits_state *nbits_state(struct prep *p, struct kernel *ret, struct err *err)
{
	struct nbits_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s) {
		err_oom(err);
		return NULL;
	}
	if (nbits_geometry(p->node, &s->g, err) != ERR_OK)
		return NULL;
	const struct shape *x = &p->in[0].shape;
	s->rows = shape_count_range(x, 0, x->rank - 1);
	return s;
}

enum err_code prepare_matmul_nbits(struct prep *p, struct kernel *ret, struct err *err)
{
	struct nbits_state *s = nbits_state(p, ret, err);
	if (!s)
		return err->code;
	int64_t columns = s->rows ? s->g.n : 0;
	double weights = (double)nbits_dealt(&s->g);
	s->loop = s->rows <= DOT_ROWS && !prep_has_in(p, 4) ? nbits_best_dot(s->g.blob) : NULL;
	if (s->loop) {
		s->split = split_work(p, ret, columns, weights * (double)s->rows / 8);
		ret->run = run_dots;
		return nbits_scratch(s, ret, s->rows, nbits_dealt(&s->g), 0, err);
	}
	s->gemm = gemm_best();
	s->loop = CPU_BEST(&nbits);
	s->chunk = prep_has_in(p, 4) ? s->g.blocks
				     : min_i64(max_i64(CHUNK / s->g.block, 1), s->g.blocks);
	s->split = split_work(p, ret, columns ? gemm_panels(s->gemm, columns) : 0,
		weights * s->gemm->cols * (0.5 + (double)s->rows / 40));
	ret->run = run_panels;
	return nbits_scratch(s, ret, s->gemm->cols, s->chunk * s->g.block, UNIT_PANELS, err);
}

enum err_code prepare_matmul_nbits_ref(struct prep *p, struct kernel *ret, struct err *err)
{
	struct nbits_state *s = nbits_state(p, ret, err);
	if (!s)
		return err->code;
	s->split = split_work(p, ret, s->rows ? s->g.n : 0, (double)s->g.k * (2 + (double)s->rows));
	ret->run = run_reference;
	return nbits_scratch(s, ret, 1, nbits_dealt(&s->g), 0, err);
}
