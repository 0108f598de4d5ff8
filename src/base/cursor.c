/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cursor.h"

#include <endian.h>

const void *cursor_take(struct cursor *c, size_t bytes)
{
	if (c->failed || bytes > cursor_left(c)) {
		c->failed = true;
		return NULL;
	}
	const void *p = c->at;
	/* NULL + 0 of an empty cursor is nothing to compute. */
	if (bytes)
		c->at += bytes;
	return p;
}

static void read_into(struct cursor *c, void *to, size_t bytes)
{
	const void *p = cursor_take(c, bytes);
	if (p)
		memcpy(to, p, bytes);
}

uint8_t cursor_u8(struct cursor *c)
{
	uint8_t v = 0;
	read_into(c, &v, sizeof(v));
	return v;
}

uint16_t cursor_u16(struct cursor *c)
{
	uint16_t v = 0;
	read_into(c, &v, sizeof(v));
	return le16toh(v);
}

uint32_t cursor_u32(struct cursor *c)
{
	uint32_t v = 0;
	read_into(c, &v, sizeof(v));
	return le32toh(v);
}

uint64_t cursor_u64(struct cursor *c)
{
	uint64_t v = 0;
	read_into(c, &v, sizeof(v));
	return le64toh(v);
}

struct slice cursor_slice(struct cursor *c, size_t bytes)
{
	const char *p = cursor_take(c, bytes);
	return (struct slice){ p, c->failed ? 0 : bytes };
}

struct cursor cursor_sub(struct cursor *c, size_t bytes)
{
	const void *p = cursor_take(c, bytes);
	struct cursor sub = cursor_of(p, c->failed ? 0 : bytes);
	sub.failed = c->failed;
	return sub;
}

void cursor_skip(struct cursor *c, size_t bytes)
{
	(void)cursor_take(c, bytes);
}
