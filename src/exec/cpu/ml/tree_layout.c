/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/ml/tree_layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/hash.h"

#define FEATURES_MAX (1 << 20) /* columns are found by feature */
#define SETS_MAX 1024          /* each costs every row a test */
#define SET_SLOTS 4096

/* What a layout is made of while it is made; in the plan's temporary arena. */
struct maker {
	const struct tree_model *m;
	struct arena *arena;
	struct tree_layout l;
	struct tree_column *column;
	int32_t *plain[2]; /* per feature: its column for NaN last, NaN first, plus 1 */
	int32_t *set;      /* hash table of columns, plus 1 */
	int32_t n_set, cap_column;
	double *member;
	int32_t n_member, cap_member;
	/* Per node of the model: */
	struct tree_step64 *step; /* widest form; threshold of the kind's keys */
	int32_t *level;
	int32_t *queue; /* nodes of a tree, breadth first, children as steps want them */
	uint32_t *root, *leaf;
	int32_t *depth, *target;
	struct tree_leaf_votes *votes; /* per leaf */
	int32_t n_step, n_leaf;
	uint32_t next_max;
};

/* -- columns --------------------------------------------------------------------------------- */

static bool grow(struct maker *k, void **array, int32_t n, int32_t *cap, size_t size)
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

static enum err_code add_column(struct maker *k, struct tree_column c, int32_t *ret, struct err *err)
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
plain_column(struct maker *k, int32_t feature, bool nan_first, int32_t *ret, struct err *err)
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

static enum err_code add_member(struct maker *k, double v, struct err *err)
{
	void *member = k->member;
	if (!grow(k, &member, k->n_member, &k->cap_member, sizeof(v)))
		return err_oom(err);
	k->member = member;
	k->member[k->n_member++] = v;
	return ERR_OK;
}

static bool same_set(const struct maker *k, const struct tree_column *a, const struct tree_column *b)
{
	return a->feature == b->feature && a->n == b->n && a->is_not == b->is_not &&
	       a->nan_first == b->nan_first &&
	       (a->n == 0 || memcmp(k->member + a->first, k->member + b->first,
				     (size_t)a->n * sizeof(double)) == 0);
}

/* Its members are the last of the list. */
static enum err_code find_set(struct maker *k, struct tree_column c, int32_t *ret, struct err *err)
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
set_column(struct maker *k, const struct tree_node *n, int32_t *ret, struct err *err)
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
static uint64_t last_key(const struct maker *k, double v, bool below)
{
	if (isnan(v))
		return 0;
	if (k->l.kind == TREE_STEP64)
		return tree_key64(v) - below;
	float f = (float)v;
	return (uint64_t)tree_key32(f) - ((double)f > v || (below && (double)f == v));
}

/* A branch as step: children in the order in which the walk wants them. */
static enum err_code
make_branch(struct maker *k, const struct tree_node *n, struct tree_step64 *ret, bool *ret_swap,
	struct err *err)
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
queue_tree(struct maker *k, int32_t root, int32_t *ret_n, int32_t *ret_depth, struct err *err)
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

/* The queued tree goes behind the others: `to` are the steps, in the widest form. */
static void place_tree(struct maker *k, int32_t tree, int32_t n, int32_t depth, struct tree_step64 *to)
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
			to[k->n_step + i] = is_leaf ? (struct tree_step64){ .threshold = UINT64_MAX }
						    : k->step[k->queue[i]];
	}
	int32_t steps = 0;
	while (steps < n && k->level[steps] < depth)
		steps++;
	k->n_leaf += n - first_leaf;
	k->n_step += steps;
}

static enum err_code queue_and_place(struct maker *k, struct tree_step64 *to, struct err *err)
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
		place_tree(k, t, n, k->depth[t / TREE_LANES], to);
	}
	return ERR_OK;
}

/* -- votes ----------------------------------------------------------------------------------- */

/* Sets target per tree; false: some leaf has two votes, or a tree two targets. */
static bool find_targets(struct maker *k)
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

/* -- one block ------------------------------------------------------------------------------- */

struct pack_job {
	const struct maker *k;
	const struct tree_step64 *step;
	size_t at[12];
};

