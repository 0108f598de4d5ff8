/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h -- output that grows in an arena
 *
 * Appending never returns an error: the first failure (ceiling, memory, bytes_max) sticks,
 * and buf_finish() reports it once.
 *
 * Ownership: the bytes are the arena's. Threads: one at a time.
 */
#pragma once

#include <stdarg.h>
#include <string.h>
#include "base/arena.h"

struct buf {
	struct arena *arena;
	char *ptr;
	size_t len, capacity;
	size_t bytes_max; /* SIZE_MAX: the arena's ceiling alone */
	bool failed;
};

/* Allocates nothing yet. bytes_max 0: no limit of its own. */
struct buf buf_of(struct arena *arena, size_t bytes_max);

/* buf_reserve() when there is no room yet. */
char *buf_grow(struct buf *b, size_t bytes);

/* Room for bytes more at ptr + len, for who writes in place and then adds to len; NULL:
   failed. */
static inline char *buf_reserve(struct buf *b, size_t bytes)
{
	if (bytes > b->capacity - b->len || bytes > b->bytes_max - b->len || b->failed)
		return buf_grow(b, bytes);
	return b->ptr + b->len;
}

static inline void buf_bytes(struct buf *b, const void *data, size_t bytes)
{
	char *to = bytes ? buf_reserve(b, bytes) : NULL;
	if (!to)
		return;
	memcpy(to, data, bytes);
	b->len += bytes;
}

static inline void buf_slice(struct buf *b, struct slice s)
{
	buf_bytes(b, s.ptr, s.len);
}

static inline void buf_str(struct buf *b, const char *str)
{
	buf_slice(b, slice_of(str));
}

static inline void buf_char(struct buf *b, char c)
{
	buf_bytes(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* RESOURCE_EXHAUSTED if anything failed, else what was written, with a NUL behind it that
   is not counted. */
MUST_CHECK enum err_code buf_finish(struct buf *b, struct slice *ret, struct err *err);
