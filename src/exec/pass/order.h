/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order.h -- groups of values whose axes have one order: shared by pass_order.c, where the design
 * is, and order_groups.c only
 *
 * Threads: the one that runs the pass.
 */
#pragma once

#include "exec/pass/pass.h"

#define ATTRS_MAX 16

/* What is known of a group; its first value stands for it. */
struct group {
	int rank;
	int64_t perm[RANK_MAX]; /* of the Transpose that leads in; rank 0: none does */
	int64_t gain;
};

struct order {
	struct pass_ctx *c;
	int32_t n_value;      /* when the pass began */
	int32_t *parent;      /* towards the value that stands for the group */
	int32_t *reordered;   /* the value in the new order; VALUE_NONE: not made yet */
	int32_t *reads;       /* by nodes of the group */
	bool *made;	      /* by one of them */
	bool *wanted;	      /* as it is, by others */
	struct group *group;  /* of values that stand for one */
	struct err *err;
};

bool order_is_reduction(enum op_id op);

/* Input k if it is a constant, else NULL. */
const struct tensor *order_constant_in(const struct pass_ctx *c, const struct node *n, int k);

/* Rank of what it reads and makes if the order of axes is all the same to the node; else 0. */
int order_free_rank(const struct pass_ctx *c, const struct node *n);

/* Of a node whose rank is free: has input k its axes in the group's order? */
bool order_is_reordered_input(const struct node *n, int k);

/* A reduction that drops the axes it sums up: absorb_transpose() will see to it. */
bool order_takes_any_order(const struct pass_ctx *c, const struct node *n);

/* Joins values to groups, finds their orders and what those gain. */
void order_find_groups(struct order *o);

/* The value that stands for v's group. */
int32_t order_group_of(struct order *o, int32_t v);

/* Is n, which may be NULL, a Transpose that leads into the group's order, or undoes it? */
bool order_is_perm_of(const struct pass_ctx *c, const struct node *n, const struct group *g,
	bool undoes);
