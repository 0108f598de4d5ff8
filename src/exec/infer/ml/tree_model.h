/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_model.h -- TreeEnsemble, TreeEnsembleClassifier, TreeEnsembleRegressor: their
 * attributes as trees that are known to be trees
 *
 * Life of a version: ... -> load [INFER] -> compile [PREPARE] -> ...
 *
 * Infer makes a model at load to find what is wrong with it, and drops it. Kernels make it
 * again, once per version, to lay it out as they want it.
 *
 * Every node of a model is reached from one root, on one way; children stand after their
 * parent and beside each other. So a walk ends, whatever the input is.
 *
 * Ownership: the arena's; labels and members borrow the node's attributes. Threads: any.
 */
#pragma once

#include "exec/infer/ml/ml_params.h"

enum tree_mode { /* TreeEnsemble's numbers */
	TREE_LEQ,
	TREE_LT,
	TREE_GTE,
	TREE_GT,
	TREE_EQ,
	TREE_NEQ,
	TREE_MEMBER,
	TREE_LEAF,
	TREE_MODE_COUNT_
};

struct tree_node {
	double value;    /* what the feature is compared with */
	int32_t feature;
	int32_t first;   /* the child where the comparison holds, the other follows; of a leaf
	                    its votes, of a TREE_MEMBER see members */
	int32_t n;       /* of a leaf: votes; of a TREE_MEMBER: members */
	int32_t members; /* TREE_MEMBER: the first in the model's list */
	uint8_t mode;    /* enum tree_mode */
	bool nan_holds;  /* where the feature is NaN, the comparison counts as true */
};

struct tree_vote {
	double weight;
	int32_t target;
};

enum tree_aggregate { TREE_AVERAGE, TREE_SUM, TREE_MIN, TREE_MAX, TREE_AGGREGATE_COUNT_ };

struct tree_model {
	struct tree_node *node; /* breadth first, tree after tree */
	struct tree_vote *vote;
	int32_t *root; /* per tree, and n_node */
	const struct tensor *members; /* of TREE_MEMBER; NULL: there are none */
	const struct tensor *base;    /* one per target, or one, or two for a binary classifier */
	int32_t n_node, n_vote, n_tree;
	int32_t n_target;
	int32_t n_feature; /* one more than the largest that is looked at */
	enum tree_aggregate aggregate;
	enum ml_post post;

	/* Of a classifier. */
	bool is_classifier;
	struct ml_labels labels;
	bool one_score;   /* two classes, and all votes are for one of them, which is scored */
	int32_t scored;
	bool no_negative; /* vote */
};

/* What inference needs of it: O(1) in the size of the trees. */
struct tree_shape {
	int32_t n_target;
	bool is_classifier;
	struct ml_labels labels;
};
MUST_CHECK enum err_code tree_shape(const struct node *n, struct tree_shape *ret, struct err *err);

/* INVALID_ARGUMENT: lists of different lengths, a node twice, a child or leaf that is not
   there, a node that two ways lead to (a cycle is that too), a leaf without a vote, a
   target or feature out of range. */
MUST_CHECK enum err_code tree_model_new(const struct node *n, struct arena *arena,
	struct tree_model **ret, struct err *err);
