/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. A call goes through on_request() several times: once with the headers, once per
 * piece of the body, once when all of it is there, and once more when a suspended one was
 * resumed. stage says which time it is.
 *
 * A request that is queued suspends its connection. Its outcome may come before, while or
 * after that is done: c->wait is exchanged by both sides, and who comes second acts
 * (INVARIANT 1). When the outcome is there before we suspend, we do not suspend at all.
 *
 * INVARIANTS
 *   1. c->wait: RUNNING -> SUSPENDED by the IO thread, then DONE by on_done(), which
 *      resumes; or RUNNING -> DONE by on_done(), then the IO thread goes on by itself.
 *   2. A call whose request is submitted is not released before on_done() was called.
 *   3. A refusal whose connection cannot be used again is written by sock_refuse(), and
 *      the callback returns MHD_NO.
 */
#include "server/http/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "server/admin.h"
#include "server/http/inflate.h"
#include "server/stats.h"

#define CALL_CHUNK_BYTES 16384
#define CALL_KEEP_BYTES (8u << 20) /* a picture as JSON, in and out */
#define CALLS_KEEP_BYTES (32u << 20) /* of all idle calls of an IO thread, but for one chunk each */
#define CALLS_KEPT 1024       /* per IO thread */
#define DRAIN_BYTES 65536     /* a refused body up to this size is read, not reset */
#define PIECES_MAX 65536      /* of a body: a flood of tiny chunks is not served */
#define POOL_BYTES 32768      /* of libmicrohttpd, per connection: bounds line and headers */
#define EARLY_LOOK_BYTES 65536 /* bodies from here on are worth a look at the model first */

/* --- the life of a call --- */

static struct call *take_call(struct io *io)
{
	struct call *c = io->idle;
	if (c) {
		io->idle = c->next;
		io->n_idle--;
		io->idle_bytes -= arena_held_bytes(c->arena);
	} else {
		c = malloc(sizeof(*c));
		struct arena *arena =
			c ? arena_new(CALL_CHUNK_BYTES, io->http->conf.arena_bytes_max) : NULL;
		if (!arena) {
			free(c);
			return NULL;
		}
		c->arena = arena;
	}
	*c = (struct call){ .http = io->http, .arena = c->arena, .reply.json_len = -1 };
	return c;
}

static void release_call(struct io *io, struct call *c)
{
	request_free(c->request);
	c->request = NULL;
	arena_reset(c->arena, CALL_KEEP_BYTES);
	if (io->idle_bytes + arena_held_bytes(c->arena) > CALLS_KEEP_BYTES)
		arena_reset(c->arena, CALL_CHUNK_BYTES);
	if (io->n_idle >= CALLS_KEPT) {
		arena_free(c->arena);
		free(c);
		return;
	}
	c->next = io->idle;
	io->idle = c;
	io->n_idle++;
	io->idle_bytes += arena_held_bytes(c->arena);
}

/* Called with the request line, before any header is read. */
static void *on_uri(void *ctx, const char *uri, struct MHD_Connection *mhd)
{
	struct io *io = ctx;
	struct call *c = take_call(io);
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
		release_call(io, c);
		return NULL;
	}
	return c;
}

/* libmicrohttpd's lock orders what was done before MHD_resume_connection(); this shows it to
   who cannot see that, as ThreadSanitizer. */
