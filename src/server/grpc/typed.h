/* SPDX-License-Identifier: Apache-2.0 */
/*
 * typed.h -- a repeated field of elements, packed or not, into a tensor's memory
 *
 * Life of a request: listen -> [DECODE] -> signature check -> batch -> ... -> [ENCODE]
 *
 * Both gRPC dialects have tensors whose elements come as a field of their type. Which field
 * that is, the dialect knows; how elements lie in it follows from the element type.
 *
 * Ownership: borrows the tensor. Threads: one. Memory: none but for strings in pieces.
 */
#pragma once

#include "exec/tensor.h"
#include "server/grpc/wire.h"

struct typed {
	struct tensor *t;  /* with memory for all elements */
	size_t at, room;   /* bytes read, and what t takes */
	bool too_many, out_of_range;
};
struct typed typed_into(struct tensor *t);

/* One occurrence of the field. Errors of the message stand in w. */
void typed_read(struct typed *d, struct wire *w, enum wire_type type, struct arena *arena);

/* The other way: the packed field's bytes, borrowed where they are as in memory. Not for
   strings. NULL: no memory. */
struct slice typed_packed(const struct tensor *t, struct arena *arena);
