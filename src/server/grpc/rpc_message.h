/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_message.h -- the message of a call, as its handler reads it
 *
 * Life of a request: listen -> [DECODE] -> signature check -> batch -> ... -> encode
 *
 * A compressed one is inflated here, and not by gRPC's library, which would do so whole before
 * it looks at the size.
 *
 * NOT DONE: UNIMPLEMENTED for a grpc-encoding that nobody knows. The library takes it for none, and
 * shows neither the header nor the message's flag: what was compressed so is no message.
 *
 * Threads: whose the call is. Memory: the arena of the call's request.
 */
#pragma once

#include "server/grpc/rpc_state.h"
#include "server/grpc/wire.h"

/* c->message, which stays where it is. RESOURCE_EXHAUSTED: inflated it is larger than a message
   may be. INVALID_ARGUMENT: it cannot be inflated. */
MUST_CHECK enum err_code rpc_message_open(struct rpc_call *c, struct wire *ret, struct err *err);
