/* SPDX-License-Identifier: Apache-2.0 */
#include "server/batch_run.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/clock.h"

#define DYNAMIC_BYTES_MAX ((size_t)1 << 30)
#define DYNAMIC_KEEP_BYTES ((size_t)4 << 20)

enum err_code batch_runner_init(struct batch_runner *r, const struct signature *sig,
	struct pool *pool, struct err *err)
{
	r->sig = sig;
	r->pool = pool;
	r->arena = arena_new(1 << 16, DYNAMIC_BYTES_MAX);
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

static void *stage(struct staging *s, size_t bytes)
{
	if (s->bytes < bytes || !s->mem) {
		size_t size = round_up(bytes + 1, 4096);
		free(s->mem);
		s->mem = aligned_alloc(ARENA_ALIGN_TENSOR, size);
		s->bytes = s->mem ? size : 0;
	}
	return s->mem;
}

static size_t row_bytes(const struct tensor *t)
{
	return t->shape.dim[0] ? tensor_bytes(t) / (size_t)t->shape.dim[0] : 0;
}

/* -- inputs ---------------------------------------------------------------------------------- */

/* Kernels want elements aligned by nature; bytes that came over a wire need not be. */
static bool is_aligned(const struct tensor *t)
{
	size_t size = dtype_bytes(t->dtype);
	return (uintptr_t)t->data % (size < 8 ? size : 8) == 0;
}

/* Rows [from, from + rows) of one request's input; copied only when misaligned. */
static enum err_code take_rows(struct batch_runner *r, int i, const struct tensor *t, int64_t from,
	int64_t rows)
{
	r->in[i] = *t;
	if (!t->data)
		return ERR_OK;
	if (r->sig->batchable) {
		r->in[i].data = (char *)t->data + row_bytes(t) * (size_t)from;
		r->in[i].shape.dim[0] = rows;
	}
	if (is_aligned(&r->in[i]))
		return ERR_OK;
	size_t bytes = tensor_bytes(&r->in[i]);
	void *mem = stage(&r->in_stage[i], bytes);
	if (!mem)
		return ERR_RESOURCE_EXHAUSTED;
	memcpy(mem, r->in[i].data, bytes);
	r->in[i].data = mem;
	return ERR_OK;
}

static enum err_code gather(struct batch_runner *r, const struct request *batch, int64_t rows)
{
	for (int i = 0; i < r->sig->n_in; i++) {
		r->in[i] = batch->in[i];
		if (!batch->in[i].data)
			continue;
		r->in[i].shape.dim[0] = rows;
		char *at = stage(&r->in_stage[i], tensor_bytes(&r->in[i]));
		if (!at)
			return ERR_RESOURCE_EXHAUSTED;
		r->in[i].data = at;
		for (const struct request *q = batch; q; q = q->next) {
			size_t bytes = tensor_bytes(&q->in[i]);
			memcpy(at, q->in[i].data, bytes);
			at += bytes;
		}
	}
	return ERR_OK;
}

/* -- outputs --------------------------------------------------------------------------------- */

static void *to_staging(void *ctx, int i, const struct tensor *t)
{
	struct batch_runner *r = ctx;
	r->out[i] = *t;
	r->out[i].data = stage(&r->out_stage[i], tensor_bytes(t));
	return r->out[i].data;
}

/* A request that runs alone, its outputs in its own arena: all at once, and then they have
   whatever shape the model gives them, or rows [from, from + rows) of total. */
struct own_output {
	struct request *req;
	int64_t from, rows, total;
	int misfit; /* the output of which a part cannot join those before; -1: none */
	struct shape misfit_shape;
};

/* Shapes may hang on data: a part's need not be what those before let expect. */
static bool joins(const struct own_output *o, const struct tensor *part, const struct tensor *whole)
{
	struct shape expected = o->from ? whole->shape : part->shape;
	if (part->shape.rank > 0)
		expected.dim[0] = o->rows;
	return part->shape.rank > 0 && shape_equal(&part->shape, &expected);
}

static void *to_request(void *ctx, int i, const struct tensor *t)
{
	struct own_output *o = ctx;
	struct tensor *out = &o->req->out[i];
	if (o->rows < o->total && !joins(o, t, out)) {
		o->misfit = i;
		o->misfit_shape = t->shape;
		return NULL;
	}
	size_t bytes;
	if (o->from > 0)
		return (char *)out->data + row_bytes(out) * (size_t)o->from;
	*out = *t;
	if (o->rows < o->total)
		out->shape.dim[0] = o->total;
	if (tensor_bytes_overflow(t->dtype, &out->shape, &bytes))
		return NULL;
	out->data = arena_alloc_aligned(o->req->arena, bytes + 1, ARENA_ALIGN_TENSOR);
	return out->data;
}

/* String elements point into memory that ends with the batch: give them their own. */
static enum err_code own_strings(struct tensor *t, struct arena *arena)
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
		memcpy(out->data, (char *)r->out[i].data + row_bytes(&r->out[i]) * (size_t)from, bytes);
		if (own_strings(out, q->arena) != ERR_OK)
			return ERR_RESOURCE_EXHAUSTED;
	}
	return ERR_OK;
}

