/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_columns.c -- Split without a copy, on a device that takes columns
 *
 * What is split along its last dimension stays where it is: each result is some of its columns,
 * the same bytes from a place of their own, and from row to row as far as before
 * (LAYOUT_COLUMNS; of one row they are plain). A kernel that does not take them so gets a plain
 * copy, as of any layout. On the host, whose kernels all want them plain, a Split is a step.
 */
#include "exec/axis.h"
#include "exec/plan/planner.h"

/* The slot of what is split, plain, on the device; SLOT_NONE: it is not such a one. */
static int32_t whole_of(const struct planner *pl, const struct node *n)
{
	if (n->op != OP_SPLIT || !pl->rq->conf->backend->columns || pl->p->dynamic)
		return SLOT_NONE;
	int32_t slot = pl->slot_of[n->in[0]];
	if (slot == SLOT_NONE)
		return SLOT_NONE;
	const struct slot *s = &pl->p->slot[slot];
	int rank = s->t.shape.rank;
	bool last = rank > 0 && node_axis(n, "axis", 0, rank) == rank - 1;
	return last && s->on_device && s->t.layout == LAYOUT_PLAIN &&
			       pl->p->slot[s->root].home == SLOT_WORK
		       ? slot
		       : SLOT_NONE;
}

static int64_t columns_of(const struct planner *pl, int32_t v)
{
	const struct shape *s = &pl->iv[v].shape;
	return s->dim[s->rank - 1];
}

/* Each result begins at an address that kernels may count on. */
bool planner_takes_columns(struct planner *pl, const struct node *n)
{
	int32_t whole = whole_of(pl, n);
	bool good = whole != SLOT_NONE;
	for (int32_t i = 0; i < n->n_out && good; i++)
		good = n->out[i] != VALUE_NONE &&
		       (size_t)columns_of(pl, n->out[i]) * dtype_bytes(pl->p->slot[whole].t.dtype) %
				       ARENA_ALIGN_TENSOR == 0;
	return good;
}

enum err_code planner_columns(struct planner *pl, const struct node *n)
{
	struct plan *p = pl->p;
	int32_t whole = whole_of(pl, n);
	struct tensor t = p->slot[whole].t;
	int64_t pitch = t.shape.dim[t.shape.rank - 1];
	size_t at = p->slot[whole].at;
	for (int32_t i = 0; i < n->n_out; i++) {
		t.shape = pl->iv[n->out[i]].shape;
		bool one_row = shape_count_range(&t.shape, 0, t.shape.rank - 1) == 1;
		t.layout = one_row ? LAYOUT_PLAIN : LAYOUT_COLUMNS;
		t.pitch = one_row ? 0 : pitch;
		int32_t slot = planner_add_slot(pl, &t, SLOT_WORK);
		if (slot == SLOT_NONE)
			return err_oom(pl->err);
		p->slot[slot].root = p->slot[whole].root;
		p->slot[slot].at = at;
		p->slot[slot].on_device = true;
		planner_bind(pl, n->out[i], slot);
		at += (size_t)columns_of(pl, n->out[i]) * dtype_bytes(t.dtype);
	}
	return ERR_OK;
}
