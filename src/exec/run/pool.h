/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h -- the one compute pool of the process
 *
 * Two kinds of work: jobs (run a batch), taken first come first served, and parallel
 * sections of a run, at which threads with no job of their own help. So an idle machine
 * puts all cores on one batch, and under load each core runs its own. Idle threads sleep;
 * those that help a run stay awake from one of its sections to the next.
 *
 * Threads: pool_submit() from any; a team is taken, used and given back by one thread, also
 *          from outside the pool.
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
MUST_CHECK enum err_code pool_new(
	int threads, void (*thread_init)(void), struct pool **ret, struct err *err);

/* Runs what is queued, then ends the threads. */
void pool_free(struct pool *p);

/* From the affinity mask and the cgroups' limits, rounded up, at least 1. */
int pool_default_threads(void);
/* The same rounded down, maybe 0: cores that nobody takes away for a part of the time. */
int pool_whole_cpus(void);
int pool_threads(const struct pool *p);

/* Borrows the job until its run() begins; it may be submitted again from then on. */
void pool_submit(struct pool *p, struct pool_job *job);

/* Threads that are in no job now. */
int pool_idle(const struct pool *p);

/* Jobs queued and not begun. */
int pool_queued(const struct pool *p);

/* A run whose sections follow one another closely. Threads that are idle help, and wait for
   its next section for a few microseconds without sleeping: not where the pool has more threads
   than there are cores for them, not once a job is queued, and not after the team is given back.
   helpers: how many to wake at once. NULL (of no pool, or too many runs): no help. */
struct pool_team;
struct pool_team *pool_team_take(struct pool *p, int helpers);
void pool_team_give(struct pool_team *t);

/* fn(ctx, who, begin, end) for disjoint ranges that cover [0, units). who tells the threads
   apart that are in it at once: 0 is the caller, others are in [1, pool_threads()]. */
struct pool_work {
	void (*fn)(void *ctx, int who, int64_t begin, int64_t end);
	void *ctx;
	int64_t units;
	int64_t cost_ns; /* rough, of all */
};
/* Returns when all is done. t may be NULL: on this thread. */
void pool_parallel(struct pool_team *t, const struct pool_work *w);
/* One section alone. p may be NULL: on this thread. */
void pool_parallel_once(struct pool *p, const struct pool_work *w);

/* For the watchdog: is a thread in one job for longer than limit_ns? */
bool pool_is_stuck(const struct pool *p, int64_t limit_ns);
