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

#define LOAD_RPC_CONNECTIONS 16

struct load_rpc_server {
	const char *url, *method;
};

extern const struct load_wire load_rpc;
