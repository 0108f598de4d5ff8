/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/ml/tree_maker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"

#define FEATURES_MAX (1 << 20) /* columns are found by feature */
#define SETS_MAX 1024          /* each costs every row a test */
#define SET_SLOTS 4096

/* -- columns --------------------------------------------------------------------------------- */

static bool grow(struct tree_maker *k, void **array, int32_t n, int32_t *cap, size_t size)
{
	if (n < *cap)
		return true;
	int32_t more = *cap ? 2 * *cap : 64;
	void *p = arena_calloc(k->arena, (size_t)more, size);
	if (!p)
		return false;
	if (n)
		memcpy(p, *array, (size_t)n * size);
	*array = p;
	*cap = more;
	return true;
}

static enum err_code add_column(
	struct tree_maker *k, struct tree_column c, int32_t *ret, struct err *err)
{
	void *column = k->column;
	if (!grow(k, &column, k->l.n_column, &k->cap_column, sizeof(c)))
		return err_oom(err);
	k->column = column;
	k->column[k->l.n_column] = c;
	*ret = k->l.n_column++;
	return ERR_OK;
}

static enum err_code
plain_column(struct tree_maker *k, int32_t feature, bool nan_first, int32_t *ret, struct err *err)
{
	int32_t *at = &k->plain[nan_first][feature];
	if (*at == 0) {
		struct tree_column c = { .feature = feature, .nan_first = nan_first };
		TRY(add_column(k, c, ret, err));
		*at = *ret + 1;
	}
	*ret = *at - 1;
	return ERR_OK;
}

static enum err_code add_member(struct tree_maker *k, double v, struct err *err)
{
	void *member = k->member;
	if (!grow(k, &member, k->n_member, &k->cap_member, sizeof(v)))
		return err_oom(err);
	k->member = member;
	k->member[k->n_member++] = v;
	return ERR_OK;
}

static bool same_set(
	const struct tree_maker *k, const struct tree_column *a, const struct tree_column *b)
{
	return a->feature == b->feature && a->n == b->n && a->is_not == b->is_not &&
	       a->nan_first == b->nan_first &&
	       (a->n == 0 || memcmp(k->member + a->first, k->member + b->first,
				     (size_t)a->n * sizeof(double)) == 0);
}

/* Its members are the last of the list. */
static enum err_code find_set(
	struct tree_maker *k, struct tree_column c, int32_t *ret, struct err *err)
{
	uint64_t h = hash_bytes(k->member + c.first, (size_t)c.n * sizeof(double),
		(uint64_t)c.feature * 4 + (uint64_t)c.is_not * 2 + c.nan_first);
	int32_t *slot = &k->set[h % SET_SLOTS];
	while (*slot && !same_set(k, &k->column[*slot - 1], &c))
		slot = slot + 1 == k->set + SET_SLOTS ? k->set : slot + 1;
	if (*slot) {
		*ret = *slot - 1;
		k->n_member = c.first;
		return ERR_OK;
	}
	if (k->n_set++ == SETS_MAX)
		return prep_refuse(err, "too many sets");
	TRY(add_column(k, c, ret, err));
	*slot = *ret + 1;
	return ERR_OK;
}

static enum err_code
set_column(struct tree_maker *k, const struct tree_node *n, int32_t *ret, struct err *err)
{
	struct tree_column c = { .feature = n->feature, .first = k->n_member, .is_set = true,
		.is_not = n->mode == TREE_NEQ, .nan_first = n->nan_holds };
	if (n->mode == TREE_MEMBER)
		for (int32_t i = 0; i < n->n; i++)
			TRY(add_member(k, tensor_float(k->m->members, n->members + i), err));
	else
		TRY(add_member(k, n->value, err));
	c.n = k->n_member - c.first;
	return find_set(k, c, ret, err);
}

/* -- thresholds ------------------------------------------------------------------------------ */

/* The largest key that is at most v, or below v; NaN: none is. */
static uint64_t last_key(const struct tree_maker *k, double v, bool below)
{
	if (isnan(v))
		return 0;
	if (k->l.kind == TREE_STEP64)
		return tree_key64(v) - below;
	float f = (float)v;
	return (uint64_t)tree_key32(f) - ((double)f > v || (below && (double)f == v));
}

