/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.c -- where values of a plan lie when a backend has memory of its own
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * A step works in the memory of its backend. A value that is wanted in the other memory is
 * copied there once, by a step of the device that only enqueues the copy. What such a copy
 * touches on the host stays where it is for as long as the frame lives, so that the copy
 * can be recorded: inputs and outputs of a run, which come and go, are copied by the run
 * itself to and from such places (port.staged), all of them, so that the plan may be for
 * more rows than come.
 *
 * Steps of the device that follow each other are a segment: enqueued or replayed at one
 * go, and waited for before the next step of the host.
 */
#include <string.h>
#include "exec/packs.h"
#include "exec/plan/planner.h"

const struct backend *planner_backend_at(const struct planner *pl, bool on_device)
{
	const struct backend *b = pl->rq->conf->backend;
	return on_device ? b : backend_host(b);
}

/* -- constants ------------------------------------------------------------------------------ */

/* Everything that the copy depends on. */
struct constant_key {
	const void *data;
	const struct backend *backend;
};

struct constant_source {
	const struct backend *backend;
	const void *data;
	size_t bytes;
};

static enum err_code upload(void **ret, void *ctx, struct err *err)
{
	const struct constant_source *c = ctx;
	return c->backend->device->upload(c->backend, c->data, c->bytes, ret, err);
}

static void release(void *mem, void *owner)
{
	const struct backend *b = owner;
	b->device->release(b, mem);
}

/* A constant's copy on the device, one for all plans of the version. */
static enum err_code constant_on_device(struct planner *pl, int32_t slot, int32_t *ret)
{
	const struct backend *b = pl->rq->conf->backend;
	struct tensor t = pl->p->slot[slot].t; /* a constant's view has the same data */
	struct constant_key key = { t.data, b };
	struct constant_source source = { b, t.data, pl->p->slot[slot].bytes };
	struct pack_elsewhere how = { upload, &source, release, (void *)b };
	enum err_code rc =
		packs_get_elsewhere(pl->rq->conf->packs, &key, sizeof(key), &how, &t.data, pl->err);
	if (rc == ERR_OK)
		*ret = planner_add_slot(pl, &t, SLOT_CONST);
	return rc;
}

/* -- values --------------------------------------------------------------------------------- */

enum err_code planner_stage_input(struct planner *pl, struct port *port)
{
	struct tensor t = port->t;
	t.data = NULL;
	port->staged = planner_add_slot(pl, &t, SLOT_WORK);
	if (port->staged == SLOT_NONE)
		return err_oom(pl->err);
	pl->p->slot[port->staged].first = 0;
	planner_bind(pl, port->value, port->staged);
	return ERR_OK;
}

void planner_unstage_inputs(struct planner *pl, bool dynamic)
{
	struct plan *p = pl->p;
	for (int i = 0; i < p->n_in; i++) {
		struct port *port = &p->in[i];
		if (port->staged == SLOT_NONE || (!dynamic && p->slot[port->staged].last >= 0))
			continue;
		port->staged = SLOT_NONE;
		planner_bind(pl, port->value, port->slot);
	}
}

static enum err_code cross(struct planner *pl, int32_t slot, bool on_device, int32_t *ret)
{
	struct plan *p = pl->p;
	struct tensor t = p->slot[slot].t;
	int32_t last_node = p->slot[p->slot[slot].root].last_node;
	*ret = planner_add_slot(pl, &t, SLOT_WORK);
	if (*ret == SLOT_NONE)
		return err_oom(pl->err);
	p->slot[*ret].on_device = on_device;
	p->slot[*ret].last_node = last_node;
	return planner_add_copy(pl, slot, *ret);
}

enum err_code planner_move_to(struct planner *pl, int32_t *slot, bool on_device)
{
	struct plan *p = pl->p;
	if (*slot != SLOT_NONE && p->slot[*slot].on_device == on_device)
		return ERR_OK;
	int32_t from = planner_plain_slot(pl, *slot);
	if (from == SLOT_NONE)
		return err_oom(pl->err);
	if (pl->crossed_of[from] == SLOT_NONE) {
		int32_t to = SLOT_NONE;
		bool constant = p->slot[p->slot[from].root].home == SLOT_CONST;
		enum err_code rc = constant ? constant_on_device(pl, from, &to)
					    : cross(pl, from, on_device, &to);
		if (rc == ERR_OK && to == SLOT_NONE)
			rc = err_oom(pl->err);
		if (rc != ERR_OK)
			return rc;
		p->slot[to].on_device = on_device;
		pl->crossed_of[from] = to;
		pl->crossed_of[to] = from;
	}
	*slot = pl->crossed_of[from];
	return ERR_OK;
}

void planner_segments(struct plan *p)
{
	bool inside = false;
	for (int32_t i = 0; i < p->n_step; i++) {
		bool on_device = p->step[i].backend->device;
		p->n_segment += on_device && !inside;
		p->step[i].segment = p->n_segment - 1;
		inside = on_device;
	}
}
