/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. A call waits in gRPC's server until a client comes (on_new). From then on messages
 * are received and sent one after the other: on_message -> handler -> [request] -> send ->
 * on_sent. A unary call sends its status with its reply; a stream goes on receiving until the
 * client has closed its side; a watch waits in rpc->watching to be reviewed, and the reply
 * that it sent last stays.
 *
 * That the client has gone tells an operation of its own. An event costs as much as decoding
 * a small request does: a call that is answered at once asks together with sending its
 * status, only one that waits for anything asks before (on_close).
 *
 * INVARIANTS.
 * 1. Every call that was accepted sends a status once, cancelled or not: only then do all
 *    its events come.
 * 2. on_* of one call come on one thread, its queue's. The outcome of a request comes on
 *    any; until its reply was sent nobody else touches the reply. A watch is whose who took
 *    it out of the list, until it sends or is back in.
 * 3. events counts what is to come, the status that is owed among it; refs counts the
 *    slices lent to gRPC as well. Who drops the last of refs frees.
 */
#include "server/grpc/rpc_call.h"

#include <grpc/byte_buffer.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/parse.h"
#include "server/grpc/rpc_admit.h"
#include "server/grpc/rpc_late.h"
#include "server/grpc/rpc_watch.h"
#include "server/stats.h"

/* Up to this size a reply is copied into one slice. */
#define JOIN_BYTES 16384
#define IDLE_MAX 256
#define PUSHBACK_MS "1000"

/* --- life --- */