/* A branch as step: children in the order in which the walk wants them. */
static enum err_code make_branch(struct tree_maker *k, const struct tree_node *n,
	struct tree_step64 *ret, bool *ret_swap, struct err *err)
{
	int32_t column;
	bool greater = n->mode == TREE_GT || n->mode == TREE_GTE;
	*ret_swap = greater;
	if (n->mode >= TREE_EQ) {
		TRY(set_column(k, n, &column, err));
		*ret = (struct tree_step64){ .column = (uint32_t)column };
		return ERR_OK;
	}
	TRY(plain_column(k, n->feature, n->nan_holds != greater, &column, err));
	uint64_t threshold = last_key(k, n->value, n->mode == TREE_LT || n->mode == TREE_GTE);
	if (greater && isnan(n->value)) /* nothing is greater: all but NaN are "at most" */
		threshold = k->l.kind == TREE_STEP64 ? UINT64_MAX - 1 : UINT32_MAX - 1;
	*ret = (struct tree_step64){ .threshold = threshold, .column = (uint32_t)column };
	return ERR_OK;
}

/* -- trees ----------------------------------------------------------------------------------- */

/* Puts the nodes of a tree into the queue, and their steps beside it. */
static enum err_code
queue_tree(struct tree_maker *k, int32_t root, int32_t *ret_n, int32_t *ret_depth, struct err *err)
{
	int32_t n = 1;
	k->queue[0] = root;
	k->level[0] = 0;
	for (int32_t i = 0; i < n; i++) {
		const struct tree_node *node = &k->m->node[k->queue[i]];
		bool swap;
		if (node->mode == TREE_LEAF)
			continue;
		struct tree_step64 *s = &k->step[k->queue[i]];
		TRY(make_branch(k, node, s, &swap, err));
		s->next = (uint32_t)(n - i);
		k->next_max = s->next > k->next_max ? s->next : k->next_max;
		k->level[n] = k->level[n + 1] = k->level[i] + 1;
		k->queue[n++] = node->first + swap;
		k->queue[n++] = node->first + !swap;
	}
	*ret_n = n;
	*ret_depth = k->level[n - 1];
	return ERR_OK;
}

/* The queued tree goes behind the others. */
static void place_tree(struct tree_maker *k, int32_t tree, int32_t n, int32_t depth)
{
	int32_t first_leaf = -1;
	k->root[tree] = (uint32_t)k->n_step;
	for (int32_t i = 0; i < n; i++) {
		const struct tree_node *node = &k->m->node[k->queue[i]];
		bool is_leaf = node->mode == TREE_LEAF;
		if (first_leaf < 0 && is_leaf) {
			first_leaf = i;
			k->leaf[tree] = (uint32_t)(k->n_step + i - k->n_leaf);
		}
		if (first_leaf >= 0) /* branches between leaves leave a gap */
			k->votes[k->n_leaf + i - first_leaf] =
				is_leaf ? (struct tree_leaf_votes){ node->first, node->n }
					: (struct tree_leaf_votes){ 0, 0 };
		if (k->level[i] < depth)
			k->placed[k->n_step + i] = is_leaf
				? (struct tree_step64){ .threshold = UINT64_MAX }
						    : k->step[k->queue[i]];
	}
	int32_t steps = 0;
	while (steps < n && k->level[steps] < depth)
		steps++;
	k->n_leaf += n - first_leaf;
	k->n_step += steps;
}

static enum err_code queue_and_place(struct tree_maker *k, struct err *err)
{
	const struct tree_model *m = k->m;
	int32_t n, depth;
	double sum = 0;
	/* First for the depth of each group, then again, deep enough for all trees of it. */
	for (int32_t t = 0; t < m->n_tree; t++) {
		TRY(queue_tree(k, m->root[t], &n, &depth, err));
		int32_t *d = &k->depth[t / TREE_LANES];
		*d = depth > *d ? depth : *d;
		k->l.max_depth = depth > k->l.max_depth ? depth : k->l.max_depth;
		sum += depth;
	}
	k->l.mean_depth = sum / (m->n_tree ? m->n_tree : 1);
	for (int32_t t = 0; t < m->n_tree; t++) {
		TRY(queue_tree(k, m->root[t], &n, &depth, err));
		place_tree(k, t, n, k->depth[t / TREE_LANES]);
	}
	return ERR_OK;
}

