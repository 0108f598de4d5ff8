/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_ports.c -- what enters a plan and what leaves it
 */
#include <string.h>
#include "exec/plan/planner.h"

enum err_code planner_inputs(struct planner *pl)
{
	const struct graph *g = pl->g;
	struct plan *p = pl->p;
	for (int32_t v = 0; v < g->n_value; v++) {
		pl->slot_of[v] = SLOT_NONE;
		pl->iv[v] = (struct ivalue){ .type = g->value[v].type, .shape = g->value[v].shape,
			.data = g->value[v].constant };
	}
	p->n_in = pl->rq->n_in;
	p->in = ARENA_ARRAY(p->arena, struct port, (size_t)p->n_in + 1);
	if (!p->in)
		return err_oom(pl->err);
	for (int i = 0; i < p->n_in; i++) {
		struct port *port = &p->in[i];
		*port = pl->rq->in[i];
		port->staged = SLOT_NONE;
		struct ivalue *iv = &pl->iv[port->value];
		struct tensor t = port->t;
		if (port->t.data) { /* part of the key, so the plan keeps a copy */
			size_t bytes = tensor_bytes(&port->t);
			struct tensor *known = ARENA_NEW(p->arena, struct tensor);
			void *data = arena_alloc_aligned(p->arena, bytes + 1, ARENA_ALIGN_TENSOR);
			if (!known || !data)
				return err_oom(pl->err);
			memcpy(data, port->t.data, bytes);
			port->t.data = data;
			*known = port->t;
			iv->data = known;
		}
		t.data = NULL;
		iv->shape = port->t.shape;
		port->slot = planner_add_slot(pl, &t, SLOT_INPUT);
		planner_bind(pl, port->value, port->slot);
		if (port->slot == SLOT_NONE)
			return err_oom(pl->err);
		p->slot[port->slot].index = i;
		if (pl->rq->conf->backend->device && type_is_tensor(&iv->type))
			TRY(planner_stage_input(pl, port));
	}
	return ERR_OK;
}

/* Output i in the caller's memory: by giving a workspace root that home, by a copy step, or,
   where a device is at work, by the run's last copies. */
static enum err_code plan_output(struct planner *pl, int i)
{
	struct plan *p = pl->p;
	struct port *port = &p->out[i];
	int32_t slot = planner_plain_slot(pl, planner_slot_of(pl, port->value));
	enum err_code rc = planner_move_to(pl, &slot, false);
	if (rc != ERR_OK)
		return rc;
	port->t = p->slot[slot].t;
	port->t.data = NULL;
	port->staged = SLOT_NONE;
	struct slot *root = &p->slot[p->slot[slot].root];
	if (root->home == SLOT_WORK && pl->rq->conf->backend->device) {
		root->last = INT32_MAX;
		port->staged = port->slot = slot;
		return ERR_OK;
	}
	if (root->home == SLOT_WORK && root->bytes == p->slot[slot].bytes) {
		root->home = SLOT_OUTPUT;
		root->index = i;
		port->slot = slot;
		return ERR_OK;
	}
	port->slot = planner_add_slot(pl, &port->t, SLOT_OUTPUT);
	if (port->slot == SLOT_NONE)
		return err_oom(pl->err);
	p->slot[port->slot].index = i;
	return planner_add_copy(pl, slot, port->slot);
}

/* Sequences and optionals have no place that could be laid out: chain.c passes them on. */
static bool covers_graph(const struct planner *pl)
{
	const struct graph *g = pl->g;
	bool tensors = true;
	for (int i = 0; i < g->n_output; i++)
		tensors &= type_is_tensor(&pl->iv[g->output[i]].type);
	return tensors && !pl->p->dynamic && pl->p->begin == 0 && pl->p->end == g->n_node;
}

/* Is v there when the plan has ended, and does anybody after it want it? */
static bool leaves(const struct planner *pl, int32_t v)
{
	const struct gvalue *gv = &pl->g->value[v];
	return gv->producer != NODE_NONE && gv->producer >= pl->p->begin &&
	       gv->producer < pl->p->end && pl->rq->last_use[v] >= pl->p->end;
}

enum err_code planner_outputs(struct planner *pl)
{
	struct plan *p = pl->p;
	const struct graph *g = pl->g;
	int n = 0;
	p->whole = covers_graph(pl);
	if (p->whole)
		n = g->n_output;
	else
		for (int32_t v = 0; v < g->n_value; v++)
			n += leaves(pl, v);
	p->out = ARENA_ARRAY(p->arena, struct port, (size_t)n + 1);
	if (!p->out)
		return err_oom(pl->err);
	if (p->whole)
		for (; p->n_out < n; p->n_out++)
			p->out[p->n_out].value = g->output[p->n_out];
	else
		for (int32_t v = 0; v < g->n_value; v++)
			if (leaves(pl, v))
				p->out[p->n_out++].value = v;
	for (int i = 0; i < n && !p->dynamic; i++) {
		enum err_code rc = plan_output(pl, i);
		if (rc != ERR_OK)
			return rc;
	}
	return ERR_OK;
}
