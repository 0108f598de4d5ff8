/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_call.h -- the road of one gRPC call: accept, receive, answer
 *
 * Threads: the queue's, before it serves and while it does. Memory: a freelist per queue.
 */
#pragma once

#include "server/grpc/rpc_state.h"

/* Waits for one more call on this queue. False: no memory, or the server shuts down. */
bool rpc_call_await(struct rpc_queue *q);

/* When no call is alive. */
void rpc_call_free_idle(struct rpc_queue *q);
