/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h -- the parts of a running daemon, put together
 *
 * Life of a request: listen -> decode -> ... -> encode    (all of it happens in here)
 * Life of a version: watch -> ... -> publish -> drain     (it gets its batchers here)
 *
 * Owns the compute pool, the repository and the HTTP front; starts them in this order and
 * ends them in the opposite one.
 *
 * Threads: server_close() and server_free() once, last; the rest from any thread.
 */
#pragma once

#include "server/config.h"

struct server;

/* Takes config on ERR_OK. The listeners answer from then on; models are still loading. */
MUST_CHECK enum err_code server_start(struct config *config, struct server **ret, struct err *err);

/* Is what the configuration names there? all: (optional) hears of all that is not. */
MUST_CHECK enum err_code server_check(
	const struct config *config, struct err_all *all, struct err *err);

/* Everything found at the start is ready or has failed. */
bool server_is_settled(struct server *s);

/* Takes next on ERR_OK; on any error nothing has changed. Versions that are loaded keep
   the batching they were loaded with. */
MUST_CHECK enum err_code server_reload(struct server *s, struct config *next, struct err *err);

/* How long to drain, by the configuration of now. */
void server_drain_times(struct server *s, int64_t *ret_delay_ns, int64_t *ret_timeout_ns);

/* Health says not ready from now on; requests are still answered. */
void server_drain(struct server *s);

/* Accepts no more, lets requests in flight end within timeout_ns. */
void server_close(struct server *s, int64_t timeout_ns);

/* Unloads and frees what server_close() has left; no reload may be under way. */
void server_free(struct server *s);

/* One line for STATUS= and the log: what is ready, loading, failed. */
void server_status(struct server *s, char *buf, size_t size);

/* To be called now and then: what a burst of requests has grown, and nobody has needed for
   some seconds, goes back to the system. One thread. */
void server_tidy(struct server *s);

/* For the watchdog. */
uint64_t server_progress(struct server *s);
bool server_is_stuck(struct server *s);

/* Everything one wants to know of a process that behaves oddly, to the log. */
void server_dump(struct server *s);
