/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/checked.h"
#include "exec/kernel.h"

/* Versions have some hundred packed weights, looked up while planning only. */
#define BUCKETS 256

struct pack {
	struct pack *next;
	size_t key_bytes;
	void *data;
	unsigned char key[];
};

struct packs {
	pthread_mutex_t lock; /* held while packing: two plans never pack the same weights twice */
	struct arena *arena;
	struct pack *bucket[BUCKETS];
	size_t bytes;
};

struct packs *packs_new(void)
{
	struct packs *p = calloc(1, sizeof(*p));
	struct arena *arena = p ? arena_new(1 << 16, 0) : NULL;
	if (!arena) {
		free(p);
		return NULL;
	}
	p->arena = arena;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void packs_free(struct packs *p)
{
	if (!p)
		return;
	arena_free(p->arena);
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

static struct pack *make(struct packs *p, const void *key, size_t key_bytes, size_t bytes, pack_fn fill,
	void *ctx)
{
	struct pack *e = arena_alloc(p->arena, sizeof(*e) + key_bytes);
	void *data = e ? arena_alloc_aligned(p->arena, bytes ? bytes : 1, ARENA_ALIGN_TENSOR) : NULL;
	if (!data)
		return NULL;
	*e = (struct pack){ .key_bytes = key_bytes, .data = data };
	memcpy(e->key, key, key_bytes);
	fill(data, ctx);
	p->bytes += bytes;
	return e;
}

enum err_code packs_get(struct packs *p, const void *key, size_t key_bytes, size_t bytes, pack_fn fill,
	void *ctx, const void **ret, struct err *err)
{
	struct pack **at = &p->bucket[bucket_of(key, key_bytes)];
	pthread_mutex_lock(&p->lock);
	struct pack *e = *at;
	while (e && !(e->key_bytes == key_bytes && memcmp(e->key, key, key_bytes) == 0))
		e = e->next;
	if (!e) {
		e = make(p, key, key_bytes, bytes, fill, ctx);
		if (e) {
			e->next = *at;
			*at = e;
		}
	}
	pthread_mutex_unlock(&p->lock);
	if (!e)
		return err_oom(err);
	*ret = e->data;
	return ERR_OK;
}

size_t packs_bytes(struct packs *p)
{
	pthread_mutex_lock(&p->lock);
	size_t bytes = p->bytes;
	pthread_mutex_unlock(&p->lock);
	return bytes;
}
