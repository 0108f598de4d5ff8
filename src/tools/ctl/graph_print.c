/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl/graph_print.h"

#include <inttypes.h>

#include "tools/values.h"

/* A list is cut after this many elements: weights are no reading matter. */
#define LIST_MAX 8

static void print_shape(struct buf *to, const struct graph *g, const struct shape *s)
{
	if (s->rank == RANK_UNKNOWN) {
		buf_str(to, "[...]");
		return;
	}
	buf_char(to, '[');
	for (int d = 0; d < s->rank; d++) {
		const char *symbol = graph_symbol_name(g, s->dim[d]);
		buf_str(to, d ? "," : "");
		if (s->dim[d] >= 0)
			buf_printf(to, "%" PRId64, s->dim[d]);
		else
			buf_str(to, symbol ? symbol : "?");
	}
	buf_char(to, ']');
}

void graph_print_type(struct buf *to, const struct graph *g, const struct gvalue *v)
{
	buf_printf(to, "%s%s", v->type.is_optional ? "optional " : "",
		v->type.is_sequence ? "sequence of " : "");
	if (v->type.map_key)
		buf_printf(to, "map from %s to ", dtype_name(v->type.map_key));
	buf_str(to, dtype_name(v->type.dtype));
	print_shape(to, g, &v->shape);
}

static void print_ref(struct buf *to, const struct graph *g, int32_t i)
{
	if (i == VALUE_NONE)
		buf_char(to, '-');
	else if (g->value[i].name[0])
		buf_str(to, g->value[i].name);
	else
		buf_printf(to, "%%%d", (int)i);
}

static void print_attr_value(struct buf *to, const struct attr *a)
{
	switch (a->kind) {
	case ATTR_INT:
		buf_printf(to, "%" PRId64, a->i);
		return;
	case ATTR_FLOAT:
		buf_printf(to, "%g", (double)a->f);
		return;
	case ATTR_STRING:
		buf_printf(to, "'%.*s'", SLICE_ARG(a->s));
		return;
	case ATTR_TENSOR:
		values_print_nested(to, a->t, LIST_MAX);
		return;
	case ATTR_GRAPH:
		buf_str(to, "{...}");
		return;
	case ATTR_INTS:
	case ATTR_FLOATS:
	case ATTR_STRINGS:
		buf_char(to, '[');
		for (int32_t i = 0; i < a->n && i < LIST_MAX; i++) {
			buf_str(to, i ? "," : "");
			if (a->kind == ATTR_INTS)
				buf_printf(to, "%" PRId64, a->ints[i]);
			else if (a->kind == ATTR_FLOATS)
				buf_printf(to, "%g", (double)a->floats[i]);
			else
				buf_printf(to, "'%.*s'", SLICE_ARG(a->strings[i]));
		}
		buf_str(to, a->n > LIST_MAX ? ",...]" : "]");
		return;
	case ATTR_TENSORS:
		buf_printf(to, "%d tensors", (int)a->n);
		return;
	case ATTR_TYPE:
		buf_str(to, dtype_name(a->type->dtype));
		return;
	}
}

static void print_value(struct buf *to, const struct graph *g, const char *word, int32_t i)
{
	buf_printf(to, "%s ", word);
	print_ref(to, g, i);
	buf_str(to, ": ");
	graph_print_type(to, g, &g->value[i]);
	if (g->value[i].constant) {
		buf_str(to, " = ");
		values_print_nested(to, g->value[i].constant, LIST_MAX);
	}
	buf_char(to, '\n');
}

static void print_node(struct buf *to, const struct graph *g, const struct node *n)
{
	for (int32_t i = 0; i < n->n_out; i++) {
		buf_str(to, i ? ", " : "");
		print_ref(to, g, n->out[i]);
		if (n->out[i] != VALUE_NONE) {
			buf_char(to, ':');
			graph_print_type(to, g, &g->value[n->out[i]]);
		}
	}
	buf_printf(to, " = %s(", op_info(n->op)->name);
	for (int32_t i = 0; i < n->n_in; i++) {
		buf_str(to, i ? ", " : "");
		print_ref(to, g, n->in[i]);
	}
	buf_char(to, ')');
	for (int32_t i = 0; i < n->n_attr; i++) {
		buf_printf(to, " %s=", n->attr[i].name);
		print_attr_value(to, &n->attr[i]);
	}
	buf_char(to, '\n');
}

/* Where the walk is: a graph, its next node and, within that node, its next body. */
struct level {
	const struct graph *g;
	int32_t node, attr;
};

static void indent(struct buf *to, int depth)
{
	for (int i = 0; i < depth; i++)
		buf_str(to, "    ");
}

static void open_level(struct buf *to, const struct graph *g, int depth)
{
	for (int32_t i = 0; i < g->n_input; i++) {
		indent(to, depth);
		print_value(to, g, "input", g->input[i]);
	}
	for (int32_t i = 0; i < g->n_capture; i++) {
		indent(to, depth);
		print_value(to, g, "capture", g->capture[i]);
	}
	for (int32_t i = 0; i < g->n_value; i++) {
		if (!g->value[i].constant)
			continue;
		indent(to, depth);
		print_value(to, g, "constant", i);
	}
}

static void close_level(struct buf *to, const struct graph *g, int depth)
{
	for (int32_t i = 0; i < g->n_output; i++) {
		indent(to, depth);
		print_value(to, g, "output", g->output[i]);
	}
}

void graph_print(struct buf *to, const struct graph *g)
{
	struct level level[GRAPH_DEPTH_MAX + 1] = { { g, 0, 0 } };
	int depth = 0;
	open_level(to, g, 0);
	while (depth >= 0) {
		struct level *l = &level[depth];
		if (l->node == l->g->n_node) {
			close_level(to, l->g, depth--);
			continue;
		}
		const struct node *n = &l->g->node[l->node];
		if (l->attr == 0) {
			indent(to, depth);
			print_node(to, l->g, n);
		}
		while (l->attr < n->n_attr && n->attr[l->attr].kind != ATTR_GRAPH)
			l->attr++;
		if (l->attr == n->n_attr) {
			l->node++;
			l->attr = 0;
			continue;
		}
		const struct attr *a = &n->attr[l->attr++];
		indent(to, depth);
		buf_printf(to, "  %s:\n", a->name);
		if (depth == GRAPH_DEPTH_MAX)
			continue;
		level[++depth] = (struct level){ a->g, 0, 0 };
		open_level(to, a->g, depth);
	}
}
