/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_draft.h -- trees while they are read: what the readers of both forms of attributes share
 *
 * Both forms are read into drafts: nodes by their place in the attributes, children as such
 * places. tree_named.c reads TreeEnsembleClassifier and -Regressor, tree_placed.c reads
 * TreeEnsemble; tree_model.c makes the model of the drafts.
 *
 * Ownership: all lies in the model's arena. Threads: one at a time.
 */
#pragma once

#include "exec/infer/ml/tree_model.h"

#define TREE_NODES_MAX (INT32_MAX / 4)

struct tree_draft_node {
	double value;
	int64_t feature;
	int32_t yes, no; /* drafts; of a leaf: its votes, first and how many */
	int32_t members, n_members;
	uint8_t mode;
	bool nan_holds, reached;
};

/* What is known while a model is made. */
struct tree_draft {
	const struct node *n;
	struct arena *arena; /* the model's */
	struct tree_model *m;
	struct tree_draft_node *node;
	int32_t n_node, n_leaf; /* in node: the branches of TreeEnsemble, then its leaves */
	int32_t *root;          /* drafts */
	struct err *err;
};

MUST_CHECK enum err_code tree_named_read(struct tree_draft *d);
MUST_CHECK enum err_code tree_placed_read(struct tree_draft *d);

/* INVALID_ARGUMENT. */
enum err_code tree_draft_fail(struct tree_draft *d, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* -- lists of one length --------------------------------------------------------------------- */

MUST_CHECK enum err_code tree_draft_want_count(struct tree_draft *d, const char *name, int64_t is,
	int64_t want);
MUST_CHECK enum err_code tree_draft_ints(struct tree_draft *d, const char *name, int32_t want,
	const int64_t **ret);
/* A list that may be absent: *ret NULL then. */
MUST_CHECK enum err_code tree_draft_maybe_ints(struct tree_draft *d, const char *name, int32_t want,
	const int64_t **ret);
/* A list of one of these types. */
MUST_CHECK enum err_code tree_draft_check_reals(struct tree_draft *d, const char *name,
	const struct tensor *t, uint64_t types);
/* name: floats; name_as_tensor: doubles. Absent: data NULL and no elements. */
MUST_CHECK enum err_code tree_draft_reals(
	struct tree_draft *d, const char *name, struct tensor *ret);

/* Vote i of the model. */
MUST_CHECK enum err_code tree_draft_add_vote(struct tree_draft *d, int32_t i, int64_t target,
	double weight);