static void see_what_was_done(const struct call *c)
{
	(void)atomic_load_explicit(&c->wait, memory_order_acquire);
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
	/* Before the request goes: a reset may come to cancel it. */
	if (c->request)
		sock_set_request(c->sock, NULL);
	if (c->began_ns)
		atomic_fetch_sub_explicit(&io->http->in_flight, 1, memory_order_relaxed);
	(void)sock_enter(&io->http->socks, c->sock, SOCK_IDLE);
	release_call(io, c);
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

/* --- the reply --- */

static bool origin_is_allowed(const struct http_conf *conf, struct slice origin)
{
	const char *list = conf->cors_origins;
	if (!list || !*list || origin.len == 0)
		return false;
	if (strcmp(list, "*") == 0)
		return true;
	while (*list) {
		size_t len = strcspn(list, ", ");
		if (len && slice_eq(origin, (struct slice){ list, len }))
			return true;
		list += len + strspn(list + len, ", ");
	}
	return false;
}

static void add_headers(struct call *c, struct MHD_Response *response)
{
	const struct reply *r = &c->reply;
	char number[24];
	if (r->type)
		MHD_add_response_header(response, "Content-Type", r->type);
	if (r->json_len >= 0) {
		snprintf(number, sizeof(number), "%lld", (long long)r->json_len);
		MHD_add_response_header(response, "Inference-Header-Content-Length", number);
	}
	if (r->allow)
		MHD_add_response_header(response, "Allow", r->allow);
	if (r->status == 503)
		MHD_add_response_header(response, "Retry-After", "1");
	if (r->close || atomic_load_explicit(&c->http->draining, memory_order_relaxed))
		MHD_add_response_header(response, "Connection", "close");
	if (c->http->conf.cors_origins && origin_is_allowed(&c->http->conf, c->head.origin)) {
		bool any = strcmp(c->http->conf.cors_origins, "*") == 0;
		char *origin =
			any ? NULL :
			      arena_strndup(c->arena, c->head.origin.ptr, c->head.origin.len);
		MHD_add_response_header(response, "Access-Control-Allow-Origin",
			origin ? origin :
			any    ? "*" :
				 "null");
		MHD_add_response_header(
			response, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
		MHD_add_response_header(response, "Access-Control-Allow-Headers",
			"Content-Type, Inference-Header-Content-Length");
		MHD_add_response_header(response, "Access-Control-Expose-Headers",
			"Inference-Header-Content-Length");
	}
}

/* The bytes stay ours: they live in arenas until on_completed(). */
static struct MHD_Response *make_response(struct call *c)
{
	struct reply *r = &c->reply;
	if (r->n_part <= 1) {
		struct slice body = r->n_part ? r->part[0] : (struct slice){ "", 0 };
		return MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.ptr,
			MHD_RESPMEM_PERSISTENT);
	}
	struct MHD_IoVec *iov = ARENA_ARRAY(c->arena, struct MHD_IoVec, (size_t)r->n_part);
	if (!iov)
		return NULL;
	for (int i = 0; i < r->n_part; i++)
		iov[i] = (struct MHD_IoVec){ r->part[i].ptr, r->part[i].len };
	return MHD_create_response_from_iovec(iov, (unsigned)r->n_part, NULL, NULL);
}

static enum MHD_Result send_reply(struct call *c)
{
	struct http *h = c->http;
	if (!sock_enter(&h->socks, c->sock, SOCK_REPLY))
		return MHD_NO;
	struct MHD_Response *response = make_response(c);
	if (!response)
		return MHD_NO;
	add_headers(c, response);
	enum MHD_Result queued = MHD_queue_response(c->mhd, (unsigned)c->reply.status, response);
	MHD_destroy_response(response);
	int class = c->reply.status / 100;
	atomic_fetch_add_explicit(&h->answered[c->route ? c->route->id : ROUTE_COUNT_]
					      [class < STATUS_CLASSES ? class : 0],
		1, memory_order_relaxed);
	return queued;
}

/* The connection is of no more use: INVARIANT 3. */
static enum MHD_Result refuse(struct call *c, int status, enum refusal why, const char *msg)
{
	http_count_refusal(c->http, why);
	if (sock_enter(&c->http->socks, c->sock, SOCK_REPLY))
		sock_refuse(c->http, c->fd, status, msg);
	return MHD_NO;
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
	struct http *h = c->http;
	if (atomic_exchange(&c->wait, CALL_DONE) == CALL_SUSPENDED)
		MHD_resume_connection(mhd);
	atomic_fetch_sub(&h->waiting, 1);
}

/* On a thread of the pool, or on whichever cancels. */
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
	struct err err = r->err;
	enum err_code rc = r->code;
	sock_set_request(c->sock, NULL);
	if (rc == ERR_OK)
		rc = c->route->encode(c, &err);
	finish(c, rc, &err);
	return send_reply(c);
}

static enum MHD_Result wait_or_complete(struct call *c)
{
	if (atomic_load(&c->wait) == CALL_DONE)
		return complete(c);
	c->stage = CALL_WAIT;
	MHD_suspend_connection(c->mhd);
	if (atomic_exchange(&c->wait, CALL_SUSPENDED) == CALL_DONE)
		MHD_resume_connection(c->mhd);
	return MHD_YES;
}

