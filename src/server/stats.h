/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.h -- what each version did: the numbers behind /metrics and .../stats
 *
 * One struct stats per (model, number), found through version->stats. It outlives the
 * version, so that counters go on when the version is loaded again; a bounded number of
 * those that are not loaded is kept.
 *
 * Life of a version: ... warm -> [stats_attach] publish -> drain -> [stats_detach] unload
 *
 * Threads: recording from any, without a lock; the rest takes the lock of the list.
 * Memory:  attach allocates; recording does not.
 */
#pragma once

#include "base/hist.h"
#include "server/batch/batcher.h"

enum stats_api { STATS_REST, STATS_GRPC, STATS_API_COUNT_ };
extern const char *const stats_api_names[STATS_API_COUNT_];

#define STATS_CODES 17
#define STATS_BATCH_MAX 256 /* rows; larger batches count as the largest */

struct stats_batch {
	atomic_uint_fast64_t count, gather_ns, compute_ns, scatter_ns;
};

struct stats {
	struct stats *next;
	char *model;
	int64_t number;
	int loaded; /* versions that count here: while one takes over from its like there are two */
	atomic_uint_fast64_t loads, failed_loads;
	int64_t load_ns; /* of the last load, to ready */

	atomic_uint_fast64_t code[STATS_API_COUNT_][STATS_CODES]; /* by enum err_code */
	atomic_uint_fast64_t success_ns, fail_ns, rows;
	atomic_int_fast64_t last_ms; /* wall clock of the last answer */
	struct hist latency, queue, compute; /* ns, of the requests that were answered well */

	struct hist batch; /* rows */
	struct stats_batch by_rows[STATS_BATCH_MAX + 1];
	struct batcher_observer observer;
};

/* Sets v->stats, before publish. No memory: RESOURCE_EXHAUSTED. */
MUST_CHECK enum err_code stats_attach(struct version *v, struct err *err);
void stats_detach(struct version *v);

/* For the batchers of v: batcher_conf.observer. Lives as long as the process. */
const struct batcher_observer *stats_observer(const struct version *v);

/* From repo_hooks.on_state. */
void stats_on_state(const char *model, int64_t number, enum version_state s);

/* A request whose version was pinned has been answered. stats NULL: nothing happens. */
void stats_record(void *stats, enum stats_api api, const struct request *r, enum err_code code);

/* One counter; stats_walk() gives them const. */
static inline uint64_t stats_load(const atomic_uint_fast64_t *v)
{
	return atomic_load_explicit((atomic_uint_fast64_t *)(uintptr_t)v, memory_order_relaxed);
}

/* Requests of both protocols that were answered with a code in [from, to). */
uint64_t stats_requests(const struct stats *s, int from, int to);

/* Calls fn for each, loaded or not, by model and number, under the list's lock. */
void stats_walk(void (*fn)(void *ctx, const struct stats *s), void *ctx);

/* The configuration was read, at start or by a reload, or could not be. */
void stats_on_config(bool good);

struct stats_config {
	bool good;         /* the last time */
	int64_t loaded_ms; /* wall clock of the last time that it was */
};
struct stats_config stats_config(void);
