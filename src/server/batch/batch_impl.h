/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_impl.h -- what batch_run.c and batch_alone.c share
 *
 * Threads: the runner's own, unless said otherwise.
 */
#pragma once

#include "server/batch/batch_run.h"

/* What a runner's arena keeps from one batch to the next. */
#define BATCH_ARENA_KEEP_BYTES ((size_t)4 << 20)

/* For what depends on data in one run; NULL: no memory. */
struct arena *batch_arena_new(void);

/* Memory of at least so many bytes, 64-byte aligned; what was there before is gone. NULL: none. */
void *batch_stage(struct staging *s, size_t bytes);

/* Of a tensor with at least one dimension. */
static inline size_t batch_row_bytes(const struct tensor *t)
{
	return t->shape.dim[0] ? tensor_bytes(t) / (size_t)t->shape.dim[0] : 0;
}

/* String elements point into memory that ends with the batch: gives them their own. */
MUST_CHECK enum err_code batch_own_strings(struct tensor *t, struct arena *arena);

/* One run of a signature's program. pool NULL: on this thread. */
struct batch_io {
	struct tensor *in;
	int64_t rows, deadline_ns;
	output_fn output;
	void *ctx;
	input_fn input; /* (optional) of inputs without data, see run_opts */
	void *input_ctx;
	struct pool *pool;
	struct arena *arena;
};
MUST_CHECK enum err_code batch_run_program(const struct signature *sig, const struct batch_io *io,
	struct err *err);

/* Sets out and err of the request. max_batch: rows of one run at most. */
MUST_CHECK enum err_code batch_run_alone(struct batch_runner *r, struct request *q, int max_batch);
