/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RNN, GRU and LSTM.
 *
 * DESIGN. A unit of work is one direction of a block of the batch. The inputs of a chunk of
 * steps are gathered (backwards in time where that is the direction) and multiplied with W
 * in one product; then each step multiplies the state with R and applies the cell.
 *
 * NOT DONE: one direction of one sequence on several threads, which would have to meet
 * after each step.
 */
#include "exec/cpu/nn/rnn.h"

#include <string.h>
#include "base/checked.h"
#include "exec/cpu/types.h"

/* Scratch of a chunk of steps. */
#define CHUNK_FLOATS (1 << 18)
#define FLOPS_PER_NS 20.0

/* Steps of row i of the unit. A wrong one is bounded here and reported by rnn_unit_init(). */
static int64_t rnn_length(const struct rnn_unit *u, int64_t i)
{
	int64_t steps = u->s->g.steps;
	if (!args_has_in(u->a, RNN_LENGTHS))
		return steps;
	int64_t n = ((const int32_t *)u->a->in[RNN_LENGTHS].data)[u->first + i];
	return n < 0 ? 0 : n > steps ? steps : n;
}

/* Where in time step `step` of row i is; some place for a step that it does not have. */
static int64_t rnn_time(const struct rnn_unit *u, int64_t i, int64_t step)
{
	bool back = u->direction == 1 || u->s->g.reverse;
	return back ? max_i64(rnn_length(u, i) - 1 - step, 0) : step;
}

/* Elements before row i of the unit at time t in Y. */
static int64_t rnn_out_at(const struct rnn_unit *u, int64_t i, int64_t t)
{
	const struct rnn_geometry *g = &u->s->g;
	int64_t b = u->first + i;
	if (g->batch_first)
		return ((b * g->steps + t) * g->directions + u->direction) * g->hidden;
	return ((t * g->directions + u->direction) * g->batch + b) * g->hidden;
}

/* The same in initial and last states. */
static int64_t rnn_state_at(const struct rnn_unit *u, int64_t i)
{
	const struct rnn_geometry *g = &u->s->g;
	int64_t b = u->first + i;
	return (g->batch_first ? b * g->directions + u->direction : u->direction * g->batch + b) *
	       g->hidden;
}

struct rnn_view rnn_view(
	const struct rnn_geometry *g, const struct tensor *in, int direction, enum rnn_matrix_id id)
{
	bool split = g->gates == 3, last = id == RNN_MATRIX_R_LAST;
	const struct tensor *t = &in[id == RNN_MATRIX_W ? RNN_W : RNN_R];
	int64_t k = id == RNN_MATRIX_W ? g->input : g->hidden, n = g->gates * g->hidden;
	int64_t first = direction * n + (last ? 2 * g->hidden : 0);
	if (last)
		n = split ? g->hidden : 0;
	else if (id == RNN_MATRIX_R && split)
		n = 2 * g->hidden;
	const char *data = t->data;
	return (struct rnn_view){
		data ? data + (size_t)(first * k) * dtype_bytes(t->dtype) : NULL, k, n };
}

static size_t part_bytes(const struct rnn_state *s, enum rnn_part part)
{
	return round_up((size_t)s->part[part] * s->element, ARENA_ALIGN_TENSOR);
}

static struct gemm_source source_of(struct rnn_view v)
{
	return (struct gemm_source){ v.data, 1, v.k, v.k, v.n };
}

/* -- products on gemm.h ---------------------------------------------------------------------- */

static size_t packed_bytes(const struct rnn_state *s, struct rnn_view v)
{
	return round_up(
		(size_t)gemm_packed_floats(s->gemm, v.k, v.n) * sizeof(float), ARENA_ALIGN_TENSOR);
}

/* Packs the matrices that were not constant; what follows them is gemm's own scratch. */
static void pack_unit(struct rnn_unit *u)
{
	const struct rnn_state *s = u->s;
	char *at = u->scratch;
	for (int id = 0; id < RNN_MATRIX_COUNT_; id++) {
		struct rnn_view v = rnn_view(&s->g, u->a->in, u->direction, id);
		u->packed[id] = s->packed[u->direction][id];
		if (u->packed[id] || v.n == 0)
			continue;
		s->gemm->pack((float *)at, v.data, 1, v.k, v.k, v.n);
		u->packed[id] = (float *)at;
		at += packed_bytes(s, v);
	}
	u->scratch = at;
}

static void multiply_packed(const struct rnn_unit *u, enum rnn_matrix_id matrix, void *c,
	int64_t c_row, const void *a, int64_t m, const void *add, int64_t add_row)
{
	struct rnn_view v = rnn_view(&u->s->g, u->a->in, u->direction, matrix);
	struct gemm_job j = { .m = m, .n = v.n, .k = v.k, .a = a, .a_row = v.k, .a_k = 1,
		.b = u->packed[matrix], .c = c, .c_row = c_row, .alpha = 1, .beta = 1,
		.add = { add, NULL }, .add_row = { add_row, 0 }, .add_col = { 1, 0 },
		.scratch = u->scratch };
	u->s->gemm->run(&j);
}

/* -- units ----------------------------------------------------------------------------------- */