/* -- votes ----------------------------------------------------------------------------------- */

/* Sets target per tree; false: some leaf has two votes, or a tree two targets. */
static bool find_targets(struct tree_maker *k)
{
	const struct tree_model *m = k->m;
	for (int32_t t = 0; t < m->n_tree; t++) {
		k->target[t] = -1;
		for (int32_t i = m->root[t]; i < m->root[t + 1]; i++) {
			const struct tree_node *n = &m->node[i];
			if (n->mode != TREE_LEAF)
				continue;
			int32_t target = m->vote[n->first].target;
			if (n->n != 1 || (k->target[t] >= 0 && k->target[t] != target))
				return false;
			k->target[t] = target;
		}
	}
	return true;
}

/* -- making ---------------------------------------------------------------------------------- */

static enum err_code maker_init(struct tree_maker *k, const struct prep *p, struct err *err)
{
	const struct tree_model *m = k->m;
	size_t n = (size_t)m->n_node + 2, f = (size_t)m->n_feature + 1, t = (size_t)m->n_tree + 1;
	if (m->n_feature > FEATURES_MAX)
		return prep_refuse(err, "too many features");
	k->plain[0] = ARENA_ARRAY(k->arena, int32_t, f);
	k->plain[1] = ARENA_ARRAY(k->arena, int32_t, f);
	k->set = ARENA_ARRAY(k->arena, int32_t, SET_SLOTS);
	k->step = ARENA_ARRAY(k->arena, struct tree_step64, n);
	k->placed = ARENA_ARRAY(k->arena, struct tree_step64, n);
	k->level = ARENA_ARRAY(k->arena, int32_t, n);
	k->queue = ARENA_ARRAY(k->arena, int32_t, n);
	k->root = ARENA_ARRAY(k->arena, uint32_t, t);
	k->leaf = ARENA_ARRAY(k->arena, uint32_t, t);
	k->depth = ARENA_ARRAY(k->arena, int32_t, t);
	k->target = ARENA_ARRAY(k->arena, int32_t, t);
	k->votes = ARENA_ARRAY(k->arena, struct tree_leaf_votes, n);
	k->cap_member = 64; /* never NULL: a set may be empty */
	k->member = ARENA_ARRAY(k->arena, double, (size_t)k->cap_member);
	if (!k->plain[0] || !k->plain[1] || !k->set || !k->step || !k->placed || !k->level ||
		!k->queue || !k->root || !k->leaf || !k->depth || !k->target || !k->votes ||
		!k->member)
		return err_oom(err);
	k->l = (struct tree_layout){ .n_tree = m->n_tree, .n_target = m->n_target,
		.n_feature = m->n_feature,
		.kind = p->in[0].dtype == DTYPE_F64 ? TREE_STEP64 : TREE_STEP32 };
	/* A leaf above the deepest level looks at column 0, whatever that is. */
	int32_t any;
	return m->n_feature ? plain_column(k, 0, false, &any, err) : ERR_OK;
}

static enum err_code
make_layout(struct prep *p, const void *key, size_t key_bytes, const struct tree_layout **ret,
	struct err *err)
{
	struct tree_model *m;
	TRY(tree_model_new(p->node, p->tmp, &m, err));
	struct tree_maker k = { .m = m, .arena = p->tmp };
	TRY(maker_init(&k, p, err));
	TRY(queue_and_place(&k, err));
	k.l.one_vote = find_targets(&k);
	if (k.l.kind == TREE_STEP32 && (k.next_max > UINT16_MAX || k.l.n_column > UINT16_MAX))
		k.l.kind = TREE_STEP32_WIDE;
	TRY(tree_finish_init(&k.l.finish, p, m, err));
	return tree_block_get(p, &k, key, key_bytes, ret, err);
}

enum err_code tree_layout_get(struct prep *p, const struct tree_layout **ret, struct err *err)
{
	struct {
		/* Where the node's attributes lie: nobody else's, and no tensor, so that a native
		   file neither takes nor brings a block, which has pointers. */
		const void *attrs;
		uint64_t kind;
	} key = { p->node->attr, p->in[0].dtype == DTYPE_F64 };
	*ret = packs_find(p->packs, &key, sizeof(key));
	return *ret ? ERR_OK : make_layout(p, &key, sizeof(key), ret, err);
}
