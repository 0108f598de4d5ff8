/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program_cache.c -- plans, frames and workspaces that are kept
 *
 * DESIGN
 *
 * The cache of plans is a hash table and an LRU list under one mutex, which is held for a
 * lookup and never while planning or running. A plan is referenced by the cache and by
 * its runs; the last reference frees it. Frames and workspaces are kept for the next run:
 * frames with their plan, workspaces (any plan of the program fits into a large enough
 * one) with the program, last in first out.
 *
 * INVARIANTS
 *
 * 1. All lists and refs change under `lock`.
 * 2. A plan in the table is on the LRU list, and the other way round.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/pages.h"
#include "exec/run/program_impl.h"

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

static bool same_key(const struct plan *p, uint64_t hash, int32_t begin, const struct port *in, int n_in)
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

static struct plan *cache_find(struct program *p, uint64_t hash, int32_t begin, const struct port *in,
	int n_in)
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
	return --e->refs == 0 ? e : NULL;
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
		.n_in = n_in, .last_use = p->last_use };
	struct plan *made, *evicted = NULL;
	enum err_code rc = plan_new(&rq, &made, err);
	if (rc != ERR_OK)
		return rc;
	made->hash = hash;
	pthread_mutex_lock(&p->lock);
	e = cache_find(p, hash, begin, in, n_in);
	if (!e) {
		if (p->n_plans >= p->conf.plans_max)
			evicted = cache_evict(p);
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
	plan_free(evicted);
	*ret = e;
	return ERR_OK;
}

/* -- frames and workspaces ---------------------------------------------------------------- */

static void workspace_free(struct workspace *w)
{
	pages_unmap(w, w->bytes);
}

/* One of at least that size from the list, or a new one; a too small one makes way. */
static struct workspace *workspace_take(struct program *p, size_t need)
{
	struct workspace *w, *small = NULL;
	pthread_mutex_lock(&p->lock);
	struct workspace **at = &p->workspaces;
	while (*at && (*at)->bytes - WORKSPACE_HEAD < need)
		at = &(*at)->next;
	w = *at;
	if (w) {
		*at = w->next;
	} else if (p->workspaces) {
		small = p->workspaces;
		p->workspaces = small->next;
		p->workspace_bytes -= small->bytes;
	}
	pthread_mutex_unlock(&p->lock);
	if (small)
		workspace_free(small);
	if (w)
		return w;
	size_t bytes = round_up(need + WORKSPACE_HEAD, 4096);
	w = pages_map(bytes);
	if (!w)
		return NULL;
	w->bytes = bytes;
	pthread_mutex_lock(&p->lock);
	p->workspace_bytes += bytes;
	pthread_mutex_unlock(&p->lock);
	return w;
}

/* Frames of a plan with a device hold much of its memory: there are LANES_MAX of them, and a
   run waits for one. A third batch is copied in while one computes and one is copied out. */
#define LANES_MAX 3

static enum err_code frame_take(struct program *p, struct plan *e, struct frame **ret, struct err *err)
{
	pthread_mutex_lock(&p->lock);
	while (e->device && !e->frames && e->n_frame == LANES_MAX)
		pthread_cond_wait(&p->frame_back, &p->lock);
	struct frame *f = e->frames;
	if (f)
		e->frames = f->next;
	else
		e->n_frame++;
	pthread_mutex_unlock(&p->lock);
	enum err_code rc = f ? ERR_OK : frame_new(e, &f, err);
	*ret = f;
	if (rc == ERR_OK)
		return ERR_OK;
	pthread_mutex_lock(&p->lock);
	e->n_frame--;
	pthread_cond_broadcast(&p->frame_back);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

/* The memory that a run of the plan works in: a workspace, or what its lane has. */
static enum err_code mem_take(struct program *p, const struct plan *e, const struct frame *f,
	struct workspace **ret, char **ret_mem, struct err *err)
{
	*ret = NULL;
	if (f->lane) {
		*ret_mem = f->lane->host_mem;
		return ERR_OK;
	}
	*ret = workspace_take(p, plan_workspace_bytes(e));
	if (!*ret)
		return err_oom(err);
	*ret_mem = (char *)*ret + WORKSPACE_HEAD;
	return ERR_OK;
}

enum err_code program_run_plan(struct program *p, struct plan *e, struct plan_run *r, struct err *err)
{
	struct frame *f = NULL;
	struct workspace *w = NULL;
	enum err_code rc = frame_take(p, e, &f, err);
	if (rc == ERR_OK)
		rc = mem_take(p, e, f, &w, &r->mem, err);
	if (rc == ERR_OK)
		rc = plan_run(e, f, r, err);
	pthread_mutex_lock(&p->lock);
	if (f) {
		f->next = e->frames;
		e->frames = f;
		pthread_cond_broadcast(&p->frame_back);
	}
	if (w) {
		w->next = p->workspaces;
		p->workspaces = w;
	}
	pthread_mutex_unlock(&p->lock);
	return rc;
}

void program_drop_plans(struct program *p)
{
	while (p->newest) {
		struct plan *next = p->newest->older;
		assert(p->newest->refs == 1);
		plan_free(p->newest);
		p->newest = next;
	}
	while (p->workspaces) {
		struct workspace *next = p->workspaces->next;
		workspace_free(p->workspaces);
		p->workspaces = next;
	}
}
