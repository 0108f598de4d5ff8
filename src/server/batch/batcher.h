/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batcher.h -- gather single requests into batches
 *
 * Life of a request: listen -> decode -> signature check -> [BATCH] -> plan -> kernels -> encode
 *
 * One batcher serves one signature of one version. Work-conserving: when a thread of the
 * pool is free it takes what is queued, at most max_batch rows of one shape; while all
 * are busy, requests gather. No waiting, unless max_delay_us asks for it. A request bigger
 * than max_batch runs in several batches and is answered once. Expired requests are
 * answered, never executed. Three classes of priority share by weight 8:4:1, so that none
 * starves. When a batch fails because of one request's data, each is run by itself.
 *
 * Ownership: submit takes the request on ERR_OK only.
 * Threads:   any.
 * Memory:    none after batcher_new(), but for batch staging, which is kept.
 */
#pragma once

#include "server/request.h"

struct batcher;

struct batcher_conf {
	int max_batch;       /* rows */
	int64_t max_delay_us; /* 0: never wait for company */
	int max_queued_rows; /* submit answers UNAVAILABLE beyond these */
	size_t max_queued_bytes;
	int max_running;     /* batches at once; 0: as many as the pool has threads */
	struct pool *pool;
	const struct batcher_observer *observer; /* (optional) */
	int64_t (*now_ns)(void); /* NULL: clock_now_ns; a test's own clock */
};

/* What a batch did; called on the pool's thread after its requests were answered. */
struct batch_record {
	int64_t rows, requests;
	int64_t gather_ns, compute_ns, scatter_ns;
	enum err_code code;
};
struct batcher_observer {
	void (*on_batch)(void *ctx, const struct signature *sig, const struct batch_record *rec);
	void *ctx;
};

/* Borrows sig. */
MUST_CHECK enum err_code batcher_new(const struct signature *sig, const struct batcher_conf *conf,
	struct batcher **ret, struct err *err);

/* Only when it holds no request: the version's last reference is gone. NULL is fine. */
void batcher_free(struct batcher *b);

/* UNAVAILABLE: the queue is full. DEADLINE_EXCEEDED: too late already. */
MUST_CHECK enum err_code batcher_submit(struct batcher *b, struct request *req, struct err *err);

/* Requests chained by next, which arrived together; done() is called for each, for who is refused
   with why. */
void batcher_submit_all(struct batcher *b, struct request *list);

/* Is r worth being kept back for batcher_submit_all() with others of so many rows, none perhaps?
   Only what is quick: the thread that brings them runs them at once. */
bool batcher_gathers(const struct batcher *b, const struct request *r, int64_t rows);

/* As request_cancel(). */
void batcher_cancel(struct batcher *b, struct request *req);

/* Answers what has expired, and starts what waited for company long enough. The
   batcher's own timer calls it; a test with its own clock does so itself. */
void batcher_tick(struct batcher *b);

/* Rows and bytes waiting now. */
void batcher_load(struct batcher *b, int64_t *ret_rows, size_t *ret_bytes);
