/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h -- puts load on a server and measures what it does
 *
 * Open loop: the moments of sending are fixed beforehand and kept whatever the server
 * does; the latency of a request counts from the moment it should have been sent. So a
 * server that stalls is charged for all who would have waited, and a generator that is
 * itself late shows it in its own histogram (lag) instead of hiding it.
 * Closed loop: the next request is sent when one has its answer.
 *
 * One thread; how requests travel is left to a struct load_wire.
 *
 * Ownership: borrows everything in the conf for the call.
 */
#pragma once

#include "base/arena.h"
#include "base/hist.h"

struct load_result;
struct load_wire; /* how requests travel: load_http.h, load_rpc.h */

struct load_conf {
	const struct load_wire *wire;
	const void *server;          /* whom it talks to, as it wants to know that */
	const struct slice *request; /* as the wire takes it; one is picked at random */
	int n_request;
	uint64_t seed;

	int concurrency;         /* closed loop: requests at once; 0: open loop */
	const int64_t *schedule; /* open loop: when to send, ns from the start, ascending */
	size_t n_schedule;
	int connections_max;     /* open loop: requests at once, at most */

	int64_t duration_ns;     /* nothing is sent after this */
	int64_t timeout_ns;      /* of one request */

	/* (optional) Looks at each answer that is well; false: count it as wrong. json_bytes: of
	   an answer that goes on with binary tensors, else all of it. */
	bool (*on_answer)(void *ctx, struct slice body, size_t json_bytes);
	/* (optional) about once a second */
	void (*on_second)(void *ctx, double elapsed_s, const struct load_result *so_far);
	void *ctx;
};

/* Failures that no status tells. */
#define LOAD_FAILURES(X) \
	X(CONNECT, "cannot connect") \
	X(CLOSED, "connection closed") \
	X(TIMEOUT, "no answer in time") \
	X(MALFORMED, "malformed answer") \
	X(WRONG, "wrong answer") \
	X(UNSENT, "never sent: no free connection")

enum load_failure {
#define X(id, text) LOAD_##id,
	LOAD_FAILURES(X)
#undef X
	LOAD_FAILURE_COUNT_
};

const char *load_failure_text(enum load_failure f);

#define LOAD_STATUS_MAX 600

struct load_result {
	struct hist_log latency; /* of answers that are well */
	struct hist_log lag;     /* open loop: from the scheduled moment to the sending */
	uint64_t sent;
	int ok_status; /* of an answer that is well: HTTP's 200, gRPC's 0 */
	uint64_t by_status[LOAD_STATUS_MAX];
	uint64_t failure[LOAD_FAILURE_COUNT_];
	uint64_t bytes_in, bytes_out;
	int connections; /* opened in all */
	int64_t elapsed_ns; /* from the start to the last answer */
};

/* Answers that were not well, and failures. */
uint64_t load_errors(const struct load_result *r);

/* Moments at `rate` per second for duration_ns, evenly or with exponential gaps (a Poisson
   process), in the arena. */
MUST_CHECK enum err_code load_schedule(double rate, bool poisson, int64_t duration_ns,
	uint64_t seed, struct arena *arena, const int64_t **ret, size_t *ret_n, struct err *err);

/* Fails only when there is no memory or nobody listens at the start; *ret is zeroed by the
   caller. */
MUST_CHECK enum err_code load_run(
	const struct load_conf *conf, struct load_result *ret, struct err *err);