static void unref(struct rpc_call *c)
{
	if (atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	struct rpc_queue *q = c->queue;
	request_free(c->request);
	c->request = NULL;
	pthread_mutex_lock(&q->lock);
	bool keep = q->n_idle < IDLE_MAX;
	if (keep) {
		c->next = q->idle;
		q->idle = c;
		q->n_idle++;
	}
	pthread_mutex_unlock(&q->lock);
	if (!keep)
		free(c);
	atomic_fetch_sub(&q->rpc->live, 1);
}

static void expect(struct rpc_call *c)
{
	atomic_fetch_add(&c->events, 1);
	atomic_fetch_add(&c->refs, 1);
}

/* An event has been dealt with. */
static void settle(struct rpc_call *c)
{
	if (atomic_fetch_sub(&c->events, 1) == 1 && c->call) {
		grpc_call *call = rpc_late_remove(c);
		grpc_byte_buffer_destroy(c->message);
		grpc_byte_buffer_destroy(c->sending);
		grpc_byte_buffer_destroy(c->sent);
		c->message = c->sending = c->sent = NULL;
		grpc_call_details_destroy(&c->details);
		grpc_metadata_array_destroy(&c->metadata);
		grpc_call_unref(call);
	}
	unref(c);
}

static void start(struct rpc_call *c, const grpc_op *ops, size_t n, struct rpc_event *event)
{
	grpc_call *call = c->call; /* what comes of it may be dealt with before this returns */
	expect(c);
	/* Fails only when the operations make no sense together. */
	if (grpc_call_start_batch(call, ops, n, event, NULL) != GRPC_CALL_OK)
		abort();
}

/* --- the client's end --- */

/* The operation that tells of it, for whoever takes it first. */
static bool take_close(struct rpc_call *c, grpc_op *ret)
{
	if (atomic_exchange(&c->close_taken, true))
		return false;
	*ret = (grpc_op){ .op = GRPC_OP_RECV_CLOSE_ON_SERVER };
	ret->data.recv_close_on_server.cancelled = &c->was_cancelled;
	return true;
}

/* The call will wait for something: to be told at once. By the queue's thread, within one of
   its events. */
static void watch_close(struct rpc_call *c)
{
	grpc_op op;
	if (take_close(c, &op))
		start(c, &op, 1, &c->on_close);
}

static void on_closed(struct rpc_call *c)
{
	/* A watch that waits is ended by its next review. */
	atomic_store(&c->cancelled, c->was_cancelled);
	/* One whose deadline has passed was not cancelled for nothing. */
	if (c->cancelled && clock_now_ns() < c->deadline_ns)
		rpc_conn_waste(&c->rpc->conns, c->ticket);
}

/* Does the call go on after a reply? */
static bool is_lasting(const struct rpc_call *c)
{
	return c->method->kind == RPC_STREAM || c->method->kind == RPC_WATCH;
}

static bool waits_anyway(const struct rpc_call *c)
{
	return is_lasting(c) || c->method->kind == RPC_ADMIN;
}

/* --- replying --- */

enum err_code rpc_reply(struct rpc_call *c, struct buf *b, struct err *err)
{
	enum err_code rc = buf_finish(b, &c->part[0], err);
	c->n_part = rc == ERR_OK;
	return rc;
}

static void on_slice_freed(void *ctx)
{
	unref(ctx);
}

static grpc_byte_buffer *joined(const struct rpc_call *c, size_t total)
{
	grpc_slice s = grpc_slice_malloc(total);
	uint8_t *to = GRPC_SLICE_START_PTR(s);
	for (int i = 0; i < c->n_part; i++) {
		if (c->part[i].len)
			memcpy(to, c->part[i].ptr, c->part[i].len);
		to += c->part[i].len;
	}
	grpc_byte_buffer *bytes = grpc_raw_byte_buffer_create(&s, 1);
	grpc_slice_unref(s);
	return bytes;
}

/* The reply as gRPC sends it; big parts from where they lie. */
static grpc_byte_buffer *reply_bytes(struct rpc_call *c)
{
	grpc_slice s[RPC_PARTS_MAX];
	size_t total = 0;
	for (int i = 0; i < c->n_part; i++)
		total += c->part[i].len;
	/* The next request takes the place of this one before gRPC lets go of it. */
	if (total <= JOIN_BYTES || is_lasting(c))
		return joined(c, total);
	for (int i = 0; i < c->n_part; i++) {
		atomic_fetch_add(&c->refs, 1);
		s[i] = grpc_slice_new_with_user_data((void *)(uintptr_t)c->part[i].ptr,
			c->part[i].len, on_slice_freed, c);
	}
	grpc_byte_buffer *bytes = grpc_raw_byte_buffer_create(s, (size_t)c->n_part);
	for (int i = 0; i < c->n_part; i++)
		grpc_slice_unref(s[i]);
	return bytes;
}

static void add_opening(struct rpc_call *c, grpc_op *op, size_t *n)
{
	if (c->opened)
		return;
	c->opened = true;
	op[(*n)++] = (grpc_op){ .op = GRPC_OP_SEND_INITIAL_METADATA };
}

static void add_reply(struct rpc_call *c, grpc_op *op, size_t *n)
{
	c->sending = reply_bytes(c);
	if (c->is_watch) {
		grpc_byte_buffer_destroy(c->sent);
		c->sent = grpc_byte_buffer_copy(c->sending);
	}
	op[*n] = (grpc_op){ .op = GRPC_OP_SEND_MESSAGE };
	op[(*n)++].data.send_message.send_message = c->sending;
}

/* The status, with the reply when there is one. */
static void finish(struct rpc_call *c, enum err_code rc, const struct err *err)
{
	grpc_op op[4];
	size_t n = 0;
	grpc_slice text = grpc_empty_slice();
	grpc_metadata pushback = { .key = grpc_slice_from_static_string("grpc-retry-pushback-ms"),
		.value = grpc_slice_from_static_string(PUSHBACK_MS) };
	c->ended = true;
	rpc_late_note(c, RPC_WAIT_SENT);
	add_opening(c, op, &n);
	if (rc == ERR_OK && c->n_part)
		add_reply(c, op, &n);
	if (rc != ERR_OK)
		text = grpc_slice_from_copied_string(err->msg);
	op[n] = (grpc_op){ .op = GRPC_OP_SEND_STATUS_FROM_SERVER };
	op[n].data.send_status_from_server.status = (grpc_status_code)rc;
	op[n].data.send_status_from_server.status_details = &text;
	if (rc == ERR_UNAVAILABLE) {
		op[n].data.send_status_from_server.trailing_metadata_count = 1;
		op[n].data.send_status_from_server.trailing_metadata = &pushback;
	}
	n++;
	c->closes_with_status = take_close(c, &op[n]);
	start(c, op, n + c->closes_with_status, &c->on_sent);
	grpc_slice_unref(text);
}

/* One of several messages. */
static void send_one(struct rpc_call *c)
{
	grpc_op op[2];
	size_t n = 0;
	rpc_late_note(c, RPC_WAIT_SENT);
	add_opening(c, op, &n);
	add_reply(c, op, &n);
	start(c, op, n, &c->on_sent);
}

static void answer(struct rpc_call *c, enum err_code rc, struct err *err)
{
	struct request *r = c->request;
	if (c->method->encode && r->version)
		stats_record(r->version->stats, STATS_GRPC, r, rc);
	if (rc != ERR_OK && c->method->encode_error) {
		struct err why = *err;
		rc = c->method->encode_error(c, &why, err);
	}
	if (rc == ERR_OK && is_lasting(c))
		send_one(c);
	else
		finish(c, rc, err);
}

/* --- what a handler left --- */

static void on_outcome(struct request *r);

static enum err_code submit(struct rpc_call *c, struct err *err)
{
	c->request->done = on_outcome;
	c->request->ctx = c;
	c->submitted = true;
	enum err_code rc = request_submit(c->request, err);
	if (rc != ERR_OK)
		c->submitted = false;
	return rc;
}

/* The encoder has decoded one more. */
static enum err_code submit_again(struct rpc_call *c, struct err *err)
{
	c->again = false;
	if (atomic_load(&c->cancelled))
		return err_set(err, ERR_CANCELLED, "the client has gone");
	return submit(c, err);
}

static void on_outcome(struct request *r)
{
	struct rpc_call *c = r->ctx;
	struct err err = r->err;
	enum err_code rc = r->code;
	if (rc == ERR_OK)
		rc = c->method->encode(c, &err);
	if (rc == ERR_OK && c->again) {
		rc = submit_again(c, &err);
		if (rc == ERR_OK)
			return;
	}
	answer(c, rc, &err);
}

static struct wire message_of(struct rpc_call *c)
{
	const grpc_slice_buffer *b = &c->message->data.raw.slice_buffer;
	struct slice *piece = ARENA_ARRAY(c->request->arena, struct slice, b->count + 1);
	if (!piece)
		return (struct wire){ .bad = true };
	for (size_t i = 0; i < b->count; i++)
		piece[i] = (struct slice){ (const char *)GRPC_SLICE_START_PTR(b->slices[i]),
			GRPC_SLICE_LENGTH(b->slices[i]) };
	return wire_over(piece, (int)b->count);
}

static void run_admin(void *ctx)
{
	struct rpc_call *c = ctx;
	struct err err;
	enum err_code rc = c->method->handle(c, message_of(c), &err);
	answer(c, rc, &err);
}

static enum err_code new_request(struct rpc_call *c, struct err *err)
{
	request_free(c->request);
	c->request = request_new();
	if (!c->request)
		return err_set(err, ERR_UNAVAILABLE, "too many requests in flight");
	int64_t limit_ns = c->rpc->conf.request_timeout_ms * NS_PER_MS;
	int64_t own_ns = limit_ns ? clock_after(c->request->arrived_ns, limit_ns) : INT64_MAX;
	c->request->deadline_ns = own_ns < c->deadline_ns ? own_ns : c->deadline_ns;
	return ERR_OK;
}

static void dispatch(struct rpc_call *c)
{
	struct err err;
	if (c->method->kind == RPC_ADMIN) {
		c->job = (struct admin_job){ .run = run_admin, .ctx = c };
		admin_submit(c->rpc->admin, &c->job);
		return;
	}
	enum err_code rc = c->method->handle(c, message_of(c), &err);
	if (rc == ERR_OK && c->method->encode) {
		rc = submit(c, &err);
		if (rc == ERR_OK) {
			watch_close(c); /* unless it is answered already */
			return;
		}
	}
	answer(c, rc, &err);
}

/* --- watches --- */

/* Joined replies are one slice. */
static bool was_sent(const struct rpc_call *c)
{
	const grpc_slice *last = &c->sent->data.raw.slice_buffer.slices[0];
	return slice_eq(c->part[0], (struct slice){ (const char *)GRPC_SLICE_START_PTR(*last),
		GRPC_SLICE_LENGTH(*last) });
}

void rpc_call_review(struct rpc_call *c)
{
	struct err err;
	enum err_code rc = ERR_OK;
	if (atomic_load(&c->cancelled))
		rc = err_set(&err, ERR_CANCELLED, "the client has gone");
	if (rc == ERR_OK)
		rc = new_request(c, &err);
	if (rc == ERR_OK)
		rc = c->method->handle(c, message_of(c), &err);
	if (rc == ERR_OK && was_sent(c)) {
		if (rpc_watch_add(c))
			return;
		rc = err_set(&err, ERR_UNAVAILABLE, "the server is shutting down");
	}
	answer(c, rc, &err);
}

/* --- events --- */

static void receive(struct rpc_call *c)
{
	grpc_op op = { .op = GRPC_OP_RECV_MESSAGE };
	rpc_late_note(c, c->method->kind == RPC_STREAM ? RPC_WAIT_NEXT : RPC_WAIT_MESSAGE);
	grpc_byte_buffer_destroy(c->message);
	c->message = NULL;
	op.data.recv_message.recv_message = &c->message;
	start(c, &op, 1, &c->on_message);
}

static void on_message(struct rpc_call *c, bool ok)
{
	struct err err;
	enum err_code rc = ERR_OK;
	(void)ok;
	rpc_late_note(c, RPC_WAIT_NONE);
	if (!c->message && c->method->kind != RPC_STREAM)
		rc = err_set(&err, ERR_INVALID_ARGUMENT, "the call has no message");
	else if (c->message && c->message->data.raw.compression != GRPC_COMPRESS_NONE)
		rc = err_set(&err, ERR_UNIMPLEMENTED, "compressed messages are not accepted");
	c->n_part = 0;
	if (rc == ERR_OK && c->message)
		rc = new_request(c, &err);
	if (rc != ERR_OK || !c->message)
		finish(c, rc, &err);
	else
		dispatch(c);
	settle(c);
}

static void on_sent(struct rpc_call *c, bool ok)
{
	grpc_byte_buffer_destroy(c->sending);
	c->sending = NULL;
	if (c->ended) {
		if (c->closes_with_status)
			on_closed(c);
		if (c->is_watch)
			atomic_fetch_sub(&c->rpc->watches, 1);
		if (!c->refused)
			atomic_fetch_sub(&c->rpc->in_flight, 1);
		rpc_conn_leave(&c->rpc->conns, c->ticket);
		settle(c); /* what on_new() expected */
	} else if (ok && c->is_watch) {
		rpc_late_note(c, RPC_WAIT_NONE);
		request_free(c->request);
		c->request = NULL;
		if (!rpc_watch_add(c))
			rpc_call_review(c);
	} else if (ok) {
		c->submitted = false;
		receive(c);
	} else {
		struct err err;
		finish(c, err_set(&err, ERR_CANCELLED, "the client has gone"), &err);
	}
	settle(c);
}

static void on_close(struct rpc_call *c, bool ok)
{
	(void)ok;
	on_closed(c);
	if (c->cancelled && c->submitted && !c->in_turn)
		request_cancel(c->request);
	settle(c);
}

static void on_new(struct rpc_call *c, bool ok)
{
	struct err err;
	if (!ok) {
		grpc_call_details_destroy(&c->details);
		grpc_metadata_array_destroy(&c->metadata);
		settle(c);
		return;
	}
	c->queue->owed++;
	rpc_call_top_up(c->queue);
	rpc_late_add(c);
	expect(c); /* the status: until it was sent the call is not over */
	enum err_code rc = rpc_admit(c, &err);
	if (rc == ERR_OK && waits_anyway(c))
		watch_close(c);
	if (rc == ERR_OK)
		receive(c);
	else
		finish(c, rc, &err);
	settle(c);
}

static struct rpc_call *take_idle(struct rpc_queue *q)
{
	pthread_mutex_lock(&q->lock);
	struct rpc_call *c = q->idle;
	if (c) {
		q->idle = c->next;
		q->n_idle--;
	}
	pthread_mutex_unlock(&q->lock);
	return c ? c : malloc(sizeof(*c));
}

/* Waits for one more call. False: no memory, or the server shuts down. */
static bool await(struct rpc_queue *q)
{
	struct rpc_call *c = take_idle(q);
	if (!c)
		return false;
	memset(c, 0, offsetof(struct rpc_call, part));
	c->queue = q;
	c->rpc = q->rpc;
	c->on_new = (struct rpc_event){ on_new, c };
	c->on_message = (struct rpc_event){ on_message, c };
	c->on_close = (struct rpc_event){ on_close, c };
	c->on_sent = (struct rpc_event){ on_sent, c };
	grpc_call_details_init(&c->details);
	grpc_metadata_array_init(&c->metadata);
	atomic_fetch_add(&q->rpc->live, 1);
	expect(c);
	if (grpc_server_request_call(q->rpc->server, &c->call, &c->details, &c->metadata, q->cq,
		    q->cq, &c->on_new) == GRPC_CALL_OK)
		return true;
	on_new(c, false);
	return false;
}

void rpc_call_top_up(struct rpc_queue *q)
{
	while (q->owed > 0 && await(q))
		q->owed--;
}

void rpc_call_free_idle(struct rpc_queue *q)
{
	while (q->idle) {
		struct rpc_call *c = q->idle;
		q->idle = c->next;
		free(c);
	}
}

enum err_code rpc_spec(struct slice version, struct version_spec *ret, struct err *err)
{
	*ret = (struct version_spec){ .pick = VERSION_PICK_LATEST };
	if (version.len == 0)
		return ERR_OK;
	ret->pick = VERSION_PICK_NUMBER;
	if (parse_i64(version, 0, INT64_MAX, &ret->number))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "model version '%.*s' is not a number",
		SLICE_ARG(version));
}
