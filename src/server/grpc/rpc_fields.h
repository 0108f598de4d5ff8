/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_fields.h -- counts the fields of a block of headers, without decoding them
 *
 * Life of a request: [LISTEN] -> decode -> ...
 *
 * HPACK writes a field that was sent before in one byte, and gRPC takes 150 for each: a block
 * of 60 KB becomes 9 MB, as often as there are streams. So fields are counted before gRPC
 * sees them. Only lengths are read; whether a block makes sense gRPC will say.
 *
 * Threads: one. Memory: the caller's, zeroed where a block begins.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* gRPC's limit for a call, and how many fields fit in: HTTP/2 measures an empty one as 32 bytes. */
#define RPC_METADATA_BYTES_MAX 8192
#define RPC_FIELDS_MAX (RPC_METADATA_BYTES_MAX / 32)

enum rpc_fields_at {
	RPC_FIELDS_NEXT,   /* a field, or a new size of the table */
	RPC_FIELDS_NUMBER, /* more of that size, or of what names an entry of the table */
	RPC_FIELDS_LENGTH, /* of a string */
	RPC_FIELDS_LENGTH_MORE,
	RPC_FIELDS_STRING,
};

struct rpc_fields {
	uint32_t n;       /* fields begun */
	uint8_t at;       /* enum rpc_fields_at */
	uint8_t strings;  /* that the field has yet to bring */
	uint8_t shift;    /* of a length's next bits */
	uint64_t to_skip; /* of a string; its length while that is read */
};

/* The next bytes of the block. */
void rpc_fields_count(struct rpc_fields *f, const uint8_t *data, size_t n);
