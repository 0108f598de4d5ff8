/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/plan/planner.h"

#include <string.h>
#include "base/checked.h"

/* A step must take this long before sharing it with a thread that is awake pays. */
#define SPREAD_MIN_NS 4000

/* -- growing arrays, in tmp until the plan is complete ------------------------------------- */

bool planner_grow(struct planner *pl, void **array, int32_t n, int32_t *cap, size_t size)
{
	if (n < *cap)
		return true;
	int32_t new_cap = *cap ? *cap * 2 : 64;
	void *mem = arena_calloc(pl->p->arena, (size_t)new_cap, size);
	if (!mem)
		return false;
	if (n)
		memcpy(mem, *array, (size_t)n * size);
	*array = mem;
	*cap = new_cap;
	return true;
}

int32_t planner_add_slot(struct planner *pl, const struct tensor *t, enum slot_home home)
{
	struct plan *p = pl->p;
	int32_t cap = pl->cap_slot, cap_crossed = pl->cap_slot;
	if (!planner_grow(pl, (void **)&p->slot, p->n_slot, &pl->cap_slot, sizeof(*p->slot)) ||
		!planner_grow(pl, (void **)&pl->plain_of, p->n_slot, &cap, sizeof(*pl->plain_of)) ||
		!planner_grow(pl, (void **)&pl->crossed_of, p->n_slot, &cap_crossed,
			sizeof(*pl->crossed_of)))
		return SLOT_NONE;
	struct slot *s = &p->slot[p->n_slot];
	*s = (struct slot){ .t = *t, .home = home, .root = p->n_slot, .first = INT32_MAX,
		.last = -1,
		.last_node = -1 };
	if (shape_is_static(&t->shape) && tensor_bytes_overflow(t->dtype, &t->shape, &s->bytes))
		return SLOT_NONE;
	if (layout_is_bf16(t->layout))
		s->bytes /= 2;
	pl->plain_of[p->n_slot] = pl->crossed_of[p->n_slot] = SLOT_NONE;
	return p->n_slot++;
}

struct step *planner_add_step(struct planner *pl, const struct backend *on, const struct node *n,
	int32_t n_in, int32_t n_out)
{
	struct plan *p = pl->p;
	if (!planner_grow(pl, (void **)&p->step, p->n_step, &pl->cap_step, sizeof(*p->step)))
		return NULL;
	int32_t *slot = ARENA_ARRAY(p->arena, int32_t, (size_t)(n_in + n_out) + 1);
	if (!slot)
		return NULL;
	struct step *s = &p->step[p->n_step];
	*s = (struct step){ .node = n, .n_in = n_in, .n_out = n_out, .slot = slot,
		.backend = on, .k.units = 1 };
	return s;
}

static void touch(struct plan *p, int32_t slot, int32_t step)
{
	if (slot == SLOT_NONE)
		return;
	struct slot *r = &p->slot[p->slot[slot].root];
	r->first = step < r->first ? step : r->first;
	r->last = step > r->last ? step : r->last;
}

/* Closes the step that planner_add_step() opened. */
void planner_commit_step(struct planner *pl, struct step *s)
{
	struct plan *p = pl->p;
	for (int32_t i = 0; i < s->n_in + s->n_out; i++)
		touch(p, s->slot[i], p->n_step);
	int64_t cost = s->k.unit_cost_ns * s->k.units;
	if (cost == 0)
		for (int32_t i = 0; i < s->n_out; i++)
			if (s->slot[s->n_in + i] != SLOT_NONE)
				cost += (int64_t)p->slot[s->slot[s->n_in + i]].bytes / 4;
	s->cost_ns = cost;
	s->spread = s->k.units > 1 && cost >= SPREAD_MIN_NS && !s->backend->device;
	if (s->spread) {
		p->spread_ns += cost;
		p->helpers = s->k.units - 1 > p->helpers ? s->k.units - 1 : p->helpers;
	}
	size_t *scratch = s->backend->device ? &p->device_scratch : &p->scratch_bytes;
	if (s->k.scratch_bytes > *scratch)
		*scratch = round_up(s->k.scratch_bytes, ARENA_ALIGN_TENSOR);
	p->n_step++;
}

/* -- values ------------------------------------------------------------------------------ */

/* The slot of a value that has none yet: a constant, or a result known since. */
int32_t planner_slot_of(struct planner *pl, int32_t v)
{
	if (v == VALUE_NONE)
		return SLOT_NONE;
	if (pl->slot_of[v] == SLOT_NONE && pl->iv[v].data)
		pl->slot_of[v] = planner_add_slot(pl, pl->iv[v].data, SLOT_CONST);
	return pl->slot_of[v];
}