/* Are the outputs rows of the batch? They need not be where shapes hang on data. */
static bool are_rows(const struct batch_runner *r, int64_t rows)
{
	for (int i = 0; i < r->sig->n_out; i++)
		if (r->out[i].shape.rank < 1 || r->out[i].shape.dim[0] != rows)
			return false;
	return true;
}

/* -- running --------------------------------------------------------------------------------- */

static enum err_code run_program(struct batch_runner *r, int64_t rows, output_fn output, void *ctx,
	struct err *err)
{
	const int32_t *as = r->sig->rows_as;
	struct run_opts opts = { .pool = r->pool, .arena = r->arena, .output = output,
		.output_ctx = ctx, .rows_as = as && rows <= r->sig->max_batch ? as[rows] : 0 };
	return program_run(r->sig->program, r->in, &opts, err);
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

static enum err_code refuse_parts(const struct batch_runner *r, const struct own_output *o)
{
	return err_set(&o->req->err, ERR_INVALID_ARGUMENT,
		"output '%s' is %s for rows %lld to %lld and does not join %s: with these inputs at most %d "
		"rows can be sent at once",
		r->sig->out[o->misfit].name, SHAPE_TEXT(&o->misfit_shape), (long long)o->from,
		(long long)(o->from + o->rows - 1), o->from ? "that of the rows before" : "others",
		r->sig->max_batch);
}

/* Rows [from, from + rows) of a request. */
static enum err_code run_part(struct batch_runner *r, struct own_output *o)
{
	struct request *q = o->req;
	if (o->from > 0 && q->deadline_ns <= clock_now_ns())
		return err_set(&q->err, ERR_DEADLINE_EXCEEDED,
			"the request's deadline passed after %lld of its %lld rows", (long long)o->from,
			(long long)q->rows);
	for (int i = 0; i < r->sig->n_in; i++)
		if (take_rows(r, i, &q->in[i], o->from, o->rows) != ERR_OK)
			return err_oom(&q->err);
	enum err_code rc = run_program(r, o->rows, to_request, o, &q->err);
	return o->misfit < 0 ? rc : refuse_parts(r, o);
}

/* One request, in as many runs as max_batch makes of it. */
static enum err_code run_alone(struct batch_runner *r, struct request *q, int max_batch)
{
	bool batchable = r->sig->batchable;
	/* Rows without a byte may be any number, and are nothing to run. */
	int64_t step = batchable && q->rows > max_batch && q->in_bytes ? max_batch : q->rows;
	struct own_output o = { .req = q, .total = q->rows, .misfit = -1 };
	if (batchable && q->rows == 0)
		return answer_empty(r, q);
	for (; o.from < q->rows; o.from += step) {
		o.rows = q->rows - o.from < step ? q->rows - o.from : step;
		TRY(run_part(r, &o));
	}
	for (int i = 0; i < r->sig->n_out; i++)
		if (own_strings(&q->out[i], q->arena) != ERR_OK)
			return err_oom(&q->err);
	return ERR_OK;
}

/* INVALID_ARGUMENT also for what turns out to be no batch. */
static enum err_code run_together(struct batch_runner *r, struct request *batch, struct batch_record *rec,
	struct err *err)
{
	int64_t began = clock_now_ns();
	if (gather(r, batch, rec->rows) != ERR_OK)
		return err_oom(err);
	int64_t gathered = clock_now_ns();
	rec->gather_ns = gathered - began;
	enum err_code rc = run_program(r, rec->rows, to_staging, r, err);
	int64_t computed = clock_now_ns();
	rec->compute_ns = computed - gathered;
	if (rc == ERR_OK && !are_rows(r, rec->rows))
		rc = err_set(err, ERR_INVALID_ARGUMENT, "the outputs are not %lld rows", (long long)rec->rows);
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
		q->code = run_alone(r, q, max_batch);
		rec->compute_ns += clock_now_ns() - began;
		if (q->code != ERR_OK)
			rec->code = q->code;
	}
}

void batch_run(struct batch_runner *r, struct request *batch, int max_batch, struct batch_record *ret)
{
	*ret = (struct batch_record){ 0 };
	for (struct request *q = batch; q; q = q->next) {
		ret->rows += q->rows;
		ret->requests++;
	}
	struct err err;
	enum err_code rc = batch->next ? run_together(r, batch, ret, &err) : ERR_OK;
	if (!batch->next) {
		batch->code = ret->code = run_alone(r, batch, max_batch);
	} else if (rc != ERR_OK && rc != ERR_UNAVAILABLE) {
		/* One request's data spoilt the batch, or asked for more memory than there is, or all of
		   them together did: only who fails alone shall fail. A device that is gone is for all. */
		run_each(r, batch, max_batch, ret);
	} else if (rc != ERR_OK) {
		ret->code = rc;
		for (struct request *q = batch; q; q = q->next)
			q->code = err_copy(&q->err, &err);
	}
	arena_reset(r->arena, DYNAMIC_KEEP_BYTES);
}
