/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native_read.c -- a native file into memory: header, then chunks, each checked while it is
 * still in the cache, by as many threads as are there
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include "base/cursor.h"
#include "loader/native/native.h"
#include "loader/native/native_format.h"

#define FILE_BYTES_MAX ((size_t)1 << 40)
#define KEY_BYTES_MAX 4096

struct reading {
	int fd;
	const char *file;
	const struct native_conf *conf;
	size_t file_bytes;
	struct native_header head;
	const uint64_t *table; /* checksums of the chunks */
	uint64_t begin, end;   /* of what is read of the data */
	bool same_machine;
	char *data;		/* from begin on */
	atomic_llong bad_chunk; /* -1: none */
	struct err *err;
};

static enum err_code damaged(const struct reading *r, const char *what)
{
	return err_set(r->err, ERR_INVALID_ARGUMENT, "%s is damaged: %s", r->file, what);
}

/* -- the header -------------------------------------------------------------------------------- */

static enum err_code check_spans(const struct reading *r)
{
	const struct native_header *h = &r->head;
	uint64_t at = native_data_begin(h->chunks);
	for (int i = 0; i < NATIVE_SECTION_COUNT_; i++) {
		const struct native_span *s = &h->section[i];
		if (s->offset != at || s->bytes > h->file_bytes - at)
			return damaged(r, "a section is not where it has to be");
		at += native_align(s->bytes);
		if (at > h->file_bytes)
			return damaged(r, "a section ends behind the file");
	}
	return at == h->file_bytes ? ERR_OK
				   : damaged(r, "there is something behind the last section");
}

static enum err_code check_header(struct reading *r)
{
	const struct native_header *h = &r->head;
	if (memcmp(h->magic, NATIVE_MAGIC, sizeof(h->magic)) != 0)
		return err_set(r->err, ERR_INVALID_ARGUMENT,
			"%s is no native model: signetctl compile makes them", r->file);
	if (h->endian != NATIVE_ENDIAN || h->version != NATIVE_VERSION)
		return err_set(r->err, ERR_UNIMPLEMENTED,
			"%s is of format %u, this build reads format %d: compile the model again",
			r->file, h->version, NATIVE_VERSION);
	uint64_t data = (h->file_bytes - NATIVE_PAGE) / NATIVE_CHUNK + 1;
	if (h->file_bytes != r->file_bytes || h->chunks > data)
		return err_set(r->err, ERR_INVALID_ARGUMENT,
			"%s is %zu bytes, its header says %llu", r->file, r->file_bytes,
			(unsigned long long)h->file_bytes);
	if (native_data_begin(h->chunks) > h->file_bytes ||
		h->chunks != (h->file_bytes - native_data_begin(h->chunks) + NATIVE_CHUNK - 1) /
				     NATIVE_CHUNK)
		return damaged(r, "its table has another length");
	if (!memchr(h->machine, '\0', sizeof(h->machine)) || h->precision >= PRECISION_COUNT_)
		return damaged(r, "its header");
	return ERR_OK;
}

/* Header and table, covered by one checksum. */
static enum err_code read_header(struct reading *r, struct arena *arena)
{
	if (r->file_bytes < NATIVE_PAGE)
		return err_set(r->err, ERR_INVALID_ARGUMENT,
			"%s is %zu bytes, a native model is %d at the least", r->file,
			r->file_bytes, NATIVE_PAGE);
	enum err_code rc = file_read_at(r->fd, r->file, 0, &r->head, sizeof(r->head), r->err);
	if (rc == ERR_OK)
		rc = check_header(r);
	if (rc != ERR_OK)
		return rc;
	r->begin = native_data_begin(r->head.chunks);
	char *front = arena_alloc_aligned(arena, r->begin, NATIVE_ALIGN);
	if (!front)
		return err_oom(r->err);
	rc = file_read_at(r->fd, r->file, 0, front, r->begin, r->err);
	if (rc != ERR_OK)
		return rc;
	((struct native_header *)(void *)front)->check = 0;
	if (XXH3_64bits(front, r->begin) != r->head.check)
		return damaged(r, "the checksum of its header is wrong");
	r->table = (const uint64_t *)(const void *)(front + NATIVE_PAGE);
	return check_spans(r);
}

/* -- the data ---------------------------------------------------------------------------------- */

static void note_bad(struct reading *r, int64_t chunk)
{
	long long none = -1;
	atomic_compare_exchange_strong(&r->bad_chunk, &none, chunk);
}

/* The last chunk may reach beyond what is kept: the rest of it is for the checksum alone. */
static void read_chunk(struct reading *r, uint64_t i)
{
	uint64_t at = i * NATIVE_CHUNK, all = r->head.file_bytes - r->begin;
	uint64_t bytes = all - at < NATIVE_CHUNK ? all - at : NATIVE_CHUNK;
	struct err own;
	if (file_read_at(r->fd, r->file, r->begin + at, r->data + at, bytes, &own) != ERR_OK ||
		XXH3_64bits(r->data + at, bytes) != r->table[i])
		note_bad(r, (int64_t)i);
}

static void read_chunks(void *ctx, int who, int64_t begin, int64_t end)
{
	struct reading *r = ctx;
	(void)who;
	for (int64_t i = begin; i < end && atomic_load(&r->bad_chunk) < 0; i++)
		read_chunk(r, (uint64_t)i);
}