/* Counted before it looks: http_stop() sets the flag, then waits for the count. */
static enum err_code begin_waiting(struct call *c, struct err *err)
{
	atomic_fetch_add(&c->http->waiting, 1);
	if (!atomic_load(&c->http->stopping))
		return ERR_OK;
	atomic_fetch_sub(&c->http->waiting, 1);
	return err_set(err, ERR_UNAVAILABLE, "the server is shutting down");
}

static enum err_code submit(struct call *c, struct err *err)
{
	enum err_code rc = begin_waiting(c, err);
	if (rc != ERR_OK)
		return rc;
	if (c->route->flags & ROUTE_ADMIN) {
		c->job = (struct admin_job){ .run = run_admin, .ctx = c };
		admin_submit(c->http->admin, &c->job);
		return ERR_OK;
	}
	c->request->done = on_done;
	c->request->ctx = c;
	rc = request_submit(c->request, err);
	if (rc != ERR_OK)
		atomic_fetch_sub(&c->http->waiting, 1);
	return rc;
}

/* The whole request is here. */
static enum MHD_Result run(struct call *c)
{
	struct err err;
	bool is_admin = c->route->flags & ROUTE_ADMIN;
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
	if (!is_admin && atomic_load(&c->wait) != CALL_DONE)
		sock_set_request(c->sock, c->request);
	return wait_or_complete(c);
}

/* --- reading it --- */

/* Room for what is announced, at once; the first tensor of the binary extension comes to
   stand on a boundary that kernels like, so that it is used where it is. */
static bool reserve_body(struct call *c, size_t more)
{
	size_t need = c->body.len + more;
	if (need <= c->body_capacity)
		return true;
	size_t capacity = c->head.has_length ? (size_t)c->head.length : c->body_capacity * 2;
	if (capacity < need)
		capacity = need < 4096 ? 4096 : need;
	size_t ahead = c->head.json_len > 0 ? (size_t)-c->head.json_len % ARENA_ALIGN_TENSOR : 0;
	char *p = arena_alloc_aligned(c->arena, ahead + capacity, ARENA_ALIGN_TENSOR);
	if (!p)
		return false;
	if (c->body.len)
		memcpy(p + ahead, c->body.ptr, c->body.len);
	c->body.ptr = p + ahead;
	c->body_capacity = capacity;
	return true;
}

static enum MHD_Result read_piece(struct call *c, const char *data, size_t len)
{
	struct http *h = c->http;
	if (++c->pieces > PIECES_MAX + (int)(h->conf.body_bytes_max / 1024))
		return refuse(c, 400, REFUSAL_FRAMING, "the body comes in too many pieces");
	if (len > h->conf.body_bytes_max - c->body.len)
		return refuse(c, 413, REFUSAL_TOO_LARGE, "the body is larger than the limit");
	if (c->stage == CALL_BODY) {
		if (!reserve_body(c, len))
			return refuse(c, 503, REFUSAL_MEMORY, "no memory for the body");
		memcpy((char *)(uintptr_t)c->body.ptr + c->body.len, data, len);
	}
	c->body.len += len;
	atomic_store_explicit(&c->sock->received, c->body.len, memory_order_relaxed);
	return MHD_YES;
}

static int check_type(const struct call *c, const char **ret_msg)
{
	enum head_type type = head_type(&c->head);
	if (type == HEAD_TYPE_JSON ||
		(type == HEAD_TYPE_BINARY && c->route->encode == v2_infer_reply))
		return 0;
	*ret_msg = "Content-Type is not supported here: application/json is";
	return 415;
}

/* Is it worth reading a large body at all? */
static int look_ahead(struct call *c, struct err *err)
{
	struct version *v;
	bool large =
		c->head.chunked || c->head.length > EARLY_LOOK_BYTES || c->head.expects_continue;
	if (!c->route->encode || !large)
		return 0;
	enum err_code rc = registry_acquire(c->http->registry, c->model, &c->spec, &v, err);
	if (rc != ERR_OK)
		return err_http(rc);
	version_release(v);
	return 0;
}

