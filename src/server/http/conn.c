/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. A call goes through on_request() several times: once with the headers, once per
 * piece of the body, once when all of it is there, and once more when it was held to run with
 * others (gather.c), was queued, or a suspended one was resumed. stage says which time it is.
 *
 * While a request is queued its connection is suspended, but only from the next round on. If it
 * were suspended in the call that brings the body's end, libmicrohttpd would read on when it
 * resumes, and drop a client that has closed its sending side and waits for the answer.
 * The outcome may come before, while or after we suspend: both sides exchange c->wait, and the one
 * that comes second acts (INVARIANT 1). When the outcome is there first, we do not suspend at all.
 *
 * INVARIANTS
 *   1. c->wait: RUNNING -> SUSPENDED by the IO thread, then DONE by on_done(), which
 *      resumes; or RUNNING -> DONE by on_done(), then the IO thread goes on by itself. A
 *      connection that goes before makes it LEFT: on_done(), which comes then, releases the call.
 *   2. A call whose request is submitted is not released before on_done() was called.
 *   3. A request is counted once: by finish() when it is to be answered, else when the call goes.
 *   4. A refusal whose connection cannot be used again is written by sock_refuse(), and
 *      the callback returns MHD_NO.
 */
#include "server/http/conn.h"

#include <string.h>
#include "server/batch/batcher.h"
#include "server/http/call_pool.h"
#include "server/http/gather.h"
#include "server/http/io.h"
#include "server/http/receive.h"
#include "server/http/send.h"
#include "server/net/crowd.h"
#include "server/stats.h"

/* libmicrohttpd's memory for a connection; bounds request line and headers, and a piece of a body
   has half of it. All of it is cleared after each request: 36 KiB were 4 % of a small one. */
#define POOL_BYTES 20480
#define QUICK_BODY_BYTES 65536 /* held requests do not wait until a larger body is decoded */
#define SPARE_CONNECTIONS CROWD_MAX /* for those closed that libmicrohttpd has not noticed yet */

/* --- the life of a call --- */

/* Called with the request line, before any header is read. */
static void *on_uri(void *ctx, const char *uri, struct MHD_Connection *mhd)
{
	struct io *io = ctx;
	struct call *c = call_pool_take(io);
	if (!c)
		return NULL;
	size_t len = strlen(uri);
	c->mhd = mhd;
	c->raw = uri;
	c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	c->sock = &io->http->socks.slot[c->fd];
	/* A copy: libmicrohttpd resolves percent signs in place. */
	c->target = (struct slice){ arena_strndup(c->arena, uri, len), len };
	if (!c->target.ptr) {
		call_pool_release(io, c);
		return NULL;
	}
	return c;
}

/* libmicrohttpd's lock orders all that was done before MHD_resume_connection(); this is for
   ThreadSanitizer, which does not see that lock. */
static void see_what_was_done(const struct call *c)
{
	(void)atomic_load_explicit(&c->wait, memory_order_acquire);
}

/* Does a reset of the connection cancel the request? Only once that is submitted. */
static void set_cancellable(struct call *c, bool on)
{
	if (c->cancellable == on || !c->request)
		return;
	c->cancellable = on;
	sock_set_request(c->sock, on ? c->request : NULL);
}

/* INVARIANT 3. Without a reply the client has gone first: the request counts as cancelled. */
static void release(struct call *c)
{
	if (c->request && c->request->version && !c->reply.status)
		stats_record(c->request->version->stats, STATS_REST, c->request, ERR_CANCELLED);
	call_pool_release(c->io, c);
}

static void on_completed(void *ctx, struct MHD_Connection *mhd, void **con_cls,
	enum MHD_RequestTerminationCode how)
{
	struct io *io = ctx;
	struct call *c = *con_cls;
	(void)mhd;
	(void)how;
	if (!c)
		return;
	*con_cls = NULL;
	see_what_was_done(c);
	/* Before the request is released: a reset may come to cancel it. */
	set_cancellable(c, false);
	if (c->began_ns)
		atomic_fetch_sub_explicit(&io->in_flight, 1, memory_order_relaxed);
	(void)sock_enter(&io->http->socks, c->sock, SOCK_IDLE);
	bool comes_again = c->stage == CALL_HELD || c->stage == CALL_SUBMITTED;
	if (!comes_again || gather_leave(io, c))
		release(c);
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **socket_ctx,
	enum MHD_ConnectionNotificationCode what)
{
	struct io *io = ctx;
	(void)socket_ctx;
	int fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	if (what == MHD_CONNECTION_NOTIFY_CLOSED)
		sock_close(&io->http->socks, &io->http->socks.slot[fd]);
}

/* --- running it --- */

static void finish(struct call *c, enum err_code rc, const struct err *err)
{
	if (rc != ERR_OK)
		call_reply_error(c, c->error_status ? c->error_status : err_http(rc), err->msg);
	if (c->request && c->request->version)
		stats_record(c->request->version->stats, STATS_REST, c->request, rc);
}

/* INVARIANT 1. The call may be gone right after the exchange. */
static void wake(struct call *c)
{
	struct MHD_Connection *mhd = c->mhd;
	struct io *io = c->io;
	int before = atomic_exchange(&c->wait, CALL_DONE);
	if (before == CALL_SUSPENDED)
		io_resume(io, mhd);
	else if (before == CALL_LEFT)
		release(c);
	atomic_fetch_sub(&io->waiting, 1); /* the last: http_stop() waits for it */
}

