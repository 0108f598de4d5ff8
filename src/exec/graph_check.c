/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph_check.c -- proves a graph before anything relies on it
 */
#include <stdlib.h>
#include <string.h>
#include "exec/graph.h"

struct checker {
	const struct graph *g;
	bool *ready; /* per value: produced, input, constant or capture so far */
	struct err *err;
};

#define LABEL(c, n) node_label((c)->g, (n), (char[NODE_LABEL_MAX]){ 0 }, NODE_LABEL_MAX)

static enum err_code check_index(struct checker *c, int32_t v, const char *what)
{
	if (v >= 0 && v < c->g->n_value)
		return ERR_OK;
	return err_set(c->err, ERR_INTERNAL, "graph '%s': %s refers to value %d of %d", c->g->name,
		what, v, c->g->n_value);
}

static enum err_code check_arity(struct checker *c, const struct node *n)
{
	const struct op_info *op = op_info(n->op);
	if (n->op == OP_NONE)
		return err_set(c->err, ERR_UNIMPLEMENTED, "%s has no operator", LABEL(c, n));
	if (n->n_in < op->in_min || n->n_in > op->in_max)
		return err_set(c->err, ERR_INVALID_ARGUMENT, "%s has %d inputs, %s takes %d to %d",
			LABEL(c, n), n->n_in, op->name, op->in_min, op->in_max);
	if (n->n_out < op->out_min || n->n_out > op->out_max)
		return err_set(c->err, ERR_INVALID_ARGUMENT, "%s has %d outputs, %s gives %d to %d",
			LABEL(c, n), n->n_out, op->name, op->out_min, op->out_max);
	/* Only bodies take lists with gaps. */
	bool list = op->in_max == ARITY_ANY && !(op->flags & OP_CONTROL);
	for (int i = 0; i < (list ? n->n_in : op->in_min); i++)
		if (n->in[i] == VALUE_NONE)
			return err_set(c->err, ERR_INVALID_ARGUMENT, "%s: input %d is required",
				LABEL(c, n), i);
	return ERR_OK;
}

