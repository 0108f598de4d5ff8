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

/* Room for bytes more at ptr + len, for who writes in place and then adds to len; NULL:
   failed. */
char *buf_reserve(struct buf *b, size_t bytes);

void buf_bytes(struct buf *b, const void *data, size_t bytes);
void buf_slice(struct buf *b, struct slice s);
void buf_str(struct buf *b, const char *str);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

/* RESOURCE_EXHAUSTED if anything failed, else what was written, with a NUL behind it that
   is not counted. */
MUST_CHECK enum err_code buf_finish(struct buf *b, struct slice *ret, struct err *err);
