/* SPDX-License-Identifier: Apache-2.0 */
/*
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
#include "exec/program.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/checked.h"
#include "exec/control.h"
#include "exec/plan.h"
#include "exec/program_impl.h"

#define PLANS_MAX_DEFAULT 64
#define DYNAMIC_BYTES_MAX_DEFAULT ((size_t)1 << 30)
#define THREADS_MAX 63 /* scratch areas are claimed in a 64-bit mask */

/* -- life ------------------------------------------------------------------------------ */

/* For each value the last node that reads it; n_node for outputs, -1 for nobody. */
static int32_t *find_last_uses(const struct graph *g)
{
	int32_t *last = calloc((size_t)g->n_value + 1, sizeof(*last));
	for (int32_t v = 0; last && v < g->n_value; v++)
		last[v] = -1;
	for (int32_t i = 0; last && i < g->n_node; i++)
		for (int32_t k = 0; k < g->node[i].n_in; k++)
			if (g->node[i].in[k] != VALUE_NONE)
				last[g->node[i].in[k]] = i;
	for (int32_t i = 0; last && i < g->n_output; i++)
		last[g->output[i]] = g->n_node;
	return last;
}

/* A body's inputs are its own, then what it captures. */
static enum err_code list_inputs(struct program *p, struct err *err)
{
	const struct graph *g = p->graph;
	p->n_in = g->n_input + g->n_capture;
	p->in_value = calloc((size_t)p->n_in + 1, sizeof(*p->in_value));
	if (!p->in_value)
		return err_oom(err);
	for (int i = 0; i < g->n_input; i++)
		p->in_value[i] = g->input[i];
	for (int i = 0; i < g->n_capture; i++)
		p->in_value[g->n_input + i] = g->capture[i];
	return ERR_OK;
}

enum err_code program_new(const struct graph *g, const struct program_conf *conf,
	struct program **ret, struct err *err)
{
	struct program *p = calloc(1, sizeof(*p));
	if (!p)
		return err_oom(err);
	p->graph = g;
	p->conf = *conf;
	if (p->conf.plans_max <= 0)
		p->conf.plans_max = PLANS_MAX_DEFAULT;
	if (p->conf.dynamic_bytes_max == 0)
		p->conf.dynamic_bytes_max = DYNAMIC_BYTES_MAX_DEFAULT;
	if (p->conf.threads < 1 || p->conf.threads > THREADS_MAX)
		p->conf.threads = p->conf.threads < 1 ? 1 : THREADS_MAX;
	pthread_mutex_init(&p->lock, NULL);
	p->last_use = find_last_uses(g);
	enum err_code rc = p->last_use ? list_inputs(p, err) : err_oom(err);
	if (rc == ERR_OK)
		rc = control_new(p, err);
	if (rc != ERR_OK) {
		program_free(p);
		return rc;
	}
	*ret = p;
	return ERR_OK;
}

static void workspace_free(struct workspace *w)
{
	munmap(w, w->bytes);
}

void program_free(struct program *p)
{
	if (!p)
		return;
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
	control_free(p);
	pthread_mutex_destroy(&p->lock);
	free(p->last_use);
	free(p->in_value);
	free(p);
}

const struct graph *program_graph(const struct program *p)
{
	return p->graph;
}

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
		for (int64_t k = 0; t->data && k < tensor_count(t); k++)
			h = mix(h, (uint64_t)tensor_int(t, k));
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
	w = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w == MAP_FAILED)
		return NULL;
	w->bytes = bytes;
	pthread_mutex_lock(&p->lock);
	p->workspace_bytes += bytes;
	pthread_mutex_unlock(&p->lock);
	return w;
}

static struct frame *frame_take(struct program *p, struct plan *e, struct err *err)
{
	pthread_mutex_lock(&p->lock);
	struct frame *f = e->frames;
	if (f)
		e->frames = f->next;
	pthread_mutex_unlock(&p->lock);
	if (!f && frame_new(e, &f, err) != ERR_OK)
		return NULL;
	return f;
}

