/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/rpc_watch.h"

#include "server/grpc/rpc_call.h"

/* A review takes about a microsecond. */
#define WATCHES_MAX 1000

enum err_code rpc_watch_admit(struct rpc_call *c, struct err *err)
{
	if (atomic_fetch_add(&c->rpc->watches, 1) >= WATCHES_MAX) {
		atomic_fetch_sub(&c->rpc->watches, 1);
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "there are %d watches already",
			WATCHES_MAX);
	}
	c->is_watch = true;
	return ERR_OK;
}

bool rpc_watch_add(struct rpc_call *c)
{
	struct rpc *r = c->rpc;
	pthread_mutex_lock(&r->watch_lock);
	bool wait = !r->watch_ended;
	if (wait) {
		c->next = r->watching;
		r->watching = c;
	}
	pthread_mutex_unlock(&r->watch_lock);
	return wait;
}

void rpc_watch_round(struct rpc *r)
{
	pthread_mutex_lock(&r->watch_lock);
	struct rpc_call *c = r->watching;
	r->watching = NULL;
	pthread_mutex_unlock(&r->watch_lock);
	while (c) {
		struct rpc_call *next = c->next;
		rpc_call_review(c);
		c = next;
	}
}

void rpc_watch_end(struct rpc *r)
{
	pthread_mutex_lock(&r->watch_lock);
	r->watch_ended = true;
	pthread_mutex_unlock(&r->watch_lock);
	rpc_watch_round(r);
}
