/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_accept.h -- one thread that accepts connections, hears them end and sweeps them
 *
 * Life of a request: [LISTEN] -> decode -> ...
 *
 * Connections come from intake.h; what is known of each is in rpc_conn.h.
 *
 * Threads: rpc.c's start and stop it. Memory: none after the start.
 */
#pragma once

#include "server/grpc/rpc_state.h"

/* Sets r->acceptor. */
MUST_CHECK enum err_code rpc_accept_start(struct rpc *r, struct err *err);

/* Closes the listening socket, soon. */
void rpc_accept_refuse(struct rpc_acceptor *a);

/* NULL is fine. */
void rpc_accept_stop(struct rpc_acceptor *a);

uint64_t rpc_accept_rounds(const struct rpc_acceptor *a);
