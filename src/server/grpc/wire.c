/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/wire.h"

#include <string.h>
#include "base/buf.h"
#include "base/utf8.h"

struct wire wire_over(const struct slice *piece, int n_piece)
{
	struct wire w = { .piece = piece, .n_piece = n_piece };
	for (int i = 0; i < n_piece; i++)
		w.left += piece[i].len;
	return w;
}

static void fail(struct wire *w)
{
	w->bad = true;
	w->left = 0;
}

/* Past empty pieces, to one with bytes; only when left > 0. */
static void next_piece(struct wire *w)
{
	while (w->at == w->piece->len) {
		w->piece++;
		w->n_piece--;
		w->at = 0;
	}
}

/* Moves n bytes on, n <= left; into dst, if there is one. */
static void advance(struct wire *w, void *dst, size_t n)
{
	char *to = dst;
	w->left -= n;
	while (n) {
		next_piece(w);
		size_t here = w->piece->len - w->at < n ? w->piece->len - w->at : n;
		if (to) {
			memcpy(to, w->piece->ptr + w->at, here);
			to += here;
		}
		w->at += here;
		n -= here;
	}
}

void wire_copy(struct wire *w, void *dst, size_t n)
{
	if (n > w->left)
		fail(w);
	else
		advance(w, dst, n);
}

#define VARINT_MAX 10

/* As most lie: within one piece, and shorter than the longest. False: not so. */
static bool read_near(struct wire *w, uint64_t *ret)
{
	if (w->left < VARINT_MAX || w->piece->len - w->at < VARINT_MAX)
		return false;
	const char *from = w->piece->ptr + w->at;
	uint64_t v = 0;
	for (size_t i = 0; i < VARINT_MAX - 1; i++) {
		v |= (uint64_t)(from[i] & 0x7f) << 7 * i;
		if (from[i] & 0x80)
			continue;
		w->at += i + 1;
		w->left -= i + 1;
		*ret = v;
		return true;
	}
	return false;
}

