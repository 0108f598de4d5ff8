/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h -- the HTTP/1.1 front: REST dialects and /metrics
 *
 * Life of a request: [LISTEN -> DECODE] -> signature check -> batch -> ... -> [ENCODE]
 *
 * One thread accepts (listen.c), io_threads libmicrohttpd daemons read and write (conn.c),
 * routes.def says who answers what, a dialect decodes and encodes. This file is all that
 * the daemon's main sees of it.
 *
 * Ownership: borrows the repository: it outlives the front. Copies conf.
 * Threads:   any may call any function but http_start() and http_stop(): those once each.
 * Memory:    a warm request allocates nothing of ours; conn.h says whose arenas there are.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "loader/repo/repo.h"
#include "server/net/tls.h"

struct http;
struct regions;
struct rpc;

/* options.def has the defaults. */
struct http_conf {
	const char *listen;     /* "HOST:PORT", ":PORT", "unix:PATH"; port 0: any free one */
	int listen_fd;          /* >= 0: this socket (systemd's) instead; taken on ERR_OK */
	int io_threads;         /* 0: one per core, at most 8 */
	int connections_max;    /* then an idle one makes way, or the next gets 503 */
	size_t body_bytes_max;  /* of the inflated body too */
	size_t arena_bytes_max; /* what one request's bodies may take */
	int header_timeout_ms;  /* from the first byte to the end of the headers */
	int body_timeout_ms;    /* from then on a body must average 1 KB/s */
	int idle_timeout_ms;    /* keep-alive without a request */
	int write_timeout_ms;   /* without progress of a response */
	int request_timeout_ms; /* 0: none; deadline of a request that brings none */
	const char *cors_origins; /* "": off; "*", or "https://a.example,https://b..." */
	struct rpc *rpc;          /* NULL: none; /metrics tells of it, it outlives the front */
	struct regions *regions;  /* shared memory; NULL: off. Borrowed as the repository is */
	bool allow_nan;           /* NaN, Infinity, -Infinity in JSON, in and out */
	bool allow_admin;         /* repository load and unload over HTTP */
	struct tls *tls;          /* NULL: plain. Taken, whatever comes of the start */
	int tls_timeout_ms;       /* of a handshake */
	/* A handshake has failed, from any thread; NULL: nobody cares. */
	void (*on_tls_failure)(void *ctx, const char *why);
	void *ctx;
};

/* Binds, starts the threads, answers from then on. */
MUST_CHECK enum err_code http_start(
	const struct http_conf *conf, struct repo *repo, struct http **ret, struct err *err);

/* For connections from now on; takes tls. Only where there was one at the start. */
void http_set_tls(struct http *h, struct tls *tls);

/* For "listening on http://%s". */
const char *http_address(const struct http *h);

/* From now on not ready, and every answer closes its connection. Still accepts. */
void http_drain(struct http *h);

/* Stops accepting, waits up to drain_ms for the requests in flight and, a second at most, for those
   on their way; cancels the rest, ends the threads and frees. NULL is fine. */
void http_stop(struct http *h, int drain_ms);

/* Requests between their headers and the end of their response. */
int http_in_flight(const struct http *h);

/* Gives back what idle calls hold and nobody has needed since the last time. true: there was
   something. */
bool http_tidy(struct http *h);

/* For the watchdog: grows while the accepting thread goes round (at least twice a second). */
uint64_t http_progress(const struct http *h);
