/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/onnx/pb_list.h"

#include <assert.h>
#include "base/checked.h"

#define VARINT_BYTES_MAX 10

/* Lists of strings are often of few words, as trees have them for their nodes: so far back one
   is looked for, which then is kept once. */
#define SAID_BEFORE 3

static const struct {
	uint8_t wire;	    /* type */
	uint8_t wire_bytes; /* of an element and its tag, at the least */
	uint8_t bytes;
} kinds[] = {
	[PB_FLOATS] = {5, 5, sizeof(float)},
	[PB_INTS] = {0, 2, sizeof(int64_t)},
	[PB_STRINGS] = {2, 2, sizeof(struct slice)},
};

uint8_t pb_list_tag(enum pb_kind kind, uint32_t number)
{
	assert(number > 0 && number < 16);
	return (uint8_t)(number << 3 | kinds[kind].wire);
}

bool pb_list_init(struct pb_list *l, enum pb_kind kind, uint32_t number, uint64_t wire_bytes,
	size_t bytes_max, struct arena *arena)
{
	struct file_mem *mem = ARENA_NEW(arena, struct file_mem);
	size_t cap = wire_bytes / kinds[kind].wire_bytes, bytes;
	if (!mem || cap == 0 || mul_overflows(cap, kinds[kind].bytes, &bytes) ||
		bytes > bytes_max || file_mem_new(bytes, mem, NULL) != ERR_OK)
		return false;
	*l = (struct pb_list){.kind = kind,
		.tag = pb_list_tag(kind, number),
		.arena = arena,
		.mem = mem,
		.cap = cap};
	return true;
}

/* -- elements: each returns where the next one begins, or where it stopped -----------------------
 */

static const uint8_t *take_floats(struct pb_list *l, const uint8_t *at, const uint8_t *end)
{
	float *to = l->mem->ptr;
	for (; end - at >= 5 && *at == l->tag && l->n < l->cap; at += 5)
		memcpy(&to[l->n++], at + 1, sizeof(float));
	return at;
}

/* Returns behind it; NULL: it is not whole, or not valid. */
static const uint8_t *take_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;
	for (int i = 0; i < VARINT_BYTES_MAX && at < end; i++) {
		uint8_t b = *at++;
		if (i == VARINT_BYTES_MAX - 1 && b > 1)
			return NULL;
		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if (!(b & 0x80)) {
			*ret = v;
			return at;
		}
	}
	return NULL;
}

static const uint8_t *take_ints(struct pb_list *l, const uint8_t *at, const uint8_t *end)
{
	int64_t *to = l->mem->ptr;
	size_t n = l->n;
	while (end - at >= 2 && *at == l->tag && n < l->cap) {
		uint64_t v;
		const uint8_t *next = take_varint(at + 1, end, &v);
		if (!next)
			break;
		to[n++] = (int64_t)v;
		at = next;
	}
	l->n = n;
	return at;
}

bool pb_list_put_string(struct slice *list, size_t n, struct slice what, struct arena *arena)
{
	for (size_t back = 1; back <= n && back <= SAID_BEFORE; back++)
		if (slice_eq(list[n - back], what)) {
			list[n] = list[n - back];
			return true;
		}
	list[n] = (struct slice){arena_strndup(arena, what.ptr, what.len), what.len};
	return list[n].ptr;
}

static const uint8_t *take_strings(struct pb_list *l, const uint8_t *at, const uint8_t *end)
{
	struct slice *to = l->mem->ptr;
	while (end - at >= 2 && *at == l->tag && l->n < l->cap) {
		uint64_t len;
		const uint8_t *text = take_varint(at + 1, end, &len);
		if (!text || len > (uint64_t)(end - text))
			break;
		struct slice what = {(const char *)text, (size_t)len};
		l->exhausted = l->exhausted || !pb_list_put_string(to, l->n, what, l->arena);
		l->n += !l->exhausted;
		at = text + len;
	}
	return at;
}

size_t pb_list_take(struct pb_list *l, const uint8_t *at, size_t bytes)
{
	const uint8_t *end = at + bytes, *next = at;
	switch (l->kind) {
	case PB_FLOATS:
		next = take_floats(l, at, end);
		break;
	case PB_INTS:
		next = take_ints(l, at, end);
		break;
	case PB_STRINGS:
		next = take_strings(l, at, end);
		break;
	case PB_BYTES:
		break;
	}
	return (size_t)(next - at);
}

/* -- the end ----------------------------------------------------------------------------------- */

static void free_mem(void *ctx)
{
	file_mem_free(ctx);
}

void pb_list_drop(struct pb_list *l)
{
	file_mem_free(l->mem);
}

enum err_code pb_list_done(struct pb_list *l, void **ret, struct err *err)
{
	file_mem_shrink(l->mem, l->n * kinds[l->kind].bytes);
	if (l->exhausted || arena_adopt(l->arena, l->mem->bytes, free_mem, l->mem) != ERR_OK) {
		pb_list_drop(l);
		return err_oom(err);
	}
	*ret = l->mem->ptr;
	return ERR_OK;
}
