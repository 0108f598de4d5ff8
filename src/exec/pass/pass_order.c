/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_order.c -- what stands between Transposes is computed in the order of axes behind them
 *
 * DESIGN
 * TensorFlow's graphs have channels last, ONNX's convolutions have them second: an exporter puts
 * a Transpose before and behind each, and leaves many in place. Most of what stands between two
 * convolutions does not care: elementwise operators work on axes in any order, and Pad, Concat,
 * Slice, Split and reductions name the axes that they mean.
 *
 * Values that such nodes read and make form groups, in which all axes have one order. A group into
 * which a Transpose leads is computed in the order before it where this leaves fewer of them: each
 * Transpose that leads in or undoes the order on the way out counts for it, each value that would
 * have to be transposed instead counts against it. One whose axes are all 1 but one counts little:
 * it is only reshaped, which keeps operators apart.
 *
 * A node of such a group makes a new value in the new order; a Transpose makes of that the value
 * there was, for those readers that want it. merge-transposes drops those that cancel.
 *
 * INVARIANTS
 * 1. All values of a group are of one rank.
 * 2. Nodes stand in order, so that what a node reads has been reordered before it.
 */
#include "exec/pass/order.h"

#include "exec/axis.h"
#include "exec/infer/move_geometry.h"

#include <stdlib.h>
#include <string.h>

/* -- the other order --------------------------------------------------------------------------- */

static enum err_code add_transpose(
	struct order *o, int32_t from, int32_t to, const struct group *g, bool undoes)
{
	int64_t *perm = ARENA_ARRAY(o->c->graph->arena, int64_t, (size_t)g->rank);
	if (!perm)
		return err_oom(o->err);
	for (int i = 0; i < g->rank; i++)
		perm[undoes ? g->perm[i] : i] = undoes ? i : g->perm[i];
	struct attr a = { .name = "perm", .kind = ATTR_INTS, .n = g->rank, .ints = perm };
	return pass_add_node(o->c, OP_TRANSPOSE, "", &from, 1, &a, 1, to, o->err);
}

/* A value whose element type is v's, of a shape that is inferred when the pass is done. */
static enum err_code add_like(struct order *o, int32_t v, int32_t *ret)
{
	TRY(pass_add_value(o->c, ret, o->err));
	o->c->graph->value[*ret].type = o->c->graph->value[v].type;
	o->c->graph->value[*ret].shape = SHAPE_UNKNOWN;
	return ERR_OK;
}

/* A constant broadcasts from its last axis: with leading ones it has all of them. */
static enum err_code widen(struct order *o, int32_t v, int rank, int32_t *ret)
{
	const struct tensor *t = pass_value(o->c, v)->constant;
	int lead = t ? rank - t->shape.rank : 0;
	*ret = v;
	if (lead == 0)
		return ERR_OK;
	struct tensor *wide = ARENA_NEW(o->c->graph->arena, struct tensor);
	if (!wide)
		return err_oom(o->err);
	*wide = *t;
	wide->shape.rank = rank;
	for (int i = 0; i < rank; i++)
		wide->shape.dim[i] = i < lead ? 1 : t->shape.dim[i - lead];
	return pass_add_constant(o->c, wide, ret, o->err);
}

/* Input v of a node of the group, in the new order. */
static enum err_code reorder_input(struct order *o, const struct group *g, int32_t v, int32_t *ret)
{
	const struct tensor *t = pass_value(o->c, v)->constant;
	const struct node *maker = pass_match(o->c, v, OP_TRANSPOSE);
	int32_t wide;
	*ret = v;
	if (t && tensor_count(t) == 1)
		return ERR_OK;
	if (!t && o->reordered[v] != VALUE_NONE)
		*ret = o->reordered[v];
	else if (order_is_perm_of(o->c, maker, g, false))
		*ret = pass_in(o->c, maker, 0);
	else {
		TRY(widen(o, v, g->rank, &wide));
		TRY(add_like(o, v, ret));
		TRY(add_transpose(o, wide, *ret, g, true));
		if (!t)
			o->reordered[v] = *ret;
	}
	return ERR_OK;
}

/* Axis i of the old order is axis perm[i] of the new one. */
static enum err_code reorder_list(
	struct order *o, const struct group *g, int32_t *v, const struct tensor *axes)
{
	struct tensor *t = graph_new_tensor(o->c->graph, axes->dtype, &axes->shape);
	if (!t)
		return err_oom(o->err);
	for (int64_t i = 0; i < tensor_count(axes); i++) {
		int axis = 0;
		shape_axis(tensor_int(axes, i), g->rank, &axis);
		if (axes->dtype == DTYPE_I32)
			((int32_t *)t->data)[i] = (int32_t)g->perm[axis];
		else
			((int64_t *)t->data)[i] = g->perm[axis];
	}
	return pass_add_constant(o->c, t, v, o->err);
}

static enum err_code reorder_pads(
	struct order *o, const struct group *g, const struct node *n, int32_t *in)
{
	int64_t pads[2 * RANK_MAX];
	struct pad_geometry p;
	const struct shape *x = &pass_value(o->c, pass_in(o->c, n, 0))->shape;
	TRY(pad_geometry(
		x, order_constant_in(o->c, n, 1), order_constant_in(o->c, n, 3), &p, o->err));
	for (int i = 0; i < g->rank; i++) {
		pads[g->perm[i]] = p.begin[i];
		pads[g->rank + g->perm[i]] = p.end[i];
	}
	in[3] = VALUE_NONE;
	return pass_add_ints(o->c, 2 * g->rank, pads, &in[1], o->err);
}

