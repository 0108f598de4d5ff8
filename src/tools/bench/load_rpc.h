/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_rpc.h -- requests of the load generator over gRPC
 *
 * conf->server is a struct load_rpc_server; requests are messages. Requests under way share
 * connections when there are more of them than LOAD_RPC_CONNECTIONS.
 *
 * Ownership, threads: as load.h says.
 */
#pragma once

#include "tools/bench/load.h"
#include "tools/bench/rpc_client.h"

#define LOAD_RPC_CONNECTIONS 16

struct load_rpc_server {
	struct rpc_client_server at;
	const char *method;
};

extern const struct load_wire load_rpc;
