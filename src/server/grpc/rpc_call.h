/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_call.h -- the road of one gRPC call: accept, receive, answer
 *
 * Life of a request: listen -> [DECODE] -> signature check -> batch -> ... -> [ENCODE]
 *
 * Threads: the queue's, before it serves and while it does.
 */
#pragma once

#include "server/grpc/rpc_state.h"

/* Waits for as many more calls as the queue is owed, or memory allows. */
void rpc_call_top_up(struct rpc_queue *q);

/* Asks a watch's handler again: sends what it says now, ends the call, or keeps it for the
   next time. By whoever took it out of rpc->watching. */
void rpc_call_review(struct rpc_call *c);
