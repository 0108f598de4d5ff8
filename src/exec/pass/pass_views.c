/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_views.c -- chains of Reshape, Squeeze, Unsqueeze, Flatten and of Transpose made one
 */
#include "exec/pass/pass.h"

static bool is_view(const struct node *n)
{
	return n->op == OP_RESHAPE || n->op == OP_SQUEEZE || n->op == OP_UNSQUEEZE ||
		n->op == OP_FLATTEN;
}

/* Says shape s as Reshape's list: at most one entry is no number. false: it cannot. */
static bool shape_list(const struct shape *s, int64_t *ret)
{
	bool open = false;
	for (int i = 0; i < s->rank; i++) {
		if (s->dim[i] == 0 || (s->dim[i] < 0 && open))
			return false;
		open |= s->dim[i] < 0;
		ret[i] = s->dim[i] < 0 ? -1 : s->dim[i];
	}
	return s->rank >= 0;
}

/* n becomes a Reshape of x to the shape that its output has. */
static enum err_code become_reshape(
	struct pass_ctx *c, struct node *n, int32_t x, const int64_t *list, struct err *err)
{
	int32_t in[2] = { x };
	TRY(pass_add_ints(c, c->graph->value[n->out[0]].shape.rank, list, &in[1], err));
	return pass_rewrite(c, n, OP_RESHAPE, in, 2, NULL, 0, err);
}

static enum err_code merge_view(struct pass_ctx *c, struct node *n, struct err *err)
{
	int64_t list[RANK_MAX];
	if (!is_view(n))
		return ERR_OK;
	const struct node *before = pass_producer(c, pass_in(c, n, 0));
	if (!before || !is_view(before))
		return ERR_OK;
	int32_t x = pass_in(c, before, 0);
	const struct gvalue *out = pass_value(c, n->out[0]);
	if (pass_same_shape(&pass_value(c, x)->shape, &out->shape) && pass_bypass(c, n, x))
		return ERR_OK;
	return shape_list(&out->shape, list) ? become_reshape(c, n, x, list, err) : ERR_OK;
}

enum err_code pass_merge_views(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, merge_view, err);
}

/* -- transposes ---------------------------------------------------------------------------- */

/* Only dimensions of size 1 change places: the bytes stay where they are. */
static bool moves_ones_only(const struct shape *in, const int64_t *perm)
{
	int64_t last = -1;
	for (int i = 0; i < in->rank; i++) {
		if (in->dim[perm[i]] == 1)
			continue;
		if (perm[i] < last)
			return false;
		last = perm[i];
	}
	return in->rank >= 0;
}

static enum err_code merge_transpose(struct pass_ctx *c, struct node *n, struct err *err)
{
	int64_t perm[RANK_MAX], first[RANK_MAX], list[RANK_MAX];
	int rank, before_rank;
	if (n->op != OP_TRANSPOSE || !pass_perm(c, n, &rank, perm))
		return ERR_OK;
	int32_t x = pass_in(c, n, 0);
	if (moves_ones_only(&pass_value(c, x)->shape, perm) &&
		shape_list(&pass_value(c, n->out[0])->shape, list))
		return become_reshape(c, n, x, list, err);
	struct node *before = pass_match(c, x, OP_TRANSPOSE);
	if (!before || !pass_perm(c, before, &before_rank, first) || before_rank != rank)
		return ERR_OK;
	bool identity = true;
	for (int i = 0; i < rank; i++) {
		perm[i] = first[perm[i]];
		identity &= perm[i] == i;
	}
	if (identity && pass_bypass(c, n, pass_in(c, before, 0)))
		return ERR_OK;
	return pass_transpose(c, n, pass_in(c, before, 0), perm, rank, err);
}

enum err_code pass_merge_transposes(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, merge_transpose, err);
}