static size_t step_bytes(enum tree_step_kind kind)
{
	return kind == TREE_STEP64 ? sizeof(struct tree_step64)
	       : kind == TREE_STEP32 ? sizeof(struct tree_step32)
				     : sizeof(struct tree_step32_wide);
}

static size_t weight_bytes(const struct maker *k)
{
	return k->l.kind == TREE_STEP64 ? sizeof(double) : sizeof(float);
}

enum { AT_STEP, AT_COLUMN, AT_MEMBER, AT_ROOT, AT_LEAF, AT_DEPTH, AT_TARGET, AT_WEIGHT, AT_VOTES, AT_VOTE, AT_BASE, AT_END };

/* Where the parts lie, each on a cache line of its own. */
static size_t lay_out(struct pack_job *j)
{
	const struct maker *k = j->k;
	const struct tree_model *m = k->m;
	const size_t bytes[AT_END] = {
		[AT_STEP] = (size_t)k->n_step * step_bytes(k->l.kind),
		[AT_COLUMN] = (size_t)k->l.n_column * sizeof(struct tree_column),
		[AT_MEMBER] = (size_t)k->n_member * sizeof(double),
		[AT_ROOT] = (size_t)m->n_tree * sizeof(uint32_t),
		[AT_LEAF] = (size_t)m->n_tree * sizeof(uint32_t),
		[AT_DEPTH] = ((size_t)m->n_tree / TREE_LANES + 1) * sizeof(int32_t),
		[AT_TARGET] = (size_t)m->n_tree * sizeof(int32_t),
		[AT_WEIGHT] = k->l.one_vote ? (size_t)k->n_leaf * weight_bytes(k) : 0,
		[AT_VOTES] = k->l.one_vote ? 0 : (size_t)k->n_leaf * sizeof(struct tree_leaf_votes),
		[AT_VOTE] = k->l.one_vote ? 0 : (size_t)m->n_vote * sizeof(struct tree_vote),
		[AT_BASE] = (m->base ? (size_t)tensor_count(m->base) : 0) * sizeof(double),
	};
	size_t at = round_up(sizeof(struct tree_layout), ARENA_ALIGN_TENSOR);
	for (int i = 0; i < AT_END; i++) {
		j->at[i] = at;
		at += round_up(bytes[i], ARENA_ALIGN_TENSOR);
	}
	return at;
}

static void put_steps(const struct pack_job *j, void *dst)
{
	const struct tree_step64 *from = j->step;
	for (int32_t i = 0; i < j->k->n_step; i++)
		switch (j->k->l.kind) {
		case TREE_STEP32:
			((struct tree_step32 *)dst)[i] = (struct tree_step32){
				(uint32_t)from[i].threshold, (uint16_t)from[i].column,
				(uint16_t)from[i].next };
			break;
		case TREE_STEP32_WIDE:
			((struct tree_step32_wide *)dst)[i] = (struct tree_step32_wide){
				(uint32_t)from[i].threshold, from[i].column, from[i].next };
			break;
		case TREE_STEP64: ((struct tree_step64 *)dst)[i] = from[i]; break;
		}
}

static void put_weights(const struct maker *k, void *dst)
{
	for (int32_t i = 0; i < k->n_leaf; i++) {
		double w = k->votes[i].n ? k->m->vote[k->votes[i].first].weight : 0;
		if (k->l.kind == TREE_STEP64)
			((double *)dst)[i] = w;
		else
			((float *)dst)[i] = (float)w;
	}
}

static void copy(char *dst, const void *src, size_t n, size_t size)
{
	if (n)
		memcpy(dst, src, n * size);
}

