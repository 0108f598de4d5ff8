/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_send.h -- a call's reply and status to gRPC
 *
 * Life of a request: ... -> encode -> [WRITE]
 *
 * Big parts of a reply are sent from where they lie, in the request's arena: the call
 * waits for gRPC to let go of them.
 *
 * Threads: who has the call, one at a time; c->on_sent comes on the queue's.
 */
#pragma once

#include "server/grpc/rpc_state.h"

/* The status, with the reply if there is one and rc is ERR_OK (then err may be NULL). Once
   per call: nothing is sent after it. */
void rpc_send_status(struct rpc_call *c, enum err_code rc, const struct err *err);

/* The reply as one message of several. */
void rpc_send_message(struct rpc_call *c);
