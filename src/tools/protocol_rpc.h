/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protocol_rpc.h -- the protocols over gRPC: their messages, not how they travel
 *
 * Rows of protocol.c. Written and read with the daemon's own wire.h; what stays a check on
 * the daemon is that other clients agree with it.
 *
 * Ownership: what is read lives in the arena or in the message.
 * Threads:   any; nothing is shared.
 */
#pragma once

#include "tools/protocol.h"

struct protocol_rpc {
	const char *infer, *metadata; /* methods */

	/* Asks for the metadata of m->name, m->version. */
	enum err_code (*ask)(const struct model_info *m, struct buf *to, struct err *err);
	/* The answer: what else a model_info has. */
	enum err_code (*told)(struct slice message, struct arena *arena, struct model_info *m,
		struct err *err);
};

/* *ret_json_bytes is SIZE_MAX. */
protocol_encode_fn protocol_rpc_v2_encode, protocol_rpc_tfs_encode;
protocol_decode_fn protocol_rpc_v2_decode, protocol_rpc_tfs_decode;
extern const struct protocol_rpc protocol_rpc_v2, protocol_rpc_tfs;
