/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_client.h -- connections to a gRPC server, and one whole call
 *
 * Ownership: channels are the caller's: grpc_channel_destroy(). Answers live in the arena.
 * Threads:   any; nothing is shared. The library has threads of its own.
 */
#pragma once

#include <grpc/grpc.h>
#include "tools/client_tls.h"

/* "[grpc://]HOST:PORT" or "unix:PATH"; grpcs://HOST:PORT: over TLS. */
struct rpc_client_server {
	const char *url;
	const struct client_tls_conf *tls;
};

/* A connection of its own, when it is there. UNAVAILABLE: nobody answers within timeout_ns.
   INVALID_ARGUMENT: the URL is none, or what TLS wants cannot be had. */
MUST_CHECK enum err_code rpc_client_connect(const struct rpc_client_server *server,
	int64_t timeout_ns, grpc_channel **ret, struct err *err);

/* The answer's status as the code, with its text. */
MUST_CHECK enum err_code rpc_client_call(grpc_channel *channel, const char *method,
	struct slice message, int64_t timeout_ns, struct arena *arena, struct slice *ret,
	struct err *err);

/* Of gRPC's clock, as deadlines are. */
gpr_timespec rpc_client_after(int64_t ns);

/* One call's operations, all in one batch: lives until its event. */
struct rpc_call_parts {
	grpc_call *call;
	grpc_byte_buffer *message, *answer;
	grpc_metadata_array initial, trailing;
	grpc_status_code status;
	grpc_slice text;
};

/* Takes call. message: sent from where it lies; it outlives the call. */
void rpc_client_start(struct rpc_call_parts *p, grpc_call *call, struct slice message, void *tag);
void rpc_client_finish(struct rpc_call_parts *p);

/* The whole answer in the arena. */
MUST_CHECK enum err_code rpc_client_answer(
	const struct rpc_call_parts *p, struct arena *arena, struct slice *ret, struct err *err);
