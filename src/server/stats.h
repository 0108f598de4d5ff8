/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.h -- what each version did: the numbers behind /metrics and .../stats
 *
 * There are counters for each (model, number), found through version->stats. They outlive the
 * version, and go on when the version is loaded again; a bounded number of those that are
 * not loaded is kept.
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

/* What a version has counted, read in one go, though others count meanwhile. */
struct stats {
	struct stats_counters *counters; /* for stats_batch() */
	const char *model;
	int64_t number;
	int loaded; /* versions that count here: while one takes over from its like there are two */
	uint64_t loads, failed_loads;
	int64_t load_ns; /* of the last load, to ready */

	uint64_t code[STATS_API_COUNT_][STATS_CODES]; /* by enum err_code */
	uint64_t success_ns, fail_ns, rows;
	int64_t last_ms; /* wall clock of the last answer; 0: none */
	struct hist_reading latency, queue, compute; /* ns, of those that were answered well */

	struct hist_reading batch; /* rows */
};

struct stats_batch {
	uint64_t count, gather_ns, compute_ns, scatter_ns;
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

/* Requests of both protocols that were answered with a code in [from, to). */
uint64_t stats_requests(const struct stats *s, int from, int to);

/* Of the batches of so many rows; of STATS_BATCH_MAX: and more. */
struct stats_batch stats_batch(const struct stats *s, int rows);

/* Calls fn for each, loaded or not, by model and number, under the list's lock; s is gone when fn
   returns. */
void stats_walk(void (*fn)(void *ctx, const struct stats *s), void *ctx);

/* The configuration was read, at start or by a reload, or could not be. */
void stats_on_config(bool good);

struct stats_config {
	bool good;         /* the last time */
	int64_t loaded_ms; /* wall clock of the last time that it was */
};
struct stats_config stats_config(void);
