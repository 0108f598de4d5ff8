/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_life.h -- how long a call and gRPC's side of it live
 *
 * events counts what is to come of gRPC, the status that is owed among it: gRPC's call is
 * let go of after the last. refs counts the slices lent to gRPC as well: who drops the
 * last of them frees the request and gives the call back to its queue's freelist.
 *
 * Threads: any.
 * Memory:  at most 256 idle calls per queue.
 */
#pragma once

#include "server/grpc/rpc_state.h"

/* From the freelist, with the garbage of its last use; without a reference. NULL: no memory. */
struct rpc_call *rpc_life_take(struct rpc_queue *q);

void rpc_life_ref(struct rpc_call *c);
void rpc_life_unref(struct rpc_call *c);

/* An event is to come; it has been dealt with, and c may be gone. */
void rpc_life_expect(struct rpc_call *c);
void rpc_life_settle(struct rpc_call *c);

/* gRPC does the n operations, and event comes of it, maybe before this returns. */
void rpc_life_start(struct rpc_call *c, const grpc_op *ops, size_t n, struct rpc_event *event);

/* The operation that tells of the client's end, for whoever takes it first: else false. */
bool rpc_life_take_close(struct rpc_call *c, grpc_op *ret);

/* When no call is alive. */
void rpc_life_free_idle(struct rpc_queue *q);
