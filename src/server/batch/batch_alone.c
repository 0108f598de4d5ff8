/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_alone.c -- a request that is no part of a batch: run on its own tensors, without a copy
 *
 * DESIGN
 *
 * More rows than are best for a row's time (signature.h) are run in parts of so many, side by side
 * when there are as many parts as threads with nothing to do: a part on each of them loses less
 * than all of them on each part. Fewer parts follow one another, each spread over the threads, or
 * are one run, where the batch limit allows that. What cannot be known before a run (shapes that
 * depend on data), or wants the request's memory in it (strings), is never run side by side.
 */
#include "server/batch/batch_impl.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"

/* -- inputs ---------------------------------------------------------------------------------- */

/* Kernels want elements aligned by nature; bytes that came over a wire need not be. */
static bool is_aligned(const struct tensor *t)
{
	size_t size = dtype_bytes(t->dtype);
	return (uintptr_t)t->data % (size < 8 ? size : 8) == 0;
}

/* For a request in parts; whole_inputs() uses the runner's staging memory instead. */
static enum err_code align_inputs(struct request *q, const struct signature *sig)
{
	for (int i = 0; i < sig->n_in; i++) {
		struct tensor *t = &q->in[i];
		if (!t->data || is_aligned(t))
			continue;
		void *mem = arena_alloc_aligned(q->arena, tensor_bytes(t) + 1, ARENA_ALIGN_TENSOR);
		if (!mem)
			return ERR_RESOURCE_EXHAUSTED;
		t->data = memcpy(mem, t->data, tensor_bytes(t));
	}
	return ERR_OK;
}

static enum err_code whole_inputs(struct batch_runner *r, const struct request *q)
{
	for (int i = 0; i < r->sig->n_in; i++) {
		r->in[i] = q->in[i];
		if (!q->in[i].data || is_aligned(&q->in[i]))
			continue;
		size_t bytes = tensor_bytes(&q->in[i]);
		void *mem = batch_stage(&r->in_stage[i], bytes);
		if (!mem)
			return ERR_RESOURCE_EXHAUSTED;
		r->in[i].data = memcpy(mem, q->in[i].data, bytes);
	}
	return ERR_OK;
}

static void part_inputs(const struct request *q, int64_t from, int64_t rows, struct tensor *ret_in)
{
	for (int i = 0; i < q->sig->n_in; i++) {
		ret_in[i] = q->in[i];
		if (!q->in[i].data)
			continue;
		ret_in[i].data = (char *)q->in[i].data + batch_row_bytes(&q->in[i]) * (size_t)from;
		ret_in[i].shape.dim[0] = rows;
	}
}

/* -- one run for all rows -------------------------------------------------------------------- */

/* The outputs have whatever shape the model gives them. */
static void *to_request(void *ctx, int i, const struct tensor *t)
{
	struct request *q = ctx;
	q->out[i] = *t;
	q->out[i].data = arena_alloc_aligned(q->arena, tensor_bytes(t) + 1, ARENA_ALIGN_TENSOR);
	return q->out[i].data;
}

static enum err_code run_whole(struct batch_runner *r, struct request *q)
{
	if (whole_inputs(r, q) != ERR_OK)
		return err_oom(&q->err);
	struct batch_io io = { .in = r->in, .rows = q->rows, .deadline_ns = q->deadline_ns,
		.output = to_request, .ctx = q, .pool = r->pool, .arena = r->arena };
	TRY(batch_run_program(r->sig, &io, &q->err));
	for (int i = 0; i < r->sig->n_out; i++)
		if (batch_own_strings(&q->out[i], q->arena) != ERR_OK)
			return err_oom(&q->err);
	return ERR_OK;
}

