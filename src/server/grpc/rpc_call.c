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
 * 3. A call lives as long as something is to come of it, and gRPC's slices of it
 *    (rpc_life.h).
 */
#include "server/grpc/rpc_call.h"

#include <grpc/byte_buffer.h>
#include <stddef.h>
#include <string.h>
#include "base/clock.h"
#include "server/grpc/rpc_admit.h"
#include "server/grpc/rpc_late.h"
#include "server/grpc/rpc_life.h"
#include "server/grpc/rpc_message.h"
#include "server/grpc/rpc_send.h"
#include "server/grpc/rpc_silent.h"
#include "server/grpc/rpc_watch.h"
#include "server/stats.h"

/* --- the client's end --- */

/* The call will wait for something: to be told at once. By the queue's thread, within one of
   its events. */
static void ask_for_close(struct rpc_call *c)
{
	grpc_op op;
	if (rpc_life_take_close(c, &op))
		rpc_life_start(c, &op, 1, &c->on_close);
}

static void on_closed(struct rpc_call *c)
{
	/* A watch that waits is ended by its next review. */
	atomic_store(&c->cancelled, c->was_cancelled);
	/* One whose deadline has passed was not cancelled for nothing. */
	if (c->cancelled && clock_now_ns() < c->deadline_ns)
		rpc_conn_waste(&c->rpc->conns, c->ticket);
}

static bool waits_anyway(const struct rpc_call *c)
{
	return rpc_is_lasting(c) || c->method->kind == RPC_ADMIN;
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
	if (rc == ERR_OK && rpc_is_lasting(c))
		rpc_send_message(c);
	else
		rpc_send_status(c, rc, err);
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

static enum err_code handle(struct rpc_call *c, struct err *err)
{
	struct wire message;
	TRY(rpc_message_open(c, &message, err));
	return c->method->handle(c, message, err);
}

static void run_admin(void *ctx)
{
	struct rpc_call *c = ctx;
	struct err err;
	enum err_code rc = handle(c, &err);
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
		c->job = (struct job){ .run = run_admin, .ctx = c };
		jobs_submit(c->rpc->admin, &c->job);
		return;
	}
	enum err_code rc = handle(c, &err);
	if (rc == ERR_OK && c->method->encode) {
		rc = submit(c, &err);
		if (rc == ERR_OK) {
			ask_for_close(c); /* unless it is answered already */
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
		rc = handle(c, &err);
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
	rpc_life_start(c, &op, 1, &c->on_message);
}

static void on_message(struct rpc_call *c, bool ok)
{
	struct err err;
	enum err_code rc = ERR_OK;
	(void)ok;
	rpc_silent_remove(c);
	rpc_late_note(c, RPC_WAIT_NONE);
	if (!c->message && c->method->kind != RPC_STREAM)
		rc = err_set(&err, ERR_INVALID_ARGUMENT, "the call has no message");
	c->n_part = 0;
	if (rc == ERR_OK && c->message)
		rc = new_request(c, &err);
	if (rc != ERR_OK || !c->message)
		rpc_send_status(c, rc, &err);
	else
		dispatch(c);
	rpc_life_settle(c);
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
		rpc_life_settle(c); /* what on_new() expected */
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
		rpc_send_status(c, err_set(&err, ERR_CANCELLED, "the client has gone"), &err);
	}
	rpc_life_settle(c);
}

static void on_close(struct rpc_call *c, bool ok)
{
	(void)ok;
	on_closed(c);
	if (c->cancelled && c->submitted && !c->in_turn)
		request_cancel(c->request);
	rpc_life_settle(c);
}

static void on_new(struct rpc_call *c, bool ok)
{
	struct err err;
	if (!ok) {
		grpc_call_details_destroy(&c->details);
		grpc_metadata_array_destroy(&c->metadata);
		rpc_life_settle(c);
		return;
	}
	c->queue->owed++;
	rpc_call_top_up(c->queue);
	rpc_late_add(c);
	rpc_life_expect(c); /* the status: until it was sent the call is not over */
	enum err_code rc = rpc_admit(c, &err);
	if (rc == ERR_OK && waits_anyway(c))
		ask_for_close(c);
	if (rc == ERR_OK) {
		rpc_silent_add(c);
		receive(c);
	} else {
		rpc_send_status(c, rc, &err);
	}
	rpc_life_settle(c);
}

/* Waits for one more call. False: no memory, or the server shuts down. */
static bool await(struct rpc_queue *q)
{
	struct rpc_call *c = rpc_life_take(q);
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
	rpc_life_expect(c);
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