/* From here on value v lies in that slot; its bytes are wanted as long as v is. */
void planner_bind(struct planner *pl, int32_t v, int32_t slot)
{
	pl->slot_of[v] = slot;
	if (slot == SLOT_NONE)
		return;
	struct slot *root = &pl->p->slot[pl->p->slot[slot].root];
	if (pl->rq->last_use[v] > root->last_node)
		root->last_node = pl->rq->last_use[v];
}

struct tensor planner_tensor_of(const struct planner *pl, int32_t v)
{
	const struct ivalue *iv = &pl->iv[v];
	if (iv->data)
		return *iv->data;
	struct tensor t = { .dtype = type_carrier(&iv->type), .shape = iv->shape };
	if (pl->slot_of[v] != SLOT_NONE) {
		t.layout = pl->p->slot[pl->slot_of[v]].t.layout;
		t.pitch = pl->p->slot[pl->slot_of[v]].t.pitch;
	}
	return t;
}

struct prep planner_prep(const struct planner *pl, const struct backend *on)
{
	const struct program_conf *conf = pl->rq->conf;
	return (struct prep){ .backend = on, .graph = pl->g, .threads = conf->threads,
		.precision = conf->precision, .packs = conf->packs, .choices = conf->choices,
		.settled = planner_is_settled(pl), .arena = pl->p->arena, .tmp = pl->tmp };
}

/* An operand on the other side comes plain: crossing makes it so. */
static struct tensor operand(const struct planner *pl, int32_t v, bool on_device)
{
	if (v == VALUE_NONE)
		return tensor_absent();
	struct tensor t = planner_tensor_of(pl, v);
	int32_t slot = pl->slot_of[v];
	if (slot != SLOT_NONE && pl->p->slot[slot].on_device != on_device)
		t.layout = LAYOUT_PLAIN;
	return t;
}

enum err_code planner_node_prep(struct planner *pl, const struct backend *on, const struct node *n,
	struct prep *ret)
{
	struct tensor *t = ARENA_ARRAY(pl->tmp, struct tensor, (size_t)(n->n_in + n->n_out) + 1);
	if (!t)
		return err_oom(pl->err);
	for (int32_t i = 0; i < n->n_in; i++)
		t[i] = operand(pl, n->in[i], on->device);
	for (int32_t i = 0; i < n->n_out; i++)
		t[n->n_in + i] = operand(pl, n->out[i], on->device);
	*ret = planner_prep(pl, on);
	ret->node = n;
	ret->in = t;
	ret->out = t + n->n_in;
	ret->n_in = n->n_in;
	ret->n_out = n->n_out;
	ret->bf16_wanted = pl->rq->rounded && n->out[0] != VALUE_NONE && pl->rq->rounded[n->out[0]];
	ret->trial = pl->trial;
	return ERR_OK;
}

enum err_code planner_add_copy(struct planner *pl, int32_t from, int32_t to)
{
	struct plan *p = pl->p;
	struct tensor in = p->slot[from].t, out = p->slot[to].t;
	bool on_device = p->slot[to].on_device, crosses = p->slot[from].on_device != on_device;
	const struct backend *on = planner_backend_at(pl, crosses || on_device);
	struct prep prep = planner_prep(pl, on);
	prep.in = &in;
	prep.out = &out;
	prep.n_in = prep.n_out = 1;
	struct step *s = planner_add_step(pl, on, NULL, 1, 1);
	if (!s)
		return err_oom(pl->err);
	if (crosses)
		TRY(on->device->prepare_cross(
			&prep, on_device ? TO_DEVICE : TO_HOST, &s->k, pl->err));
	else
		TRY(on->prepare_copy(&prep, &s->k, pl->err));
	s->slot[0] = from;
	s->slot[1] = to;
	planner_commit_step(pl, s);
	return ERR_OK;
}

int32_t planner_plain_slot(struct planner *pl, int32_t slot)
{
	struct plan *p = pl->p;
	if (slot == SLOT_NONE || p->slot[slot].t.layout == LAYOUT_PLAIN)
		return slot;
	if (pl->plain_of[slot] != SLOT_NONE)
		return pl->plain_of[slot];
	struct tensor t = p->slot[slot].t;
	t.layout = LAYOUT_PLAIN;
	int32_t to = planner_add_slot(pl, &t, SLOT_WORK);
	if (to == SLOT_NONE)
		return SLOT_NONE;
	p->slot[to].on_device = p->slot[slot].on_device;
	if (planner_add_copy(pl, slot, to) != ERR_OK)
		return SLOT_NONE;
	pl->plain_of[slot] = to;
	p->slot[to].last_node = p->slot[p->slot[slot].root].last_node;
	return to;
}
