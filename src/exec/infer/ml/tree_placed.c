/* SPDX-License-Identifier: Apache-2.0 */
/* The form with places: TreeEnsemble. */
#include "exec/infer/ml/tree_draft.h"

#include <inttypes.h>
#include <math.h>

/* Of TreeEnsemble: a tensor of X's type. */
static enum err_code tensor_of(
	struct tree_draft *d, const char *name, int64_t want, struct tensor *ret)
{
	*ret = *node_tensor(d->n, name);
	TRY(tree_draft_check_reals(d, name, ret, T_REAL | T(F16)));
	return tree_draft_want_count(d, name, tensor_count(ret), want);
}

static enum err_code check_place(
	struct tree_draft *d, const char *name, int32_t i, int64_t v, int32_t n)
{
	if (v >= 0 && v < n)
		return ERR_OK;
	return tree_draft_fail(d, "%s[%d] is %" PRId64 ", it must be in [0,%d]", name, i, v, n - 1);
}

static enum err_code read_leaves(struct tree_draft *d, int32_t n_leaf)
{
	const int64_t *target;
	struct tensor weight;
	TRY(tree_draft_ints(d, "leaf_targetids", n_leaf, &target));
	TRY(tensor_of(d, "leaf_weights", n_leaf, &weight));
	d->m->vote = ARENA_ARRAY(d->arena, struct tree_vote, (size_t)n_leaf + 1);
	if (!d->m->vote)
		return err_oom(d->err);
	d->m->n_vote = n_leaf;
	for (int32_t i = 0; i < n_leaf; i++) {
		TRY(tree_draft_add_vote(d, i, target[i], tensor_float(&weight, i)));
		d->node[d->n_node + i] =
			(struct tree_draft_node){.mode = TREE_LEAF, .yes = i, .no = 1};
	}
	return ERR_OK;
}

static enum err_code find_placed_child(struct tree_draft *d, const char *name, int32_t i,
	int64_t child, bool is_leaf, int32_t *ret)
{
	TRY(check_place(d, name, i, child, is_leaf ? d->n_leaf : d->n_node));
	*ret = (int32_t)child + (is_leaf ? d->n_node : 0);
	return ERR_OK;
}

static enum err_code read_children(struct tree_draft *d)
{
	const int64_t *yes, *no, *yes_leaf, *no_leaf;
	TRY(tree_draft_ints(d, "nodes_truenodeids", d->n_node, &yes));
	TRY(tree_draft_ints(d, "nodes_falsenodeids", d->n_node, &no));
	TRY(tree_draft_ints(d, "nodes_trueleafs", d->n_node, &yes_leaf));
	TRY(tree_draft_ints(d, "nodes_falseleafs", d->n_node, &no_leaf));
	for (int32_t i = 0; i < d->n_node; i++) {
		struct tree_draft_node *to = &d->node[i];
		TRY(find_placed_child(d, "nodes_truenodeids", i, yes[i], yes_leaf[i], &to->yes));
		TRY(find_placed_child(d, "nodes_falsenodeids", i, no[i], no_leaf[i], &to->no));
	}
	return ERR_OK;
}

/* Sets are listed in the order of the nodes that test for them, each up to a NaN. */
static enum err_code read_members(struct tree_draft *d)
{
	const struct tensor *t = node_tensor(d->n, "membership_values");
	int64_t at = 0, n = t ? tensor_count(t) : 0;
	if (t)
		TRY(tree_draft_check_reals(d, "membership_values", t, T_REAL | T(F16)));
	d->m->members = t;
	for (int32_t i = 0; i < d->n_node; i++) {
		struct tree_draft_node *to = &d->node[i];
		if (to->mode != TREE_MEMBER)
			continue;
		to->members = (int32_t)at;
		while (at < n && !isnan(tensor_float(t, at)))
			at++;
		if (at > n || at > INT32_MAX || (at == n && to->members == n))
			return tree_draft_fail(d, "membership_values has no set for node %d", i);
		to->n_members = (int32_t)at++ - to->members;
	}
	if (at < n)
		return tree_draft_fail(d, "membership_values has more sets than nodes ask for");
	return ERR_OK;
}

