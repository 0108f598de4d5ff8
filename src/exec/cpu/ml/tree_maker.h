/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_maker.h -- a layout while it is made: tree_layout.c turns nodes into columns and steps,
 * tree_block.c puts them into the one block that stays
 *
 * Ownership: the plan's temporary arena. Threads: one.
 */
#pragma once

#include "exec/cpu/ml/tree_layout.h"

struct tree_maker {
	const struct tree_model *m;
	struct arena *arena;
	struct tree_layout l;
	struct tree_column *column;
	int32_t *plain[2]; /* per feature: its column for NaN last, NaN first, plus 1 */
	int32_t *set;      /* hash table of columns, plus 1 */
	int32_t n_set, cap_column;
	double *member;
	int32_t n_member, cap_member;
	/* Per node of the model; widest form; threshold of the kind's keys. */
	struct tree_step64 *step;
	int32_t *queue;           /* nodes of a tree, breadth first, children as steps want them */
	int32_t *level;           /* of those, how deep they are */
	struct tree_step64 *placed; /* the steps of all trees, in the widest form */
	int32_t n_step;
	uint32_t *root, *leaf; /* per tree, as tree_layout has them; so depth, target, votes */
	int32_t *depth, *target;
	struct tree_leaf_votes *votes;
	int32_t n_leaf;
	uint32_t next_max; /* of the steps */
};

/* The block of what k made, under key among the version's packs. */
MUST_CHECK enum err_code tree_block_get(struct prep *p, const struct tree_maker *k, const void *key,
	size_t key_bytes, const struct tree_layout **ret, struct err *err);