/* On a thread of the pool, or on the one that cancels. */
static void on_done(struct request *r)
{
	wake(r->ctx);
}

/* On the admin thread. */
static void run_admin(void *ctx)
{
	struct call *c = ctx;
	struct err err;
	finish(c, c->route->handle(c, &err), &err);
	wake(c);
}

/* The outcome is there. */
static enum MHD_Result complete(struct call *c)
{
	see_what_was_done(c);
	struct request *r = c->request;
	if (!r)
		return send_reply(c); /* an admin handler's, filled in by run_admin() */
	struct err err;
	enum err_code rc = r->code;
	if (rc != ERR_OK)
		err = r->err;
	set_cancellable(c, false);
	if (rc == ERR_OK)
		rc = c->route->encode(c, &err);
	finish(c, rc, &err);
	return send_reply(c);
}

static enum MHD_Result come_again_or_complete(struct call *c)
{
	if (atomic_load(&c->wait) == CALL_DONE)
		return complete(c);
	set_cancellable(c, true);
	c->stage = CALL_SUBMITTED;
	return MHD_YES;
}

static enum MHD_Result wait_or_complete(struct call *c)
{
	if (atomic_load(&c->wait) == CALL_DONE)
		return complete(c);
	set_cancellable(c, true);
	c->stage = CALL_WAIT;
	MHD_suspend_connection(c->mhd);
	if (atomic_exchange(&c->wait, CALL_SUSPENDED) == CALL_DONE)
		io_resume(c->io, c->mhd);
	return MHD_YES;
}

/* Counted before it looks: http_stop() sets the flag, then waits for the count. */
static enum err_code begin_waiting(struct call *c, struct err *err)
{
	atomic_fetch_add(&c->io->waiting, 1);
	if (!atomic_load(&c->http->stopping))
		return ERR_OK;
	atomic_fetch_sub(&c->io->waiting, 1);
	return err_set(err, ERR_UNAVAILABLE, "the server is shutting down");
}

static enum err_code submit(struct call *c, struct err *err)
{
	enum err_code rc = begin_waiting(c, err);
	if (rc != ERR_OK)
		return rc;
	if (c->route->flags & ROUTE_ADMIN) {
		c->job = (struct job){ .run = run_admin, .ctx = c };
		jobs_submit(c->http->admin, &c->job);
		return ERR_OK;
	}
	c->request->done = on_done;
	c->request->ctx = c;
	rc = request_check(c->request, err);
	if (rc == ERR_OK && !gather_join(c->io, c))
		rc = batcher_submit(c->request->sig->queue, c->request, err);
	if (rc != ERR_OK)
		atomic_fetch_sub(&c->io->waiting, 1);
	return rc;
}

static enum err_code inflate_body(struct call *c, struct err *err)
{
	if (c->head.coding == INFLATE_IDENTITY || c->body.len == 0)
		return ERR_OK;
	enum err_code rc = inflate_bytes(c->body, c->head.coding, c->http->conf.body_bytes_max,
		c->arena, &c->body, err);
	if (rc == ERR_RESOURCE_EXHAUSTED)
		c->error_status = 413;
	return rc;
}

/* The whole request is here. */
static enum MHD_Result run(struct call *c)
{
	struct err err;
	bool is_admin = c->route->flags & ROUTE_ADMIN;
	if (!c->route->encode || c->body.len > QUICK_BODY_BYTES)
		gather_run(c->io);
	if (!sock_enter(&c->http->socks, c->sock, SOCK_BUSY))
		return MHD_NO;
	enum err_code rc = inflate_body(c, &err);
	if (rc == ERR_OK && !is_admin)
		rc = c->route->handle(c, &err);
	if (rc == ERR_OK && (is_admin || c->route->encode))
		rc = submit(c, &err);
	if (rc != ERR_OK || (!is_admin && !c->route->encode)) {
		finish(c, rc, &err);
		return send_reply(c);
	}
	return c->stage == CALL_HELD ? MHD_YES : come_again_or_complete(c);
}

/* --- libmicrohttpd calls --- */

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *mhd, const char *url,
	const char *method, const char *version, const char *data, size_t *data_len, void **con_cls)
{
	struct call *c = *con_cls;
	(void)ctx;
	(void)mhd;
	(void)url;
	if (!c)
		return MHD_NO;
	c->io->rounds = 0;
	switch (c->stage) {
	case CALL_NEW: return receive_head(c, method, version);
	case CALL_HELD: return MHD_YES; /* its turn is yet to come */
	case CALL_SUBMITTED: return wait_or_complete(c);
	case CALL_WAIT: return complete(c);
	case CALL_BODY:
	case CALL_DISCARD: break;
	}
	if (*data_len) {
		size_t len = *data_len;
		*data_len = 0;
		return receive_piece(c, data, len);
	}
	return c->stage == CALL_BODY ? run(c) : send_reply(c);
}

struct MHD_Daemon *conn_daemon_new(struct io *io)
{
	unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;
	unsigned connections = (unsigned)io->http->conf.connections_max + SPARE_CONNECTIONS;
	return MHD_start_daemon(flags, 0, NULL, NULL, on_request, io,
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, io,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, io,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, io,
		MHD_OPTION_CONNECTION_LIMIT, connections,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
		MHD_OPTION_CONNECTION_TIMEOUT, 0u,
		MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_END);
}
