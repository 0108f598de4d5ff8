/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form with names: TreeEnsembleClassifier, TreeEnsembleRegressor.
 *
 * DESIGN
 *
 * It names nodes by pairs of numbers. Usually those of a tree count up from its first node,
 * so a name is first looked for where it would stand then. The rest are searched for, by a sorted
 * index where they do not stand in order; in order, names that are there twice are neighbours.
 */
#include "exec/infer/ml/tree_draft.h"

#include <inttypes.h>
#include <stdlib.h>
#include "base/utf8.h"

static enum err_code set_base(struct tree_draft *d)
{
	struct tree_model *m = d->m;
	struct tensor *base = ARENA_NEW(d->arena, struct tensor);
	if (!base)
		return err_oom(d->err);
	TRY(tree_draft_reals(d, "base_values", base));
	int64_t n = tensor_count(base);
	m->base = n ? base : NULL;
	/* A binary classifier may have one score for both classes. */
	if (n == 0 || (n == 1 && m->is_classifier && m->n_target == 2))
		return ERR_OK;
	return tree_draft_want_count(d, "base_values", n, m->n_target);
}

struct name {
	int64_t tree, node;
	int32_t at; /* of the attributes' lists, or of the weights' */
};

static int compare_names(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	if (x->tree != y->tree)
		return x->tree < y->tree ? -1 : 1;
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Lists of names. */
struct named {
	const int64_t *tree, *node;
	struct name *sorted; /* NULL: they stand in order */
	int32_t n;
};

static struct name nth(const struct named *x, int32_t i)
{
	return x->sorted ? x->sorted[i] : (struct name){x->tree[i], x->node[i], i};
}

static bool is_in_order(const struct named *x)
{
	for (int32_t i = 1; i < x->n; i++)
		if (x->tree[i] < x->tree[i - 1] ||
			(x->tree[i] == x->tree[i - 1] && x->node[i] < x->node[i - 1]))
			return false;
	return true;
}

static enum err_code sort_names(struct tree_draft *d, struct named *x)
{
	if (is_in_order(x))
		return ERR_OK;
	struct name *names = ARENA_ARRAY_RAW(d->arena, struct name, (size_t)x->n);
	if (!names)
		return err_oom(d->err);
	for (int32_t i = 0; i < x->n; i++)
		names[i] = nth(x, i);
	qsort(names, (size_t)x->n, sizeof(*names), compare_names);
	x->sorted = names;
	return ERR_OK;
}

/* The place of a node by its name; hint: a place of the same tree. -1: none. */
static int32_t find_node(const struct named *x, int64_t tree, int64_t node, int32_t hint)
{
	int64_t guess;
	if (!__builtin_sub_overflow(node, x->node[hint], &guess) && guess < x->n && guess > -x->n) {
		guess += hint;
		if (guess >= 0 && guess < x->n && x->node[guess] == node && x->tree[guess] == tree)
			return (int32_t)guess;
	}
	int32_t low = 0, high = x->n;
	while (low < high) {
		int32_t mid = low + (high - low) / 2;
		struct name s = nth(x, mid);
		if (s.tree < tree || (s.tree == tree && s.node < node))
			low = mid + 1;
		else
			high = mid;
	}
	struct name s = low < x->n ? nth(x, low) : (struct name){.at = -1};
	return s.at >= 0 && s.tree == tree && s.node == node ? s.at : -1;
}

static enum err_code check_names(struct tree_draft *d, const struct named *x)
{
	for (int32_t i = 1; i < x->n; i++) {
		struct name a = nth(x, i - 1), b = nth(x, i);
		if (a.tree == b.tree && a.node == b.node)
			return tree_draft_fail(d,
				"node %" PRId64 " of tree %" PRId64 " is there twice", b.node,
				b.tree);
	}
	return ERR_OK;
}

static enum err_code read_mode(struct tree_draft *d, struct slice s, int32_t i, uint8_t *ret)
{
	static const struct slice words[] = {SLICE_LIT("BRANCH_LEQ"), SLICE_LIT("BRANCH_LT"),
		SLICE_LIT("BRANCH_GTE"), SLICE_LIT("BRANCH_GT"), SLICE_LIT("BRANCH_EQ"),
		SLICE_LIT("BRANCH_NEQ"), SLICE_LIT("BRANCH_MEMBER"), SLICE_LIT("LEAF")};
	for (int k = 0; k < TREE_MODE_COUNT_; k++)
		if (k != TREE_MEMBER && slice_eq(s, words[k])) {
			*ret = (uint8_t)k;
			return ERR_OK;
		}
	if (!utf8_is_valid(s))
		s = SLICE_LIT("(not text)");
	return tree_draft_fail(
		d, "nodes_modes[%d] is '%.*s', there is no such mode", i, SLICE_ARG(s));
}

static enum err_code find_child(
	struct tree_draft *d, const struct named *x, int32_t parent, int64_t child, int32_t *ret)
{
	*ret = find_node(x, x->tree[parent], child, parent);
	if (*ret >= 0)
		return ERR_OK;
	return tree_draft_fail(d,
		"node %" PRId64 " of tree %" PRId64 " has a child %" PRId64 ", which is not there",
		x->node[parent], x->tree[parent], child);
}

static enum err_code read_named_nodes(struct tree_draft *d, struct named *x)
{
	const int64_t *feature, *yes, *no, *nan;
	const struct slice *mode;
	struct tensor value;
	x->node = node_ints(d->n, "nodes_nodeids", &x->n);
	if (x->n == 0 || x->n > TREE_NODES_MAX)
		return tree_draft_fail(d, "nodes_nodeids has %d elements, 1 to %d are allowed",
			x->n, TREE_NODES_MAX);
	int32_t n = x->n, n_mode;
	TRY(tree_draft_ints(d, "nodes_treeids", n, &x->tree));
	TRY(tree_draft_ints(d, "nodes_featureids", n, &feature));
	TRY(tree_draft_ints(d, "nodes_truenodeids", n, &yes));
	TRY(tree_draft_ints(d, "nodes_falsenodeids", n, &no));
	TRY(tree_draft_maybe_ints(d, "nodes_missing_value_tracks_true", n, &nan));
	mode = node_strings(d->n, "nodes_modes", &n_mode);
	TRY(tree_draft_want_count(d, "nodes_modes", n_mode, n));
	TRY(tree_draft_reals(d, "nodes_values", &value));
	TRY(tree_draft_want_count(d, "nodes_values", tensor_count(&value), n));
	TRY(sort_names(d, x));
	TRY(check_names(d, x));
	d->node = ARENA_ARRAY_RAW(d->arena, struct tree_draft_node, (size_t)n);
	if (!d->node)
		return err_oom(d->err);
	d->n_node = n;
	for (int32_t i = 0; i < n; i++) {
		struct tree_draft_node *to = &d->node[i];
		*to = (struct tree_draft_node){.value = tensor_float(&value, i),
			.feature = feature[i],
			.nan_holds = nan && nan[i] == 1};
		TRY(read_mode(d, mode[i], i, &to->mode));
		if (to->mode == TREE_LEAF)
			continue;
		TRY(find_child(d, x, i, yes[i], &to->yes));
		TRY(find_child(d, x, i, no[i], &to->no));
	}
	return ERR_OK;
}

/* Weights go to the leaves that they name, in the order in which they are listed. Those of
   branches, which old converters wrote, are nobody's. */
static enum err_code read_named_votes(struct tree_draft *d, const struct named *x)
{
	bool classes = d->m->is_classifier;
	const int64_t *target;
	struct named votes = {0};
	struct tensor weight;
	int32_t n;
	target = node_ints(d->n, classes ? "class_ids" : "target_ids", &n);
	TRY(tree_draft_ints(d, classes ? "class_treeids" : "target_treeids", n, &votes.tree));
	TRY(tree_draft_ints(d, classes ? "class_nodeids" : "target_nodeids", n, &votes.node));
	TRY(tree_draft_reals(d, classes ? "class_weights" : "target_weights", &weight));
	TRY(tree_draft_want_count(
		d, classes ? "class_weights" : "target_weights", tensor_count(&weight), n));
	votes.n = n;
	TRY(sort_names(d, &votes));
	d->m->vote = ARENA_ARRAY_RAW(d->arena, struct tree_vote, (size_t)n + 1);
	if (!d->m->vote)
		return err_oom(d->err);
	d->m->n_vote = n;
	for (int32_t i = 0, at = 0; i < n; i++) {
		struct name of = nth(&votes, i);
		at = find_node(x, of.tree, of.node, at);
		if (at < 0)
			return tree_draft_fail(d,
				"weight %d is for node %" PRId64 " of tree %" PRId64
				", which is not there",
				of.at, of.node, of.tree);
		TRY(tree_draft_add_vote(d, i, target[of.at], tensor_float(&weight, of.at)));
		if (d->node[at].mode != TREE_LEAF)
			continue;
		if (d->node[at].no++ == 0)
			d->node[at].yes = i;
	}
	return ERR_OK;
}

/* A tree's root is the first of its nodes. */
static enum err_code find_named_roots(struct tree_draft *d, const struct named *x)
{
	d->root = ARENA_ARRAY_RAW(d->arena, int32_t, (size_t)x->n);
	if (!d->root)
		return err_oom(d->err);
	for (int32_t i = 0, k; i < x->n; i = k) {
		struct name one = nth(x, i);
		int32_t first = one.at;
		for (k = i; k < x->n && nth(x, k).tree == one.tree; k++)
			first = nth(x, k).at < first ? nth(x, k).at : first;
		d->root[d->m->n_tree++] = first;
	}
	return ERR_OK;
}

static int compare_int32(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return x < y ? -1 : x > y;
}

enum err_code tree_named_read(struct tree_draft *d)
{
	static const char *const aggregates[] = {"SUM", "AVERAGE", "MIN", "MAX"};
	static const enum tree_aggregate aggregate_of[] = {
		TREE_SUM, TREE_AVERAGE, TREE_MIN, TREE_MAX};
	struct named x = {0};
	int aggregate = 0;
	if (!d->m->is_classifier)
		TRY(ml_word(d->n, "aggregate_function", aggregates, TREE_AGGREGATE_COUNT_,
			&aggregate, d->err));
	d->m->aggregate = aggregate_of[aggregate];
	TRY(ml_post(d->n, &d->m->post, d->err));
	TRY(set_base(d));
	TRY(read_named_nodes(d, &x));
	TRY(read_named_votes(d, &x));
	TRY(find_named_roots(d, &x));
	/* Sums are made in the order in which the trees are listed. */
	qsort(d->root, (size_t)d->m->n_tree, sizeof(*d->root), compare_int32);
	return ERR_OK;
}
