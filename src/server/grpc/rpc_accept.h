/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_accept.h -- one thread that accepts connections and counts those that are open
 *
 * Life of a request: [LISTEN] -> decode -> ...
 *
 * gRPC owns a connection once it has it. A copy of its descriptor stays here: when either
 * side hangs up, the copy says so, and one connection less is open.
 *
 * Threads: rpc.c's start and stop it. Memory: a slot per connection, at the start.
 */
#pragma once

#include "server/grpc/rpc_state.h"

/* Sets r->acceptor. */
MUST_CHECK enum err_code rpc_accept_start(struct rpc *r, struct err *err);

/* Closes the listening socket, soon. */
void rpc_accept_refuse(struct rpc_acceptor *a);

/* Cuts off every connection that is left. NULL is fine. */
void rpc_accept_stop(struct rpc_acceptor *a);

uint64_t rpc_accept_rounds(const struct rpc_acceptor *a);
