/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a tree layout, one behind the other in a block of the version's. */
#include "exec/cpu/ml/tree_maker.h"

#include <string.h>
#include "base/checked.h"

enum { AT_STEP, AT_COLUMN, AT_MEMBER, AT_ROOT, AT_LEAF, AT_DEPTH, AT_TARGET, AT_WEIGHT, AT_VOTES,
	AT_VOTE, AT_BASE, AT_END };

struct pack_job {
	const struct tree_maker *k;
	size_t at[AT_END];
};

static size_t step_bytes(enum tree_step_kind kind)
{
	return kind == TREE_STEP64 ? sizeof(struct tree_step64)
	       : kind == TREE_STEP32 ? sizeof(struct tree_step32)
				     : sizeof(struct tree_step32_wide);
}

static size_t weight_bytes(const struct tree_maker *k)
{
	return k->l.kind == TREE_STEP64 ? sizeof(double) : sizeof(float);
}

/* Where the parts lie, each on a cache line of its own. */
static size_t lay_out(struct pack_job *j)
{
	const struct tree_maker *k = j->k;
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
	const struct tree_step64 *from = j->k->placed;
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

static void put_weights(const struct tree_maker *k, void *dst)
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
	const struct tree_maker *k = j->k;
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

enum err_code tree_block_get(struct prep *p, const struct tree_maker *k, const void *key,
	size_t key_bytes, const struct tree_layout **ret, struct err *err)
{
	struct pack_job j = { .k = k };
	const void *block;
	size_t bytes = lay_out(&j);
	TRY(packs_get(p->packs, key, key_bytes, bytes, fill_block, &j, &block, err));
	*ret = block;
	return ERR_OK;
}
