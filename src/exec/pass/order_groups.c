/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order_groups.c -- which values may have their axes in another order, and what it gains
 */
#include "exec/pass/order.h"

#include "exec/fused.h"

/* -- which nodes do not care ------------------------------------------------------------------- */

bool order_is_reduction(enum op_id op)
{
	return op == OP_REDUCE_MEAN || op == OP_REDUCE_SUM || op == OP_REDUCE_MAX ||
	       op == OP_REDUCE_MIN;
}

static bool is_elementwise(enum op_id op)
{
	enum fused_form form = fused_form(op);
	return form != FUSED_NONE && form != FUSED_QUANTIZE && form != FUSED_DEQUANTIZE;
}

/* Every input has its axes in this order, not just the first. */
static bool reads_all_alike(enum op_id op)
{
	enum fused_form form = fused_form(op);
	return op == OP_CONCAT || form == FUSED_FOLD || form == FUSED_COMPARE ||
	       form == FUSED_WHERE;
}

bool order_is_reordered_input(const struct node *n, int k)
{
	return k == 0 || reads_all_alike(n->op);
}

const struct tensor *order_constant_in(const struct pass_ctx *c, const struct node *n, int k)
{
	int32_t v = pass_in(c, n, k);
	return v == VALUE_NONE ? NULL : pass_value(c, v)->constant;
}

static bool is_absent_or_constant(const struct pass_ctx *c, const struct node *n, int k)
{
	return pass_in(c, n, k) == VALUE_NONE || order_constant_in(c, n, k);
}

static bool names_axes(const struct pass_ctx *c, const struct node *n)
{
	switch (n->op) {
	case OP_CONCAT:
	case OP_SPLIT: return node_attr(n, "axis");
	case OP_PAD: return order_constant_in(c, n, 1) && is_absent_or_constant(c, n, 3);
	case OP_SLICE: return order_constant_in(c, n, 3);
	default:
		return order_is_reduction(n->op) && order_constant_in(c, n, 1) &&
		       node_int(n, "keepdims", 1);
	}
}

int order_free_rank(const struct pass_ctx *c, const struct node *n)
{
	int rank = n->n_out && n->out[0] != VALUE_NONE ? pass_value(c, n->out[0])->shape.rank : 0;
	if (n->dead || rank < 3 || n->n_attr > ATTRS_MAX ||
		(!is_elementwise(n->op) && !names_axes(c, n)))
		return 0;
	for (int k = 0; k < n->n_in; k++) {
		int32_t v = pass_in(c, n, k);
		if (!order_is_reordered_input(n, k) ||
			(v != VALUE_NONE && pass_value(c, v)->constant))
			continue;
		if (v == VALUE_NONE || pass_value(c, v)->shape.rank != rank)
			return 0;
	}
	return rank;
}

/* -- groups ------------------------------------------------------------------------------------ */

int32_t order_group_of(struct order *o, int32_t v)
{
	while (o->parent[v] != v) {
		o->parent[v] = o->parent[o->parent[v]];
		v = o->parent[v];
	}
	return v;
}

static void join(struct order *o, const struct node *n)
{
	int32_t all = order_group_of(o, n->out[0]);
	for (int k = 0; k < n->n_out; k++) {
		if (n->out[k] == VALUE_NONE)
			continue;
		o->parent[order_group_of(o, n->out[k])] = all;
		o->made[n->out[k]] = true;
	}
	for (int k = 0; k < n->n_in; k++) {
		int32_t v = pass_in(o->c, n, k);
		if (!order_is_reordered_input(n, k) || pass_value(o->c, v)->constant)
			continue;
		o->parent[order_group_of(o, v)] = all;
		o->reads[v]++;
	}
}

/* What transposing it takes. */
static int64_t cost_of(const struct pass_ctx *c, int32_t v)
{
	const struct shape *s = &pass_value(c, v)->shape;
	int many = 0;
	for (int i = 1; i < s->rank; i++)
		many += s->dim[i] != 1;
	return many > 1 ? 100 : 1;
}

bool order_is_perm_of(
	const struct pass_ctx *c, const struct node *n, const struct group *g, bool undoes)
{
	int64_t perm[RANK_MAX];
	int rank;
	if (!n || n->op != OP_TRANSPOSE || !pass_perm(c, n, &rank, perm) || rank != g->rank)
		return false;
	for (int i = 0; i < rank; i++)
		if (undoes ? perm[g->perm[i]] != i : perm[i] != g->perm[i])
			return false;
	return true;
}

/* Groups get the order that the first Transpose into them undoes. */
static void find_orders(struct order *o)
{
	const struct graph *graph = o->c->graph;
	for (int32_t i = 0; i < graph->n_node; i++) {
		const struct node *n = &graph->node[i];
		if (n->dead || n->op != OP_TRANSPOSE || !o->reads[n->out[0]])
			continue;
		struct group *g = &o->group[order_group_of(o, n->out[0])];
		if (g->rank == 0)
			pass_perm(o->c, n, &g->rank, g->perm);
	}
}

/* What becomes of a value on the way into its group. */
static void count_entry(struct order *o, int32_t v)
{
	struct group *g = &o->group[order_group_of(o, v)];
	const struct node *maker = pass_producer(o->c, v);
	if (!o->reads[v] || o->made[v])
		return;
	bool all_read_here = o->c->uses[v] == o->reads[v];
	if (!maker || maker->op != OP_TRANSPOSE)
		g->gain -= cost_of(o->c, v);
	else if (all_read_here && order_is_perm_of(o->c, maker, g, false))
		g->gain += cost_of(o->c, v);
	else if (!all_read_here && !order_is_perm_of(o->c, maker, g, false))
		g->gain -= cost_of(o->c, v);
}

bool order_takes_any_order(const struct pass_ctx *c, const struct node *n)
{
	return order_is_reduction(n->op) && order_constant_in(c, n, 1) &&
	       !node_int(n, "keepdims", 1);
}

static void count_reads(struct order *o, const struct node *n)
{
	bool is_free = order_free_rank(o->c, n) > 0;
	for (int k = 0; k < n->n_in; k++) {
		int32_t v = pass_in(o->c, n, k);
		if (v == VALUE_NONE || (is_free && order_is_reordered_input(n, k)) ||
			order_takes_any_order(o->c, n))
			continue;
		struct group *g = &o->group[order_group_of(o, v)];
		if (g->rank && order_is_perm_of(o->c, n, g, true))
			g->gain += cost_of(o->c, v);
		else
			o->wanted[v] = true;
	}
}

static void count_gains(struct order *o)
{
	const struct graph *graph = o->c->graph;
	for (int32_t i = 0; i < graph->n_node; i++)
		if (!graph->node[i].dead)
			count_reads(o, &graph->node[i]);
	for (int32_t v = 0; v < o->n_value; v++) {
		count_entry(o, v);
		if (o->made[v] && (o->wanted[v] || o->c->is_output[v]))
			o->group[order_group_of(o, v)].gain -= cost_of(o->c, v);
	}
}

void order_find_groups(struct order *o)
{
	const struct graph *graph = o->c->graph;
	for (int32_t i = 0; i < graph->n_node; i++)
		if (order_free_rank(o->c, &graph->node[i]))
			join(o, &graph->node[i]);
	find_orders(o);
	count_gains(o);
}
