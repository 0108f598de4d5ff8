/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_run.h -- one batch through the program: gather, run, scatter
 *
 * Inside the batcher. A runner runs one batch at a time on one thread of the pool.
 * Memory: staging grows to the largest batch seen and stays.
 */
#pragma once

#include "server/batch/batcher.h"

struct staging {
	void *mem;
	size_t bytes;
};

struct batch_runner {
	struct pool_job job; /* first: the pool gives it back */
	struct batcher *batcher;
	struct batch_runner *next_idle;
	const struct signature *sig;
	struct pool *pool;
	struct arena *arena;      /* data-dependent results; reset after each batch */
	struct tensor *in, *out;  /* of the batch */
	struct staging *in_stage, *out_stage;
};

MUST_CHECK enum err_code batch_runner_init(struct batch_runner *r, const struct signature *sig,
	struct pool *pool, struct err *err);
void batch_runner_done(struct batch_runner *r); /* fine on a zeroed one */

/* Runs the requests chained by next, sets code, err and out of each. One alone is not timed:
   its caller knows when it began and ended. */
void batch_run(
	struct batch_runner *r, struct request *batch, int max_batch, struct batch_record *ret);