/* No rows: the outputs' other dimensions are those of one row. */
static enum err_code answer_empty(struct batch_runner *r, struct request *q)
{
	for (int i = 0; i < r->sig->n_in; i++) {
		r->in[i] = q->in[i];
		if (q->in[i].data)
			r->in[i].shape.dim[0] = 1;
	}
	enum err_code rc = program_plan(r->sig->program, r->in, r->out, &q->err);
	for (int i = 0; i < r->sig->n_out && rc == ERR_OK; i++) {
		if (r->out[i].shape.rank < 1)
			return err_set(&q->err, ERR_INVALID_ARGUMENT,
				"output '%s' has no shape for zero rows", r->sig->out[i].name);
		q->out[i] = r->out[i];
		q->out[i].shape.dim[0] = 0;
		q->out[i].data = arena_alloc(q->arena, 1);
		if (!q->out[i].data)
			return err_oom(&q->err);
	}
	return rc;
}

/* -- runs for rows [from, from + rows) of the request ---------------------------------------- */

struct part {
	struct request *req;
	int64_t from, rows;
	int misfit; /* the output of which this part cannot join the others; -1: none */
	struct shape misfit_shape;
};

/* Memory for all rows of an output, of which t has t->shape.dim[0]. */
static void *begin_output(struct request *q, int i, const struct tensor *t)
{
	struct tensor *out = &q->out[i];
	size_t bytes;
	*out = *t;
	out->data = NULL;
	out->shape.dim[0] = q->rows;
	if (!tensor_bytes_overflow(t->dtype, &out->shape, &bytes))
		out->data = arena_alloc_aligned(q->arena, bytes + 1, ARENA_ALIGN_TENSOR);
	return out->data;
}

/* Shapes may depend on data: a part's need not agree with those of the parts before it. */
static bool joins(const struct part *p, const struct tensor *t, const struct tensor *whole)
{
	struct shape expected = whole->data ? whole->shape : t->shape;
	if (t->shape.rank > 0)
		expected.dim[0] = p->rows;
	return t->shape.rank > 0 && shape_equal(&t->shape, &expected);
}

static void *to_part(void *ctx, int i, const struct tensor *t)
{
	struct part *p = ctx;
	struct tensor *out = &p->req->out[i];
	if (!joins(p, t, out)) {
		p->misfit = i;
		p->misfit_shape = t->shape;
		return NULL;
	}
	if (!out->data && !begin_output(p->req, i, t))
		return NULL;
	return (char *)out->data + batch_row_bytes(out) * (size_t)p->from;
}

static enum err_code refuse_part(const struct part *p, struct err *err)
{
	const struct signature *sig = p->req->sig;
	return err_set(err, ERR_INVALID_ARGUMENT,
		"output '%s' is %s for rows %lld to %lld and does not join %s: with these inputs "
		"at most %d rows can be sent at once",
		sig->out[p->misfit].name, SHAPE_TEXT(&p->misfit_shape), (long long)p->from,
		(long long)(p->from + p->rows - 1), p->from ? "that of the rows before" : "others",
		sig->max_batch);
}

static enum err_code run_part(struct part *p, struct batch_io *io, struct err *err)
{
	struct request *q = p->req;
	if (p->from > 0 && q->deadline_ns <= clock_now_ns())
		return err_set(err, ERR_DEADLINE_EXCEEDED,
			"the request's deadline passed after %lld of its %lld rows",
			(long long)p->from, (long long)q->rows);
	part_inputs(q, p->from, p->rows, io->in);
	io->rows = p->rows;
	io->deadline_ns = q->deadline_ns;
	io->output = to_part;
	io->ctx = p;
	enum err_code rc = batch_run_program(q->sig, io, err);
	return p->misfit < 0 ? rc : refuse_part(p, err);
}

static struct part part_at(struct request *q, int64_t from, int64_t step)
{
	return (struct part){ .req = q, .from = from,
		.rows = q->rows - from < step ? q->rows - from : step, .misfit = -1 };
}

static enum err_code run_in_turn(struct batch_runner *r, struct request *q, int64_t step)
{
	struct batch_io io = { .in = r->in, .pool = r->pool, .arena = r->arena };
	for (int64_t from = 0; from < q->rows; from += step) {
		struct part p = part_at(q, from, step);
		TRY(run_part(&p, &io, &q->err));
	}
	for (int i = 0; i < r->sig->n_out; i++)
		if (batch_own_strings(&q->out[i], q->arena) != ERR_OK)
			return err_oom(&q->err);
	return ERR_OK;
}

