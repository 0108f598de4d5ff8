/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native_read.c -- a native file into memory: header, then chunks, each checked while it is
 * still in the cache, by as many threads as are there
 *
 * Where the file's own pages can be lent (lent.h) chunks are checked where they lie. Only if
 * what is packed is taken from the file, and what it was made of left there: else that gives its
 * memory to what is packed next, or back, and what is lent cannot be written.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cursor.h"
#include "base/huge.h"
#include "base/lent.h"
#include "exec/packs.h"
#include "loader/native/native.h"
#include "loader/native/native_format.h"
#include "loader/native/native_sum.h"

#define FILE_BYTES_MAX ((size_t)1 << 40)
#define KEY_BYTES_MAX 4096
#define UNIT_CHUNKS (HUGE_BYTES / NATIVE_CHUNK) /* a huge page is one thread's */

struct reading {
	int fd;
	const char *file;
	struct native_conf conf;
	size_t file_bytes;
	struct native_header head;
	const uint64_t *table; /* checksums of the chunks */
	uint64_t begin;        /* of the data */
	bool same_machine, skips; /* SOURCES stay in the file */
	char *data;		/* from begin on; pages that nothing is read to take no memory */
	struct lent *lent;	/* NULL: it is read */
	uint64_t lent_end;	/* of the data: what is not lent begins here */
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
		at = s->bytes <= h->file_bytes ? native_section_begin(i, s->bytes, at, h->chunks)
					       : at;
		if (at > h->file_bytes || s->offset != at || s->bytes > h->file_bytes - at)
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
	if (native_sum(front, r->begin) != r->head.check)
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

/* Chunks that a section has a part in. */
struct chunks {
	struct reading *r;
	uint64_t begin, end;
};

/* Where chunk i begins in the data. */
static uint64_t chunk_at(const struct reading *r, uint64_t i)
{
	uint64_t all = r->head.file_bytes - r->begin;
	return i * NATIVE_CHUNK < all ? i * NATIVE_CHUNK : all;
}

static void read_chunk(struct reading *r, uint64_t i)
{
	uint64_t at = chunk_at(r, i), bytes = chunk_at(r, i + 1) - at;
	uint64_t from = at < r->lent_end ? r->lent_end : at;
	struct err own;
	if ((from < at + bytes && file_read_at(r->fd, r->file, r->begin + from, r->data + from,
					  at + bytes - from, &own) != ERR_OK) ||
		native_sum(r->data + at, bytes) != r->table[i])
		note_bad(r, (int64_t)i);
}

/* Memory for a unit; false: the disk has failed. */
static bool expect(struct reading *r, uint64_t at, uint64_t end)
{
	if (at < r->lent_end)
		return lent_fetch(r->lent, r->begin + at, end - at);
	huge_expect(r->data + at, end - at);
	return true;
}

/* Of UNIT_CHUNKS chunks, those of them that are in c. */
static void read_unit(const struct chunks *c, uint64_t unit)
{
	struct reading *r = c->r;
	uint64_t begin = unit * UNIT_CHUNKS, end = begin + UNIT_CHUNKS;
	begin = begin > c->begin ? begin : c->begin;
	end = end < c->end ? end : c->end;
	if (!expect(r, chunk_at(r, begin), chunk_at(r, end)))
		note_bad(r, (int64_t)begin);
	for (uint64_t i = begin; i < end && atomic_load(&r->bad_chunk) < 0; i++)
		read_chunk(r, i);
}

static void read_units(void *ctx, int who, int64_t begin, int64_t end)
{
	(void)who;
	const struct chunks *c = ctx;
	for (int64_t i = begin; i < end; i++)
		read_unit(c, c->begin / UNIT_CHUNKS + (uint64_t)i);
}

static enum err_code read_chunks(const struct chunks *c)
{
	struct reading *r = c->r;
	uint64_t first = c->begin / UNIT_CHUNKS, after = (c->end + UNIT_CHUNKS - 1) / UNIT_CHUNKS;
	const int64_t n = (int64_t)(after - first);
	if (c->end > c->begin)
		pool_parallel_once(r->conf.pool,
			&(struct pool_work){read_units, (void *)c, n, n * (int64_t)HUGE_BYTES});
	long long bad = atomic_load(&r->bad_chunk);
	if (bad < 0)
		return ERR_OK;
	return err_set(r->err, ERR_INVALID_ARGUMENT,
		"%s is damaged: the checksum of bytes %llu and following is wrong", r->file,
		(unsigned long long)r->begin + (unsigned long long)bad * NATIVE_CHUNK);
}

/* From the first of the sections to the end of the last. */
static struct chunks chunks_of(
	struct reading *r, enum native_section first, enum native_section last)
{
	const struct native_span *s = r->head.section;
	uint64_t end = s[last].offset + s[last].bytes - r->begin;
	return (struct chunks){r, (s[first].offset - r->begin) / NATIVE_CHUNK,
		(end + NATIVE_CHUNK - 1) / NATIVE_CHUNK};
}

static void free_data(void *ctx)
{
	file_mem_free(ctx);
}

static void free_lent(void *ctx)
{
	lent_free(ctx);
}

static bool may_lend(const struct reading *r)
{
	bool all_packed = r->skips || r->head.section[NATIVE_SOURCES].bytes == 0;
	return r->conf.may_lend && r->same_machine && all_packed;
}

/* What is not lent begins with the page that the data ends in. */
static enum err_code lend(struct reading *r, uint64_t bytes, struct arena *arena)
{
	uint64_t end = (r->begin + bytes) / NATIVE_PAGE * NATIVE_PAGE;
	if (!may_lend(r))
		return ERR_OK;
	struct lent *l = lent_map(r->fd, end, r->head.file_bytes);
	if (!l)
		return ERR_OK;
	if (arena_adopt(arena, bytes, free_lent, l) != ERR_OK) {
		lent_free(l);
		return err_oom(r->err);
	}
	if (r->conf.packs)
		packs_keep_retired(r->conf.packs);
	r->lent = l;
	r->lent_end = end - r->begin;
	r->data = lent_at(l) + r->begin;
	return ERR_OK;
}

static enum err_code own(struct reading *r, uint64_t bytes, struct arena *arena)
{
	struct file_mem *mem = ARENA_NEW(arena, struct file_mem);
	if (!mem)
		return err_oom(r->err);
	enum err_code rc = file_mem_new(r->head.file_bytes - r->begin, mem, r->err);
	if (rc != ERR_OK)
		return rc;
	rc = arena_adopt(arena, bytes, free_data, mem);
	if (rc != ERR_OK) {
		file_mem_free(mem);
		return err_oom(r->err);
	}
	r->data = mem->ptr;
	return ERR_OK;
}

/* Addresses for all of the data, memory for so many chunks from the first on. */
static enum err_code make_room(struct reading *r, uint64_t chunks, struct arena *arena)
{
	uint64_t room = chunk_at(r, chunks);
	if (r->conf.memory_bytes_max && room > r->conf.memory_bytes_max)
		return err_set(r->err, ERR_RESOURCE_EXHAUSTED,
			"%s takes %llu bytes, %zu are left of the memory for models", r->file,
			(unsigned long long)room, r->conf.memory_bytes_max);
	enum err_code rc = lend(r, room, arena);
	return rc == ERR_OK && !r->lent ? own(r, room, arena) : rc;
}

/* Chunks that two sections share are read once. */
static enum err_code read_data(struct reading *r, struct arena *arena)
{
	char machine[NATIVE_MACHINE_MAX];
	r->conf.backend->machine(machine, sizeof(machine));
	r->same_machine = strcmp(machine, r->head.machine) == 0;
	r->skips = r->same_machine && r->conf.packs && r->conf.packed_only &&
		   r->head.section[NATIVE_SOURCES].bytes > 0;
	struct chunks first =
		chunks_of(r, NATIVE_GRAPH, r->same_machine ? NATIVE_PACKED : NATIVE_WEIGHTS);
	struct chunks rest = chunks_of(r, NATIVE_SOURCES, NATIVE_SOURCES);
	rest.begin = rest.begin < first.end ? first.end : rest.begin;
	if (r->skips || rest.end < rest.begin)
		rest.end = rest.begin;
	enum err_code rc = make_room(r, first.end + (rest.end - rest.begin), arena);
	if (rc == ERR_OK)
		rc = read_chunks(&first);
	if (rc == ERR_OK)
		rc = read_chunks(&rest);
	if (rc == ERR_OK && r->lent)
		lent_fetched(r->lent);
	return rc;
}

/* -- what stays in the file -------------------------------------------------------------------- */

static enum err_code bring(void *ctx, struct err *err)
{
	struct reading *r = ctx;
	r->err = err;
	struct chunks c = chunks_of(r, NATIVE_SOURCES, NATIVE_SOURCES);
	return read_chunks(&c);
}

static void close_file(void *ctx)
{
	close(((struct reading *)ctx)->fd);
}

/* The packs get the descriptor. */
static enum err_code leave_sources(
	struct reading *r, const struct native_tensors *t, struct arena *arena)
{
	struct reading *later = ARENA_NEW(arena, struct reading);
	enum err_code rc = later ? ERR_OK : err_oom(r->err);
	for (int64_t i = 0; i < t->n && rc == ERR_OK; i++) {
		const struct native_tensor *row = &t->row[i];
		if (row->t->dtype != DTYPE_STRING && row->offset & NATIVE_IN_SOURCES)
			rc = packs_absent(
				r->conf.packs, row->t->data, tensor_bytes(row->t), r->err);
	}
	if (rc != ERR_OK)
		return rc;
	*later = *r;
	later->file = "model.signet";
	packs_set_source(r->conf.packs, &(struct packs_source){bring, close_file, later});
	r->fd = -1;
	return ERR_OK;
}

static struct slice section(const struct reading *r, enum native_section s)
{
	const struct native_span *x = &r->head.section[s];
	return (struct slice){r->data + (x->offset - r->begin), x->bytes};
}

static struct native_weights weights_of(const struct reading *r)
{
	return (struct native_weights){section(r, NATIVE_WEIGHTS), section(r, NATIVE_SOURCES)};
}

/* -- what was packed --------------------------------------------------------------------------- */

/* What native_write.c's on_pack() put. */
static enum err_code take_pack(struct reading *r, struct cursor *c)
{
	struct native_weights weights = weights_of(r);
	struct slice packed = section(r, NATIVE_PACKED);
	char key[sizeof(void *) + KEY_BYTES_MAX];
	uint64_t source = cursor_u64(c);
	uint32_t key_bytes = cursor_u32(c);
	const void *rest = cursor_take(c, key_bytes);
	uint64_t at = cursor_u64(c), bytes = cursor_u64(c);
	const void *address = native_weight(&weights, source, 1);
	if (c->failed || key_bytes > KEY_BYTES_MAX || !address || at % NATIVE_ALIGN ||
		at > packed.len || bytes > packed.len - at)
		return damaged(r, "an entry of packed weights makes no sense");
	memcpy(key, &address, sizeof(address));
	memcpy(key + sizeof(address), rest, key_bytes);
	const struct pack_entry e = {key, sizeof(address) + key_bytes, packed.ptr + at, bytes};
	return packs_seed(r->conf.packs, &e, r->err);
}

static enum err_code take_machine_part(struct reading *r)
{
	struct slice keys = section(r, NATIVE_KEYS);
	struct cursor c = cursor_of(keys.ptr, keys.len);
	enum err_code rc = ERR_OK;
	if (r->conf.choices)
		(void)choices_read(r->conf.choices, r->head.machine, section(r, NATIVE_CHOICES));
	while (r->conf.packs && rc == ERR_OK && cursor_left(&c))
		rc = take_pack(r, &c);
	return rc;
}

static enum err_code read_all(struct reading *r, struct arena *arena, struct native_model *ret)
{
	struct native_tensors tensors;
	enum err_code rc = read_header(r, arena);
	if (rc == ERR_OK)
		rc = read_data(r, arena);
	struct native_weights weights = rc == ERR_OK ? weights_of(r) : (struct native_weights){0};
	if (rc == ERR_OK)
		rc = native_take_graph(
			section(r, NATIVE_GRAPH), &weights, arena, ret, &tensors, r->err);
	if (rc == ERR_OK && r->same_machine)
		rc = take_machine_part(r);
	if (rc == ERR_OK && r->skips)
		rc = leave_sources(r, &tensors, arena);
	ret->precision = (enum precision)r->head.precision;
	return rc;
}

enum err_code native_read(int dirfd, const char *file, const struct native_conf *conf,
	struct arena *arena, struct native_model *ret, struct err *err)
{
	struct reading r = {.file = file, .conf = *conf, .bad_chunk = -1, .err = err};
	struct native_model m = {0};
	enum err_code rc =
		file_open_regular(dirfd, file, FILE_BYTES_MAX, &r.fd, &r.file_bytes, err);
	if (rc != ERR_OK)
		return rc;
	rc = read_all(&r, arena, &m);
	if (r.fd >= 0)
		close(r.fd);
	if (rc == ERR_OK)
		*ret = m;
	return rc;
}
