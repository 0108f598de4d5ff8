/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/pages.h"
#include "base/room.h"

/* From this size on a chunk is mapped by itself, so that freeing it gives it back. */
#define MAP_THRESHOLD (1u << 20)
/* What has become large grows by half of that, in huge pages, which the system clears several
   times faster; by no more than this, most of which may stay unused. */
#define GROWTH_MAX ((size_t)8 << 20)

struct chunk {
	struct chunk *next; /* older */
	size_t size;        /* with this header */
	size_t used;
	bool mapped;
};

struct defer {
	struct defer *next;
	void (*fn)(void *ctx);
	void *ctx;
	size_t bytes; /* adopted with it */
};

struct arena {
	struct chunk *full; /* the one being filled first */
	struct chunk *idle; /* kept by the last reset */
	struct defer *defers;
	struct room *room; /* NULL: none to keep to */
	size_t chunk_bytes;
	size_t ceiling_bytes;
	size_t used_bytes;
	size_t held_bytes;
	size_t grown_bytes; /* of chunks, since the last reset */
};

static atomic_ulong chunks_ever;

unsigned long arena_chunk_count(void)
{
	return atomic_load(&chunks_ever);
}

static bool over_ceiling(const struct arena *a, size_t size)
{
	return size > a->ceiling_bytes || a->held_bytes > a->ceiling_bytes - size;
}

static struct chunk *chunk_new(const struct arena *a, size_t size)
{
	if (over_ceiling(a, size) || (a->room && !room_take(a->room, size)))
		return NULL;
	bool mapped = size >= MAP_THRESHOLD;
	struct chunk *c = mapped ? pages_take(size) : aligned_alloc(ARENA_ALIGN_TENSOR, size);
	if (!c) {
		if (a->room)
			room_give(a->room, size);
		return NULL;
	}
	atomic_fetch_add_explicit(&chunks_ever, 1, memory_order_relaxed);
	*c = (struct chunk){ .size = size, .used = sizeof(struct chunk), .mapped = mapped };
	return c;
}

static void chunk_free(const struct arena *a, struct chunk *c)
{
	if (a->room)
		room_give(a->room, c->size);
	if (c->mapped)
		pages_unmap(c, c->size);
	else
		free(c);
}

struct arena *arena_new(size_t chunk_bytes, size_t ceiling_bytes)
{
	struct arena *a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->chunk_bytes = chunk_bytes < 1024 ? 1024 : chunk_bytes;
	a->ceiling_bytes = ceiling_bytes ? ceiling_bytes : SIZE_MAX;
	return a;
}

void arena_share(struct arena *a, struct room *room)
{
	a->room = room;
}

static void run_defers(struct arena *a)
{
	while (a->defers) {
		struct defer *d = a->defers;
		a->defers = d->next;
		a->held_bytes -= d->bytes;
		d->fn(d->ctx);
	}
}

static void free_chunks(struct arena *a, struct chunk *list)
{
	while (list) {
		struct chunk *next = list->next;
		a->held_bytes -= list->size;
		chunk_free(a, list);
		list = next;
	}
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	run_defers(a);
	free_chunks(a, a->full);
	free_chunks(a, a->idle);
	free(a);
}

void arena_reset(struct arena *a, size_t keep_bytes)
{
	run_defers(a);
	/* Move what may stay to idle, smallest effort: walk both lists once. */
	struct chunk *lists[2] = { a->full, a->idle };
	struct chunk *drop = NULL;
	size_t kept = 0;
	a->full = NULL;
	a->idle = NULL;
	for (int i = 0; i < 2; i++) {
		for (struct chunk *c = lists[i], *next; c; c = next) {
			next = c->next;
			bool keep = c->size <= keep_bytes && kept <= keep_bytes - c->size;
			struct chunk **to = keep ? &a->idle : &drop;
			kept += keep ? c->size : 0;
			c->used = sizeof(struct chunk);
			c->next = *to;
			*to = c;
		}
	}
	free_chunks(a, drop);
	a->used_bytes = a->grown_bytes = 0;
}

static void *chunk_take(struct chunk *c, size_t bytes, size_t align)
{
	uintptr_t base = (uintptr_t)c;
	size_t at = round_up(base + c->used, align) - base;
	if (at > c->size || bytes > c->size - at)
		return NULL;
	c->used = at + bytes;
	return (char *)c + at;
}

