/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program_cache.c -- plans that are kept
 *
 * DESIGN
 *
 * The cache of plans is a hash table and an LRU list under one mutex, which is held for a
 * lookup and never while planning or running. A plan is referenced by the cache and by
 * its runs; the last reference frees it.
 *
 * INVARIANTS
 *
 * 1. All lists and refs change under `lock`.
 * 2. A plan in the table is on the LRU list, and the other way round.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "exec/packs.h"
#include "exec/run/program_impl.h"

/* Tables of one plan may take hundreds of megabytes where shapes are enormous. */
#define PLANS_BYTES_MAX ((size_t)512 << 20)

/* -- the cache of plans ------------------------------------------------------------------ */

static uint64_t mix(uint64_t h, uint64_t x)
{
	h = (h ^ x) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static uint64_t hash_ports(int32_t begin, const struct port *in, int n_in)
{
	uint64_t h = mix(0, (uint64_t)begin);
	for (int i = 0; i < n_in; i++) {
		const struct tensor *t = &in[i].t;
		h = mix(h, (uint64_t)t->dtype << 32 | (uint32_t)t->shape.rank);
		for (int d = 0; d < t->shape.rank; d++)
			h = mix(h, (uint64_t)t->shape.dim[d]);
		size_t bytes = t->data ? tensor_bytes(t) : 0;
		for (size_t k = 0; k < bytes; k++)
			h = mix(h, ((const uint8_t *)t->data)[k]);
	}
	return h;
}

static bool same_port(const struct port *a, const struct port *b)
{
	return a->value == b->value && a->t.dtype == b->t.dtype &&
	       shape_equal(&a->t.shape, &b->t.shape) && !a->t.data == !b->t.data &&
	       (!a->t.data || memcmp(a->t.data, b->t.data, tensor_bytes(&a->t)) == 0);
}

static bool same_key(
	const struct plan *p, uint64_t hash, int32_t begin, const struct port *in, int n_in)
{
	if (p->hash != hash || p->begin != begin || p->n_in != n_in)
		return false;
	for (int i = 0; i < n_in; i++)
		if (!same_port(&p->in[i], &in[i]))
			return false;
	return true;
}

static void lru_unlink(struct program *p, struct plan *e)
{
	*(e->newer ? &e->newer->older : &p->newest) = e->older;
	*(e->older ? &e->older->newer : &p->oldest) = e->newer;
	e->newer = e->older = NULL;
}

static void lru_push(struct program *p, struct plan *e)
{
	e->older = p->newest;
	*(p->newest ? &p->newest->newer : &p->oldest) = e;
	p->newest = e;
}

static struct plan *cache_find(
	struct program *p, uint64_t hash, int32_t begin, const struct port *in, int n_in)
{
	struct plan *e = p->table[hash % PLAN_BUCKETS];
	while (e && !same_key(e, hash, begin, in, n_in))
		e = e->hash_next;
	if (e && e != p->newest) {
		lru_unlink(p, e);
		lru_push(p, e);
	}
	return e;
}

/* Takes the oldest plan out; the caller frees it when nobody runs it. */
static struct plan *cache_evict(struct program *p)
{
	struct plan *e = p->oldest;
	struct plan **at = &p->table[e->hash % PLAN_BUCKETS];
	while (*at != e)
		at = &(*at)->hash_next;
	*at = e->hash_next;
	lru_unlink(p, e);
	p->n_plans--;
	p->plan_bytes -= arena_held_bytes(e->arena);
	return --e->refs == 0 ? e : NULL;
}

/* Room for one more of that size; returns those that nobody runs, for the caller to free. */
static struct plan *cache_make_room(struct program *p, size_t bytes)
{
	struct plan *gone = NULL;
	while (p->oldest &&
		(p->n_plans >= p->conf.plans_max || p->plan_bytes + bytes > PLANS_BYTES_MAX)) {
		struct plan *e = cache_evict(p);
		if (e)
			e->hash_next = gone;
		gone = e ? e : gone;
	}
	return gone;
}

static void free_plans(struct plan *list)
{
	while (list) {
		struct plan *next = list->hash_next;
		plan_free(list);
		list = next;
	}
}

void program_release_plan(struct program *p, struct plan *e)
{
	pthread_mutex_lock(&p->lock);
	bool last = --e->refs == 0;
	pthread_mutex_unlock(&p->lock);
	if (last)
		plan_free(e);
}

enum err_code program_get_plan(struct program *p, int32_t begin, const struct port *in, int n_in,
	struct plan **ret, struct err *err)
{
	uint64_t hash = hash_ports(begin, in, n_in);
	pthread_mutex_lock(&p->lock);
	struct plan *e = cache_find(p, hash, begin, in, n_in);
	if (e)
		e->refs++;
	pthread_mutex_unlock(&p->lock);
	if (e) {
		*ret = e;
		return ERR_OK;
	}
	struct plan_request rq = { .graph = p->graph, .conf = &p->conf, .begin = begin, .in = in,
		.n_in = n_in, .forget = p->forget, .last_use = p->last_use,
		.rounded = p->rounded };
	struct plan *made, *gone = NULL;
	enum err_code rc = plan_new(&rq, &made, err);
	if (p->forget)
		packs_trim(p->conf.packs);
	if (rc != ERR_OK)
		return rc;
	made->hash = hash;
	pthread_mutex_lock(&p->lock);
	e = cache_find(p, hash, begin, in, n_in);
	if (!e) {
		size_t bytes = arena_held_bytes(made->arena);
		gone = cache_make_room(p, bytes);
		p->plan_bytes += bytes;
		e = made;
		made = NULL;
		e->hash_next = p->table[hash % PLAN_BUCKETS];
		p->table[hash % PLAN_BUCKETS] = e;
		lru_push(p, e);
		p->n_plans++;
		p->plans_made++;
	}
	e->refs++;
	pthread_mutex_unlock(&p->lock);
	plan_free(made); /* another thread was faster */
	free_plans(gone);
	*ret = e;
	return ERR_OK;
}

void program_drop_plans(struct program *p)
{
	while (p->newest) {
		struct plan *next = p->newest->older;
		assert(p->newest->refs == 1);
		plan_free(p->newest);
		p->newest = next;
	}
	program_drop_workspaces(p);
}
