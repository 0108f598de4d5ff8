/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * The attributes are read into drafts (tree_draft.h). From each root a walk breadth first
 * then gives the nodes their places in the model, and finds those that are reached twice.
 */
#include "exec/infer/ml/tree_draft.h"

#include <inttypes.h>

/* The leaves of TreeEnsemble are votes, which many branches may share; all else is reached once. */
static enum err_code reach(struct tree_draft *d, int32_t at)
{
	struct tree_draft_node *n = &d->node[at];
	if (n->reached && !(n->mode == TREE_LEAF && d->n_leaf))
		return tree_draft_fail(d, "node %d is reached on two ways: that is no tree", at);
	n->reached = true;
	return ERR_OK;
}

static enum err_code check_leaf(struct tree_draft *d, int32_t at)
{
	if (d->node[at].no > 0)
		return ERR_OK;
	return tree_draft_fail(d, "leaf %d has no weight", at);
}

static enum err_code check_branch(struct tree_draft *d, int32_t at)
{
	int64_t f = d->node[at].feature;
	if (f < 0 || f >= INT32_MAX)
		return tree_draft_fail(
			d, "node %d asks for feature %" PRId64 ", which cannot be", at, f);
	if (f >= d->m->n_feature)
		d->m->n_feature = (int32_t)f + 1;
	return ERR_OK;
}

/* Makes node `to` of the model from a draft; a branch's children are put at the end of the
   queue, which is the model itself: node[i].first holds the draft until it is made. */
static enum err_code make_node(struct tree_draft *d, int32_t to)
{
	struct tree_model *m = d->m;
	struct tree_node *n = &m->node[to];
	int32_t at = n->first;
	const struct tree_draft_node *from = &d->node[at];
	TRY(reach(d, at));
	/* NaN is unequal to everything, in ONNX Runtime and the specification's reference. */
	*n = (struct tree_node){.value = from->value,
		.mode = from->mode,
		.nan_holds = from->nan_holds || from->mode == TREE_NEQ};
	if (from->mode == TREE_LEAF) {
		n->first = from->yes;
		n->n = from->no;
		return check_leaf(d, at);
	}
	TRY(check_branch(d, at));
	n->feature = (int32_t)from->feature;
	n->members = from->members;
	n->n = from->n_members;
	n->first = m->n_node;
	m->node[m->n_node++].first = from->yes;
	m->node[m->n_node++].first = from->no;
	return ERR_OK;
}

static size_t count_branches(const struct tree_draft *d)
{
	size_t n = 0;
	for (int32_t i = 0; i < d->n_node; i++)
		n += d->node[i].mode != TREE_LEAF;
	return n;
}

static enum err_code make_model(struct tree_draft *d)
{
	struct tree_model *m = d->m;
	/* Each branch, which is reached once, puts two into the queue, each root one. */
	size_t cap = 2 * count_branches(d) + (size_t)m->n_tree;
	m->node = ARENA_ARRAY_RAW(d->arena, struct tree_node, cap);
	m->root = ARENA_ARRAY(d->arena, int32_t, (size_t)m->n_tree + 1);
	if (!m->node || !m->root)
		return err_oom(d->err);
	int32_t made = 0;
	for (int32_t i = 0; i < m->n_tree; i++) {
		m->root[i] = m->n_node;
		m->node[m->n_node++].first = d->root[i];
		for (; made < m->n_node; made++)
			TRY(make_node(d, made));
	}
	m->root[m->n_tree] = m->n_node;
	return ERR_OK;
}

/* A rule of binary classifiers asks for which classes there are votes, and of which sign. */
static void summarize_votes(struct tree_model *m)
{
	bool any[2] = {false, false};
	m->no_negative = true;
	for (int32_t i = 0; i < m->n_vote; i++) {
		if (m->vote[i].target < 2)
			any[m->vote[i].target] = true;
		if (m->vote[i].weight < 0)
			m->no_negative = false;
	}
	m->one_score = m->is_classifier && m->n_target == 2 && any[0] != any[1];
	m->scored = any[1] && !any[0];
}

enum err_code tree_shape(const struct node *n, struct tree_shape *ret, struct err *err)
{
	struct tree_shape s = {.is_classifier = n->op == OP_TREE_CLASSIFIER};
	if (s.is_classifier) {
		TRY(ml_labels(n, "classlabels_int64s", "classlabels_strings", &s.labels, err));
		s.n_target = s.labels.n;
		if (s.n_target == 0)
			return err_set(err, ERR_INVALID_ARGUMENT, "it has no class labels");
		if (s.n_target == 1 && s.labels.strings)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"one label of strings leaves the other class without");
	} else {
		int64_t targets = node_int(n, "n_targets", 1);
		if (targets < 1 || targets > TREE_NODES_MAX)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"n_targets is %" PRId64 ", it must be in [1,%d]", targets,
				TREE_NODES_MAX);
		s.n_target = (int32_t)targets;
	}
	*ret = s;
	return ERR_OK;
}

enum err_code tree_model_new(
	const struct node *n, struct arena *arena, struct tree_model **ret, struct err *err)
{
	struct tree_shape shape;
	struct tree_model *m = ARENA_NEW(arena, struct tree_model);
	struct tree_draft d = {.n = n, .arena = arena, .m = m, .err = err};
	if (!m)
		return err_oom(err);
	TRY(tree_shape(n, &shape, err));
	m->n_target = shape.n_target;
	m->is_classifier = shape.is_classifier;
	m->labels = shape.labels;
	TRY(n->op == OP_TREE_ENSEMBLE ? tree_placed_read(&d) : tree_named_read(&d));
	TRY(make_model(&d));
	summarize_votes(m);
	*ret = m;
	return ERR_OK;
}
