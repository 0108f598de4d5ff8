/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_layout.h -- a tree ensemble as one kind of comparison on numbers that are ordered
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * DESIGN
 *
 * Every comparison is made "key > threshold" of unsigned integers, without a branch. A key
 * is a feature of the row as an integer in the same order. What differs between nodes goes
 * into how a row's keys are made, once per row: a feature is in as many columns of keys as
 * there are ways to look at it. NaN is the largest key for nodes that it fails, 0 for those
 * where it holds. Equality and membership in sets have columns of their own that are 0 or 1.
 * "Less" is "at most the number before"; "greater" is "at most" with the children exchanged.
 *
 * A walk takes as many steps for all trees of a group, so that eight can go side by side: a
 * leaf above the deepest level is a step that stays where it is. Those at the deepest level
 * have no step; a walk ends there. Steps stand breadth first, so children are beside each
 * other, and next says how far away the first is.
 *
 * Ownership: one block, the version's. Labels borrow the node's attributes. Threads: any.
 */
#pragma once

#include "exec/cpu/ml/trees.h"

#define TREE_LANES 8 /* rows, or trees, that go side by side */

struct tree_column {
	int32_t feature;
	int32_t first, n; /* of the members of a set; n 0: the feature itself */
	bool is_set, is_not; /* 0 for members, 1 for others; is_not: the other way round */
	bool nan_first;  /* NaN's key is 0; else the largest, 1 of a set */
};

struct tree_step32 { /* X of float32 and integers, trees that are not huge */
	uint32_t threshold;
	uint16_t column, next;
};

struct tree_step32_wide {
	uint32_t threshold, column, next;
};

struct tree_step64 { /* X of float64 */
	uint64_t threshold;
	uint32_t column, next;
};

enum tree_step_kind { TREE_STEP32, TREE_STEP32_WIDE, TREE_STEP64 };

struct tree_leaf_votes {
	int32_t first, n;
};

struct tree_layout {
	enum tree_step_kind kind;
	int32_t n_tree, n_column, n_target, n_feature;
	int32_t max_depth;
	double mean_depth;
	bool one_vote; /* each leaf has one, and all of a tree are for one target */
	const struct tree_column *column;
	const double *member;
	const void *step;
	const uint32_t *root;  /* per tree: its first step */
	const uint32_t *leaf;  /* per tree: where a walk ends, less this, is a leaf's place */
	const int32_t *depth;  /* per group of TREE_LANES trees */
	const int32_t *target; /* per tree, if one_vote */
	const void *weight;    /* per leaf, if one_vote: floats, of TREE_STEP64 doubles */
	const struct tree_leaf_votes *votes; /* per leaf, if not */
	const struct tree_vote *vote;
	struct tree_finish finish;
};

/* As an integer that is ordered as numbers are; -0 is 0. Not for NaN. */
static inline uint32_t tree_key32(float x)
{
	uint32_t u;
	x += 0.0f;
	memcpy(&u, &x, sizeof(u));
	return u ^ ((uint32_t)-(int32_t)(u >> 31) | 0x80000000u);
}

static inline uint64_t tree_key64(double x)
{
	uint64_t u;
	x += 0.0;
	memcpy(&u, &x, sizeof(u));
	return u ^ ((uint64_t)-(int64_t)(u >> 63) | UINT64_C(1) << 63);
}

/* The version's layout for X of p's type; made at the first call. UNIMPLEMENTED: too many
   features or sets for columns. */
MUST_CHECK enum err_code tree_layout_get(
	struct prep *p, const struct tree_layout **ret, struct err *err);
