/* SPDX-License-Identifier: Apache-2.0 */
#include "server/batch/batch_impl.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/clock.h"

/* Of results whose size depends on data, in one run. */
#define ARENA_BYTES_MAX ((size_t)1 << 30)

struct arena *batch_arena_new(void)
{
	return arena_new(1 << 16, ARENA_BYTES_MAX);
}

enum err_code batch_runner_init(struct batch_runner *r, const struct signature *sig,
	struct pool *pool, struct err *err)
{
	r->sig = sig;
	r->pool = pool;
	r->arena = batch_arena_new();
	r->in = calloc((size_t)sig->n_in + 1, sizeof(*r->in));
	r->out = calloc((size_t)sig->n_out + 1, sizeof(*r->out));
	r->in_stage = calloc((size_t)sig->n_in + 1, sizeof(*r->in_stage));
	r->out_stage = calloc((size_t)sig->n_out + 1, sizeof(*r->out_stage));
	if (r->arena && r->in && r->out && r->in_stage && r->out_stage)
		return ERR_OK;
	batch_runner_done(r);
	return err_oom(err);
}

void batch_runner_done(struct batch_runner *r)
{
	for (int i = 0; r->sig && r->in_stage && i < r->sig->n_in; i++)
		free(r->in_stage[i].mem);
	for (int i = 0; r->sig && r->out_stage && i < r->sig->n_out; i++)
		free(r->out_stage[i].mem);
	free(r->in_stage);
	free(r->out_stage);
	free(r->in);
	free(r->out);
	arena_free(r->arena);
	*r = (struct batch_runner){ 0 };
}

void *batch_stage(struct staging *s, size_t bytes)
{
	if (s->bytes < bytes || !s->mem) {
		size_t size = round_up(bytes + 1, 4096);
		free(s->mem);
		s->mem = aligned_alloc(ARENA_ALIGN_TENSOR, size);
		s->bytes = s->mem ? size : 0;
	}
	return s->mem;
}

/* -- inputs ---------------------------------------------------------------------------------- */

/* Gathers the inputs of a batch, before its run or in the course of it. */
struct gathering {
	const struct request *batch;
	int64_t took_ns;
};

static void write_rows(void *ctx, int i, void *dst)
{
	struct gathering *g = ctx;
	int64_t began = clock_now_ns();
	char *at = dst;
	for (const struct request *q = g->batch; q; q = q->next) {
		size_t bytes = tensor_bytes(&q->in[i]);
		memcpy(at, q->in[i].data, bytes);
		at += bytes;
	}
	g->took_ns += clock_now_ns() - began;
}

/* On a device inputs are left without data: its run calls write_rows() itself, which then writes
   straight into the memory that the device copies from. */
static enum err_code gather(struct batch_runner *r, struct gathering *g, int64_t rows)
{
	bool later = program_wants_few_sizes(r->sig->program);
	for (int i = 0; i < r->sig->n_in; i++) {
		r->in[i] = g->batch->in[i];
		if (!r->in[i].data)
			continue;
		r->in[i].shape.dim[0] = rows;
		r->in[i].data = NULL;
		if (later)
			continue;
		r->in[i].data = batch_stage(&r->in_stage[i], tensor_bytes(&r->in[i]));
		if (!r->in[i].data)
			return ERR_RESOURCE_EXHAUSTED;
		write_rows(g, i, r->in[i].data);
	}
	return ERR_OK;
}

/* -- outputs --------------------------------------------------------------------------------- */

static void *to_staging(void *ctx, int i, const struct tensor *t)
{
	struct batch_runner *r = ctx;
	r->out[i] = *t;
	r->out[i].data = batch_stage(&r->out_stage[i], tensor_bytes(t));
	return r->out[i].data;
}

enum err_code batch_own_strings(struct tensor *t, struct arena *arena)
{
	struct slice *s = t->data;
	int64_t n = t->dtype == DTYPE_STRING && t->data ? tensor_count(t) : 0;
	for (int64_t i = 0; i < n; i++) {
		char *copy = arena_strndup(arena, s[i].ptr, s[i].len);
		if (!copy)
			return ERR_RESOURCE_EXHAUSTED;
		s[i].ptr = copy;
	}
	return ERR_OK;
}

