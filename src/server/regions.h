/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regions.h -- shared memory of clients: named windows of objects in /dev/shm
 *
 * Life of a request: listen -> [DECODE] -> signature check -> batch -> ... -> [ENCODE]
 *
 * A client registers an object under a name; requests then name region, offset and size of a
 * tensor instead of carrying it. One registry serves both wires.
 *
 * Nothing is ever mapped. Bytes are copied by pread() and pwrite(), because an object stays
 * its client's: cut short under a mapping it would end us with SIGBUS, which a copy answers
 * with an error; and values that change between check and use would lead a kernel out of
 * bounds, which a copy rules out. A page that is not there reads as zeros. A region costs a
 * descriptor and no memory, so only their number is bounded.
 *
 * Ownership: a region is the registry's and that of each request that was promised it:
 *            unregistered meanwhile it is still written to.
 * Threads:   any. A request takes the registry's lock for a search, never for a copy.
 * Memory:    none of a request but its arena's.
 */
#pragma once

#include <stdint.h>
#include "base/arena.h"

struct regions; /* NULL: shared memory is off, and every use of it refused */
struct region;

#define REGIONS_MAX 1024
#define REGION_NAME_MAX_BYTES 255

/* Part of a region, as parameters of a tensor say; region empty: they say nothing. */
struct region_window {
	struct slice region;
	uint64_t offset, bytes;
};

/* What a client registers. key: the object, with or without the '/' before it. */
struct region_spec {
	struct slice name, key;
	uint64_t offset, bytes;
};

/* dir: /dev/shm, but in tests. */
MUST_CHECK enum err_code regions_new(const char *dir, struct regions **ret, struct err *err);
void regions_free(struct regions *all); /* NULL is fine; after the last request */

/* ALREADY_EXISTS, NOT_FOUND (no such object), RESOURCE_EXHAUSTED (too many). */
MUST_CHECK enum err_code regions_register(
	struct regions *all, const struct region_spec *spec, struct err *err);

/* "": all of them. One that is not there is none to complain of. */
void regions_unregister(struct regions *all, struct slice name);

/* The one of this name (NOT_FOUND), or with "" all of them, by name; in the arena. */
MUST_CHECK enum err_code regions_list(struct regions *all, struct slice name, struct arena *arena,
	struct region_spec **ret, int *ret_n, struct err *err);

/* A copy of the window's bytes, aligned for a tensor, in the arena. */
MUST_CHECK enum err_code regions_read(struct regions *all, const struct region_window *w,
	struct arena *arena, struct slice *ret, struct err *err);

/* The window's region, kept until the arena is reset. */
MUST_CHECK enum err_code regions_hold(struct regions *all, const struct region_window *w,
	struct arena *arena, struct region **ret, struct err *err);

/* To the beginning of a window of it. INVALID_ARGUMENT: there are more bytes than the window
   has. */
MUST_CHECK enum err_code region_write(struct region *r, const struct region_window *w,
	struct slice bytes, struct err *err);