/* The inputs and attributes that say which axes are meant. */
static enum err_code rename_axes(struct order *o, const struct group *g, const struct node *n,
	int32_t *in, struct attr *attr)
{
	if (n->op == OP_PAD)
		return reorder_pads(o, g, n, in);
	if (n->op == OP_SLICE)
		return reorder_list(o, g, &in[3], order_constant_in(o->c, n, 3));
	if (order_is_reduction(n->op))
		return reorder_list(o, g, &in[1], order_constant_in(o->c, n, 1));
	for (int i = 0; i < n->n_attr && (n->op == OP_CONCAT || n->op == OP_SPLIT); i++)
		if (strcmp(attr[i].name, "axis") == 0)
			attr[i].i = g->perm[node_axis(n, "axis", 0, g->rank)];
	return ERR_OK;
}

/* Output k gets its axes in the new order; who wants them as they were reads a Transpose. */
static enum err_code reorder_output(struct order *o, const struct group *g, int32_t at, int k)
{
	struct graph *graph = o->c->graph;
	int32_t v = graph->node[at].out[k], made;
	if (v == VALUE_NONE)
		return ERR_OK;
	TRY(add_like(o, v, &made));
	graph->node[at].out[k] = made;
	graph->value[made].producer = at;
	o->reordered[v] = made;
	return add_transpose(o, made, v, g, false);
}

static enum err_code reorder_node(struct order *o, int32_t at)
{
	struct pass_ctx *c = o->c;
	const struct node n = c->graph->node[at];
	const struct group *g = &o->group[order_group_of(o, n.out[0])];
	int32_t *in = ARENA_ARRAY(c->graph->arena, int32_t, (size_t)n.n_in + 4);
	struct attr attr[ATTRS_MAX];
	if (!in)
		return err_oom(o->err);
	for (int k = 0; k < n.n_in; k++) {
		in[k] = pass_in(c, &n, k);
		if (order_is_reordered_input(&n, k))
			TRY(reorder_input(o, g, in[k], &in[k]));
	}
	if (n.n_attr)
		memcpy(attr, n.attr, (size_t)n.n_attr * sizeof(*attr));
	TRY(rename_axes(o, g, &n, in, attr));
	for (int k = 0; k < n.n_out; k++)
		TRY(reorder_output(o, g, at, k));
	return pass_rewrite(c, &c->graph->node[at], n.op, in, n.n_in, attr, n.n_attr, o->err);
}

/* -- all of it --------------------------------------------------------------------------------- */

static enum err_code order_new(struct order *o, struct pass_ctx *c, struct err *err)
{
	size_t n = (size_t)c->graph->n_value + 1;
	*o = (struct order){ .c = c, .n_value = c->graph->n_value, .err = err,
		.parent = malloc(n * sizeof(*o->parent)),
		.reordered = malloc(n * sizeof(*o->reordered)),
		.reads = calloc(n, sizeof(*o->reads)), .made = calloc(n, sizeof(*o->made)),
		.wanted = calloc(n, sizeof(*o->wanted)), .group = calloc(n, sizeof(*o->group)) };
	if (!o->parent || !o->reordered || !o->reads || !o->made || !o->wanted || !o->group)
		return err_oom(err);
	for (int32_t v = 0; v < o->n_value; v++) {
		o->parent[v] = v;
		o->reordered[v] = VALUE_NONE;
	}
	return ERR_OK;
}

static void order_done(struct order *o)
{
	free(o->parent);
	free(o->reordered);
	free(o->reads);
	free(o->made);
	free(o->wanted);
	free(o->group);
}

static enum err_code reorder_groups(struct order *o)
{
	int32_t n_node = o->c->graph->n_node;
	order_find_groups(o);
	for (int32_t i = 0; i < n_node; i++) {
		const struct node *n = &o->c->graph->node[i];
		if (order_free_rank(o->c, n) && o->group[order_group_of(o, n->out[0])].gain > 0)
			TRY(reorder_node(o, i));
	}
	return ERR_OK;
}

/* A reduction of what is transposed, which drops axes and leaves the others in order. */
static enum err_code absorb_transpose(struct pass_ctx *c, struct node *n, struct err *err)
{
	struct order o = { .c = c, .err = err };
	struct group g;
	uint32_t mask;
	int64_t last = -1;
	const struct node *t =
		order_takes_any_order(c, n) ? pass_match(c, pass_in(c, n, 0), OP_TRANSPOSE) : NULL;
	if (!t || !pass_perm(c, t, &g.rank, g.perm) ||
		reduce_axes(n, order_constant_in(c, n, 1), g.rank, &mask, NULL) != ERR_OK)
		return ERR_OK;
	for (int i = 0; i < g.rank; i++) {
		if (mask >> i & 1)
			continue;
		if (g.perm[i] < last)
			return ERR_OK;
		last = g.perm[i];
	}
	int32_t in[2] = { pass_in(c, t, 0) };
	TRY(reorder_list(&o, &g, &in[1], order_constant_in(c, n, 1)));
	return pass_rewrite(c, n, n->op, in, 2, n->attr, n->n_attr, err);
}

enum err_code pass_order(struct pass_ctx *c, struct err *err)
{
	struct order o;
	enum err_code rc = order_new(&o, c, err);
	if (rc == ERR_OK)
		rc = reorder_groups(&o);
	order_done(&o);
	return rc == ERR_OK ? pass_each(c, absorb_transpose, err) : rc;
}
