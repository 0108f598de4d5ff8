/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/onnx/pb_mem.h"

#include <stdint.h>
#include "base/checked.h"
#include "base/pages.h"

#define CHUNK_BYTES ((size_t)256 << 10)

/* Stands in front of a big piece, on a cache line of its own. */
struct pb_block {
	struct pb_block *prev, *next;
	size_t bytes; /* with this header */
	bool adopted;
} __attribute__((aligned(ARENA_ALIGN_TENSOR)));

static struct pb_block *block_of(void *piece)
{
	return (struct pb_block *)piece - 1;
}

static void link_block(struct pb_mem *m, struct pb_block *b)
{
	b->prev = NULL;
	b->next = m->big;
	if (m->big)
		m->big->prev = b;
	m->big = b;
}

static void unlink_block(struct pb_mem *m, struct pb_block *b)
{
	*(b->prev ? &b->prev->next : &m->big) = b->next;
	if (b->next)
		b->next->prev = b->prev;
}

static void unmap_block(void *ctx)
{
	struct pb_block *b = ctx;
	pages_unmap(b, b->bytes);
}

static bool over_budget(const struct pb_mem *m, size_t bytes)
{
	size_t used = arena_held_bytes(m->small) + m->big_bytes;
	return used > m->budget_bytes || bytes > m->budget_bytes - used;
}

/* NULL: there is none of just this size. */
static struct pb_block *take_spare(struct pb_mem *m, size_t bytes)
{
	struct pb_block **at = &m->spare;
	while (*at && (*at)->bytes != bytes)
		at = &(*at)->next;
	struct pb_block *b = *at;
	if (b)
		*at = b->next;
	return b;
}

static struct pb_block *map_block(struct pb_mem *m, size_t bytes)
{
	if (over_budget(m, bytes))
		pb_mem_trim(m);
	struct pb_block *b = over_budget(m, bytes) ? NULL : pages_take(bytes);
	if (!b)
		return NULL;
	*b = (struct pb_block){ .bytes = bytes };
	m->big_bytes += bytes;
	return b;
}

static void *alloc_big(struct pb_mem *m, size_t size)
{
	size_t bytes;
	if (add_overflows(size, sizeof(struct pb_block), &bytes))
		return NULL;
	struct pb_block *b = take_spare(m, bytes);
	if (!b)
		b = map_block(m, bytes);
	if (!b)
		return NULL;
	link_block(m, b);
	return b + 1;
}

static void *on_alloc(void *ctx, size_t size)
{
	struct pb_mem *m = ctx;
	void *p = size < PB_BIG_BYTES ? arena_alloc(m->small, size) : alloc_big(m, size);
	m->exhausted |= !p;
	return p;
}

/* A free does not say which kind. Big pieces start right behind a header at the start of
   a page; of the few small ones that do as well, the list tells. */
static bool is_big(const struct pb_mem *m, const void *piece)
{
	if (((uintptr_t)piece & 4095) != sizeof(struct pb_block))
		return false;
	const struct pb_block *b = m->big;
	while (b && b + 1 != piece)
		b = b->next;
	return b;
}

static void on_free(void *ctx, void *piece)
{
	struct pb_mem *m = ctx;
	if (!is_big(m, piece))
		return;
	struct pb_block *b = block_of(piece);
	unlink_block(m, b);
	b->next = m->spare;
	m->spare = b;
}

void pb_mem_trim(struct pb_mem *m)
{
	while (m->spare) {
		struct pb_block *b = m->spare;
		m->spare = b->next;
		m->big_bytes -= b->bytes;
		unmap_block(b);
	}
}

enum err_code pb_mem_init(struct pb_mem *m, size_t budget_bytes, struct err *err)
{
	*m = (struct pb_mem){
		.allocator = { .alloc = on_alloc, .free = on_free, .allocator_data = m },
		.small = arena_new(CHUNK_BYTES, budget_bytes),
		.budget_bytes = budget_bytes,
	};
	return m->small ? ERR_OK : err_oom(err);
}

void pb_mem_done(struct pb_mem *m)
{
	pb_mem_trim(m);
	while (m->big) {
		struct pb_block *b = m->big;
		m->big = b->next;
		unmap_block(b);
	}
	arena_free(m->small);
	m->small = NULL;
}

enum err_code pb_mem_adopt(struct pb_mem *m, void *piece, struct arena *to)
{
	struct pb_block *b = block_of(piece);
	if (b->adopted)
		return ERR_OK;
	enum err_code rc = arena_adopt(to, b->bytes, unmap_block, b);
	if (rc != ERR_OK)
		return rc;
	unlink_block(m, b);
	m->big_bytes -= b->bytes;
	b->adopted = true;
	return ERR_OK;
}
