/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h -- memory that is freed all at once
 *
 * A request, a version, a graph each own one. An arena grows by chunks up to its
 * ceiling; beyond it, and when the system has no memory, arena_alloc() returns NULL.
 * arena_reset() keeps the first chunks for the next user, so that a recycled arena
 * allocates nothing. It may also own things that are not memory: arena_defer().
 *
 * Threads: one at a time.
 */
#pragma once

#include <stddef.h>
#include "base/err.h"
#include "base/slice.h"

#define ARENA_ALIGN 16
#define ARENA_ALIGN_TENSOR 64

struct arena;
struct room;

/* ceiling_bytes 0: no ceiling. Returns owned; NULL when out of memory. */
struct arena *arena_new(size_t chunk_bytes, size_t ceiling_bytes);

/* What it takes from the system it takes from this room too: without room arena_alloc() returns
   NULL. Borrows room. Before the first allocation. */
void arena_share(struct arena *a, struct room *room);

/* Runs the deferred calls, last first, then frees. NULL is fine. */
void arena_free(struct arena *a);

/* Runs the deferred calls, last first, and makes all memory available again. Keeps at
   most keep_bytes of it, gives the rest back. */
void arena_reset(struct arena *a, size_t keep_bytes);

/* Not zeroed. align is a power of two up to 4096. NULL: ceiling or no memory. */
void *arena_alloc_aligned(struct arena *a, size_t bytes, size_t align);
void *arena_alloc(struct arena *a, size_t bytes);

/* Not zeroed, or zeroed; NULL also when count * size overflows. */
void *arena_alloc_array(struct arena *a, size_t count, size_t size);
void *arena_calloc(struct arena *a, size_t count, size_t size);

/* NUL terminated copies. */
char *arena_strndup(struct arena *a, const char *str, size_t len);
char *arena_strdup(struct arena *a, const char *str);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Calls fn(ctx) at reset or free. RESOURCE_EXHAUSTED: fn was not registered. */
MUST_CHECK enum err_code arena_defer(struct arena *a, void (*fn)(void *ctx), void *ctx);

/* As arena_defer() for fn that frees bytes of memory: they count as used and held, and
   towards the ceiling. */
MUST_CHECK enum err_code
arena_adopt(struct arena *a, size_t bytes, void (*fn)(void *ctx), void *ctx);

/* Bytes handed out since the last reset, and bytes held from the system. */
size_t arena_used_bytes(const struct arena *a);
size_t arena_held_bytes(const struct arena *a);

/* How many chunks were ever asked of the system, by all arenas: the test that a warm
   request allocates nothing counts these. */
unsigned long arena_chunk_count(void);

#define ARENA_NEW(a, type) ((type *)arena_calloc((a), 1, sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_calloc((a), (n), sizeof(type)))
#define ARENA_ARRAY_RAW(a, type, n) ((type *)arena_alloc_array((a), (n), sizeof(type)))
