/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_elementwise.c -- elementwise operators that feed each other, as one node
 *
 * DESIGN
 * From each operator of fused.def, the last one first, a region grows: it takes in who made an
 * operand, where that is such an operator too, makes the shape of the region's result as far as
 * is known, and is read by the region alone. So nothing is computed more than once for an element,
 * a region has one result, and no way leads out of it and in again.
 *
 * Numbers that shapes are made of stay as they are: inference follows them node by node.
 */
#include <stdlib.h>
#include <string.h>
#include "exec/fused.h"
#include "exec/pass/pass.h"

struct region {
	struct pass_ctx *c;
	bool *taken;		       /* per node: in a region already */
	int32_t *reads;		       /* per value: how often the region reads it */
	int32_t node[FUSED_NODES_MAX]; /* the result's first */
	int32_t input[FUSED_INPUTS_MAX];
	int n, n_input;
};

static bool is_candidate(const struct region *r, int32_t i)
{
	const struct graph *g = r->c->graph;
	const struct node *n = &g->node[i];
	return !n->dead && !r->taken[i] && fused_takes(g, n) && !g->value[n->out[0]].ints;
}

static bool has_input(const struct region *r, int32_t v)
{
	for (int i = 0; i < r->n_input; i++)
		if (r->input[i] == v)
			return true;
	return false;
}

static void drop_input(struct region *r, int32_t v)
{
	for (int i = 0; i < r->n_input; i++)
		if (r->input[i] == v)
			r->input[i--] = r->input[--r->n_input];
}

/* false: there is no room. */
static bool add(struct region *r, int32_t at)
{
	const struct node *n = &r->c->graph->node[at];
	struct region before = *r;
	bool room = r->n < FUSED_NODES_MAX;
	drop_input(r, n->out[0]);
	for (int k = 0; k < n->n_in && room; k++) {
		int32_t v = pass_in(r->c, n, k);
		if (v == VALUE_NONE || has_input(r, v))
			continue;
		room = r->n_input < FUSED_INPUTS_MAX;
		if (room)
			r->input[r->n_input++] = v;
	}
	if (!room) {
		*r = before;
		return false;
	}
	r->node[r->n++] = at;
	r->taken[at] = true;
	for (int k = 0; k < n->n_in; k++)
		if (pass_in(r->c, n, k) != VALUE_NONE)
			r->reads[pass_in(r->c, n, k)]++;
	return true;
}

/* Dimensions that are no numbers, and have come to two names, are mostly equal. Where they are not
   the result is right too, with more work. */
static bool may_be_equal(const struct shape *a, const struct shape *b)
{
	bool same = a->rank == b->rank && a->rank >= 0;
	for (int i = 0; i < a->rank && same; i++)
		same = a->dim[i] == b->dim[i] || (a->dim[i] < 0 && b->dim[i] < 0);
	return same;
}

/* Takes in who makes v, if that is the region's to take. */
static void try_producer(struct region *r, int32_t v)
{
	const struct graph *g = r->c->graph;
	int32_t at = v == VALUE_NONE ? NODE_NONE : g->value[v].producer;
	const struct shape *result = &g->value[g->node[r->node[0]].out[0]].shape;
	if (at != NODE_NONE && !r->c->is_output[v] && r->reads[v] == r->c->uses[v] &&
		is_candidate(r, at) && may_be_equal(&g->value[v].shape, result))
		(void)add(r, at);
}

static void grow(struct region *r)
{
	for (int i = 0; i < r->n; i++) {
		const struct node *n = &r->c->graph->node[r->node[i]];
		for (int k = 0; k < n->n_in; k++)
			try_producer(r, pass_in(r->c, n, k));
	}
}

static void forget_reads(struct region *r)
{
	for (int i = 0; i < r->n; i++) {
		const struct node *n = &r->c->graph->node[r->node[i]];
		for (int k = 0; k < n->n_in; k++)
			if (pass_in(r->c, n, k) != VALUE_NONE)
				r->reads[pass_in(r->c, n, k)] = 0;
	}
}

