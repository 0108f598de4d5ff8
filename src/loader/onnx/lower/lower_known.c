/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_known.c -- types and shapes while the graph is still being read
 *
 * Some rewrites need the rank or the type of an input. The nodes so far are then inferred,
 * each once, so that models of today's opsets pay nothing. A node that is wrong is left
 * alone: that is said when the whole graph is checked and inferred.
 */
#include "exec/infer/infer.h"
#include "loader/onnx/lower/lower.h"

struct node_values {
	struct ivalue *value;
	const struct ivalue **in;
	struct ivalue *out;
};

static bool grow_ints(struct lower_known *k, struct arena *scratch, int32_t n_value)
{
	if (n_value <= k->n_ints)
		return true;
	int32_t n = n_value > 2 * k->n_ints ? n_value + 64 : 2 * k->n_ints;
	const struct infer_ints **p = ARENA_ARRAY(scratch, const struct infer_ints *, (size_t)n);
	if (!p)
		return false;
	if (k->n_ints)
		memcpy(p, k->ints, (size_t)k->n_ints * sizeof(*p));
	k->ints = p;
	k->n_ints = n;
	return true;
}

static bool gather_inputs(const struct lower *x, const struct node *n, int32_t n_in,
	struct node_values *v)
{
	v->value = ARENA_ARRAY(x->scratch, struct ivalue, (size_t)n_in);
	v->in = ARENA_ARRAY(x->scratch, const struct ivalue *, (size_t)n_in);
	v->out = ARENA_ARRAY(x->scratch, struct ivalue, (size_t)n->n_out);
	if (!v->value || !v->in || !v->out)
		return false;
	for (int32_t i = 0; i < n->n_in; i++) {
		if (n->in[i] == VALUE_NONE)
			continue;
		const struct gvalue *g = &x->graph->value[n->in[i]];
		v->value[i] = (struct ivalue){ g->type, g->shape, g->constant,
			x->known->ints[n->in[i]] };
		v->in[i] = &v->value[i];
	}
	return true;
}

static void keep_outputs(struct lower *x, const struct node *n, const struct infer *y)
{
	struct infer_ints ints;
	for (int32_t i = 0; i < n->n_out; i++) {
		if (n->out[i] == VALUE_NONE)
			continue;
		x->graph->value[n->out[i]].type = y->out[i].type;
		x->graph->value[n->out[i]].shape = y->out[i].shape;
	}
	if (!infer_propagate_ints(y, &ints) || n->out[0] == VALUE_NONE)
		return;
	struct infer_ints *copy = ARENA_NEW(x->scratch, struct infer_ints);
	if (copy)
		*copy = ints;
	x->known->ints[n->out[0]] = copy;
}

static void infer_one(struct lower *x, const struct node *n)
{
	int32_t max = op_info(n->op)->in_max;
	int32_t n_in = max != ARITY_ANY && max > n->n_in ? max : n->n_in;
	struct node_values v;
	if (op_info(n->op)->flags & OP_CONTROL || graph_check_node(x->graph, n, NULL) != ERR_OK ||
		!gather_inputs(x, n, n_in, &v))
		return;
	struct infer y = { .graph = x->graph, .node = n, .n_in = n_in, .n_out = n->n_out,
		.in = v.in, .out = v.out };
	if (infer_node(&y, NULL) == ERR_OK)
		keep_outputs(x, n, &y);
}

static const struct gvalue *look_at(struct lower *x, int32_t v)
{
	static const struct gvalue nothing = { .shape = { .rank = RANK_UNKNOWN } };
	struct graph *g = x->graph;
	if (v == VALUE_NONE)
		return &nothing;
	bool known = g->value[v].type.dtype != DTYPE_UNDEFINED &&
		     g->value[v].shape.rank != RANK_UNKNOWN;
	if (!known && grow_ints(x->known, x->scratch, g->n_value))
		for (; x->known->n_node < g->n_node; x->known->n_node++)
			infer_one(x, &g->node[x->known->n_node]);
	return &g->value[v];
}

enum dtype lower_dtype(struct lower *x, int32_t v)
{
	return look_at(x, v)->type.dtype;
}

const struct shape *lower_shape(struct lower *x, int32_t v)
{
	return &look_at(x, v)->shape;
}