uint64_t wire_raw_varint(struct wire *w)
{
	uint64_t v = 0;
	if (read_near(w, &v))
		return v;
	for (int shift = 0; shift < 70; shift += 7) {
		uint8_t byte = 0;
		if (w->left == 0)
			break;
		advance(w, &byte, 1);
		if (shift == 63 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << (shift < 64 ? shift : 63);
		if (!(byte & 0x80))
			return v;
	}
	fail(w);
	return 0;
}

bool wire_next(struct wire *w, uint32_t *ret_field, enum wire_type *ret_type)
{
	if (w->left == 0)
		return false;
	uint64_t tag = wire_raw_varint(w);
	uint64_t field = tag >> 3;
	unsigned type = tag & 7;
	bool known = type == WIRE_VARINT || type == WIRE_FIXED64 || type == WIRE_BYTES ||
		     type == WIRE_FIXED32;
	if (w->bad || !known || field == 0 || field >= UINT64_C(1) << 29) {
		fail(w);
		return false;
	}
	*ret_field = (uint32_t)field;
	*ret_type = (enum wire_type)type;
	return true;
}

uint64_t wire_varint(struct wire *w, enum wire_type type)
{
	if (type == WIRE_VARINT)
		return wire_raw_varint(w);
	fail(w);
	return 0;
}

struct wire wire_message(struct wire *w, enum wire_type type)
{
	struct wire none = { .bad = true };
	if (type != WIRE_BYTES) {
		fail(w);
		return none;
	}
	uint64_t len = wire_raw_varint(w);
	if (w->bad || len > w->left) {
		fail(w);
		return none;
	}
	struct wire inner = *w;
	inner.left = len;
	advance(w, NULL, len);
	return inner;
}

struct slice wire_bytes(struct wire *w, struct arena *arena)
{
	size_t n = w->left;
	if (w->bad)
		return (struct slice){ 0 };
	if (n == 0)
		return SLICE_LIT("");
	next_piece(w);
	if (w->piece->len - w->at >= n) {
		struct slice s = { w->piece->ptr + w->at, n };
		advance(w, NULL, n);
		return s;
	}
	char *copy = arena_alloc(arena, n);
	if (!copy) {
		fail(w);
		return (struct slice){ 0 };
	}
	advance(w, copy, n);
	return (struct slice){ copy, n };
}

struct slice wire_string(struct wire *w, enum wire_type type, size_t max, struct arena *arena)
{
	struct wire inner = wire_message(w, type);
	if (inner.left > max)
		fail(w);
	struct slice s = w->bad ? (struct slice){ 0 } : wire_bytes(&inner, arena);
	if (inner.bad || !s.ptr || !utf8_is_valid(s) || memchr(s.ptr, 0, s.len)) {
		fail(w);
		return SLICE_LIT("");
	}
	return s;
}

bool wire_seek(struct wire *w, uint32_t field, enum wire_type *ret_type)
{
	uint32_t at;
	while (wire_next(w, &at, ret_type)) {
		if (at == field)
			return true;
		wire_skip(w, *ret_type);
	}
	return false;
}

bool wire_find(struct wire *w, uint32_t field, struct wire *ret)
{
	enum wire_type type;
	if (!wire_seek(w, field, &type))
		return false;
	*ret = wire_message(w, type);
	return wire_ok(w);
}

enum { MAP_KEY = 1, MAP_VALUE };

struct wire_entry wire_map_entry(
	struct wire *w, enum wire_type type, size_t key_max, struct arena *arena)
{
	struct wire_entry e = { .key = SLICE_LIT("") };
	struct wire inner = wire_message(w, type);
	uint32_t field;
	while (wire_next(&inner, &field, &type)) {
		if (field == MAP_KEY)
			e.key = wire_string(&inner, type, key_max, arena);
		else if (field == MAP_VALUE)
			e.value = wire_message(&inner, type);
		else
			wire_skip(&inner, type);
	}
	w->bad |= inner.bad;
	return e;
}

void wire_skip(struct wire *w, enum wire_type type)
{
	switch (type) {
	case WIRE_VARINT:
		wire_raw_varint(w);
		break;
	case WIRE_FIXED64:
		wire_copy(w, NULL, 8);
		break;
	case WIRE_BYTES:
		wire_message(w, type);
		break;
	case WIRE_FIXED32:
		wire_copy(w, NULL, 4);
		break;
	}
}

/* -- writing ------------------------------------------------------------------------------- */

static size_t varint_size(uint64_t v)
{
	size_t n = 1;
	while (v >>= 7)
		n++;
	return n;
}

void wire_put_varint(struct buf *b, uint64_t v)
{
	char bytes[10];
	size_t n = 0;
	do {
		bytes[n++] = (char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
	buf_bytes(b, bytes, n);
}

void wire_put_tag(struct buf *b, uint32_t field, enum wire_type type)
{
	wire_put_varint(b, (uint64_t)field << 3 | type);
}

void wire_put_head(struct buf *b, uint32_t field, size_t len)
{
	wire_put_tag(b, field, WIRE_BYTES);
	wire_put_varint(b, len);
}

void wire_put_bytes(struct buf *b, uint32_t field, struct slice s)
{
	if (s.len == 0)
		return;
	wire_put_head(b, field, s.len);
	buf_slice(b, s);
}

void wire_put_uint(struct buf *b, uint32_t field, uint64_t v)
{
	if (v == 0)
		return;
	wire_put_tag(b, field, WIRE_VARINT);
	wire_put_varint(b, v);
}

void wire_put_float(struct buf *b, uint32_t field, float v)
{
	uint32_t bits;
	memcpy(&bits, &v, sizeof(bits));
	if (bits == 0)
		return;
	wire_put_tag(b, field, WIRE_FIXED32);
	buf_bytes(b, &bits, sizeof(bits));
}

void wire_put_message(struct buf *b, uint32_t field, const struct buf *inner)
{
	wire_put_head(b, field, inner->len);
	buf_bytes(b, inner->ptr, inner->len);
	b->failed |= inner->failed;
}

size_t wire_head_size(uint32_t field, size_t len)
{
	return varint_size((uint64_t)field << 3) + varint_size(len);
}

size_t wire_bytes_size(uint32_t field, size_t len)
{
	return len ? wire_head_size(field, len) + len : 0;
}