/* Method, path, type: what does not put the framing in doubt. 0 or an HTTP status. */
static int check_request(struct call *c, const char *method, const char **ret_msg, struct err *err)
{
	unsigned m = route_method(method);
	if (m == 0) {
		*ret_msg = "unknown method";
		return 501;
	}
	int status = route_find(c, m, ret_msg);
	if (status == 405 && m == METHOD_OPTIONS)
		return 204;
	if (status)
		return status;
	if ((c->route->flags & ROUTE_ADMIN) && !c->http->conf.allow_admin) {
		*ret_msg = "explicit model load and unload are not allowed by the configuration";
		return 503;
	}
	if (c->route->method == METHOD_POST)
		status = check_type(c, ret_msg);
	if (status)
		return status;
	*ret_msg = err->msg;
	return look_ahead(c, err);
}

/* A refusal after which the connection can go on, once the body is out of the way. */
static enum MHD_Result reject(struct call *c, int status, const char *msg)
{
	bool small = !c->head.chunked && c->head.length <= DRAIN_BYTES;
	if (!small || c->head.expects_continue)
		return refuse(c, status, REFUSAL_FRAMING, msg);
	if (status == 204)
		call_reply(c, status, NULL, (struct slice){ "", 0 });
	else
		call_reply_error(c, status, msg);
	c->stage = CALL_DISCARD;
	return MHD_YES;
}

/* Method, target and version stand in libmicrohttpd's buffer one byte apart, unless a NUL
   has cut the target short, or there was more than one space. */
static bool line_is_whole(const struct call *c, const char *method, const char *version)
{
	return c->raw == method + strlen(method) + 1 && version == c->raw + c->target.len + 1;
}

/* The headers are there. */
static enum MHD_Result begin(struct call *c, const char *method, const char *version)
{
	struct http *h = c->http;
	const char *msg = NULL;
	struct err err;
	bool fatal;
	c->began_ns = clock_now_ns();
	atomic_fetch_add_explicit(&h->in_flight, 1, memory_order_relaxed);

	int status = head_read(c->mhd, &c->head, &msg, &fatal);
	if (status && fatal)
		return refuse(c, status, REFUSAL_FRAMING, msg);
	if (!line_is_whole(c, method, version))
		return refuse(c, 400, REFUSAL_FRAMING, "the request line is malformed");
	if (c->head.has_length && c->head.length > h->conf.body_bytes_max)
		return refuse(c, 413, REFUSAL_TOO_LARGE, "the body is larger than the limit");
	if (status == 0)
		status = check_request(c, method, &msg, &err);
	bool has_body = c->head.chunked || c->head.length > 0;
	atomic_store_explicit(&c->sock->received, 0, memory_order_relaxed);
	if (!sock_enter(&h->socks, c->sock, has_body ? SOCK_BODY : SOCK_BUSY))
		return MHD_NO;
	if (status)
		return reject(c, status, msg);
	c->stage = CALL_BODY;
	return MHD_YES;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *mhd, const char *url,
	const char *method, const char *version, const char *data, size_t *data_len, void **con_cls)
{
	struct call *c = *con_cls;
	(void)ctx;
	(void)mhd;
	(void)url;
	if (!c)
		return MHD_NO;
	switch (c->stage) {
	case CALL_NEW: return begin(c, method, version);
	case CALL_WAIT: return complete(c);
	case CALL_BODY:
	case CALL_DISCARD: break;
	}
	if (*data_len) {
		size_t len = *data_len;
		*data_len = 0;
		return read_piece(c, data, len);
	}
	return c->stage == CALL_BODY ? run(c) : send_reply(c);
}

/* --- the IO thread --- */

enum err_code conn_start_io(struct io *io, struct err *err)
{
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET |
			 MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
	io->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, io,
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, io,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, io,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, io,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)io->http->conf.connections_max + 16,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
		MHD_OPTION_CONNECTION_TIMEOUT, 0u,
		MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_END);
	if (!io->daemon)
		return err_set(err, ERR_INTERNAL, "http: cannot start an IO thread");
	return ERR_OK;
}

void conn_stop_io(struct io *io)
{
	if (io->daemon)
		MHD_stop_daemon(io->daemon);
	io->daemon = NULL;
	while (io->idle) {
		struct call *c = io->idle;
		io->idle = c->next;
		arena_free(c->arena);
		free(c);
	}
}
