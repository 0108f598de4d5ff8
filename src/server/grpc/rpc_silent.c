/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/rpc_silent.h"

#include "base/clock.h"
#include "server/grpc/rpc_state.h"

void rpc_silent_add(struct rpc_call *c)
{
	struct rpc_silent_list *l = &c->queue->silent;
	c->is_silent = true;
	c->silent_before = l->newest;
	*(l->newest ? &l->newest->silent_after : &l->oldest) = c;
	l->newest = c;
}

void rpc_silent_remove(struct rpc_call *c)
{
	struct rpc_silent_list *l = &c->queue->silent;
	if (!c->is_silent)
		return;
	c->is_silent = false;
	*(c->silent_before ? &c->silent_before->silent_after : &l->oldest) = c->silent_after;
	*(c->silent_after ? &c->silent_after->silent_before : &l->newest) = c->silent_before;
}

bool rpc_silent_make_room(const struct rpc_call *newcomer)
{
	struct rpc_call *c = newcomer->queue->silent.oldest;
	if (!c || newcomer->began_ns - c->began_ns < NS_PER_S)
		return false;
	rpc_silent_remove(c);
	rpc_give_place(c);
	rpc_count_refusal(&c->rpc->conns, RPC_REFUSAL_SILENT);
	(void)grpc_call_cancel_with_status(c->call, GRPC_STATUS_UNAVAILABLE,
		"too many calls at once, and this one had no message", NULL);
	return true;
}
