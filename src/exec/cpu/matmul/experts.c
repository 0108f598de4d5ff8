/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows times the weights of the expert that each is sent to (experts_geometry.h).
 *
 * DESIGN. A unit is a run of columns, for all experts: slots are sorted by expert, and weights
 * that nobody is sent to are not read. An expert of few rows is bound by reading its weights,
 * which stay packed if they have few bits (nbits.h). Of more rows, the columns are packed as
 * gemm.h wants them and multiplied with all rows, which are brought together.
 */
#include "exec/cpu/matmul/gemm.h"
#include "exec/cpu/matmul/nbits.h"

#include <string.h>
#include "base/checked.h"
#include "exec/infer/experts_geometry.h"

#define DOT_ROWS 4    /* at most, to be done column by column */
#define UNIT_PANELS 4 /* of columns that are multiplied as floats, at once */

struct experts_state {
	struct experts_geometry e;
	struct split split; /* of runs of columns */
	const struct gemm *gemm;
	const struct nbits_loop *unpack, *dot; /* dot NULL: panels always */
	int64_t columns, block; /* of a run; of rows that are multiplied at once */
	size_t order_at, zero_at, column_at, panel_at, rows_at, out_at; /* in the scratch */
	size_t bytes;
};

/* What a unit works with. */
struct experts_unit {
	const struct kernel_args *a;
	const struct experts_state *s;
	int32_t *first, *order; /* slots of expert i: order[first[i]] to order[first[i + 1]] */
	float *zero, *column, *panel, *rows, *out;
	int64_t from, to; /* columns */
};

/* false: by an expert that is none. */
static bool sort_slots(const struct experts_unit *u)
{
	const struct experts_geometry *e = &u->s->e;
	const int64_t *index = u->a->in[EXPERTS_INDEX].data;
	int64_t n = e->tokens * e->slots;
	memset(u->first, 0, (size_t)(e->experts + 2) * sizeof(*u->first));
	for (int64_t i = 0; i < n; i++) {
		if (index[i] < 0 || index[i] >= e->experts) {
			kernel_fault(u->a, FAULT_INDEX, index[i]);
			return false;
		}
		u->first[index[i] + 2]++;
	}
	for (int64_t i = 2; i < e->experts + 2; i++)
		u->first[i] += u->first[i - 1];
	/* first[i + 1] is where i's next one goes, and in the end where they end. */
	for (int64_t i = 0; i < n; i++)
		u->order[u->first[index[i] + 1]++] = (int32_t)i;
	return true;
}

static const float *row_of(const struct experts_unit *u, int64_t slot)
{
	const struct experts_geometry *e = &u->s->e;
	int64_t row = e->shared ? slot / e->slots : slot;
	return (const float *)u->a->in[EXPERTS_ROWS].data + row * e->g.k;
}

static const float *bias_of(const struct experts_unit *u, int64_t expert)
{
	return args_has_in(u->a, EXPERTS_BIAS)
		       ? (const float *)u->a->in[EXPERTS_BIAS].data + expert * u->s->e.g.n
		       : NULL;
}

/* Slots order[0] to order[n - 1], which all go to the expert, column by column. */
static void dot_rows(const struct experts_unit *u, int64_t expert, const int32_t *order, int64_t n)
{
	const struct nbits_geometry *g = &u->s->e.g;
	const float *bias = bias_of(u, expert);
	for (int64_t i = 0; i < n; i++)
		nbits_deal(g, row_of(u, order[i]), u->rows + i * g->k);
	for (int64_t j = u->from; j < u->to; j++) {
		struct nbits_column c =
			nbits_column_of(u->a, g, expert * g->n + j, 0, g->blocks, u->zero);
		for (int64_t i = 0; i < n; i++)
			((float *)u->a->out[0].data)[order[i] * g->n + j] =
				u->s->dot->dot(&c, u->rows + i * g->k) + (bias ? bias[j] : 0);
	}
}

/* The unit's columns of the expert, packed. */
static void pack_columns(const struct experts_unit *u, int64_t expert)
{
	const struct nbits_geometry *g = &u->s->e.g;
	int64_t cols = u->s->gemm->cols;
	int64_t panel_floats = gemm_panel_floats(u->s->gemm, g->k);
	float *panel = u->panel;
	for (int64_t j = u->from; j < u->to; j += cols, panel += panel_floats) {
		int64_t n = min_i64(cols, u->to - j), at = expert * g->n + j;
		const float *w = u->column;
		for (int64_t i = 0; g->bits && i < n; i++) {
			struct nbits_column c =
				nbits_column_of(u->a, g, at + i, 0, g->blocks, u->zero);
			u->s->unpack->unpack(&c, u->column + i * g->k);
		}
		if (!g->bits)
			w = (const float *)u->a->in[EXPERTS_WEIGHTS].data + at * g->k;
		u->s->gemm->pack(panel, w, 1, g->k, g->k, n);
	}
}