static void rnn_unit_init(struct rnn_unit *u, const struct kernel_args *a, int64_t unit)
{
	const struct rnn_state *s = a->state;
	char *at = a->scratch;
	*u = (struct rnn_unit){ .s = s, .a = a, .direction = (int)(unit / s->blocks),
		.first = unit % s->blocks * s->rows };
	u->rows = min_i64(s->rows, s->g.batch - u->first);
	for (int i = 0; i < RNN_PART_COUNT_; i++) {
		u->part[i] = at;
		at += part_bytes(s, i);
	}
	u->scratch = at;
	if (s->gemm)
		pack_unit(u);
	for (int64_t i = u->first; args_has_in(a, RNN_LENGTHS) && i < u->first + u->rows; i++) {
		int32_t n = ((const int32_t *)a->in[RNN_LENGTHS].data)[i];
		if (n < 0 || n > s->g.steps)
			kernel_fault(a, FAULT_VALUE, n);
	}
}

#define E float
#define N(name) name##_f32
#include "exec/cpu/nn/rnn_t.h"
#define E double
#define N(name) name##_f64
#include "exec/cpu/nn/rnn_t.h"

/* -- prepare --------------------------------------------------------------------------------- */

static void find_activations(struct rnn_state *s, enum dtype dtype)
{
	for (int i = 0; i < RNN_DIRECTIONS * RNN_FUNCTIONS; i++) {
		const struct rnn_function *f = &s->g.function[i / RNN_FUNCTIONS][i % RNN_FUNCTIONS];
		struct rnn_activation *to = &s->act[i / RNN_FUNCTIONS][i % RNN_FUNCTIONS];
		to->fn = unary_best(unary_of_rnn(f->id), dtype);
		to->param[0] = (double)f->alpha;
		to->param[1] = (double)f->beta;
	}
}

/* Blocks of the batch until every thread has one. */
static void cut_units(
	const struct prep *p, struct rnn_state *s, struct kernel *ret, bool whole_batch)
{
	const struct rnn_geometry *g = &s->g;
	double per_row = 2 * (double)g->steps * (double)(g->gates * g->hidden) *
			 (double)(g->input + g->hidden) / FLOPS_PER_NS;
	int64_t want = (p->threads + g->directions - 1) / g->directions;
	if (whole_batch || per_row * (double)g->batch < UNIT_NS)
		want = 1;
	s->rows = max_i64((g->batch + want - 1) / max_i64(want, 1), 1);
	s->blocks = (g->batch + s->rows - 1) / s->rows;
	ret->units = g->directions * s->blocks;
	ret->unit_cost_ns = (int64_t)(per_row * (double)s->rows) + 1;
}

static void lay_out_scratch(struct rnn_state *s)
{
	const struct rnn_geometry *g = &s->g;
	int64_t n = g->hidden, width = g->gates * n;
	s->part[RNN_PART_X] = s->chunk * s->rows * g->input;
	s->part[RNN_PART_GATES] = s->chunk * s->rows * width;
	s->part[RNN_PART_SUM] = s->rows * width;
	s->part[RNN_PART_RESET] = g->gates == 3 ? s->rows * n : 0;
	s->part[RNN_PART_H] = s->rows * n;
	s->part[RNN_PART_C] = g->gates == 4 ? s->rows * n : 0;
	s->part[RNN_PART_BIAS] = width;
	s->part[RNN_PART_BIAS_LAST] = n;
	for (int i = 0; i < RNN_PART_COUNT_; i++)
		s->at_multiply += part_bytes(s, i);
}

enum err_code rnn_prepare(struct prep *p, struct kernel *ret, bool whole_batch,
	struct rnn_state **ret_state, struct err *err)
{
	struct shape in[RNN_INPUTS_];
	struct rnn_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	for (int i = 0; i < RNN_INPUTS_; i++)
		in[i] = prep_has_in(p, i) ? p->in[i].shape : SHAPE_UNKNOWN;
	TRY(rnn_geometry(p->node, in, &s->g, err));
	s->element = dtype_bytes(p->in[0].dtype);
	find_activations(s, p->in[0].dtype);
	cut_units(p, s, ret, whole_batch);
	int64_t per_step = max_i64(s->rows * (s->g.input + s->g.gates * s->g.hidden), 1);
	s->chunk =
		whole_batch ? s->g.steps : max_i64(min_i64(CHUNK_FLOATS / per_step, s->g.steps), 1);
	lay_out_scratch(s);
	ret->run = p->in[0].dtype == DTYPE_F64 ? run_f64 : run_f32;
	ret->scratch_bytes = s->at_multiply;
	*ret_state = s;
	return ERR_OK;
}

enum err_code prepare_rnn_packed(struct prep *p, struct kernel *ret, struct err *err)
{
	struct rnn_state *s;
	TRY(rnn_prepare(p, ret, false, &s, err));
	s->gemm = gemm_best();
	s->multiply = multiply_packed;
	for (int id = 0; id < RNN_MATRIX_COUNT_; id++) {
		bool constant = p->in[id == RNN_MATRIX_W ? RNN_W : RNN_R].data != NULL;
		for (int d = 0; d < s->g.directions; d++) {
			struct gemm_source b = source_of(rnn_view(&s->g, p->in, d, id));
			if (constant && b.n)
				TRY(gemm_pack_constant(p, s->gemm, &b, &s->packed[d][id], err));
		}
		if (!constant)
			ret->scratch_bytes += packed_bytes(s, rnn_view(&s->g, p->in, 0, id));
	}
	int64_t rows = s->chunk * s->rows, k = max_i64(s->g.input, s->g.hidden);
	ret->scratch_bytes += gemm_scratch_bytes(s->gemm, rows, k);
	return ERR_OK;
}

enum err_code prepare_rnn(struct prep *p, struct kernel *ret, struct err *err)
{
	struct rnn_state *s;
	TRY(rnn_prepare(p, ret, false, &s, err));
	s->multiply = p->in[0].dtype == DTYPE_F64 ? multiply_f64 : multiply_f32;
	return ERR_OK;
}
