/* SPDX-License-Identifier: Apache-2.0 */
/* native_write.c -- a native file put together in memory, section by section */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "exec/packs.h"
#include "loader/native/native.h"
#include "loader/native/native_format.h"
#include "loader/native/native_sum.h"

struct format {
	const struct native_model *m;
	const struct native_conf *conf;
	struct arena *arena;
	struct native_tensors tensors;
	int64_t *by_address; /* rows of tensors, ordered by where their bytes lie */
	int64_t n_by_address;
	struct buf keys; /* of packed weights */
	uint64_t packed_bytes;
	char *packed; /* NULL: lengths are being found */
	struct native_header head;
	struct err *err;
};

/* -- packed weights ---------------------------------------------------------------------------- */

static int by_data(const void *a, const void *b, void *ctx)
{
	const struct native_tensor *row = ctx;
	uintptr_t x = (uintptr_t)row[*(const int64_t *)a].t->data,
		  y = (uintptr_t)row[*(const int64_t *)b].t->data;
	return (x > y) - (x < y);
}

static enum err_code order_tensors(struct format *f)
{
	f->by_address = ARENA_ARRAY(f->arena, int64_t, (size_t)f->tensors.n + 1);
	if (!f->by_address)
		return err_oom(f->err);
	for (int64_t i = 0; i < f->tensors.n; i++)
		if (f->tensors.row[i].t->dtype != DTYPE_STRING)
			f->by_address[f->n_by_address++] = i;
	qsort_r(f->by_address, (size_t)f->n_by_address, sizeof(*f->by_address), by_data,
		f->tensors.row);
	return ERR_OK;
}

/* The offset of this address; false: in none of them, which what a
   plan computed for itself does not. */
static bool find_source(const struct format *f, const void *address, uint64_t *ret)
{
	int64_t low = 0, high = f->n_by_address;
	while (low < high) {
		int64_t mid = (low + high) / 2;
		if ((uintptr_t)f->tensors.row[f->by_address[mid]].t->data <= (uintptr_t)address)
			low = mid + 1;
		else
			high = mid;
	}
	for (int64_t i = low - 1; i >= 0; i--) {
		const struct native_tensor *row = &f->tensors.row[f->by_address[i]];
		uintptr_t at = (uintptr_t)address - (uintptr_t)row->t->data;
		size_t bytes = tensor_bytes(row->t);
		if (at < bytes) {
			*ret = row->offset + at;
			return true;
		}
		if (bytes)
			break; /* tensors overlap only as wholes */
	}
	return false;
}

/* u64 source, u32 bytes of the key, the key behind its source, u64 offset, u64 bytes. */
static void on_pack(void *ctx, const struct pack_entry *e)
{
	struct format *f = ctx;
	const void *source;
	uint64_t at, key_bytes = e->key_bytes - sizeof(source);
	memcpy(&source, e->key, sizeof(source));
	if (!find_source(f, source, &at))
		return;
	if (f->packed) {
		memcpy(f->packed + f->packed_bytes, e->data, e->bytes);
	} else {
		buf_bytes(&f->keys, &at, sizeof(at));
		buf_bytes(&f->keys, &(uint32_t){(uint32_t)key_bytes}, sizeof(uint32_t));
		buf_bytes(&f->keys, (const char *)e->key + sizeof(source), key_bytes);
		buf_bytes(&f->keys, &f->packed_bytes, sizeof(f->packed_bytes));
		buf_bytes(&f->keys, &(uint64_t){e->bytes}, sizeof(uint64_t));
	}
	f->packed_bytes += native_align(e->bytes);
}

/* -- the file ---------------------------------------------------------------------------------- */

static void lay_out(struct native_header *h, const uint64_t *bytes)
{
	uint64_t all = 0;
	for (int i = 0; i < NATIVE_SECTION_COUNT_; i++)
		all = native_section_begin(i, bytes[i], all + native_data_begin(0), 0) -
		      native_data_begin(0) + native_align(bytes[i]);
	h->chunks = (all + NATIVE_CHUNK - 1) / NATIVE_CHUNK;
	uint64_t at = native_data_begin(h->chunks);
	for (int i = 0; i < NATIVE_SECTION_COUNT_; i++) {
		at = native_section_begin(i, bytes[i], at, h->chunks);
		h->section[i] = (struct native_span){at, bytes[i]};
		at += native_align(bytes[i]);
	}
	h->file_bytes = at;
}

