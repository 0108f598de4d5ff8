/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * Both forms of attributes are read into drafts: nodes by their place in the attributes,
 * children as such places. From each root a walk breadth first then gives the nodes their
 * places in the model, and finds those that are reached twice.
 *
 * The old form names nodes by pairs of numbers. Usually those of a tree count up from its
 * first node, so a name is first looked for where it would stand then; the sorted index is
 * for the rest, and finds names that are there twice.
 */
#include "exec/infer/tree_model.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/utf8.h"

struct draft_node {
	double value;
	int64_t feature;
	int32_t yes, no; /* drafts; of a leaf: its votes, first and how many */
	int32_t members, n_members;
	uint8_t mode;
	bool nan_holds, reached;
};

/* What is known while a model is made. */
struct draft {
	const struct node *n;
	struct arena *arena; /* the model's */
	struct tree_model *m;
	struct draft_node *node;
	int32_t n_node, n_leaf; /* in node: the branches of TreeEnsemble, then its leaves */
	int32_t *root;          /* drafts */
	struct err *err;
};

#define TREE_NODES_MAX (INT32_MAX / 4)

static enum err_code fail(struct draft *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
static enum err_code fail(struct draft *d, const char *fmt, ...)
{
	char msg[ERR_MSG_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	return err_set(d->err, ERR_INVALID_ARGUMENT, "%s", msg);
}

/* -- lists of one length --------------------------------------------------------------------- */

static enum err_code want_count(struct draft *d, const char *name, int64_t is, int64_t want)
{
	if (is == want)
		return ERR_OK;
	return fail(d, "%s has %" PRId64 " elements, %" PRId64 " are needed", name, is, want);
}

static enum err_code ints_of(struct draft *d, const char *name, int32_t want, const int64_t **ret)
{
	int32_t n;
	*ret = node_ints(d->n, name, &n);
	return want_count(d, name, n, want);
}

/* A list that may be absent: *ret NULL then. */
static enum err_code maybe_ints(struct draft *d, const char *name, int32_t want, const int64_t **ret)
{
	int32_t n;
	*ret = node_ints(d->n, name, &n);
	if (n == 0)
		*ret = NULL;
	return n == 0 ? ERR_OK : want_count(d, name, n, want);
}

static enum err_code check_reals(struct draft *d, const char *name, const struct tensor *t, uint64_t types)
{
	if (t->shape.rank > 1 || !dtype_in(t->dtype, types))
		return fail(d, "%s is %s %s, it must be a list of floating-point numbers", name,
			dtype_name(t->dtype), SHAPE_TEXT(&t->shape));
	return ERR_OK;
}

/* name: floats; name_as_tensor: doubles. Absent: data NULL and no elements. */
static enum err_code reals_of(struct draft *d, const char *name, struct tensor *ret)
{
	char as_tensor[48];
	int32_t n;
	snprintf(as_tensor, sizeof(as_tensor), "%s_as_tensor", name);
	const float *floats = node_floats(d->n, name, &n);
	const struct tensor *t = node_tensor(d->n, as_tensor);
	*ret = (struct tensor){ .data = (void *)(uintptr_t)floats, .dtype = DTYPE_F32,
		.shape = shape_of(n) };
	if (!t)
		return ERR_OK;
	if (n)
		return fail(d, "%s and %s exclude each other", name, as_tensor);
	*ret = *t;
	return check_reals(d, as_tensor, t, T_REAL);
}

/* Of TreeEnsemble: a tensor of X's type. */
static enum err_code tensor_of(struct draft *d, const char *name, int64_t want, struct tensor *ret)
{
	*ret = *node_tensor(d->n, name);
	TRY(check_reals(d, name, ret, T_REAL | T(F16)));
	return want_count(d, name, tensor_count(ret), want);
}

static enum err_code set_base(struct draft *d)
{
	struct tree_model *m = d->m;
	struct tensor *base = ARENA_NEW(d->arena, struct tensor);
	if (!base)
		return err_oom(d->err);
	TRY(reals_of(d, "base_values", base));
	int64_t n = tensor_count(base);
	m->base = n ? base : NULL;
	/* A binary classifier may have one score for both classes. */
	if (n == 0 || (n == 1 && m->is_classifier && m->n_target == 2))
		return ERR_OK;
	return want_count(d, "base_values", n, m->n_target);
}

/* -- votes ----------------------------------------------------------------------------------- */

static enum err_code add_vote(struct draft *d, int32_t i, int64_t target, double weight)
{
	if (target < 0 || target >= d->m->n_target)
		return fail(d, "weight %d is for target %" PRId64 " of %d", i, target, d->m->n_target);
	d->m->vote[i] = (struct tree_vote){ .weight = weight, .target = (int32_t)target };
	return ERR_OK;
}

/* A rule of binary classifiers asks for which classes there are votes, and of which sign. */
static void summarize_votes(struct tree_model *m)
{
	bool any[2] = { false, false };
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

/* -- the form with names: TreeEnsembleClassifier, TreeEnsembleRegressor ------------------------ */

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

static struct name *new_names(struct draft *d, const int64_t *tree, const int64_t *node, int32_t n)
{
	bool sorted = true;
	struct name *names = ARENA_ARRAY(d->arena, struct name, (size_t)n + 1);
	for (int32_t i = 0; names && i < n; i++) {
		names[i] = (struct name){ tree[i], node[i], i };
		sorted = sorted && (i == 0 || compare_names(&names[i - 1], &names[i]) < 0);
	}
	if (names && !sorted)
		qsort(names, (size_t)n, sizeof(*names), compare_names);
	return names;
}

struct named {
	const int64_t *tree, *node;
	struct name *sorted;
	int32_t n;
};

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
		const struct name *s = &x->sorted[mid];
		if (s->tree < tree || (s->tree == tree && s->node < node))
			low = mid + 1;
		else
			high = mid;
	}
	bool found = low < x->n && x->sorted[low].tree == tree && x->sorted[low].node == node;
	return found ? x->sorted[low].at : -1;
}

static enum err_code check_names(struct draft *d, const struct named *x)
{
	for (int32_t i = 1; i < x->n; i++)
		if (x->sorted[i].tree == x->sorted[i - 1].tree &&
			x->sorted[i].node == x->sorted[i - 1].node)
			return fail(d, "node %" PRId64 " of tree %" PRId64 " is there twice",
				x->sorted[i].node, x->sorted[i].tree);
	return ERR_OK;
}

static enum err_code read_mode(struct draft *d, struct slice s, int32_t i, uint8_t *ret)
{
	static const char *const words[] = { "BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT",
		"BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER", "LEAF" };
	for (int k = 0; k < TREE_MODE_COUNT_; k++)
		if (k != TREE_MEMBER && slice_is(s, words[k])) {
			*ret = (uint8_t)k;
			return ERR_OK;
		}
	if (!utf8_is_valid(s))
		s = SLICE_LIT("(not text)");
	return fail(d, "nodes_modes[%d] is '%.*s', there is no such mode", i, SLICE_ARG(s));
}

static enum err_code find_child(struct draft *d, const struct named *x, int32_t parent, int64_t child,
	int32_t *ret)
{
	*ret = find_node(x, x->tree[parent], child, parent);
	if (*ret >= 0)
		return ERR_OK;
	return fail(d, "node %" PRId64 " of tree %" PRId64 " has a child %" PRId64 ", which is not there",
		x->node[parent], x->tree[parent], child);
}

static enum err_code read_named_nodes(struct draft *d, struct named *x)
{
	const int64_t *feature, *yes, *no, *nan;
	const struct slice *mode;
	struct tensor value;
	x->node = node_ints(d->n, "nodes_nodeids", &x->n);
	if (x->n == 0 || x->n > TREE_NODES_MAX)
		return fail(d, "nodes_nodeids has %d elements, 1 to %d are allowed", x->n, TREE_NODES_MAX);
	int32_t n = x->n, n_mode;
	TRY(ints_of(d, "nodes_treeids", n, &x->tree));
	TRY(ints_of(d, "nodes_featureids", n, &feature));
	TRY(ints_of(d, "nodes_truenodeids", n, &yes));
	TRY(ints_of(d, "nodes_falsenodeids", n, &no));
	TRY(maybe_ints(d, "nodes_missing_value_tracks_true", n, &nan));
	mode = node_strings(d->n, "nodes_modes", &n_mode);
	TRY(want_count(d, "nodes_modes", n_mode, n));
	TRY(reals_of(d, "nodes_values", &value));
	TRY(want_count(d, "nodes_values", tensor_count(&value), n));
	x->sorted = new_names(d, x->tree, x->node, n);
	d->node = ARENA_ARRAY(d->arena, struct draft_node, (size_t)n);
	if (!x->sorted || !d->node)
		return err_oom(d->err);
	TRY(check_names(d, x));
	d->n_node = n;
	for (int32_t i = 0; i < n; i++) {
		struct draft_node *to = &d->node[i];
		*to = (struct draft_node){ .value = tensor_float(&value, i), .feature = feature[i],
			.nan_holds = nan && nan[i] == 1 };
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
static enum err_code read_named_votes(struct draft *d, const struct named *x)
{
	bool classes = d->m->is_classifier;
	const int64_t *tree, *node, *target;
	struct tensor weight;
	int32_t n;
	target = node_ints(d->n, classes ? "class_ids" : "target_ids", &n);
	TRY(ints_of(d, classes ? "class_treeids" : "target_treeids", n, &tree));
	TRY(ints_of(d, classes ? "class_nodeids" : "target_nodeids", n, &node));
	TRY(reals_of(d, classes ? "class_weights" : "target_weights", &weight));
	TRY(want_count(d, classes ? "class_weights" : "target_weights", tensor_count(&weight), n));
	struct name *sorted = new_names(d, tree, node, n);
	d->m->vote = ARENA_ARRAY(d->arena, struct tree_vote, (size_t)n + 1);
	if (!sorted || !d->m->vote)
		return err_oom(d->err);
	d->m->n_vote = n;
	for (int32_t i = 0, at = 0; i < n; i++) {
		at = find_node(x, sorted[i].tree, sorted[i].node, at);
		if (at < 0)
			return fail(d, "weight %d is for node %" PRId64 " of tree %" PRId64
				", which is not there",
				sorted[i].at, sorted[i].node, sorted[i].tree);
		TRY(add_vote(d, i, target[sorted[i].at], tensor_float(&weight, sorted[i].at)));
		if (d->node[at].mode != TREE_LEAF)
			continue;
		if (d->node[at].no++ == 0)
			d->node[at].yes = i;
	}
	return ERR_OK;
}

/* A tree's root is the first of its nodes. */
static enum err_code find_named_roots(struct draft *d, const struct named *x)
{
	d->root = ARENA_ARRAY(d->arena, int32_t, (size_t)x->n);
	if (!d->root)
		return err_oom(d->err);
	for (int32_t i = 0, k; i < x->n; i = k) {
		int32_t first = x->sorted[i].at;
		for (k = i; k < x->n && x->sorted[k].tree == x->sorted[i].tree; k++)
			first = x->sorted[k].at < first ? x->sorted[k].at : first;
		d->root[d->m->n_tree++] = first;
	}
	return ERR_OK;
}

static int compare_int32(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return x < y ? -1 : x > y;
}

static enum err_code read_named(struct draft *d)
{
	static const char *const aggregates[] = { "SUM", "AVERAGE", "MIN", "MAX" };
	static const enum tree_aggregate aggregate_of[] = { TREE_SUM, TREE_AVERAGE, TREE_MIN, TREE_MAX };
	struct named x = { 0 };
	int aggregate = 0;
	if (!d->m->is_classifier)
		TRY(ml_word(d->n, "aggregate_function", aggregates, TREE_AGGREGATE_COUNT_, &aggregate,
			d->err));
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

/* -- the form with places: TreeEnsemble -------------------------------------------------------- */

static enum err_code check_place(struct draft *d, const char *name, int32_t i, int64_t v, int32_t n)
{
	if (v >= 0 && v < n)
		return ERR_OK;
	return fail(d, "%s[%d] is %" PRId64 ", it must be in [0,%d]", name, i, v, n - 1);
}

static enum err_code read_leaves(struct draft *d, int32_t n_leaf)
{
	const int64_t *target;
	struct tensor weight;
	TRY(ints_of(d, "leaf_targetids", n_leaf, &target));
	TRY(tensor_of(d, "leaf_weights", n_leaf, &weight));
	d->m->vote = ARENA_ARRAY(d->arena, struct tree_vote, (size_t)n_leaf + 1);
	if (!d->m->vote)
		return err_oom(d->err);
	d->m->n_vote = n_leaf;
	for (int32_t i = 0; i < n_leaf; i++) {
		TRY(add_vote(d, i, target[i], tensor_float(&weight, i)));
		d->node[d->n_node + i] = (struct draft_node){ .mode = TREE_LEAF, .yes = i, .no = 1 };
	}
	return ERR_OK;
}

static enum err_code
find_placed_child(struct draft *d, const char *name, int32_t i, int64_t child, bool is_leaf, int32_t *ret)
{
	TRY(check_place(d, name, i, child, is_leaf ? d->n_leaf : d->n_node));
	*ret = (int32_t)child + (is_leaf ? d->n_node : 0);
	return ERR_OK;
}

static enum err_code read_children(struct draft *d)
{
	const int64_t *yes, *no, *yes_leaf, *no_leaf;
	TRY(ints_of(d, "nodes_truenodeids", d->n_node, &yes));
	TRY(ints_of(d, "nodes_falsenodeids", d->n_node, &no));
	TRY(ints_of(d, "nodes_trueleafs", d->n_node, &yes_leaf));
	TRY(ints_of(d, "nodes_falseleafs", d->n_node, &no_leaf));
	for (int32_t i = 0; i < d->n_node; i++) {
		struct draft_node *to = &d->node[i];
		TRY(find_placed_child(d, "nodes_truenodeids", i, yes[i], yes_leaf[i], &to->yes));
		TRY(find_placed_child(d, "nodes_falsenodeids", i, no[i], no_leaf[i], &to->no));
	}
	return ERR_OK;
}

/* Sets are listed in the order of the nodes that test for them, each up to a NaN. */
static enum err_code read_members(struct draft *d)
{
	const struct tensor *t = node_tensor(d->n, "membership_values");
	int64_t at = 0, n = t ? tensor_count(t) : 0;
	if (t)
		TRY(check_reals(d, "membership_values", t, T_REAL | T(F16)));
	d->m->members = t;
	for (int32_t i = 0; i < d->n_node; i++) {
		struct draft_node *to = &d->node[i];
		if (to->mode != TREE_MEMBER)
			continue;
		to->members = (int32_t)at;
		while (at < n && !isnan(tensor_float(t, at)))
			at++;
		if (at > n || at > INT32_MAX || (at == n && to->members == n))
			return fail(d, "membership_values has no set for node %d", i);
		to->n_members = (int32_t)at++ - to->members;
	}
	if (at < n)
		return fail(d, "membership_values has more sets than nodes ask for");
	return ERR_OK;
}

static enum err_code read_branches(struct draft *d)
{
	const int64_t *feature, *nan;
	struct tensor mode = *node_tensor(d->n, "nodes_modes"), split;
	TRY(ints_of(d, "nodes_featureids", d->n_node, &feature));
	TRY(maybe_ints(d, "nodes_missing_value_tracks_true", d->n_node, &nan));
	if (mode.dtype != DTYPE_U8 || mode.shape.rank > 1)
		return fail(d, "nodes_modes is %s %s, it must be a list of uint8", dtype_name(mode.dtype),
			SHAPE_TEXT(&mode.shape));
	TRY(want_count(d, "nodes_modes", tensor_count(&mode), d->n_node));
	TRY(tensor_of(d, "nodes_splits", d->n_node, &split));
	for (int32_t i = 0; i < d->n_node; i++) {
		uint8_t m = ((const uint8_t *)mode.data)[i];
		if (m > TREE_MEMBER)
			return fail(d, "nodes_modes[%d] is %d, there is no such mode", i, m);
		d->node[i] = (struct draft_node){ .value = tensor_float(&split, i),
			.feature = feature[i], .mode = m, .nan_holds = nan && nan[i] };
	}
	return ERR_OK;
}

static enum err_code read_placed_roots(struct draft *d)
{
	int32_t n;
	const int64_t *root = node_ints(d->n, "tree_roots", &n);
	if (n > TREE_NODES_MAX)
		return fail(d, "it has more than %d trees", TREE_NODES_MAX);
	d->root = ARENA_ARRAY(d->arena, int32_t, (size_t)n + 1);
	if (!d->root)
		return err_oom(d->err);
	for (int32_t i = 0; i < n; i++) {
		TRY(check_place(d, "tree_roots", i, root[i], d->n_node));
		const struct draft_node *r = &d->node[root[i]];
		/* A tree of one leaf is written as a branch with that leaf on both sides. */
		bool is_leaf = r->yes == r->no && d->node[r->yes].mode == TREE_LEAF;
		d->root[i] = is_leaf ? r->yes : (int32_t)root[i];
	}
	d->m->n_tree = n;
	return ERR_OK;
}

static enum err_code read_placed(struct draft *d)
{
	int32_t n_node, n_leaf;
	int64_t aggregate = node_int(d->n, "aggregate_function", TREE_SUM);
	int64_t post = node_int(d->n, "post_transform", ML_POST_NONE);
	if (aggregate < 0 || aggregate >= TREE_AGGREGATE_COUNT_)
		return fail(d, "aggregate_function is %" PRId64 ", it must be in [0,3]", aggregate);
	if (post < 0 || post >= ML_POST_COUNT_)
		return fail(d, "post_transform is %" PRId64 ", it must be in [0,4]", post);
	d->m->aggregate = (enum tree_aggregate)aggregate;
	d->m->post = (enum ml_post)post;
	node_ints(d->n, "nodes_featureids", &n_node);
	node_ints(d->n, "leaf_targetids", &n_leaf);
	if (n_node > TREE_NODES_MAX || n_leaf > TREE_NODES_MAX)
		return fail(d, "it has more than %d nodes", TREE_NODES_MAX);
	d->node = ARENA_ARRAY(d->arena, struct draft_node, (size_t)n_node + (size_t)n_leaf + 1);
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

/* -- drafts to a model ----------------------------------------------------------------------- */

/* The leaves of TreeEnsemble are votes, which many branches may share; all else is reached once. */
static enum err_code reach(struct draft *d, int32_t at)
{
	struct draft_node *n = &d->node[at];
	if (n->reached && !(n->mode == TREE_LEAF && d->n_leaf))
		return fail(d, "node %d is reached on two ways: that is no tree", at);
	n->reached = true;
	return ERR_OK;
}

static enum err_code check_leaf(struct draft *d, int32_t at)
{
	if (d->node[at].no > 0)
		return ERR_OK;
	return fail(d, "leaf %d has no weight", at);
}

static enum err_code check_branch(struct draft *d, int32_t at)
{
	int64_t f = d->node[at].feature;
	if (f < 0 || f >= INT32_MAX)
		return fail(d, "node %d asks for feature %" PRId64 ", which cannot be", at, f);
	if (f >= d->m->n_feature)
		d->m->n_feature = (int32_t)f + 1;
	return ERR_OK;
}

/* Makes node `to` of the model from a draft; a branch's children are put at the end of the
   queue, which is the model itself: node[i].first holds the draft until it is made. */
static enum err_code make_node(struct draft *d, int32_t to)
{
	struct tree_model *m = d->m;
	struct tree_node *n = &m->node[to];
	int32_t at = n->first;
	const struct draft_node *from = &d->node[at];
	TRY(reach(d, at));
	/* NaN is unequal to everything, in ONNX Runtime and the specification's reference. */
	*n = (struct tree_node){ .value = from->value, .mode = from->mode,
		.nan_holds = from->nan_holds || from->mode == TREE_NEQ };
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

static enum err_code make_model(struct draft *d)
{
	struct tree_model *m = d->m;
	/* Each branch, which is reached once, puts two into the queue, each root one. */
	size_t cap = 2 * (size_t)d->n_node + (size_t)m->n_tree + 2;
	m->node = ARENA_ARRAY(d->arena, struct tree_node, cap);
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

enum err_code tree_shape(const struct node *n, struct tree_shape *ret, struct err *err)
{
	struct tree_shape s = { .is_classifier = n->op == OP_TREE_CLASSIFIER };
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
				"n_targets is %" PRId64 ", it must be in [1,%d]", targets, TREE_NODES_MAX);
		s.n_target = (int32_t)targets;
	}
	*ret = s;
	return ERR_OK;
}

enum err_code tree_model_new(const struct node *n, struct arena *arena, struct tree_model **ret,
	struct err *err)
{
	struct tree_shape shape;
	struct tree_model *m = ARENA_NEW(arena, struct tree_model);
	struct draft d = { .n = n, .arena = arena, .m = m, .err = err };
	if (!m)
		return err_oom(err);
	TRY(tree_shape(n, &shape, err));
	m->n_target = shape.n_target;
	m->is_classifier = shape.is_classifier;
	m->labels = shape.labels;
	TRY(n->op == OP_TREE_ENSEMBLE ? read_placed(&d) : read_named(&d));
	TRY(make_model(&d));
	summarize_votes(m);
	*ret = m;
	return ERR_OK;
}
