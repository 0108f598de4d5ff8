/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 * One completion queue, which the loop's thread waits on; a call is one batch of all its
 * operations, and so one event. A slot belongs to a connection for good.
 *
 * The library sleeps in whole milliseconds, rounded up twice. When the next request is due
 * before that, we sleep ourselves, a little at a time, and look whether something has come:
 * an open loop's latencies are up to PAUSE_NS too long.
 */
#include "tools/bench/load_rpc.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "tools/bench/load_state.h"

#define CONNECT_NS (5 * NS_PER_S)
#define COARSE_NS (2 * NS_PER_MS)
#define PAUSE_NS (50 * NS_PER_US)

struct rpc_slot {
	struct load_slot slot;
	struct rpc_call_parts parts;
};

struct connection {
	grpc_channel *channel;
	void *method;
};

struct client {
	grpc_completion_queue *cq;
	struct connection connection[LOAD_RPC_CONNECTIONS];
	struct arena *arena; /* of one answer, for who looks at it */
};

static struct rpc_slot *rpc_slot_of(struct load_slot *s)
{
	return (struct rpc_slot *)s;
}

static enum err_code rpc_begin(struct load *l, struct err *err)
{
	struct client *c = calloc(1, sizeof(*c));
	if (!c)
		return err_oom(err);
	l->wire = c;
	grpc_init();
	c->cq = grpc_completion_queue_create_for_next(NULL);
	c->arena = arena_new(64 << 10, 0);
	return c->arena ? ERR_OK : err_oom(err);
}

static struct connection *connection_of(struct load *l, const struct load_slot *s)
{
	struct client *c = l->wire;
	size_t i = (size_t)((const char *)s - l->slots) / sizeof(struct rpc_slot);
	return &c->connection[i % LOAD_RPC_CONNECTIONS];
}

static enum err_code rpc_connect(struct load *l, struct load_slot *s, struct err *err)
{
	const struct load_rpc_server *server = l->conf->server;
	struct connection *c = connection_of(l, s);
	if (c->channel)
		return ERR_OK;
	TRY(rpc_client_connect(&server->at, CONNECT_NS, &c->channel, err));
	c->method = grpc_channel_register_call(c->channel, server->method, NULL, NULL);
	l->result->connections++;
	return ERR_OK;
}

static void rpc_send(struct load *l, struct load_slot *s, struct slice request)
{
	struct client *c = l->wire;
	struct connection *to = connection_of(l, s);
	grpc_call *call =
		grpc_channel_create_registered_call(to->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
			c->cq, to->method, rpc_client_after(l->conf->timeout_ns), NULL);
	l->result->bytes_out += request.len;
	rpc_client_start(&rpc_slot_of(s)->parts, call, request, s);
}

static void on_answer(struct load *l, struct rpc_slot *s)
{
	struct client *c = l->wire;
	struct rpc_call_parts *p = &s->parts;
	struct slice body = { NULL, 0 };
	if (p->status == GRPC_STATUS_OK && l->conf->on_answer) {
		arena_reset(c->arena, SIZE_MAX);
		if (rpc_client_answer(p, c->arena, &body, NULL) != ERR_OK)
			p->status = GRPC_STATUS_UNKNOWN;
	}
	l->result->bytes_in += p->answer ? grpc_byte_buffer_length(p->answer) : 0;
	int status = (int)p->status;
	rpc_client_finish(p);
	if (status == GRPC_STATUS_DEADLINE_EXCEEDED)
		load_failed(l, &s->slot, LOAD_TIMEOUT);
	else
		load_answered(l, &s->slot, status < LOAD_STATUS_MAX ? status : GRPC_STATUS_UNKNOWN,
			body, body.len);
}

static void rpc_wait(struct load *l, int64_t wait_ns)
{
	struct client *c = l->wire;
	bool coarse = wait_ns > COARSE_NS;
	gpr_timespec until = coarse ? rpc_client_after(wait_ns - COARSE_NS) :
				      gpr_inf_past(GPR_CLOCK_MONOTONIC);
	grpc_event ev = grpc_completion_queue_next(c->cq, until, NULL);
	if (ev.type == GRPC_OP_COMPLETE)
		on_answer(l, ev.tag);
	else if (!coarse)
		nanosleep(&(struct timespec){ .tv_nsec = wait_ns < PAUSE_NS ? wait_ns : PAUSE_NS },
			NULL);
}

static void rpc_end_slot(struct load *l, struct load_slot *s)
{
	(void)l;
	(void)s;
}

static void rpc_end(struct load *l)
{
	struct client *c = l->wire;
	if (!c)
		return;
	for (int i = 0; i < LOAD_RPC_CONNECTIONS; i++)
		if (c->connection[i].channel)
			grpc_channel_destroy(c->connection[i].channel);
	grpc_completion_queue_shutdown(c->cq);
	grpc_completion_queue_destroy(c->cq);
	grpc_shutdown();
	arena_free(c->arena);
	free(c);
}

const struct load_wire load_rpc = {
	.slot_bytes = sizeof(struct rpc_slot),
	.ok_status = GRPC_STATUS_OK,
	.begin = rpc_begin,
	.connect = rpc_connect,
	.send = rpc_send,
	.wait = rpc_wait,
	.end_slot = rpc_end_slot,
	.end = rpc_end,
};
