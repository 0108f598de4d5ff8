/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/rpc_life.h"

#include <grpc/byte_buffer.h>
#include <stdlib.h>
#include "server/grpc/rpc_late.h"

#define IDLE_MAX 256

struct rpc_call *rpc_life_take(struct rpc_queue *q)
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

void rpc_life_ref(struct rpc_call *c)
{
	atomic_fetch_add(&c->refs, 1);
}

void rpc_life_unref(struct rpc_call *c)
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

void rpc_life_expect(struct rpc_call *c)
{
	atomic_fetch_add(&c->events, 1);
	atomic_fetch_add(&c->refs, 1);
}

void rpc_life_settle(struct rpc_call *c)
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
	rpc_life_unref(c);
}

void rpc_life_start(struct rpc_call *c, const grpc_op *ops, size_t n, struct rpc_event *event)
{
	grpc_call *call = c->call; /* what comes of it may be dealt with before this returns */
	rpc_life_expect(c);
	/* Fails only when the operations make no sense together. */
	if (grpc_call_start_batch(call, ops, n, event, NULL) != GRPC_CALL_OK)
		abort();
}

bool rpc_life_take_close(struct rpc_call *c, grpc_op *ret)
{
	if (atomic_exchange(&c->close_taken, true))
		return false;
	*ret = (grpc_op){ .op = GRPC_OP_RECV_CLOSE_ON_SERVER };
	ret->data.recv_close_on_server.cancelled = &c->was_cancelled;
	return true;
}

void rpc_life_free_idle(struct rpc_queue *q)
{
	while (q->idle) {
		struct rpc_call *c = q->idle;
		q->idle = c->next;
		free(c);
	}
}