static void free_data(void *ctx)
{
	file_mem_free(ctx);
}

/* Room for whole chunks up to the end of what is wanted. */
static enum err_code make_room(struct reading *r, uint64_t chunks, struct arena *arena)
{
	uint64_t all = r->head.file_bytes - r->begin, room = chunks * NATIVE_CHUNK;
	room = room < all ? room : all;
	struct file_mem *mem = ARENA_NEW(arena, struct file_mem);
	if (!mem)
		return err_oom(r->err);
	if (r->conf->memory_bytes_max && room > r->conf->memory_bytes_max)
		return err_set(r->err, ERR_RESOURCE_EXHAUSTED,
			"%s takes %llu bytes, %zu are left of the memory for models", r->file,
			(unsigned long long)room, r->conf->memory_bytes_max);
	enum err_code rc = file_mem_new(room, mem, r->err);
	if (rc != ERR_OK)
		return rc;
	rc = arena_adopt(arena, mem->bytes, free_data, mem);
	if (rc != ERR_OK) {
		file_mem_free(mem);
		return err_oom(r->err);
	}
	r->data = mem->ptr;
	return ERR_OK;
}

static enum err_code read_data(struct reading *r, struct arena *arena)
{
	char machine[NATIVE_MACHINE_MAX];
	const struct native_span *weights = &r->head.section[NATIVE_WEIGHTS];
	r->conf->backend->machine(machine, sizeof(machine));
	r->same_machine = strcmp(machine, r->head.machine) == 0;
	r->end = r->same_machine ? r->head.file_bytes : weights->offset + weights->bytes;
	uint64_t chunks = (r->end - r->begin + NATIVE_CHUNK - 1) / NATIVE_CHUNK;
	enum err_code rc = make_room(r, chunks, arena);
	if (rc != ERR_OK)
		return rc;
	atomic_store(&r->bad_chunk, -1);
	pool_parallel_once(r->conf->pool,
		&(struct pool_work){ read_chunks, r, (int64_t)chunks, (int64_t)(r->end - r->begin) });
	long long bad = atomic_load(&r->bad_chunk);
	if (bad < 0)
		return ERR_OK;
	return err_set(r->err, ERR_INVALID_ARGUMENT,
		"%s is damaged: the checksum of bytes %llu and following is wrong", r->file,
		(unsigned long long)r->begin + (unsigned long long)bad * NATIVE_CHUNK);
}

static struct slice section(const struct reading *r, enum native_section s)
{
	const struct native_span *x = &r->head.section[s];
	return (struct slice){r->data + (x->offset - r->begin), x->bytes};
}

/* -- what was packed --------------------------------------------------------------------------- */

/* What native_write.c's on_pack() put. */
static enum err_code take_pack(struct reading *r, struct cursor *c)
{
	struct slice weights = section(r, NATIVE_WEIGHTS), packed = section(r, NATIVE_PACKED);
	char key[sizeof(void *) + KEY_BYTES_MAX];
	uint64_t source = cursor_u64(c);
	uint32_t key_bytes = cursor_u32(c);
	const void *rest = cursor_take(c, key_bytes);
	uint64_t at = cursor_u64(c), bytes = cursor_u64(c);
	if (c->failed || key_bytes > KEY_BYTES_MAX || source >= weights.len || at % NATIVE_ALIGN ||
		at > packed.len || bytes > packed.len - at)
		return damaged(r, "an entry of packed weights makes no sense");
	const void *address = weights.ptr + source;
	memcpy(key, &address, sizeof(address));
	memcpy(key + sizeof(address), rest, key_bytes);
	const struct pack_entry e = {key, sizeof(address) + key_bytes, packed.ptr + at, bytes};
	return packs_seed(r->conf->packs, &e, r->err);
}

static enum err_code take_machine_part(struct reading *r)
{
	struct slice keys = section(r, NATIVE_KEYS);
	struct cursor c = cursor_of(keys.ptr, keys.len);
	enum err_code rc = ERR_OK;
	if (r->conf->choices)
		(void)choices_read(r->conf->choices, r->head.machine, section(r, NATIVE_CHOICES));
	while (r->conf->packs && rc == ERR_OK && cursor_left(&c))
		rc = take_pack(r, &c);
	return rc;
}

static enum err_code read_all(struct reading *r, struct arena *arena, struct native_model *ret)
{
	struct native_tensors tensors;
	enum err_code rc = read_header(r, arena);
	if (rc == ERR_OK)
		rc = read_data(r, arena);
	if (rc == ERR_OK)
		rc = native_take_graph(section(r, NATIVE_GRAPH), section(r, NATIVE_WEIGHTS), arena,
			ret, &tensors, r->err);
	if (rc == ERR_OK && r->same_machine)
		rc = take_machine_part(r);
	ret->precision = (enum precision)r->head.precision;
	return rc;
}

enum err_code native_read(int dirfd, const char *file, const struct native_conf *conf,
	struct arena *arena, struct native_model *ret, struct err *err)
{
	struct reading r = {.file = file, .conf = conf, .err = err};
	struct native_model m = {0};
	enum err_code rc =
		file_open_regular(dirfd, file, FILE_BYTES_MAX, &r.fd, &r.file_bytes, err);
	if (rc != ERR_OK)
		return rc;
	rc = read_all(&r, arena, &m);
	close(r.fd);
	if (rc == ERR_OK)
		*ret = m;
	return rc;
}
