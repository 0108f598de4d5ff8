/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include "base/checked.h"

#define CAPACITY_MIN 256

struct buf buf_of(struct arena *arena, size_t bytes_max)
{
	return (struct buf){ .arena = arena, .bytes_max = bytes_max ? bytes_max : SIZE_MAX };
}

/* Room for bytes more, and slack that does not count towards the limit. Doubles: the arena
   cannot take the old piece back, so the waste is what a geometric series has. */
static char *grow(struct buf *b, size_t bytes, size_t slack)
{
	size_t need, all;
	if (b->failed || add_overflows(b->len, bytes, &need) || need > b->bytes_max ||
		add_overflows(need, slack, &all))
		goto fail;
	if (all > b->capacity) {
		size_t capacity = b->capacity < CAPACITY_MIN ? CAPACITY_MIN : b->capacity;
		while (capacity < all) {
			if (mul_overflows(capacity, 2, &capacity))
				goto fail;
		}
		char *ptr = arena_alloc(b->arena, capacity);
		if (!ptr)
			goto fail;
		if (b->len)
			memcpy(ptr, b->ptr, b->len);
		b->ptr = ptr;
		b->capacity = capacity;
	}
	return b->ptr + b->len;
fail:
	b->failed = true;
	return NULL;
}

char *buf_grow(struct buf *b, size_t bytes)
{
	return grow(b, bytes, 0);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	/* Into what room there is; only what does not fit is formatted twice. */
	size_t room = b->failed ? 0 : b->capacity - b->len;
	int len = vsnprintf(room ? b->ptr + b->len : NULL, room, fmt, ap);
	if (len < 0) {
		b->failed = true;
	} else if ((size_t)len < room && (size_t)len <= b->bytes_max - b->len) {
		b->len += (size_t)len;
	} else if (grow(b, (size_t)len, 1)) {
		vsnprintf(b->ptr + b->len, (size_t)len + 1, fmt, again);
		b->len += (size_t)len;
	}
	va_end(again);
	va_end(ap);
}

enum err_code buf_finish(struct buf *b, struct slice *ret, struct err *err)
{
	char *end = grow(b, 0, 1);
	if (!end)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "output does not fit in its memory");
	*end = '\0';
	*ret = (struct slice){ b->ptr, b->len };
	return ERR_OK;
}
