/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packs.h -- constants in the forms that kernels read them in
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * A pack is made once per version and shared by its plans. Its key begins with the address of
 * its source and names everything that the packed form depends on, as bytes: a native file keeps
 * keys with the address put right (loader/native). Memory is 64-byte aligned and read only.
 *
 * Ownership: packs live as long as their version, and so does all that they hand out.
 * Threads:   any; one mutex, which only planning takes.
 */
#pragma once

#include "base/err.h"

struct arena;
struct packs;

struct packs *packs_new(void);
/* In memory of the arena; packs_free() comes before that is reset. */
struct packs *packs_new_in(struct arena *arena);
void packs_free(struct packs *p);

/* --- making and finding ---------------------------------------------------------------------- */

/* Writes as many bytes as were asked for. */
typedef void (*pack_fn)(void *dst, void *ctx);

/* The pack of that key; fill(dst, ctx) makes it the first time. */
MUST_CHECK enum err_code packs_get(struct packs *p, const void *key, size_t key_bytes, size_t bytes,
	pack_fn fill, void *ctx, const void **ret, struct err *err);
/* What packs_get() would find; NULL: it would call fill. */
const void *packs_look(struct packs *p, const void *key, size_t key_bytes, size_t bytes);
/* What packs_get() made for that key; NULL: nothing yet. For packs whose size is not known
   before they are made. Their source must be no tensor, so that no file can bring them. */
const void *packs_find(struct packs *p, const void *key, size_t key_bytes);

/* In memory that is not the host's: make(&mem, ctx) gets it and fills it, drop(mem, owner) frees
   it with the packs. Files do not keep such forms, packs_bytes() does not count them. The key
   says which device it is for. */
struct pack_elsewhere {
	enum err_code (*make)(void **ret, void *ctx, struct err *err);
	void *ctx;
	void (*drop)(void *mem, void *owner);
	void *owner;
};
MUST_CHECK enum err_code packs_get_elsewhere(struct packs *p, const void *key, size_t key_bytes,
	const struct pack_elsewhere *how, void **ret, struct err *err);

size_t packs_bytes(struct packs *p);

/* --- sources that are not needed any more ---------------------------------------------------- */

/* The source was packed in every form that will be asked for: its memory is the packs' own from
   now on, for what is packed next. Whoever asks for it in a form that is not there gets
   INTERNAL. It outlives the packs, and nobody else reads it. */
MUST_CHECK enum err_code packs_retire(
	struct packs *p, const void *data, size_t bytes, struct err *err);
bool packs_retired(struct packs *p, const void *data);
size_t packs_retired_bytes(struct packs *p);
/* From now on retiring is only noted: nothing goes. For who writes a native file. */
void packs_keep_retired(struct packs *p);
/* Gives what is left of such memory to the system. */
void packs_trim(struct packs *p);

/* A native file brings packs, and its sources are not read: they are absent, which is as if
   retired, until somebody wants one; then bring() has to bring them all. done(ctx) when nobody can
   want one any more: at packs_settle(), or with the packs. */
struct packs_source {
	enum err_code (*bring)(void *ctx, struct err *err);
	void (*done)(void *ctx);
	void *ctx;
};
void packs_set_source(struct packs *p, const struct packs_source *s);
MUST_CHECK enum err_code packs_absent(
	struct packs *p, const void *data, size_t bytes, struct err *err);
/* The bytes at data will be read. INTERNAL: they were retired. */
MUST_CHECK enum err_code packs_want(struct packs *p, const void *data, struct err *err);
void packs_settle(struct packs *p);

/* --- for files ------------------------------------------------------------------------------- */

struct pack_entry {
	const void *key;
	size_t key_bytes;
	const void *data;
	size_t bytes;
};
/* All packs; none may be made meanwhile. */
void packs_walk(struct packs *p, void (*fn)(void *ctx, const struct pack_entry *e), void *ctx);
/* One that is there already. Copies the key, borrows the data for the packs' life. */
MUST_CHECK enum err_code packs_seed(struct packs *p, const struct pack_entry *e, struct err *err);
