/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/rpc_late.h"

#include "base/clock.h"
#include "server/grpc/rpc_state.h"

/* Of one queue in one round; the next one takes the rest. */
#define AT_ONCE 64

void rpc_late_add(struct rpc_call *c)
{
	struct rpc_queue *q = c->queue;
	pthread_mutex_lock(&q->lock);
	c->later = q->accepted;
	if (q->accepted)
		q->accepted->earlier = c;
	q->accepted = c;
	pthread_mutex_unlock(&q->lock);
}

grpc_call *rpc_late_remove(struct rpc_call *c)
{
	struct rpc_queue *q = c->queue;
	pthread_mutex_lock(&q->lock);
	*(c->earlier ? &c->earlier->later : &q->accepted) = c->later;
	if (c->later)
		c->later->earlier = c->earlier;
	grpc_call *call = c->call;
	c->call = NULL;
	pthread_mutex_unlock(&q->lock);
	return call;
}

void rpc_late_note(struct rpc_call *c, enum rpc_wait what)
{
	int64_t now_ms = atomic_load_explicit(&c->rpc->now_ms, memory_order_relaxed);
	atomic_store_explicit(&c->waits_since_ms, now_ms, memory_order_relaxed);
	atomic_store_explicit(&c->waits_for, what, memory_order_release);
}

struct late {
	grpc_call *call;
	enum rpc_wait what;
};

static int collect(struct rpc_queue *q, int64_t now_ms, struct late *ret)
{
	const struct rpc_conf *conf = &q->rpc->conf;
	const int64_t limit_ms[RPC_WAIT_COUNT_] = { [RPC_WAIT_MESSAGE] = conf->message_timeout_ms,
		[RPC_WAIT_NEXT] = conf->stream_timeout_ms,
		[RPC_WAIT_SENT] = conf->write_timeout_ms };
	int n = 0;
	pthread_mutex_lock(&q->lock);
	for (struct rpc_call *c = q->accepted; c && n < AT_ONCE; c = c->later) {
		int what = atomic_load_explicit(&c->waits_for, memory_order_acquire);
		int64_t since_ms = atomic_load_explicit(&c->waits_since_ms, memory_order_relaxed);
		if (!limit_ms[what] || now_ms - since_ms <= limit_ms[what])
			continue;
		grpc_call_ref(c->call);
		ret[n++] = (struct late){ c->call, (enum rpc_wait)what };
		atomic_compare_exchange_strong(&c->waits_for, &what, RPC_WAIT_NONE);
	}
	pthread_mutex_unlock(&q->lock);
	return n;
}

void rpc_late_sweep(struct rpc *r)
{
	static const struct {
		grpc_status_code code;
		const char *text;
	} told[RPC_WAIT_COUNT_] = {
		[RPC_WAIT_MESSAGE] = { GRPC_STATUS_DEADLINE_EXCEEDED,
			"the call's message took too long" },
		[RPC_WAIT_NEXT] = { GRPC_STATUS_UNAVAILABLE,
			"the stream had nothing to do for too long" },
		[RPC_WAIT_SENT] = { GRPC_STATUS_DEADLINE_EXCEEDED,
			"the reply was not taken in time" },
	};
	int64_t now_ms = clock_now_ns() / NS_PER_MS;
	atomic_store(&r->now_ms, now_ms);
	for (int i = 0; i < r->n_queue; i++) {
		struct late late[AT_ONCE];
		int n = collect(&r->queue[i], now_ms, late);
		/* Without the lock: gRPC may let go of slices right here. */
		for (int k = 0; k < n; k++) {
			(void)grpc_call_cancel_with_status(late[k].call, told[late[k].what].code,
				told[late[k].what].text, NULL);
			grpc_call_unref(late[k].call);
		}
	}
}
