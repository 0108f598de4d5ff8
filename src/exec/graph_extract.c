/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a graph that some of its values need. */
#include "exec/graph.h"

#include <stdlib.h>
#include <string.h>

/* Marks what the outputs need, nodes and values, walking backwards over sorted nodes. */
static void mark_needed(const struct graph *g, const int32_t *output, int n_output, bool *value,
	bool *node)
{
	for (int i = 0; i < n_output; i++)
		value[output[i]] = true;
	for (int32_t i = g->n_node - 1; i >= 0; i--) {
		const struct node *n = &g->node[i];
		for (int32_t k = 0; k < n->n_out && !node[i]; k++)
			node[i] = n->out[k] != VALUE_NONE && value[n->out[k]];
		for (int32_t k = 0; k < n->n_in && node[i]; k++)
			if (n->in[k] != VALUE_NONE)
				value[n->in[k]] = true;
	}
}

static enum err_code extract_marked(const struct graph *g, const bool *value, const bool *node,
	struct graph *out, struct err *err)
{
	for (int32_t i = 0; i < g->n_node; i++) {
		const struct node *n = &g->node[i];
		int32_t at;
		if (!node[i])
			continue;
		enum err_code rc =
			graph_add_node(out, n->op, n->name, n->n_in, n->n_out, 0, &at, err);
		if (rc != ERR_OK)
			return rc;
		struct node *copy = &out->node[at];
		memcpy(copy->in, n->in, (size_t)n->n_in * sizeof(*n->in));
		memcpy(copy->out, n->out, (size_t)n->n_out * sizeof(*n->out));
		copy->attr = n->attr;
		copy->n_attr = n->n_attr;
	}
	for (int32_t i = 0; i < g->n_input; i++)
		if (value[g->input[i]])
			out->input[out->n_input++] = g->input[i];
	return ERR_OK;
}

/* Values keep their numbers, so nodes are copied as they are. NULL: no memory. */
static struct graph *new_part(
	const struct graph *g, const int32_t *output, int n_output, struct arena *arena)
{
	struct graph *out = graph_new(arena, g->parent, g->name);
	if (!out)
		return NULL;
	out->value = ARENA_ARRAY(arena, struct gvalue, (size_t)g->n_value + 1);
	out->input = ARENA_ARRAY(arena, int32_t, (size_t)g->n_input + 1);
	out->output = ARENA_ARRAY(arena, int32_t, (size_t)n_output + 1);
	if (!out->value || !out->input || !out->output)
		return NULL;
	memcpy(out->value, g->value, (size_t)g->n_value * sizeof(*g->value));
	memcpy(out->output, output, (size_t)n_output * sizeof(*output));
	out->n_value = g->n_value;
	out->cap_value = g->n_value + 1;
	out->n_output = n_output;
	out->capture = g->capture;
	out->n_capture = g->n_capture;
	out->symbol = g->symbol;
	out->n_symbol = g->n_symbol;
	out->cap_symbol = g->n_symbol; /* a new symbol copies the list */
	return out;
}

enum err_code graph_extract(const struct graph *g, const int32_t *output, int n_output,
	struct arena *arena, struct graph **ret, struct err *err)
{
	struct graph *out = new_part(g, output, n_output, arena);
	bool *value = calloc((size_t)g->n_value + 1, 1), *node = calloc((size_t)g->n_node + 1, 1);
	enum err_code rc = out && value && node ? ERR_OK : err_oom(err);
	if (rc == ERR_OK) {
		mark_needed(g, output, n_output, value, node);
		rc = extract_marked(g, value, node, out, err);
	}
	if (rc == ERR_OK)
		rc = graph_compact(out, err);
	if (rc == ERR_OK)
		*ret = out;
	free(value);
	free(node);
	return rc;
}