/* -- parts side by side ---------------------------------------------------------------------- */

struct side_by_side {
	struct request *q;
	int64_t step;
	struct tensor *in;    /* n_in for each thread */
	struct arena **arena; /* of each thread, from its first part on */
	atomic_bool failed;   /* who sets it writes the request's error */
};

static void fail_all(struct side_by_side *s, const struct err *why)
{
	if (!atomic_exchange(&s->failed, true))
		err_copy(&s->q->err, why);
}

static void run_parts(void *ctx, int who, int64_t begin, int64_t end)
{
	struct side_by_side *s = ctx;
	struct err err;
	if (!s->arena[who])
		s->arena[who] = batch_arena_new();
	if (!s->arena[who] && err_oom(&err))
		fail_all(s, &err);
	struct batch_io io = { .in = s->in + (size_t)who * (size_t)s->q->sig->n_in,
		.arena = s->arena[who] };
	for (int64_t i = begin; i < end && !atomic_load(&s->failed); i++) {
		struct part p = part_at(s->q, i * s->step, s->step);
		if (run_part(&p, &io, &err) != ERR_OK)
			fail_all(s, &err);
		arena_reset(io.arena, BATCH_ARENA_KEEP_BYTES);
	}
}

/* Are all outputs known before the first run? Then there is memory for them. */
static bool begin_outputs(struct batch_runner *r, struct request *q, int64_t step)
{
	part_inputs(q, 0, step, r->in);
	if (program_plan(r->sig->program, r->in, r->out, &q->err) != ERR_OK)
		return false;
	for (int i = 0; i < r->sig->n_out; i++) {
		const struct tensor *t = &r->out[i];
		if (t->dtype == DTYPE_STRING || t->shape.rank < 1 || t->shape.dim[0] != step)
			return false;
	}
	for (int i = 0; i < r->sig->n_out; i++)
		if (!begin_output(q, i, &r->out[i]))
			return false;
	return true;
}

static enum err_code run_side_by_side(
	struct batch_runner *r, struct request *q, int64_t step, int64_t parts)
{
	size_t threads = (size_t)pool_threads(r->pool) + 1;
	struct side_by_side s = { .q = q, .step = step,
		.in = ARENA_ARRAY(q->arena, struct tensor, threads * (size_t)r->sig->n_in),
		.arena = ARENA_ARRAY(q->arena, struct arena *, threads) };
	if (!s.in || !s.arena)
		return err_oom(&q->err);
	int64_t ns = r->sig->latency_ns ? r->sig->latency_ns[step] : 0;
	pool_parallel_once(r->pool, &(struct pool_work){ run_parts, &s, parts,
		parts * (ns > 0 ? ns : NS_PER_MS) });
	for (size_t i = 0; i < threads; i++)
		arena_free(s.arena[i]);
	return atomic_load(&s.failed) ? q->err.code : ERR_OK;
}

/* -- which of these -------------------------------------------------------------------------- */

enum err_code batch_run_alone(struct batch_runner *r, struct request *q, int max_batch)
{
	const struct signature *sig = r->sig;
	int64_t step = signature_part_rows(sig, max_batch);
	if (sig->batchable && q->rows == 0)
		return answer_empty(r, q);
	/* Rows of nothing cost no memory, however many they are, and would be so many parts. */
	if (!sig->batchable || q->in_bytes == 0 || q->rows <= step)
		return run_whole(r, q);
	int64_t parts = (q->rows + step - 1) / step;
	bool enough = parts >= pool_idle(r->pool) + 1;
	if (!enough && q->rows <= max_batch)
		return run_whole(r, q);
	if (align_inputs(q, sig) != ERR_OK)
		return err_oom(&q->err);
	if (enough && begin_outputs(r, q, step))
		return run_side_by_side(r, q, step, parts);
	return run_in_turn(r, q, step);
}
