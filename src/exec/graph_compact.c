/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stable topological order: Kahn's algorithm with the ready nodes taken in their old
 * order, through a binary heap of node numbers.
 */
#include "exec/graph.h"

#include <stdlib.h>
#include <string.h>

struct sorter {
	int32_t *missing; /* producers still to come, per node */
	int32_t *first;   /* users of a node's outputs: first[node] .. first[node + 1] */
	int32_t *user;
	int32_t *heap;
	int32_t n_heap;
};

static void heap_push(struct sorter *s, int32_t x)
{
	int32_t i = s->n_heap++;
	while (i > 0 && s->heap[(i - 1) / 2] > x) {
		s->heap[i] = s->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	s->heap[i] = x;
}

static int32_t heap_pop(struct sorter *s)
{
	int32_t top = s->heap[0], last = s->heap[--s->n_heap], i = 0;
	for (;;) {
		int32_t c = 2 * i + 1;
		if (c >= s->n_heap)
			break;
		if (c + 1 < s->n_heap && s->heap[c + 1] < s->heap[c])
			c++;
		if (s->heap[c] >= last)
			break;
		s->heap[i] = s->heap[c];
		i = c;
	}
	if (s->n_heap)
		s->heap[i] = last;
	return top;
}

/* Whose output is value v? NODE_NONE for inputs, constants and absent ones. */
static int32_t producer_of(const struct graph *g, int32_t v)
{
	return v == VALUE_NONE ? NODE_NONE : g->value[v].producer;
}

static void fix_producers(struct graph *g)
{
	for (int32_t i = 0; i < g->n_value; i++)
		g->value[i].producer = NODE_NONE;
	for (int32_t i = 0; i < g->n_node; i++)
		for (int32_t k = 0; !g->node[i].dead && k < g->node[i].n_out; k++)
			if (g->node[i].out[k] != VALUE_NONE)
				g->value[g->node[i].out[k]].producer = i;
}

static void count_edges(const struct graph *g, struct sorter *s)
{
	for (int32_t i = 0; i < g->n_node; i++)
		for (int32_t k = 0; !g->node[i].dead && k < g->node[i].n_in; k++) {
			int32_t p = producer_of(g, g->node[i].in[k]);
			if (p != NODE_NONE) {
				s->first[p + 1]++;
				s->missing[i]++;
			}
		}
	for (int32_t i = 0; i < g->n_node; i++)
		s->first[i + 1] += s->first[i];
}

static void fill_edges(const struct graph *g, struct sorter *s, int32_t *at)
{
	memcpy(at, s->first, (size_t)g->n_node * sizeof(*at));
	for (int32_t i = 0; i < g->n_node; i++)
		for (int32_t k = 0; !g->node[i].dead && k < g->node[i].n_in; k++) {
			int32_t p = producer_of(g, g->node[i].in[k]);
			if (p != NODE_NONE)
				s->user[at[p]++] = i;
		}
}

static int32_t sort_nodes(const struct graph *g, struct sorter *s, struct node *sorted)
{
	int32_t n = 0;
	for (int32_t i = 0; i < g->n_node; i++)
		if (!g->node[i].dead && s->missing[i] == 0)
			heap_push(s, i);
	while (s->n_heap) {
		int32_t i = heap_pop(s);
		sorted[n++] = g->node[i];
		for (int32_t e = s->first[i]; e < s->first[i + 1]; e++)
			if (--s->missing[s->user[e]] == 0)
				heap_push(s, s->user[e]);
	}
	return n;
}

enum err_code graph_compact(struct graph *g, struct err *err)
{
	fix_producers(g);
	size_t edges = 0;
	int32_t alive = 0;
	for (int32_t i = 0; i < g->n_node; i++) {
		alive += !g->node[i].dead;
		edges += (size_t)g->node[i].n_in;
	}
	size_t n = (size_t)g->n_node + 1;
	int32_t *mem = calloc(4 * n + edges, sizeof(*mem));
	struct node *sorted = malloc(n * sizeof(*sorted));
	enum err_code rc = ERR_OK;
	if (!mem || !sorted) {
		rc = err_oom(err);
		goto out;
	}
	struct sorter s = { .missing = mem, .first = mem + n, .heap = mem + 2 * n,
		.user = mem + 4 * n };
	count_edges(g, &s);
	fill_edges(g, &s, mem + 3 * n);
	if (sort_nodes(g, &s, sorted) != alive) {
		rc = err_set(
			err, ERR_INVALID_ARGUMENT, "graph '%s': its nodes form a cycle", g->name);
		goto out;
	}
	memcpy(g->node, sorted, (size_t)alive * sizeof(*sorted));
	g->n_node = alive;
	fix_producers(g);
out:
	free(mem);
	free(sorted);
	return rc;
}