enum err_code program_run_plan(struct program *p, struct plan *e, struct plan_run *r, struct err *err)
{
	struct frame *f = frame_take(p, e, err);
	struct workspace *w = workspace_take(p, plan_workspace_bytes(e));
	enum err_code rc = f && w ? ERR_OK : err_oom(err);
	if (rc == ERR_OK) {
		r->mem = (char *)w + WORKSPACE_HEAD;
		rc = plan_run(e, f, r, err);
	}
	pthread_mutex_lock(&p->lock);
	if (f) {
		f->next = e->frames;
		e->frames = f;
	}
	if (w) {
		w->next = p->workspaces;
		p->workspaces = w;
	}
	pthread_mutex_unlock(&p->lock);
	return rc;
}

/* -- running --------------------------------------------------------------------------------- */

static enum err_code check_input(const struct program *p, int i, const struct tensor *t, struct err *err)
{
	const struct gvalue *v = &p->graph->value[p->in_value[i]];
	if (!v->type.is_sequence && t->dtype != v->type.dtype)
		return err_set(err, ERR_INVALID_ARGUMENT, "input '%.120s' is %s, the model takes %s",
			v->name, dtype_name(t->dtype), dtype_name(v->type.dtype));
	if (!shape_is_static(&t->shape))
		return err_set(err, ERR_INVALID_ARGUMENT, "input '%.120s' is missing", v->name);
	if (v->shape.rank == RANK_UNKNOWN || v->type.is_sequence)
		return ERR_OK;
	bool fits = t->shape.rank == v->shape.rank;
	for (int d = 0; d < t->shape.rank && fits; d++)
		fits = v->shape.dim[d] < 0 || v->shape.dim[d] == t->shape.dim[d];
	if (!fits)
		return err_set(err, ERR_INVALID_ARGUMENT, "input '%.120s' is %s, the model takes %s",
			v->name, SHAPE_TEXT(&t->shape), SHAPE_TEXT(&v->shape));
	return ERR_OK;
}

/* Room for a request's ports and pointers without a call to malloc in the usual case. */
#define FEW 16

struct run_room {
	struct port port_few[FEW], *port;
	void *ptr_few[2 * FEW], **in, **out;
	void *heap;
};

static enum err_code room_for(struct run_room *room, int n_in, int n_out, struct err *err)
{
	room->port = room->port_few;
	room->in = room->ptr_few;
	room->out = room->ptr_few + FEW;
	room->heap = NULL;
	if (n_in <= FEW && n_out <= FEW)
		return ERR_OK;
	size_t ports = (size_t)n_in * sizeof(struct port);
	room->heap = malloc(ports + (size_t)(n_in + n_out) * sizeof(void *));
	if (!room->heap)
		return err_oom(err);
	room->port = room->heap;
	room->in = (void **)((char *)room->heap + ports);
	room->out = room->in + n_in;
	return ERR_OK;
}

static enum err_code fill_ports(struct program *p, const struct tensor *in, struct run_room *room,
	struct err *err)
{
	for (int i = 0; i < p->n_in; i++) {
		enum err_code rc = check_input(p, i, &in[i], err);
		if (rc != ERR_OK)
			return rc;
		room->port[i] = (struct port){ .value = p->in_value[i],
			.t = { .dtype = in[i].dtype, .shape = in[i].shape } };
		room->in[i] = in[i].data;
	}
	return ERR_OK;
}

/* A plan from the graph's inputs to its outputs. */
static enum err_code run_whole(struct program *p, struct plan *e, struct run_room *room,
	const struct run_opts *opts, struct err *err)
{
	for (int i = 0; i < e->n_out; i++) {
		room->out[i] = opts->output(opts->output_ctx, i, &e->out[i].t);
		if (!room->out[i])
			return err_set(err, ERR_RESOURCE_EXHAUSTED, "no memory for output %d of shape %s",
				i, SHAPE_TEXT(&e->out[i].t.shape));
	}
	struct plan_run r = { .in = room->in, .out = room->out, .pool = opts->pool,
		.arena = opts->arena, .profile = opts->profile };
	return program_run_plan(p, e, &r, err);
}

static bool is_whole(const struct program *p, const struct plan *e)
{
	return e->begin == 0 && e->end == p->graph->n_node && !e->dynamic;
}

