/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_sink.c -- a view that drops ones goes behind the elementwise operators that read it
 *
 * DESIGN
 * TensorFlow's Conv1D is a Conv2D of images one pixel high, with a Squeeze behind it, which keeps
 * scale, shift and activation from the convolution, and an Unsqueeze before the next one. What is
 * done to each element can be done before the Squeeze. So it moves down until it meets an
 * Unsqueeze, and merge-views drops both. A second operand must be a constant, or have such a view
 * before it.
 */
#include "exec/fused.h"
#include "exec/pass/pass.h"

/* Where the dimensions of the smaller shape are in the larger, whose others are 1. */
struct ones {
	int from, to; /* ranks */
	int at[RANK_MAX];
};

static bool drops_ones(const struct shape *from, const struct shape *to, struct ones *ret)
{
	int k = 0;
	if (!shape_is_named(from) || !shape_is_named(to) || from->rank <= to->rank)
		return false;
	for (int i = 0; i < from->rank; i++)
		if (k < to->rank && from->dim[i] == to->dim[k])
			ret->at[k++] = i;
		else if (from->dim[i] != 1)
			return false;
	ret->from = from->rank;
	ret->to = to->rank;
	return k == to->rank;
}

/* The view that makes v, which nobody else reads; NULL: none does. */
static const struct node *match_view(const struct pass_ctx *c, int32_t v, struct ones *ret)
{
	const struct node *n = pass_producer(c, v);
	bool is_view = n && (n->op == OP_RESHAPE || n->op == OP_SQUEEZE);
	return is_view && pass_match_single(c, v, n->op) &&
			       drops_ones(&pass_value(c, pass_in(c, n, 0))->shape,
				       &pass_value(c, v)->shape, ret)
		       ? n
		       : NULL;
}

/* Operand v as it is before the view; *ret_ok false: it cannot be said. */
static enum err_code lift(struct pass_ctx *c, int32_t v, const struct ones *o,
	const struct shape *before, int32_t *ret, bool *ret_ok, struct err *err)
{
	struct ones other;
	const struct tensor *t = pass_value(c, v)->constant;
	const struct node *view = t ? NULL : match_view(c, v, &other);
	*ret_ok =
		t || (view && pass_same_shape(&pass_value(c, pass_in(c, view, 0))->shape, before));
	if (!*ret_ok)
		return ERR_OK;
	*ret = t ? v : pass_in(c, view, 0);
	if (!t || tensor_count(t) == 1)
		return ERR_OK;
	struct tensor *wide = ARENA_NEW(c->graph->arena, struct tensor);
	if (!wide)
		return err_oom(err);
	*wide = *t;
	wide->shape.rank = o->from;
	for (int i = 0; i < o->from; i++)
		wide->shape.dim[i] = 1;
	for (int i = 0; i < t->shape.rank; i++)
		wide->shape.dim[o->at[o->to - t->shape.rank + i]] = t->shape.dim[i];
	return pass_add_constant(c, wide, ret, err);
}

static bool takes_constant_first(enum op_id op)
{
	return fused_form(op) == FUSED_FOLD || fused_form(op) == FUSED_COMPARE;
}

/* n reads a view at input k: it becomes the view of what it makes of the view's input. */
static enum err_code sink(
	struct pass_ctx *c, struct node *n, int k, bool *ret_done, struct err *err)
{
	struct ones o;
	const struct node *view = match_view(c, pass_in(c, n, k), &o);
	int32_t at = (int32_t)(n - c->graph->node), in[FUSED_INPUTS_MAX], made;
	bool ok =
		view && n->n_in <= FUSED_INPUTS_MAX && pass_value(c, n->out[0])->shape.rank == o.to;
	*ret_done = false;
	for (int i = 0; ok && i < n->n_in; i++) {
		in[i] = pass_in(c, n, i);
		if (i == k)
			in[i] = pass_in(c, view, 0);
		else if (takes_constant_first(n->op))
			TRY(lift(c, in[i], &o, &pass_value(c, pass_in(c, view, 0))->shape, &in[i],
				&ok, err));
	}
	if (!ok || !pass_same_shape(&pass_value(c, n->out[0])->shape,
			   &pass_value(c, pass_in(c, n, k))->shape))
		return ERR_OK;
	struct node old = *n, v = *view;
	TRY(pass_add_value(c, &made, err));
	c->graph->value[made].type = c->graph->value[old.out[0]].type;
	c->graph->value[made].shape = c->graph->value[pass_in(c, &v, 0)].shape;
	TRY(pass_add_node(c, old.op, old.name, in, old.n_in, old.attr, old.n_attr, made, err));
	*ret_done = true;
	return pass_rewrite(c, &c->graph->node[at], v.op, (int32_t[]){ made, pass_in(c, &v, 1) }, 2,
		v.attr, v.n_attr, err);
}

static enum err_code sink_view(struct pass_ctx *c, struct node *n, struct err *err)
{
	enum fused_form form = fused_form(n->op);
	bool done = false;
	bool takes = form == FUSED_UNARY || form == FUSED_CLIP || takes_constant_first(n->op);
	int32_t at = (int32_t)(n - c->graph->node);
	for (int k = 0; takes && !done && k < (takes_constant_first(n->op) ? n->n_in : 1); k++)
		TRY(sink(c, &c->graph->node[at], k, &done, err));
	return ERR_OK;
}

enum err_code pass_sink(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, sink_view, err);
}