static void multiply_rows(
	const struct experts_unit *u, int64_t expert, const int32_t *order, int64_t n)
{
	int64_t k = u->s->e.g.k, columns = u->to - u->from;
	const float *bias = bias_of(u, expert);
	struct gemm_job job = { .m = n, .n = columns, .k = k, .a = u->rows, .a_row = k, .a_k = 1,
		.b = u->panel, .c = u->out, .c_row = columns, .alpha = 1, .beta = 1,
		.add = { bias ? bias + u->from : NULL }, .add_col = { 1 },
		.scratch = u->a->scratch };
	for (int64_t i = 0; i < n; i++)
		memcpy(u->rows + i * k, row_of(u, order[i]), (size_t)k * sizeof(float));
	u->s->gemm->run(&job);
	for (int64_t i = 0; i < n; i++)
		memcpy((float *)u->a->out[0].data + order[i] * u->s->e.g.n + u->from,
			u->out + i * columns, (size_t)columns * sizeof(float));
}

static void run_columns(const struct experts_unit *u)
{
	for (int64_t expert = 0; expert < u->s->e.experts; expert++) {
		int64_t n = u->first[expert + 1] - u->first[expert];
		const int32_t *order = u->order + u->first[expert];
		if (n == 0)
			continue;
		if (u->s->dot && n <= DOT_ROWS) {
			dot_rows(u, expert, order, n);
			continue;
		}
		pack_columns(u, expert);
		for (int64_t i = 0; i < n; i += u->s->block)
			multiply_rows(u, expert, order + i, min_i64(u->s->block, n - i));
	}
}

static void run_experts(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct experts_state *s = a->state;
	char *scratch = a->scratch;
	int64_t from, to;
	struct experts_unit u = { a, s, (int32_t *)(void *)(scratch + s->order_at), NULL,
		(float *)(void *)(scratch + s->zero_at), (float *)(void *)(scratch + s->column_at),
		(float *)(void *)(scratch + s->panel_at), (float *)(void *)(scratch + s->rows_at),
		(float *)(void *)(scratch + s->out_at), 0, 0 };
	u.order = u.first + s->e.experts + 2;
	if (!sort_slots(&u))
		return;
	if (s->e.g.bits)
		nbits_default_zeros(&s->e.g, u.zero);
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t run = from; run < to; run++) {
		u.from = run * s->columns;
		u.to = min_i64(u.from + s->columns, s->e.g.n);
		run_columns(&u);
	}
}

/* Room for so many times so many of 4 bytes; false: more than there can be. */
static bool take(struct experts_state *s, size_t *ret, int64_t n, int64_t each)
{
	size_t bytes;
	*ret = s->bytes;
	if (mul_overflows((size_t)n, (size_t)each, &bytes) || bytes > SIZE_MAX / 8 - s->bytes)
		return false;
	s->bytes += round_up(bytes * sizeof(float), ARENA_ALIGN_TENSOR);
	return true;
}

static enum err_code lay_out_scratch(struct experts_state *s, struct kernel *ret, struct err *err)
{
	const struct experts_geometry *e = &s->e;
	int64_t k = e->g.k, slots = e->tokens * e->slots;
	s->bytes = round_up(gemm_scratch_bytes(s->gemm, s->block, k), ARENA_ALIGN_TENSOR);
	if (!take(s, &s->order_at, e->experts + 2 + slots, 1) ||
		!take(s, &s->zero_at, e->g.blocks, 1) ||
		!take(s, &s->column_at, e->g.bits ? s->gemm->cols : 0, k) ||
		!take(s, &s->panel_at, UNIT_PANELS, gemm_panel_floats(s->gemm, k)) ||
		!take(s, &s->rows_at, max_i64(s->block, DOT_ROWS), k) ||
		!take(s, &s->out_at, s->block, s->columns))
		return err_oom(err);
	ret->scratch_bytes = s->bytes;
	return ERR_OK;
}

enum err_code prepare_experts(struct prep *p, struct kernel *ret, struct err *err)
{
	struct shape in[EXPERTS_INPUTS_];
	struct experts_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	for (int i = 0; i < EXPERTS_INPUTS_; i++)
		in[i] = prep_has_in(p, i) ? p->in[i].shape : SHAPE_UNKNOWN;
	enum err_code rc = experts_geometry(p->node, in, &s->e, err);
	if (rc != ERR_OK)
		return rc;
	s->gemm = gemm_best();
	s->unpack = CPU_BEST(&nbits);
	s->dot = s->e.g.bits ? nbits_best_dot(s->e.g.blob) : NULL;
	s->columns = (int64_t)s->gemm->cols * UNIT_PANELS;
	int64_t slots = s->e.tokens * s->e.slots;
	s->block = min_i64((int64_t)s->gemm->rows * GEMM_TILES, max_i64(slots, 1));
	int64_t runs = slots ? (s->e.g.n + s->columns - 1) / s->columns : 0;
	s->split = split_work(p, ret, runs,
		(double)s->e.g.k * (double)s->columns *
			((double)min_i64(slots, s->e.experts) / 4 + (double)slots / 40));
	ret->run = run_experts;
	return lay_out_scratch(s, ret, err);
}
