/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planner.h -- a plan while it is made: shared by plan*.c, planner.c and place.c only
 *
 * Ownership: all in the plan's arena, or in tmp, which goes when the plan is made.
 * Threads:   the one that makes the plan.
 */
#pragma once

#include "exec/plan/plan.h"

struct planner {
	const struct plan_request *rq;
	const struct graph *g;
	struct plan *p;
	struct arena *tmp, *trial[TRIAL_ARENAS];
	struct ivalue *iv;   /* per value */
	int32_t *slot_of;    /* per value */
	int32_t *plain_of;   /* per slot: its plain copy */
	int32_t *crossed_of; /* per slot: its copy in the other memory */
	bool dynamic;        /* the node that was inferred last cannot be part of a static plan */
	int32_t cap_slot, cap_step, cap_folded;
	struct err *err;
};

#define LABEL(pl, n) node_label((pl)->g, (n), (char[NODE_LABEL_MAX]){ 0 }, NODE_LABEL_MAX)

static inline bool planner_is_settled(const struct planner *pl)
{
	const atomic_bool *settled = pl->rq->conf->settled;
	return settled && atomic_load_explicit(settled, memory_order_relaxed);
}

/* SLOT_NONE: no memory, or the size overflows. */
int32_t planner_add_slot(struct planner *pl, const struct tensor *t, enum slot_home home);

/* Opens a step at the end, its slots to be filled in; NULL: no memory. Then closes it:
   lifetimes, cost, scratch. No other step may be added in between. */
struct step *planner_add_step(struct planner *pl, const struct backend *on, const struct node *n,
	int32_t n_in, int32_t n_out);
void planner_commit_step(struct planner *pl, struct step *s);

/* What every kernel is prepared with; the caller adds operands. */
struct prep planner_prep(const struct planner *pl, const struct backend *on);
/* The same with the operands of a node. */
MUST_CHECK enum err_code planner_node_prep(struct planner *pl, const struct backend *on,
	const struct node *n, struct prep *ret);

/* A step that copies one slot to another of the same shape, between memories if need be. */
MUST_CHECK enum err_code planner_add_copy(struct planner *pl, int32_t from, int32_t to);

/* A plain slot with the contents of a blocked one; one copy step, however often asked. */
int32_t planner_plain_slot(struct planner *pl, int32_t slot);

/* place.c: replaces a slot by one with the same contents, plain, in the device's memory or in
   the host's, unless it lies there; one copy step, however often asked. */
MUST_CHECK enum err_code planner_move_to(struct planner *pl, int32_t *slot, bool on_device);

/* place.c: the value of an input lies where a run will copy it to. */
MUST_CHECK enum err_code planner_stage_input(struct planner *pl, struct port *port);
/* When all steps are there: nobody copies what nobody reads; of a dynamic plan (dynamic true)
   before its step, whose inputs are taken as they come. */
void planner_unstage_inputs(struct planner *pl, bool dynamic);

/* place.c: which backend's steps work where the slot lies. */
const struct backend *planner_backend_at(const struct planner *pl, bool on_device);

/* place.c: numbers the segments when all steps are there. */
void planner_segments(struct plan *p);

/* The slot of a value; makes one for a constant, or for a result known since. */
int32_t planner_slot_of(struct planner *pl, int32_t v);

/* From here on value v lies in that slot; its bytes are wanted as long as v is. */
void planner_bind(struct planner *pl, int32_t v, int32_t slot);

/* Type, shape and layout of a value, data if known. */
struct tensor planner_tensor_of(const struct planner *pl, int32_t v);

/* Grows an array in the plan's arena by doubling. */
bool planner_grow(struct planner *pl, void **array, int32_t n, int32_t *cap, size_t size);

/* plan_fold.c: can n be computed now? */
bool planner_is_known(const struct planner *pl, const struct node *n);
/* Computes it; its outputs become constants. *ret_done false: its kernel leaves a layout that
   constants do not have, so that it is a step as any other. */
MUST_CHECK enum err_code planner_fold(struct planner *pl, const struct node *n, bool *ret_done);

/* plan_columns.c: can results of a Split lie in what is split? Then they do. */
MUST_CHECK bool planner_takes_columns(struct planner *pl, const struct node *n);
MUST_CHECK enum err_code planner_columns(struct planner *pl, const struct node *n);

/* plan_ports.c: what enters and leaves. */
MUST_CHECK enum err_code planner_inputs(struct planner *pl);
MUST_CHECK enum err_code planner_outputs(struct planner *pl);