static void copy_section(
	const struct format *f, char *file, enum native_section s, struct slice from)
{
	if (from.len)
		memcpy(file + f->head.section[s].offset, from.ptr, from.len);
}

static void fill_checks(const struct native_header *h, char *file)
{
	uint64_t begin = native_data_begin(h->chunks),
		 *table = (uint64_t *)(void *)(file + NATIVE_PAGE);
	for (uint64_t i = 0; i < h->chunks; i++) {
		uint64_t at = begin + i * NATIVE_CHUNK;
		uint64_t bytes =
			h->file_bytes - at < NATIVE_CHUNK ? h->file_bytes - at : NATIVE_CHUNK;
		table[i] = native_sum(file + at, bytes);
	}
	((struct native_header *)(void *)file)->check = native_sum(file, begin);
}

static char *file_place(char *file, const struct native_header *h, uint64_t offset)
{
	enum native_section s = offset & NATIVE_IN_SOURCES ? NATIVE_SOURCES : NATIVE_WEIGHTS;
	return file + h->section[s].offset + (offset & ~NATIVE_IN_SOURCES);
}

static enum err_code fill_file(struct format *f, struct slice graph, struct slice choices,
	struct slice keys, struct file_mem *ret)
{
	struct native_header *h = &f->head;
	uint64_t bytes[NATIVE_SECTION_COUNT_] = { graph.len, f->tensors.bytes, choices.len,
		keys.len, f->packed_bytes, f->tensors.source_bytes };
	struct file_mem mem;
	lay_out(h, bytes);
	enum err_code rc = file_mem_new(h->file_bytes, &mem, f->err);
	if (rc != ERR_OK)
		return rc;
	char *file = mem.ptr;
	memcpy(file, h, sizeof(*h));
	copy_section(f, file, NATIVE_GRAPH, graph);
	copy_section(f, file, NATIVE_CHOICES, choices);
	copy_section(f, file, NATIVE_KEYS, keys);
	for (int64_t i = 0; i < f->n_by_address; i++) {
		const struct native_tensor *row = &f->tensors.row[f->by_address[i]];
		size_t n = tensor_bytes(row->t);
		if (n)
			memcpy(file_place(file, h, row->offset), row->t->data, n);
	}
	f->packed = file + h->section[NATIVE_PACKED].offset;
	f->packed_bytes = 0;
	if (f->conf->packs)
		packs_walk(f->conf->packs, on_pack, f);
	fill_checks(h, file);
	*ret = mem;
	return ERR_OK;
}

static enum err_code format(struct format *f, struct file_mem *ret)
{
	struct slice graph, choices, keys;
	struct native_header *h = &f->head;
	*h = (struct native_header){
		.endian = NATIVE_ENDIAN, .version = NATIVE_VERSION, .precision = f->m->precision};
	memcpy(h->magic, NATIVE_MAGIC, sizeof(h->magic));
	f->conf->backend->machine(h->machine, sizeof(h->machine));
	enum err_code rc =
		native_collect(f->m->graph, f->conf->packs, f->arena, &f->tensors, f->err);
	if (rc == ERR_OK)
		rc = order_tensors(f);
	if (rc != ERR_OK)
		return rc;
	struct buf b = buf_of(f->arena, 0), c = buf_of(f->arena, 0);
	native_put_graph(&b, f->m, &f->tensors);
	if (f->conf->choices)
		choices_write(f->conf->choices, h->machine, &c);
	f->keys = buf_of(f->arena, 0);
	if (f->conf->packs)
		packs_walk(f->conf->packs, on_pack, f);
	rc = buf_finish(&b, &graph, f->err);
	if (rc == ERR_OK)
		rc = buf_finish(&c, &choices, f->err);
	if (rc == ERR_OK)
		rc = buf_finish(&f->keys, &keys, f->err);
	return rc == ERR_OK ? fill_file(f, graph, choices, keys, ret) : rc;
}

enum err_code native_format(const struct native_model *m, const struct native_conf *conf,
	struct file_mem *ret, struct err *err)
{
	if (conf->packs && packs_retired_bytes(conf->packs))
		return err_set(
			err, ERR_INTERNAL, "weights are gone, load the model with keep_weights");
	struct format f = {.m = m, .conf = conf, .arena = arena_new(1 << 20, 0), .err = err};
	if (!f.arena)
		return err_oom(err);
	enum err_code rc = format(&f, ret);
	arena_free(f.arena);
	return rc;
}