/* -- the body ---------------------------------------------------------------------------------- */

/* Values of the graph and what they are in the body. */
struct names {
	int32_t outer[FUSED_VALUES_MAX], inner[FUSED_VALUES_MAX];
	int n;
};

static int32_t inner_of(const struct names *m, int32_t outer)
{
	for (int i = 0; i < m->n; i++)
		if (m->outer[i] == outer)
			return m->inner[i];
	return VALUE_NONE;
}

static enum err_code name_value(
	const struct graph *g, struct graph *body, int32_t outer, struct names *m, struct err *err)
{
	int32_t inner;
	TRY(graph_add_value(body, "", &inner, err));
	body->value[inner].type = g->value[outer].type;
	m->outer[m->n] = outer;
	m->inner[m->n++] = inner;
	return ERR_OK;
}

static enum err_code copy_node(const struct region *r, struct graph *body, const struct node *n,
	struct names *m, struct err *err)
{
	int32_t at;
	TRY(name_value(r->c->graph, body, n->out[0], m, err));
	TRY(graph_add_node(body, n->op, n->name, n->n_in, 1, n->n_attr, &at, err));
	struct node *copy = &body->node[at];
	for (int k = 0; k < n->n_in; k++)
		copy->in[k] = inner_of(m, pass_in(r->c, n, k));
	copy->out[0] = inner_of(m, n->out[0]);
	body->value[copy->out[0]].producer = at;
	if (n->n_attr)
		memcpy(copy->attr, n->attr, (size_t)n->n_attr * sizeof(*n->attr));
	return ERR_OK;
}

static int by_index(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

static enum err_code build_body(struct region *r, struct graph **ret, struct err *err)
{
	struct graph *g = r->c->graph, *body = graph_new(g->arena, g, "fused");
	int32_t result = g->node[r->node[0]].out[0];
	struct names m = { .n = 0 };
	if (!body)
		return err_oom(err);
	body->input = ARENA_ARRAY(g->arena, int32_t, (size_t)r->n_input + 1);
	body->output = ARENA_ARRAY(g->arena, int32_t, 1);
	if (!body->input || !body->output)
		return err_oom(err);
	for (int i = 0; i < r->n_input; i++) {
		TRY(name_value(g, body, r->input[i], &m, err));
		body->input[body->n_input++] = m.inner[i];
	}
	qsort(r->node, (size_t)r->n, sizeof(r->node[0]), by_index);
	for (int i = 0; i < r->n; i++)
		TRY(copy_node(r, body, &g->node[r->node[i]], &m, err));
	body->output[body->n_output++] = inner_of(&m, result);
	*ret = body;
	return ERR_OK;
}

static enum err_code fuse_from(struct region *r, int32_t at, struct err *err)
{
	struct attr attr = { .name = "body", .kind = ATTR_GRAPH };
	r->n = r->n_input = 0;
	if (!is_candidate(r, at) || !add(r, at))
		return ERR_OK;
	grow(r);
	forget_reads(r);
	if (r->n == 1)
		return ERR_OK;
	TRY(build_body(r, &attr.g, err));
	return pass_rewrite(r->c, &r->c->graph->node[at], OP_FUSED_ELEMENTWISE, r->input,
		r->n_input, &attr, 1, err);
}

enum err_code pass_fuse_elementwise(struct pass_ctx *c, struct err *err)
{
	struct region r = { .c = c };
	enum err_code rc = ERR_OK;
	r.taken = calloc((size_t)c->graph->n_node + 1, sizeof(*r.taken));
	r.reads = calloc((size_t)c->cap, sizeof(*r.reads));
	if (!r.taken || !r.reads)
		rc = err_oom(err);
	for (int32_t i = c->graph->n_node - 1; i >= 0 && rc == ERR_OK; i--)
		rc = fuse_from(&r, i, err);
	free(r.taken);
	free(r.reads);
	return rc;
}
