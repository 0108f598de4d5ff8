/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h -- one inference, from its first byte to its reply
 *
 * Life of a request: listen -> DECODE -> CHECK -> BATCH -> plan -> kernels -> ENCODE
 *
 * The one typed core below all dialects: a dialect decodes its body into in[], hands the
 * request to request_submit(), and is called back to encode out[]. It pins one version at
 * admission and sees that version to the end.
 *
 * Ownership: the connection (or call) owns it, except between a successful
 *            request_submit() and the call of done().
 * Memory:    everything from its arena, which is recycled: request_new() takes an idle one.
 *            All of it is gone at request_free().
 * Threads:   one at a time; done() is called on a pool thread.
 */
#pragma once

#include "base/room.h"
#include "base/spares.h"
#include "loader/registry.h"

enum request_state { REQUEST_NEW, REQUEST_QUEUED, REQUEST_RUNNING, REQUEST_DONE };

struct request {
	struct spare spare; /* while it is idle; first */
	unsigned stripe;    /* whose it is then */
	struct arena *arena;
	struct version *version; /* pinned; NULL before request_pin() */
	struct signature *sig;

	struct tensor *in;  /* sig->n_in, in its order; data NULL: absent */
	struct tensor *out; /* sig->n_out; filled where wanted */
	bool *wanted;       /* sig->n_out */
	int64_t rows;       /* dimension 0 of a batchable signature, else 1 */

	struct slice id;    /* echoed; "" when the client gave none */
	int priority;       /* 0 default; 1 is the highest, larger is lower */
	int64_t deadline_ns; /* clock_now_ns(); INT64_MAX: none */

	enum err_code code; /* the outcome, with err.msg */
	struct err err;

	/* When things happened, for statistics and the metrics; clock_now_ns(). */
	int64_t arrived_ns, queued_ns, began_ns, computed_ns, done_ns;

	void (*done)(struct request *r); /* exactly once after a successful submit */
	void *ctx;                       /* the dialect's */

	/* The batcher's. */
	struct request *next, *prev;
	atomic_int state; /* enum request_state */
	size_t in_bytes;
};

/* Limits of all requests together; once, before the first request_new(). */
struct request_limits {
	int inflight_max;         /* 0: 65536 */
	size_t arena_bytes_max;   /* of one request: body, tensors, reply; 0: 512 MiB */
	size_t room_bytes_max;    /* of all arenas of requests; 0: no limit */
};
void request_set_limits(const struct request_limits *l);

/* What requests share, and whoever else holds bytes of them. */
struct room *request_room(void);

/* Requests that exist now. */
int request_inflight(void);

/* arrived_ns is set here. NULL: out of memory or over the limit of requests in flight. */
struct request *request_new(void);
void request_free(struct request *r); /* NULL is fine; releases the version */

/* Frees the idle ones that nobody has needed since this was called last. true: some. */
bool request_tidy(void);

/* Pins a version and finds its signature ("" is serving_default); makes in, out and
   wanted (all false). NOT_FOUND, UNAVAILABLE as registry_acquire(). */
MUST_CHECK enum err_code request_pin(struct request *r, struct registry *reg, struct slice model,
	const struct version_spec *spec, struct slice signature, struct err *err);

/* Of the version that is pinned: for a call that runs several, one after the other. */
MUST_CHECK enum err_code request_pick_signature(
	struct request *r, struct slice signature, struct err *err);

/* Checks inputs against the signature. wanted all false: all outputs. */
MUST_CHECK enum err_code request_check(struct request *r, struct err *err);

/* Checks, then queues.
   On ERR_OK done() will be called, perhaps before this returns. On anything else the
   caller keeps the request and answers it. */
MUST_CHECK enum err_code request_submit(struct request *r, struct err *err);

/* The client has gone: takes a queued request out of its queue, within a millisecond;
   one that is running completes and its result is dropped. done() is called either way
   (CANCELLED when it was still queued). Harmless when it is done already. */
void request_cancel(struct request *r);