static void fill_block(void *dst, void *ctx)
{
	const struct pack_job *j = ctx;
	const struct maker *k = j->k;
	const struct tree_model *m = k->m;
	char *at = dst;
	struct tree_layout *l = dst;
	double *base = (double *)(at + j->at[AT_BASE]);
	*l = k->l;
	l->step = at + j->at[AT_STEP];
	l->column = (const void *)(at + j->at[AT_COLUMN]);
	l->member = (const void *)(at + j->at[AT_MEMBER]);
	l->root = (const void *)(at + j->at[AT_ROOT]);
	l->leaf = (const void *)(at + j->at[AT_LEAF]);
	l->depth = (const void *)(at + j->at[AT_DEPTH]);
	l->target = (const void *)(at + j->at[AT_TARGET]);
	l->weight = at + j->at[AT_WEIGHT];
	l->votes = (const void *)(at + j->at[AT_VOTES]);
	l->vote = (const void *)(at + j->at[AT_VOTE]);
	put_steps(j, at + j->at[AT_STEP]);
	copy(at + j->at[AT_COLUMN], k->column, (size_t)l->n_column, sizeof(*k->column));
	copy(at + j->at[AT_MEMBER], k->member, (size_t)k->n_member, sizeof(*k->member));
	copy(at + j->at[AT_ROOT], k->root, (size_t)m->n_tree, sizeof(*k->root));
	copy(at + j->at[AT_LEAF], k->leaf, (size_t)m->n_tree, sizeof(*k->leaf));
	copy(at + j->at[AT_DEPTH], k->depth, (size_t)m->n_tree / TREE_LANES + 1, sizeof(*k->depth));
	copy(at + j->at[AT_TARGET], k->target, (size_t)m->n_tree, sizeof(*k->target));
	if (l->one_vote) {
		put_weights(k, at + j->at[AT_WEIGHT]);
	} else {
		copy(at + j->at[AT_VOTES], k->votes, (size_t)k->n_leaf, sizeof(*k->votes));
		copy(at + j->at[AT_VOTE], m->vote, (size_t)m->n_vote, sizeof(*m->vote));
	}
	for (int32_t i = 0; i < l->finish.n_base; i++)
		base[i] = tensor_float(m->base, i);
	l->finish.base = base;
}

/* -- making ---------------------------------------------------------------------------------- */

static enum err_code maker_init(struct maker *k, const struct prep *p, struct err *err)
{
	const struct tree_model *m = k->m;
	size_t n = (size_t)m->n_node + 2, f = (size_t)m->n_feature + 1, t = (size_t)m->n_tree + 1;
	if (m->n_feature > FEATURES_MAX)
		return prep_refuse(err, "too many features");
	k->plain[0] = ARENA_ARRAY(k->arena, int32_t, f);
	k->plain[1] = ARENA_ARRAY(k->arena, int32_t, f);
	k->set = ARENA_ARRAY(k->arena, int32_t, SET_SLOTS);
	k->step = ARENA_ARRAY(k->arena, struct tree_step64, n);
	k->level = ARENA_ARRAY(k->arena, int32_t, n);
	k->queue = ARENA_ARRAY(k->arena, int32_t, n);
	k->root = ARENA_ARRAY(k->arena, uint32_t, t);
	k->leaf = ARENA_ARRAY(k->arena, uint32_t, t);
	k->depth = ARENA_ARRAY(k->arena, int32_t, t);
	k->target = ARENA_ARRAY(k->arena, int32_t, t);
	k->votes = ARENA_ARRAY(k->arena, struct tree_leaf_votes, n);
	k->cap_member = 64; /* never NULL: a set may be empty */
	k->member = ARENA_ARRAY(k->arena, double, (size_t)k->cap_member);
	if (!k->plain[0] || !k->plain[1] || !k->set || !k->step || !k->level || !k->queue ||
		!k->root || !k->leaf || !k->depth || !k->target || !k->votes || !k->member)
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
	struct maker k = { .m = m, .arena = p->tmp };
	struct pack_job j = { .k = &k };
	const void *block;
	TRY(maker_init(&k, p, err));
	struct tree_step64 *step = ARENA_ARRAY(p->tmp, struct tree_step64, (size_t)m->n_node + 1);
	if (!step)
		return err_oom(err);
	TRY(queue_and_place(&k, step, err));
	k.l.one_vote = find_targets(&k);
	if (k.l.kind == TREE_STEP32 && (k.next_max > UINT16_MAX || k.l.n_column > UINT16_MAX))
		k.l.kind = TREE_STEP32_WIDE;
	TRY(tree_finish_init(&k.l.finish, p, m, err));
	j.step = step;
	TRY(packs_get(p->packs, key, key_bytes, lay_out(&j), fill_block, &j, &block, err));
	*ret = block;
	return ERR_OK;
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
