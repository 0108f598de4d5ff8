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

/* As struct protocol has them; *ret_json_bytes is SIZE_MAX. */
enum err_code protocol_rpc_v2_encode(const struct model_info *m, const struct tensor *in,
	struct buf *to, size_t *ret_json_bytes, struct err *err);
enum err_code protocol_rpc_v2_decode(const struct model_info *m, struct slice body,
	size_t json_bytes, struct arena *arena, struct tensor *out, struct err *err);
extern const struct protocol_rpc protocol_rpc_v2;

enum err_code protocol_rpc_tfs_encode(const struct model_info *m, const struct tensor *in,
	struct buf *to, size_t *ret_json_bytes, struct err *err);
enum err_code protocol_rpc_tfs_decode(const struct model_info *m, struct slice body,
	size_t json_bytes, struct arena *arena, struct tensor *out, struct err *err);
extern const struct protocol_rpc protocol_rpc_tfs;
