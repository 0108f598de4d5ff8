/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pieces.h -- a reply in which big tensors are sent from where they lie
 *
 * Life of a request: ... -> kernels -> [ENCODE]
 *
 * Tags and small tensors gather in a buffer; a big tensor is a piece of its own.
 *
 * Memory: the request's arena. Threads: one.
 */
#pragma once

#include "server/grpc/rpc_state.h"

struct pieces {
	struct rpc_call *c;
	struct buf b; /* for the caller to write to, between the big ones */
	bool failed;
};

/* Begins the call's reply. */
struct pieces pieces_of(struct rpc_call *c);

/* Bytes that live as long as the call. */
void pieces_put(struct pieces *p, struct slice bytes);

/* Leaves room for one part more. */
MUST_CHECK enum err_code pieces_end(struct pieces *p, struct err *err);
