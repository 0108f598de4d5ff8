/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/rpc_admit.h"

#include <grpc/support/time.h>
#include "base/clock.h"
#include "server/grpc/rpc_silent.h"
#include "server/grpc/rpc_watch.h"

/* The client's, by our clock. */
static int64_t deadline_of(const struct rpc_call *c)
{
	gpr_timespec at = c->details.deadline;
	if (gpr_time_cmp(at, gpr_inf_future(at.clock_type)) == 0)
		return INT64_MAX;
	gpr_timespec left = gpr_time_sub(at, gpr_now(at.clock_type));
	if (left.tv_sec > INT32_MAX)
		return INT64_MAX;
	return clock_after(
		c->began_ns, left.tv_sec < 0 ? 0 : left.tv_sec * NS_PER_S + left.tv_nsec);
}

/* What a client keeps in HPACK's table costs it one byte each time, and us a field: gRPC counts
   them only once the client has acknowledged its limit. */
static enum err_code check_metadata(struct rpc_call *c, struct err *err)
{
	if (c->metadata.count <= RPC_FIELDS_MAX)
		return ERR_OK;
	rpc_conn_doom(&c->rpc->conns, c->ticket);
	return err_set(err, ERR_RESOURCE_EXHAUSTED,
		"the call has %zu fields of metadata, at most %d are read", c->metadata.count,
		RPC_FIELDS_MAX);
}

static enum err_code refuse(
	struct rpc_call *c, enum rpc_refusal why, const char *msg, struct err *err)
{
	rpc_give_place(c);
	rpc_count_refusal(&c->rpc->conns, why);
	rpc_conn_waste(&c->rpc->conns, c->ticket);
	return err_set(err, ERR_UNAVAILABLE, "%s", msg);
}

/* Is there room for one more call? Health is told even when there is none. */
static enum err_code enter(struct rpc_call *c, struct err *err)
{
	bool is_quick = c->method && c->method->kind == RPC_CONTROL;
	int before = atomic_fetch_add(&c->rpc->in_flight, 1);
	if (!rpc_conn_enter(&c->rpc->conns, c->call, &c->ticket))
		return refuse(
			c, RPC_REFUSAL_STREAMS, "too many calls at once on this connection", err);
	if (before >= c->rpc->conf.calls_max && !rpc_silent_make_room(c) && !is_quick)
		return refuse(c, RPC_REFUSAL_CALLS, "too many calls at once", err);
	return ERR_OK;
}

enum err_code rpc_admit(struct rpc_call *c, struct err *err)
{
	c->began_ns = clock_now_ns();
	c->deadline_ns = deadline_of(c);
	const grpc_slice *path = &c->details.method;
	c->method = rpc_find_method(c->rpc, (struct slice){
		(const char *)GRPC_SLICE_START_PTR(*path), GRPC_SLICE_LENGTH(*path) });
	TRY(enter(c, err));
	TRY(check_metadata(c, err));
	if (!c->method)
		return err_set(err, ERR_UNIMPLEMENTED, "unknown method");
	if (c->method->kind == RPC_ADMIN && !c->rpc->conf.allow_admin)
		return err_set(err, ERR_UNAVAILABLE,
			"explicit model load and unload are not allowed by the configuration");
	return c->method->kind == RPC_WATCH ? rpc_watch_admit(c, err) : ERR_OK;
}
