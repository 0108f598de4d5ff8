/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protocol.h -- an inference as each protocol writes it: one row per protocol
 *
 * signet-bench and signetctl make requests of tensors with it, and tensors of replies.
 *
 * Ownership: tensors read live in the arena.
 * Threads:   any; nothing is shared.
 */
#pragma once

#include "tools/model_info.h"

/* Writes the body; *ret_json_bytes is SIZE_MAX when nothing binary follows. */
typedef enum err_code protocol_encode_fn(const struct model_info *m, const struct tensor *in,
	struct buf *to, size_t *ret_json_bytes, struct err *err);

/* out: m->n_out tensors, data NULL where the reply lacks one. */
typedef enum err_code protocol_decode_fn(const struct model_info *m, struct slice body,
	size_t json_bytes, struct arena *arena, struct tensor *out, struct err *err);

struct protocol {
	const char *name; /* of --protocol */
	protocol_encode_fn *encode;
	protocol_decode_fn *decode;

	/* HTTP: it is posted to prefix MODEL[/versions/V] suffix. */
	const char *prefix, *suffix;
	const struct protocol_rpc *rpc; /* gRPC: what is called instead; see protocol_rpc.h */
};

/* NULL: no such row. */
const struct protocol *protocol_find(const char *name);

/* "v1, v2, ...", for messages. */
const char *protocol_names(void);

/* Over HTTP. in: m->n_in tensors; data NULL: not sent. The body goes to the arena. */
MUST_CHECK enum err_code protocol_request(const struct protocol *p, const struct model_info *m,
	const struct tensor *in, struct arena *arena, struct http_request *ret, struct err *err);

/* The message or body alone. */
MUST_CHECK enum err_code protocol_body(const struct protocol *p, const struct model_info *m,
	const struct tensor *in, struct arena *arena, size_t *ret_json_bytes, struct slice *ret,
	struct err *err);

/* A tensor as raw bytes: strings go with their length before them, four bytes, low first.
   Reading: t has its type and shape; strings stay where they are. */
size_t protocol_raw_bytes(const struct tensor *t);
void protocol_raw_write(struct buf *to, const struct tensor *t);
bool protocol_raw_read(struct slice raw, struct tensor *t);

/* A tensor of the input's or output's type from a JSON value, its shape from how the lists
   nest. */
MUST_CHECK enum err_code protocol_read_json(const struct model_io *io, struct slice text,
	struct arena *arena, struct tensor *ret, struct err *err);
