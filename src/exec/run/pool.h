/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h -- the one compute pool of the process
 *
 * Two kinds of work: jobs (run a batch), taken first come first served, and parallel
 * sections of a running job, at which threads with no job of their own help. So an idle
 * machine puts all cores on one batch, and under load each core runs its own. Idle
 * threads sleep.
 *
 * Threads: pool_submit() from any; pool_parallel() from any, also from outside the pool.
 * Memory:  none after pool_new(); a job is the caller's, intrusive.
 */
#pragma once

#include <stdint.h>
#include "base/err.h"

struct pool;

struct pool_job {
	struct pool_job *next;
	void (*run)(struct pool_job *job);
};

/* threads 0: pool_default_threads(). thread_init (may be NULL) runs first on each. */
MUST_CHECK enum err_code pool_new(int threads, void (*thread_init)(void), struct pool **ret, struct err *err);

/* Runs what is queued, then ends the threads. */
void pool_free(struct pool *p);

/* From the affinity mask and the cgroup's cpu.max, rounded up, at least 1. */
int pool_default_threads(void);
int pool_threads(const struct pool *p);

/* Borrows the job until its run() begins; it may be submitted again from then on. */
void pool_submit(struct pool *p, struct pool_job *job);

/* Is a thread waiting for work right now? A hint. */
bool pool_has_idle(const struct pool *p);

/* Jobs queued and not begun. */
int pool_queued(const struct pool *p);

/* Calls fn(ctx, begin, end) for disjoint ranges that cover [0, units), on this thread and
   on whoever is idle; returns when all are done. p may be NULL: all on this thread. */
typedef void (*pool_range_fn)(void *ctx, int64_t begin, int64_t end);
void pool_parallel(struct pool *p, int64_t units, pool_range_fn fn, void *ctx);

/* For the watchdog: is a thread in one job for longer than limit_ns? */
bool pool_is_stuck(const struct pool *p, int64_t limit_ns);
