/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h -- protobuf's wire format over bytes in pieces
 *
 * Life of a request: listen -> [DECODE] -> signature check -> batch -> ... -> [ENCODE]
 *
 * A gRPC message arrives as slices. The hot messages (ModelInfer, Predict) are read right
 * here, field by field, so that a tensor's bytes go from the slices to where the model
 * reads them in one copy; everything else goes through protobuf-c. A message inside a
 * message is a reader of its own over the same pieces, bounded by its length: depth is
 * what the code nests, never what the sender nests.
 *
 * After the first error every read gives nothing and wire_ok() is false for good.
 *
 * Ownership: borrows the pieces. Threads: one. Memory: none.
 */
#pragma once

#include <stdint.h>
#include "base/arena.h"
#include "base/slice.h"

enum wire_type {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_BYTES = 2,
	WIRE_FIXED32 = 5,
};

struct wire {
	const struct slice *piece;
	int n_piece;
	size_t at;   /* in piece[0] */
	size_t left; /* of this message, over all pieces */
	bool bad;
};

struct wire wire_over(const struct slice *piece, int n_piece);

static inline bool wire_ok(const struct wire *w)
{
	return !w->bad;
}

/* The next field's number and type; false at the end, or after an error. Groups and
   numbers outside 1 .. 2^29 - 1 are errors. */
bool wire_next(struct wire *w, uint32_t *ret_field, enum wire_type *ret_type);

/* The value of the field just read. Each checks that the type fits. */
uint64_t wire_varint(struct wire *w, enum wire_type type);

/* A length-delimited value as a reader of its own; w goes on behind it. Not a message at
   all for bytes and packed fields: wire_copy() and wire_raw_*() read those. */
struct wire wire_message(struct wire *w, enum wire_type type);

/* Goes on to the next field of this number, whose value is then to be read; false: there is
   none, or an error. */
bool wire_seek(struct wire *w, uint32_t field, enum wire_type *ret_type);

/* The same of a message or bytes, read. */
bool wire_find(struct wire *w, uint32_t field, struct wire *ret);

/* An entry of a map from texts to messages; key as wire_string(). w goes on behind it. */
struct wire_entry {
	struct slice key;
	struct wire value;
};
struct wire_entry wire_map_entry(
	struct wire *w, enum wire_type type, size_t key_max, struct arena *arena);

/* The bytes left, as one slice: borrowed when they lie in one piece, else copied into the
   arena. NULL pointer: no memory, or an error. */
struct slice wire_bytes(struct wire *w, struct arena *arena);

/* A string field: UTF-8 without NUL, at most max bytes. */
struct slice wire_string(struct wire *w, enum wire_type type, size_t max, struct arena *arena);

/* Copies n bytes out and goes on behind them. */
void wire_copy(struct wire *w, void *dst, size_t n);

/* Elements of a packed field. */
uint64_t wire_raw_varint(struct wire *w);

void wire_skip(struct wire *w, enum wire_type type);

/* -- writing: lengths first, then bytes --------------------------------------------------- */

struct buf;

void wire_put_varint(struct buf *b, uint64_t v);
void wire_put_tag(struct buf *b, uint32_t field, enum wire_type type);
/* Tag and length; the caller puts len bytes. */
void wire_put_head(struct buf *b, uint32_t field, size_t len);
void wire_put_bytes(struct buf *b, uint32_t field, struct slice s); /* nothing when empty */
void wire_put_uint(struct buf *b, uint32_t field, uint64_t v);      /* nothing when 0 */
void wire_put_float(struct buf *b, uint32_t field, float v);        /* nothing when 0 */
/* A message that was written by itself, empty or not. */
void wire_put_message(struct buf *b, uint32_t field, const struct buf *inner);
/* What they take. */
size_t wire_head_size(uint32_t field, size_t len);
size_t wire_bytes_size(uint32_t field, size_t len);
