/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/packs.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/checked.h"
#include "base/pages.h"

/* Versions have some hundred packed weights, looked up while planning only. */
#define BUCKETS 256

/* Weights beyond so much in all stand together in chunks that get huge pages (pages.h): they
   are read from end to end in every run. */
#define LARGE_FROM ((size_t)4 << 20)
#define LARGE_CHUNK ((size_t)8 << 20)

struct pack {
	struct pack *next;
	size_t key_bytes, bytes;
	const void *data;
	void (*drop)(void *mem, void *owner); /* NULL: the arena's */
	void *owner;
	unsigned char key[];
};

struct range {
	struct range *next;
	uintptr_t begin, end;
};

struct packs {
	pthread_mutex_t lock; /* held while packing: two plans never pack the same weights twice */
	struct arena *arena, *large;
	bool borrowed; /* both, and they are one */
	struct pack *bucket[BUCKETS];
	struct pack *elsewhere[BUCKETS]; /* their data is no memory of the host */
	struct range *retired; /* as they came */
	struct range *absent;  /* likewise */
	struct packs_source source;
	bool keep; /* what is retired */
	struct range *spare;   /* what is left of them, joined where they touch */
	size_t bytes, retired_bytes;
};

struct packs *packs_new_in(struct arena *arena)
{
	struct packs *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->arena = p->large = arena;
	p->borrowed = true;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

struct packs *packs_new(void)
{
	struct packs *p = packs_new_in(NULL);
	if (!p)
		return NULL;
	p->borrowed = false;
	p->arena = arena_new(1 << 16, 0);
	p->large = arena_new(LARGE_CHUNK, 0);
	if (p->arena && p->large)
		return p;
	packs_free(p);
	return NULL;
}

void packs_free(struct packs *p)
{
	if (!p)
		return;
	packs_settle(p);
	for (int i = 0; i < BUCKETS; i++)
		for (const struct pack *e = p->elsewhere[i]; e; e = e->next)
			e->drop((void *)e->data, e->owner);
	if (!p->borrowed) {
		arena_free(p->arena);
		arena_free(p->large);
	}
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static unsigned bucket_of(const unsigned char *key, size_t n)
{
	unsigned h = 2166136261u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ key[i]) * 16777619u;
	return (h ^ h >> 16) % BUCKETS;
}

static struct pack *insert(struct packs *p, struct pack **table, const struct pack_entry *of)
{
	struct pack *e = arena_alloc(p->arena, sizeof(*e) + of->key_bytes);
	if (!e)
		return NULL;
	struct pack **at = &table[bucket_of(of->key, of->key_bytes)];
	*e = (struct pack){ .next = *at, .key_bytes = of->key_bytes, .data = of->data,
		.bytes = of->bytes };
	memcpy(e->key, of->key, of->key_bytes);
	*at = e;
	return e;
}

static struct pack *add(struct packs *p, const struct pack_entry *of)
{
	struct pack *e = insert(p, p->bucket, of);
	if (e)
		p->bytes += of->bytes;
	return e;
}

#define ANY_SIZE SIZE_MAX

/* Of this size: what a file brings is not believed to be of the size that its key asks for. */
static struct pack *find_in(
	struct pack *const *table, const void *key, size_t key_bytes, size_t bytes)
{
	struct pack *e = table[bucket_of(key, key_bytes)];
	while (e && !(e->key_bytes == key_bytes && (bytes == ANY_SIZE || e->bytes == bytes) &&
			    memcmp(e->key, key, key_bytes) == 0))
		e = e->next;
	return e;
}

static struct pack *find(struct packs *p, const void *key, size_t key_bytes, size_t bytes)
{
	return find_in(p->bucket, key, key_bytes, bytes);
}

const void *packs_look(struct packs *p, const void *key, size_t key_bytes, size_t bytes)
{
	pthread_mutex_lock(&p->lock);
	struct pack *e = find(p, key, key_bytes, bytes);
	pthread_mutex_unlock(&p->lock);
	return e ? e->data : NULL;
}

const void *packs_find(struct packs *p, const void *key, size_t key_bytes)
{
	return packs_look(p, key, key_bytes, ANY_SIZE);
}

/* -- memory that was retired -------------------------------------------------------------- */

static bool is_in(const struct range *r, const void *data)
{
	uintptr_t at = (uintptr_t)data;
	while (r && !(at >= r->begin && at < r->end))
		r = r->next;
	return r;
}

bool packs_retired(struct packs *p, const void *data)
{
	pthread_mutex_lock(&p->lock);
	bool retired = is_in(p->retired, data) || is_in(p->absent, data);
	pthread_mutex_unlock(&p->lock);
	return retired;
}

void packs_keep_retired(struct packs *p)
{
	p->keep = true;
}

void packs_set_source(struct packs *p, const struct packs_source *s)
{
	p->source = *s;
}

void packs_settle(struct packs *p)
{
	pthread_mutex_lock(&p->lock);
	if (p->source.done)
		p->source.done(p->source.ctx);
	p->source = (struct packs_source){ 0 };
	pthread_mutex_unlock(&p->lock);
}

enum err_code packs_absent(struct packs *p, const void *data, size_t bytes, struct err *err)
{
	pthread_mutex_lock(&p->lock);
	struct range *r = ARENA_NEW(p->arena, struct range);
	if (r) {
		*r = (struct range){ p->absent, (uintptr_t)data, (uintptr_t)data + bytes };
		p->absent = r;
	}
	pthread_mutex_unlock(&p->lock);
	return r ? ERR_OK : err_oom(err);
}

static enum err_code want(struct packs *p, const void *data, struct err *err)
{
	if (is_in(p->absent, data) && p->source.bring) {
		enum err_code rc = p->source.bring(p->source.ctx, err);
		if (rc == ERR_OK)
			p->absent = NULL;
		return rc;
	}
	if (is_in(p->absent, data) || (is_in(p->retired, data) && !p->keep))
		return err_set(err, ERR_INTERNAL,
			"weights are wanted in a form that is not there any more");
	return ERR_OK;
}

enum err_code packs_want(struct packs *p, const void *data, struct err *err)
{
	pthread_mutex_lock(&p->lock);
	enum err_code rc = want(p, data, err);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

/* The smallest that is large enough; its end stays. NULL: there is none. */
static void *take_spare(struct packs *p, size_t bytes)
{
	struct range *best = NULL;
	for (struct range *r = p->spare; r; r = r->next)
		if (r->end - r->begin >= bytes &&
			(!best || r->end - r->begin < best->end - best->begin))
			best = r;
	if (!best)
		return NULL;
	void *mem = (void *)best->begin;
	best->begin += round_up(bytes, ARENA_ALIGN_TENSOR);
	best->begin = best->begin < best->end ? best->begin : best->end;
	return mem;
}

/* Joined with the spare ranges that it touches, up to what aligns them. */
static void add_spare(struct packs *p, struct range *add)
{
	for (struct range **at = &p->spare; *at;) {
		struct range *r = *at;
		bool before = r->end <= add->begin && add->begin - r->end < ARENA_ALIGN_TENSOR;
		bool behind = add->end <= r->begin && r->begin - add->end < ARENA_ALIGN_TENSOR;
		if (!before && !behind) {
			at = &r->next;
			continue;
		}
		add->begin = before ? r->begin : add->begin;
		add->end = behind ? r->end : add->end;
		*at = r->next;
	}
	add->next = p->spare;
	p->spare = add;
}

enum err_code packs_retire(struct packs *p, const void *data, size_t bytes, struct err *err)
{
	uintptr_t begin = (uintptr_t)data;
	pthread_mutex_lock(&p->lock);
	struct range *r = ARENA_ARRAY(p->arena, struct range, 2);
	if (r) {
		r[0] = (struct range){ p->retired, begin, begin + bytes };
		r[1] = (struct range){ NULL, round_up(begin, ARENA_ALIGN_TENSOR), begin + bytes };
		p->retired = &r[0];
	}
	if (r && !p->keep) {
		p->retired_bytes += bytes;
		if (r[1].begin < r[1].end)
			add_spare(p, &r[1]);
	}
	pthread_mutex_unlock(&p->lock);
	return r ? ERR_OK : err_oom(err);
}

void packs_trim(struct packs *p)
{
	pthread_mutex_lock(&p->lock);
	for (const struct range *r = p->spare; r; r = r->next)
		pages_drop((void *)r->begin, r->end - r->begin);
	pthread_mutex_unlock(&p->lock);
}

/* -- packing ------------------------------------------------------------------------------- */

static enum err_code make(struct packs *p, const struct pack_entry *of, pack_fn fill, void *ctx,
	struct pack **ret, struct err *err)
{
	const void *source;
	memcpy(&source, of->key, sizeof(source));
	enum err_code rc = want(p, source, err);
	if (rc != ERR_OK)
		return rc;
	struct pack_entry e = *of;
	struct arena *a = p->bytes + e.bytes < LARGE_FROM ? p->arena : p->large;
	void *data = take_spare(p, e.bytes);
	if (!data)
		data = arena_alloc_aligned(a, e.bytes ? e.bytes : 1, ARENA_ALIGN_TENSOR);
	if (!data)
		return err_oom(err);
	fill(data, ctx);
	e.data = data;
	*ret = add(p, &e);
	return *ret ? ERR_OK : err_oom(err);
}

enum err_code packs_get(struct packs *p, const void *key, size_t key_bytes, size_t bytes,
	pack_fn fill, void *ctx, const void **ret, struct err *err)
{
	assert(key_bytes >= sizeof(void *));
	pthread_mutex_lock(&p->lock);
	enum err_code rc = ERR_OK;
	struct pack *e = find(p, key, key_bytes, bytes);
	if (!e)
		rc = make(
			p, &(struct pack_entry){ key, key_bytes, NULL, bytes }, fill, ctx, &e, err);
	pthread_mutex_unlock(&p->lock);
	if (rc == ERR_OK)
		*ret = e->data;
	return rc;
}

enum err_code packs_get_elsewhere(struct packs *p, const void *key, size_t key_bytes,
	const struct pack_elsewhere *how, void **ret, struct err *err)
{
	enum err_code rc = ERR_OK;
	pthread_mutex_lock(&p->lock);
	struct pack *e = find_in(p->elsewhere, key, key_bytes, ANY_SIZE);
	if (!e) {
		void *mem = NULL;
		rc = how->make(&mem, how->ctx, err);
		if (rc == ERR_OK)
			e = insert(p, p->elsewhere, &(struct pack_entry){ key, key_bytes, mem, 0 });
		if (e) {
			e->drop = how->drop;
			e->owner = how->owner;
		} else if (rc == ERR_OK) {
			how->drop(mem, how->owner);
			rc = err_oom(err);
		}
	}
	pthread_mutex_unlock(&p->lock);
	if (rc == ERR_OK)
		*ret = (void *)e->data;
	return rc;
}

enum err_code packs_seed(struct packs *p, const struct pack_entry *of, struct err *err)
{
	pthread_mutex_lock(&p->lock);
	bool ok = add(p, of);
	pthread_mutex_unlock(&p->lock);
	return ok ? ERR_OK : err_oom(err);
}

void packs_walk(struct packs *p, void (*fn)(void *ctx, const struct pack_entry *e), void *ctx)
{
	for (int i = 0; i < BUCKETS; i++)
		for (const struct pack *e = p->bucket[i]; e; e = e->next)
			fn(ctx, &(struct pack_entry){ e->key, e->key_bytes, e->data, e->bytes });
}

size_t packs_bytes(struct packs *p)
{
	pthread_mutex_lock(&p->lock);
	size_t bytes = p->bytes;
	pthread_mutex_unlock(&p->lock);
	return bytes;
}

size_t packs_retired_bytes(struct packs *p)
{
	pthread_mutex_lock(&p->lock);
	size_t bytes = p->retired_bytes;
	pthread_mutex_unlock(&p->lock);
	return bytes;
}
