/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fused_source.h -- the body of a FusedElementwise as the text of a kernel
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * The text knows operators, types and which operands are broadcast, but no dimensions: those are
 * parameters, so that plans of all batches share a kernel.
 *
 * Threads: any. Memory: the caller's arena.
 */
#pragma once

#include "exec/fused.h"

/* Where a group of elements of an operand lies. */
enum fused_reach {
	REACH_DENSE,	  /* as those of the result */
	REACH_ONE,	  /* it has one element */
	REACH_WALK,	  /* to be worked out; the group is one element for all of the result's */
	REACH_WALK_DENSE, /* the same, side by side */
};

static inline bool fused_is_walked(enum fused_reach r)
{
	return r >= REACH_WALK;
}

struct fused_shape {
	int wide; /* elements of a group */
	int rank; /* of the walk over those that are walked */
	enum fused_reach reach[FUSED_INPUTS_MAX];
};

/* The kernel takes a gpu_walk over the operands that are walked, a gpu_complaint, the result and
   the operands. Its name is made of its text. */
#define FUSED_NAME_MAX 24
MUST_CHECK enum err_code fused_source(const struct graph *body, const struct fused_shape *s,
	struct arena *arena, char ret_name[FUSED_NAME_MAX], struct slice *ret, struct err *err);