static const struct attr_spec *find_spec(const struct op_info *op, const char *name)
{
	for (const struct attr_spec *s = op->attrs; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

static enum err_code check_attrs(struct checker *c, const struct node *n)
{
	const struct op_info *op = op_info(n->op);
	for (int32_t i = 0; i < n->n_attr; i++) {
		const struct attr_spec *s = find_spec(op, n->attr[i].name);
		if (!s)
			return err_set(c->err, ERR_INVALID_ARGUMENT,
				"%s: %s has no attribute '%.80s'", LABEL(c, n), op->name,
				n->attr[i].name);
		if (s->kind != (int)n->attr[i].kind)
			return err_set(c->err, ERR_INVALID_ARGUMENT,
				"%s: attribute '%s' is of the wrong type", LABEL(c, n), s->name);
		for (int32_t k = 0; k < i; k++)
			if (strcmp(n->attr[k].name, n->attr[i].name) == 0)
				return err_set(c->err, ERR_INVALID_ARGUMENT,
					"%s: attribute '%s' is there twice", LABEL(c, n), s->name);
	}
	for (const struct attr_spec *s = op->attrs; s->name; s++)
		if (s->required && !node_attr(n, s->name))
			return err_set(c->err, ERR_INVALID_ARGUMENT,
				"%s: required attribute '%s' is missing", LABEL(c, n), s->name);
	return ERR_OK;
}

enum err_code graph_check_node(const struct graph *g, const struct node *n, struct err *err)
{
	struct checker c = { .g = g, .err = err };
	enum err_code rc = check_arity(&c, n);
	return rc == ERR_OK ? check_attrs(&c, n) : rc;
}

static enum err_code check_edges(struct checker *c, const struct node *n)
{
	for (int32_t i = 0; i < n->n_in; i++) {
		if (n->in[i] == VALUE_NONE)
			continue;
		enum err_code rc = check_index(c, n->in[i], LABEL(c, n));
		if (rc != ERR_OK)
			return rc;
		if (!c->ready[n->in[i]])
			return err_set(c->err, ERR_INVALID_ARGUMENT,
				"%s: input %d, '%.120s', is not produced by any node before it",
				LABEL(c, n), i, c->g->value[n->in[i]].name);
	}
	for (int32_t i = 0; i < n->n_out; i++) {
		if (n->out[i] == VALUE_NONE)
			continue;
		enum err_code rc = check_index(c, n->out[i], LABEL(c, n));
		if (rc != ERR_OK)
			return rc;
		if (c->ready[n->out[i]])
			return err_set(c->err, ERR_INVALID_ARGUMENT,
				"%s: output '%.120s' is produced twice", LABEL(c, n),
				c->g->value[n->out[i]].name);
		c->ready[n->out[i]] = true;
	}
	return ERR_OK;
}

static enum err_code check_interface(
	struct checker *c, const int32_t *v, int32_t n, const char *what, bool as_source)
{
	for (int32_t i = 0; i < n; i++) {
		enum err_code rc = check_index(c, v[i], what);
		if (rc != ERR_OK)
			return rc;
		const char *name = c->g->value[v[i]].name;
		if (as_source == c->ready[v[i]])
			return err_set(c->err, ERR_INVALID_ARGUMENT,
				as_source ? "%s '%.120s' is defined twice"
					  : "%s '%.120s' is not produced by any node",
				what, name);
		c->ready[v[i]] = true;
	}
	return ERR_OK;
}

static enum err_code check_one(const struct graph *g, struct err *err)
{
	struct checker c = { .g = g, .err = err, .ready = calloc((size_t)g->n_value + 1, 1) };
	if (!c.ready)
		return err_oom(err);
	for (int32_t i = 0; i < g->n_value; i++)
		c.ready[i] = g->value[i].constant;
	enum err_code rc = check_interface(&c, g->input, g->n_input, "graph input", true);
	if (rc == ERR_OK)
		rc = check_interface(&c, g->capture, g->n_capture, "captured value", true);
	for (int32_t i = 0; i < g->n_node && rc == ERR_OK; i++) {
		rc = graph_check_node(g, &g->node[i], err);
		if (rc == ERR_OK)
			rc = check_edges(&c, &g->node[i]);
	}
	if (rc == ERR_OK)
		rc = check_interface(&c, g->output, g->n_output, "graph output", false);
	free(c.ready);
	return rc;
}

/* Bodies are walked with a stack of our own; its depth is bounded like the nesting. */
struct walk {
	const struct graph *g;
	int32_t node, attr;
};

static const struct graph *next_body(struct walk *w)
{
	for (; w->node < w->g->n_node; w->node++, w->attr = 0) {
		const struct node *n = &w->g->node[w->node];
		while (w->attr < n->n_attr) {
			const struct attr *a = &n->attr[w->attr++];
			if (a->kind == ATTR_GRAPH)
				return a->g;
		}
	}
	return NULL;
}

enum err_code graph_check(const struct graph *g, struct err *err)
{
	struct walk stack[GRAPH_DEPTH_MAX];
	int depth = 0;
	enum err_code rc = check_one(g, err);
	if (rc != ERR_OK)
		return rc;
	stack[depth++] = (struct walk){ .g = g };
	while (depth) {
		const struct graph *body = next_body(&stack[depth - 1]);
		if (!body) {
			depth--;
			continue;
		}
		if (depth == GRAPH_DEPTH_MAX)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"subgraphs are nested deeper than %d", GRAPH_DEPTH_MAX);
		rc = check_one(body, err);
		if (rc != ERR_OK)
			return err_prefix(err, "subgraph '%s'", body->name);
		stack[depth++] = (struct walk){ .g = body };
	}
	return ERR_OK;
}
