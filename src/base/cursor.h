/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor.h -- read little-endian data without ever leaving it
 *
 * Reading past the end sets failed, yields zeros and moves nothing; from then on every
 * read fails. So a decoder reads a whole record and asks once.
 *
 * Ownership: borrows the bytes. Threads: one at a time. Memory: none.
 */
#pragma once

#include <stdint.h>
#include "base/slice.h"

struct cursor {
	const uint8_t *at, *end;
	bool failed;
};

static inline struct cursor cursor_of(const void *data, size_t bytes)
{
	const uint8_t *p = data;
	return (struct cursor){ p, bytes ? p + bytes : p, false };
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

/* The next bytes, in place; NULL (and failed) when there are not that many. */
const void *cursor_take(struct cursor *c, size_t bytes);

uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);

/* The next bytes as a slice, as a cursor of their own (a failed one if need be), or left
   out. */
struct slice cursor_slice(struct cursor *c, size_t bytes);
struct cursor cursor_sub(struct cursor *c, size_t bytes);
void cursor_skip(struct cursor *c, size_t bytes);
