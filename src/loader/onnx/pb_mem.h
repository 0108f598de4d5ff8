/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pb_mem.h -- where protobuf-c puts what it unpacks
 *
 * A budgeted allocator with two kinds of memory. Small pieces come from an arena and go
 * with the whole. From PB_BIG_BYTES on a piece has pages of its own, 64-byte aligned:
 * what is freed serves the next one of its size, for protobuf-c takes the same slabs for
 * every message with many fields, until pb_mem_trim(); and pb_mem_adopt() moves a piece to
 * a longer-lived arena, so that what was unpacked from a file is not copied again.
 *
 * Ownership: pb_mem_done() frees all that was not adopted.
 * Threads:   one at a time.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include "base/arena.h"

#define PB_BIG_BYTES ((size_t)64 << 10)

struct pb_block;

struct pb_mem {
	ProtobufCAllocator allocator; /* hand this to *_unpack() */
	struct arena *small;
	struct pb_block *big, *spare;
	size_t big_bytes, budget_bytes;
	bool exhausted; /* an allocation failed: why unpacking did */
};

MUST_CHECK enum err_code pb_mem_init(struct pb_mem *m, size_t budget_bytes, struct err *err);
void pb_mem_done(struct pb_mem *m);

/* Gives back what is free. */
void pb_mem_trim(struct pb_mem *m);

/* piece: the start of at least PB_BIG_BYTES that this allocator gave. It is then the
   arena's, and asking again, for the same arena, changes nothing: a function's constant is
   read at each call. RESOURCE_EXHAUSTED: the arena is full, nothing has changed. */
MUST_CHECK enum err_code pb_mem_adopt(struct pb_mem *m, void *piece, struct arena *to);