static enum err_code read_branches(struct tree_draft *d)
{
	const int64_t *feature, *nan;
	struct tensor mode = *node_tensor(d->n, "nodes_modes"), split;
	TRY(tree_draft_ints(d, "nodes_featureids", d->n_node, &feature));
	TRY(tree_draft_maybe_ints(d, "nodes_missing_value_tracks_true", d->n_node, &nan));
	if (mode.dtype != DTYPE_U8 || mode.shape.rank > 1)
		return tree_draft_fail(d, "nodes_modes is %s %s, it must be a list of uint8",
			dtype_name(mode.dtype), SHAPE_TEXT(&mode.shape));
	TRY(tree_draft_want_count(d, "nodes_modes", tensor_count(&mode), d->n_node));
	TRY(tensor_of(d, "nodes_splits", d->n_node, &split));
	for (int32_t i = 0; i < d->n_node; i++) {
		uint8_t m = ((const uint8_t *)mode.data)[i];
		if (m > TREE_MEMBER)
			return tree_draft_fail(
				d, "nodes_modes[%d] is %d, there is no such mode", i, m);
		d->node[i] = (struct tree_draft_node){.value = tensor_float(&split, i),
			.feature = feature[i],
			.mode = m,
			.nan_holds = nan && nan[i]};
	}
	return ERR_OK;
}

static enum err_code read_placed_roots(struct tree_draft *d)
{
	int32_t n;
	const int64_t *root = node_ints(d->n, "tree_roots", &n);
	if (n > TREE_NODES_MAX)
		return tree_draft_fail(d, "it has more than %d trees", TREE_NODES_MAX);
	d->root = ARENA_ARRAY(d->arena, int32_t, (size_t)n + 1);
	if (!d->root)
		return err_oom(d->err);
	for (int32_t i = 0; i < n; i++) {
		TRY(check_place(d, "tree_roots", i, root[i], d->n_node));
		const struct tree_draft_node *r = &d->node[root[i]];
		/* A tree of one leaf is written as a branch with that leaf on both sides. */
		bool is_leaf = r->yes == r->no && d->node[r->yes].mode == TREE_LEAF;
		d->root[i] = is_leaf ? r->yes : (int32_t)root[i];
	}
	d->m->n_tree = n;
	return ERR_OK;
}

enum err_code tree_placed_read(struct tree_draft *d)
{
	int32_t n_node, n_leaf;
	int64_t aggregate = node_int(d->n, "aggregate_function", TREE_SUM);
	int64_t post = node_int(d->n, "post_transform", ML_POST_NONE);
	if (aggregate < 0 || aggregate >= TREE_AGGREGATE_COUNT_)
		return tree_draft_fail(
			d, "aggregate_function is %" PRId64 ", it must be in [0,3]", aggregate);
	if (post < 0 || post >= ML_POST_COUNT_)
		return tree_draft_fail(
			d, "post_transform is %" PRId64 ", it must be in [0,4]", post);
	d->m->aggregate = (enum tree_aggregate)aggregate;
	d->m->post = (enum ml_post)post;
	node_ints(d->n, "nodes_featureids", &n_node);
	node_ints(d->n, "leaf_targetids", &n_leaf);
	if (n_node > TREE_NODES_MAX || n_leaf > TREE_NODES_MAX)
		return tree_draft_fail(d, "it has more than %d nodes", TREE_NODES_MAX);
	d->node =
		ARENA_ARRAY(d->arena, struct tree_draft_node, (size_t)n_node + (size_t)n_leaf + 1);
	if (!d->node)
		return err_oom(d->err);
	d->n_node = n_node;
	d->n_leaf = n_leaf;
	TRY(read_branches(d));
	TRY(read_leaves(d, n_leaf));
	TRY(read_children(d));
	TRY(read_members(d));
	return read_placed_roots(d);
}
