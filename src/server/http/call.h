/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h -- one HTTP request and its answer, as a dialect sees them
 *
 * Life of a request: listen -> [DECODE] -> signature check -> batch -> ... -> [ENCODE]
 *
 * conn.c fills the first half (route, headers that matter, whole body), the route's
 * handler reads it and either fills the reply, or decodes c->request, which conn.c then
 * submits and whose outcome the route's encoder turns into the reply. A handler that
 * fails returns its code; conn.c writes the error body, which all dialects share.
 *
 * Ownership: the IO thread's freelist. Everything a reply points to lives in the call's
 *            or the request's arena, or for ever; both go after the last byte was sent.
 * Threads:   its IO thread's, but for c->wait.
 */
#pragma once

#include "base/buf.h"
#include "base/jobs.h"
#include "base/json.h"
#include "server/http/head.h"
#include "server/request.h"

struct http;
struct io;
struct MHD_Connection;

#define REPLY_PARTS_MAX 64 /* more are joined */

struct reply {
	int status; /* 0: none yet */
	const char *type;
	struct slice *part;
	int n_part;
	/* Inference-Header-Content-Length of the binary tensor extension; -1: none. */
	int64_t json_len;
	const char *allow; /* methods, for 405 and OPTIONS */
	bool close;
};

enum call_stage { CALL_NEW, CALL_BODY, CALL_DISCARD, CALL_HELD, CALL_SUBMITTED, CALL_WAIT };
enum call_wait { CALL_RUNNING, CALL_SUSPENDED, CALL_LEFT, CALL_DONE };

struct call {
	struct spare spare; /* while it is idle; first */
	struct call *next;  /* of those held */
	struct http *http;
	struct io *io;
	struct arena *arena;
	struct MHD_Connection *mhd;
	struct sock *sock;
	int fd;

	/* The request. */
	const struct route *route;
	struct slice target;   /* as it came: path and query, not decoded */
	struct slice model;    /* of the path; "" where the pattern has none */
	struct slice region;   /* of the path, likewise */
	struct version_spec spec;
	bool has_spec;         /* the path names a version or label */
	struct head head;
	struct slice body;     /* inflated */

	/* Inference. */
	struct request *request; /* owned */
	void *dialect;           /* what its decoder leaves for its encoder */

	struct reply reply;
	int error_status; /* 0: by the error's code */

	/* conn.c's. */
	enum call_stage stage;
	atomic_int wait;
	bool cancellable;
	size_t body_capacity;
	int pieces;
	const char *raw; /* where MHD keeps the target, for comparing only */
	int64_t began_ns;
	struct job job; /* the admin thread's */
};

/* The reply: status and a body that outlives the call, or lives in its arena. */
void call_reply(struct call *c, int status, const char *type, struct slice body);

/* 200 with JSON that was written into b. */
MUST_CHECK enum err_code call_reply_json(struct call *c, struct buf *b, struct err *err);

/* The error body of all dialects, {"error": "..."}. */
void call_reply_error(struct call *c, int status, const char *msg);

/* The version that the path names, with a reference. NOT_FOUND, UNAVAILABLE. */
MUST_CHECK enum err_code call_acquire(struct call *c, struct version **ret, struct err *err);

/* As call_acquire(), for who wants to know only whether it is there. */
MUST_CHECK enum err_code call_check_version(struct call *c, struct err *err);

/* The body as JSON, in whose object j stands then; false: there is no body. */
bool call_enter_json(struct call *c, struct json *j);

/* A request that has room for tensors: c->request, with deadline and id set from headers
   and configuration; pinned to the path's model and version. UNAVAILABLE: too many. */
MUST_CHECK enum err_code call_pin(struct call *c, struct slice signature, struct err *err);
