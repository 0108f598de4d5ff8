/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_late.h -- calls whose client keeps the server waiting
 *
 * Life of a request: listen -> [DECODE] -> ... -> [ENCODE]
 *
 * A call notes what it waits for; four times a second the accepting thread goes round and
 * cancels those that wait for too long. A call's deadline is its client's choice; these
 * are ours.
 *
 * Ownership: a call is in its queue's list from rpc_late_add() to rpc_late_remove(), and
 *            has gRPC's call as long.
 * Threads:   any. Memory: none.
 */
#pragma once

#include <grpc/grpc.h>

struct rpc;
struct rpc_call;

enum rpc_wait {
	RPC_WAIT_NONE,    /* it is our turn */
	RPC_WAIT_MESSAGE, /* the client has called, its message is not there */
	RPC_WAIT_NEXT,    /* a stream's next message */
	RPC_WAIT_SENT,    /* the client takes its reply */
	RPC_WAIT_COUNT_
};

void rpc_late_add(struct rpc_call *c);
/* Returns owned gRPC's call, c->call is NULL then. */
grpc_call *rpc_late_remove(struct rpc_call *c);

void rpc_late_note(struct rpc_call *c, enum rpc_wait what);

/* One round over all calls; keeps the time that rpc_late_note() takes. */
void rpc_late_sweep(struct rpc *r);
