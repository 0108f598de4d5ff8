/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forget.h -- weights that nobody reads once they are packed (inside exec only)
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * A weight that its kernel has packed would be there twice. It may go when no other node
 * reads its bytes and no later plan can want them: the kernel packs it the same way
 * whatever the shapes, or all shapes of the graph are fixed. Its memory takes the weight that is
 * packed next, so that a version is never larger than its weights and one of them.
 *
 * Threads: immutable.
 */
#pragma once

#include "exec/plan/planner.h"

struct forget;

/* g is inferred and outlives it. *ret NULL: g has control flow, nothing is forgotten. */
MUST_CHECK enum err_code forget_new(const struct graph *g, struct forget **ret, struct err *err);
void forget_free(struct forget *f);

/* k was prepared for n: retires what it has packed, if nobody else can want it. */
MUST_CHECK enum err_code forget_packed(const struct planner *pl, const struct node *n,
	const struct kernel *k);