static enum err_code scatter(struct batch_runner *r, struct request *q, int64_t from)
{
	for (int i = 0; i < r->sig->n_out; i++) {
		if (!q->wanted[i])
			continue;
		struct tensor *out = &q->out[i];
		*out = r->out[i];
		out->shape.dim[0] = q->rows;
		size_t bytes = tensor_bytes(out);
		out->data = arena_alloc_aligned(q->arena, bytes + 1, ARENA_ALIGN_TENSOR);
		if (!out->data)
			return ERR_RESOURCE_EXHAUSTED;
		memcpy(out->data,
			(char *)r->out[i].data + batch_row_bytes(&r->out[i]) * (size_t)from, bytes);
		if (batch_own_strings(out, q->arena) != ERR_OK)
			return ERR_RESOURCE_EXHAUSTED;
	}
	return ERR_OK;
}

/* Are the outputs rows of the batch? They need not be where shapes depend on data. */
static bool are_rows(const struct batch_runner *r, int64_t rows)
{
	for (int i = 0; i < r->sig->n_out; i++)
		if (r->out[i].shape.rank < 1 || r->out[i].shape.dim[0] != rows)
			return false;
	return true;
}

/* -- running --------------------------------------------------------------------------------- */

enum err_code batch_run_program(
	const struct signature *sig, const struct batch_io *io, struct err *err)
{
	bool shares = sig->rows_as && io->rows <= sig->max_batch;
	struct run_opts opts = { .pool = io->pool, .arena = io->arena, .output = io->output,
		.output_ctx = io->ctx, .input = io->input, .input_ctx = io->input_ctx,
		.deadline_ns = io->deadline_ns, .rows_as = shares ? sig->rows_as[io->rows] : 0 };
	return program_run(sig->program, io->in, &opts, err);
}

/* INVALID_ARGUMENT also where the outputs turn out not to be the batch's rows. */
static enum err_code run_together(
	struct batch_runner *r, struct request *batch, struct batch_record *rec, struct err *err)
{
	int64_t began = clock_now_ns();
	struct gathering g = { .batch = batch };
	if (gather(r, &g, rec->rows) != ERR_OK)
		return err_oom(err);
	struct batch_io io = { .in = r->in, .rows = rec->rows, .output = to_staging, .ctx = r,
		.pool = r->pool, .arena = r->arena, .input = write_rows, .input_ctx = &g };
	/* The batch has the last of their deadlines: until then somebody waits. */
	for (const struct request *q = batch; q; q = q->next)
		io.deadline_ns = q->deadline_ns > io.deadline_ns ? q->deadline_ns : io.deadline_ns;
	enum err_code rc = batch_run_program(r->sig, &io, err);
	int64_t computed = clock_now_ns();
	rec->gather_ns = g.took_ns;
	rec->compute_ns = computed - began - g.took_ns;
	if (rc == ERR_OK && !are_rows(r, rec->rows))
		rc = err_set(err, ERR_INVALID_ARGUMENT, "the outputs are not %lld rows",
			(long long)rec->rows);
	int64_t from = 0;
	for (struct request *q = batch; q && rc == ERR_OK; q = q->next) {
		q->code = scatter(r, q, from) == ERR_OK ? ERR_OK : err_oom(&q->err);
		from += q->rows;
	}
	rec->scatter_ns = clock_now_ns() - computed;
	return rc;
}

static void run_each(struct batch_runner *r, struct request *batch, int max_batch,
	struct batch_record *rec)
{
	for (struct request *q = batch; q; q = q->next) {
		int64_t began = clock_now_ns();
		/* What the requests before needed is not counted against this one's limit. */
		arena_reset(r->arena, BATCH_ARENA_KEEP_BYTES);
		q->code = batch_run_alone(r, q, max_batch);
		rec->compute_ns += clock_now_ns() - began;
		if (q->code != ERR_OK)
			rec->code = q->code;
	}
}

void batch_run(
	struct batch_runner *r, struct request *batch, int max_batch, struct batch_record *ret)
{
	*ret = (struct batch_record){ 0 };
	for (struct request *q = batch; q; q = q->next) {
		ret->rows += q->rows;
		ret->requests++;
	}
	struct err err;
	enum err_code rc = batch->next ? run_together(r, batch, ret, &err) : ERR_OK;
	if (!batch->next) {
		batch->code = ret->code = batch_run_alone(r, batch, max_batch);
	} else if (rc != ERR_OK && rc != ERR_UNAVAILABLE) {
		/* One request's data spoilt the batch, or one of them or all together asked for
		   more memory than there is: each is run by itself, and only those fail that fail
		   so too. A device that is gone (UNAVAILABLE) is gone for each of them. */
		run_each(r, batch, max_batch, ret);
	} else if (rc != ERR_OK) {
		ret->code = rc;
		for (struct request *q = batch; q; q = q->next)
			q->code = err_copy(&q->err, &err);
	}
	arena_reset(r->arena, BATCH_ARENA_KEEP_BYTES);
}