/* What a new chunk for a piece that takes so much should have. */
static size_t chunk_size(const struct arena *a, size_t need)
{
	size_t grown = a->grown_bytes / 2 / PAGES_HUGE_BYTES * PAGES_HUGE_BYTES;
	grown = grown < GROWTH_MAX ? grown : GROWTH_MAX;
	size_t least = need > a->chunk_bytes ? need : a->chunk_bytes;
	size_t size = grown > least && !over_ceiling(a, grown) ? grown : least;
	return round_up(size, size >= MAP_THRESHOLD ? 4096 : ARENA_ALIGN_TENSOR);
}

static struct chunk *add_chunk(struct arena *a, size_t need)
{
	size_t size = chunk_size(a, need);
	struct chunk *c = chunk_new(a, size);
	if (!c && a->idle) {
		/* Those too small for this may stand in the way. */
		free_chunks(a, a->idle);
		a->idle = NULL;
		c = chunk_new(a, size);
	}
	if (!c)
		return NULL;
	a->held_bytes += size;
	a->grown_bytes += size;
	return c;
}

/* An idle chunk that has room, else a new one; on the full list either way. */
static struct chunk *next_chunk(struct arena *a, size_t bytes, size_t align)
{
	size_t need;
	if (add_overflows(bytes, sizeof(struct chunk) + align, &need) || need > SIZE_MAX / 2)
		return NULL;
	struct chunk **at = &a->idle;
	while (*at && (*at)->size < need)
		at = &(*at)->next;
	struct chunk *c = *at;
	if (c)
		*at = c->next;
	else
		c = add_chunk(a, need);
	if (!c)
		return NULL;
	/* The one that will have more room left is filled first. */
	if (a->full && c->size - need < a->full->size - a->full->used) {
		c->next = a->full->next;
		a->full->next = c;
	} else {
		c->next = a->full;
		a->full = c;
	}
	return c;
}

void *arena_alloc_aligned(struct arena *a, size_t bytes, size_t align)
{
	void *p = a->full ? chunk_take(a->full, bytes, align) : NULL;
	if (!p) {
		struct chunk *c = next_chunk(a, bytes, align);
		p = c ? chunk_take(c, bytes, align) : NULL;
	}
	if (p)
		a->used_bytes += bytes;
	return p;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
	return arena_alloc_aligned(a, bytes, ARENA_ALIGN);
}

void *arena_alloc_array(struct arena *a, size_t count, size_t size)
{
	size_t bytes;
	return mul_overflows(count, size, &bytes) ? NULL : arena_alloc(a, bytes);
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
	void *p = arena_alloc_array(a, count, size);
	if (p)
		memset(p, 0, count * size);
	return p;
}

char *arena_strndup(struct arena *a, const char *str, size_t len)
{
	size_t bytes;
	if (add_overflows(len, 1, &bytes))
		return NULL;
	char *p = arena_alloc(a, bytes);
	if (!p)
		return NULL;
	if (len)
		memcpy(p, str, len);
	p[len] = '\0';
	return p;
}

char *arena_strdup(struct arena *a, const char *str)
{
	return arena_strndup(a, str, strlen(str));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *p = len < 0 ? NULL : arena_alloc(a, (size_t)len + 1);
	if (p)
		vsnprintf(p, (size_t)len + 1, fmt, again);
	va_end(again);
	return p;
}

enum err_code arena_adopt(struct arena *a, size_t bytes, void (*fn)(void *ctx), void *ctx)
{
	struct defer *d = arena_alloc(a, sizeof(*d));
	if (!d || bytes > a->ceiling_bytes || a->held_bytes > a->ceiling_bytes - bytes)
		return ERR_RESOURCE_EXHAUSTED;
	*d = (struct defer){ .next = a->defers, .fn = fn, .ctx = ctx, .bytes = bytes };
	a->defers = d;
	a->used_bytes += bytes;
	a->held_bytes += bytes;
	return ERR_OK;
}

enum err_code arena_defer(struct arena *a, void (*fn)(void *ctx), void *ctx)
{
	return arena_adopt(a, 0, fn, ctx);
}

size_t arena_used_bytes(const struct arena *a)
{
	return a->used_bytes;
}

size_t arena_held_bytes(const struct arena *a)
{
	return a->held_bytes;
}