enum err_code program_run(struct program *p, const struct tensor *in, const struct run_opts *opts,
	struct err *err)
{
	struct run_room room;
	struct plan *e;
	enum err_code rc = room_for(&room, p->n_in, p->graph->n_output, err);
	if (rc != ERR_OK)
		return rc;
	rc = fill_ports(p, in, &room, err);
	if (rc == ERR_OK)
		rc = program_get_plan(p, 0, room.port, p->n_in, &e, err);
	if (rc == ERR_OK) {
		if (is_whole(p, e))
			rc = run_whole(p, e, &room, opts, err);
		else
			rc = chain_run(p, e, in, opts, err);
		program_release_plan(p, e);
	}
	free(room.heap);
	return rc;
}

enum err_code program_plan(struct program *p, const struct tensor *in, struct tensor *ret_out,
	struct err *err)
{
	struct run_room room;
	struct plan *e;
	enum err_code rc = room_for(&room, p->n_in, p->graph->n_output, err);
	if (rc != ERR_OK)
		return rc;
	rc = fill_ports(p, in, &room, err);
	if (rc == ERR_OK)
		rc = program_get_plan(p, 0, room.port, p->n_in, &e, err);
	if (rc == ERR_OK) {
		for (int i = 0; ret_out && i < p->graph->n_output; i++) {
			const struct gvalue *v = &p->graph->value[p->graph->output[i]];
			ret_out[i] = (struct tensor){ .dtype = v->type.dtype, .shape = SHAPE_UNKNOWN };
			if (is_whole(p, e))
				ret_out[i] = e->out[i].t;
		}
		program_release_plan(p, e);
	}
	free(room.heap);
	return rc;
}

void program_stats(struct program *p, struct program_stats *ret)
{
	*ret = (struct program_stats){ 0 };
	pthread_mutex_lock(&p->lock);
	ret->plans = p->n_plans;
	ret->plans_made = p->plans_made;
	ret->workspace_bytes = p->workspace_bytes;
	for (struct plan *e = p->newest; e; e = e->older)
		if (plan_workspace_bytes(e) > ret->workspace_plan_bytes)
			ret->workspace_plan_bytes = plan_workspace_bytes(e);
	pthread_mutex_unlock(&p->lock);
}

/* -- explaining ------------------------------------------------------------------------------ */

static void explain_step(const struct plan *e, const struct step *s, struct step_text *t)
{
	t->op = s->node ? op_info(s->node->op)->name : "copy";
	t->kernel = s->k.name;
	t->backend = s->backend->name;
	t->units = s->k.units;
	size_t at = 0;
	for (int32_t i = 0; i < s->n_in + s->n_out && at < sizeof(t->shapes); i++) {
		if (s->slot[i] == VALUE_NONE)
			continue;
		const struct slot *slot = &e->slot[s->slot[i]];
		at += (size_t)snprintf(t->shapes + at, sizeof(t->shapes) - at, "%s%s%s",
			i == 0 ? "" : i == s->n_in ? " -> " : " ", SHAPE_TEXT(&slot->t.shape),
			slot->t.layout == LAYOUT_PLAIN ? "" : "b");
		if (i >= s->n_in)
			t->out_bytes += slot->bytes;
	}
}

enum err_code program_explain(struct program *p, const struct tensor *in,
	void (*fn)(void *ctx, const struct step_text *step), void *ctx, struct err *err)
{
	struct run_room room;
	struct plan *e;
	enum err_code rc = room_for(&room, p->n_in, p->graph->n_output, err);
	if (rc != ERR_OK)
		return rc;
	rc = fill_ports(p, in, &room, err);
	if (rc == ERR_OK)
		rc = program_get_plan(p, 0, room.port, p->n_in, &e, err);
	if (rc == ERR_OK) {
		char label[NODE_LABEL_MAX];
		for (int32_t i = 0; i < e->n_folded; i++) {
			const struct node *n = e->folded[i];
			struct step_text t = { .op = op_info(n->op)->name, .kernel = "folded",
				.backend = "plan", .folded = true };
			t.node = node_label(p->graph, n, label, sizeof(label));
			fn(ctx, &t);
		}
		for (int32_t i = 0; i < e->n_step; i++) {
			const struct node *n = e->step[i].node;
			struct step_text t = { 0 };
			t.node = n ? node_label(p->graph, n, label, sizeof(label)) : "";
			explain_step(e, &e->step[i], &t);
			fn(ctx, &t);
		}
		program_release_plan(p, e);
	}
	free(room.heap);
	return rc;
}
