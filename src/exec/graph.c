/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/graph.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

struct graph *graph_new(struct arena *arena, struct graph *parent, const char *name)
{
	struct graph *g = ARENA_NEW(arena, struct graph);
	if (!g)
		return NULL;
	g->arena = arena;
	g->parent = parent;
	g->name = name;
	return g;
}

/* Makes room for one more element; the old array stays in the arena, which growth by
   doubling bounds to the size of the new one. */
static bool grow(struct arena *arena, void **array, int32_t n, int32_t *cap, int32_t max, size_t size)
{
	if (n < *cap)
		return true;
	if (n >= max)
		return false;
	int32_t new_cap = *cap ? *cap * 2 : 16;
	if (new_cap > max)
		new_cap = max;
	void *p = arena_calloc(arena, (size_t)new_cap, size);
	if (!p)
		return false;
	if (n)
		memcpy(p, *array, (size_t)n * size);
	*array = p;
	*cap = new_cap;
	return true;
}

enum err_code
graph_add_value(struct graph *g, const char *name, int32_t *ret, struct err *err)
{
	if (!grow(g->arena, (void **)&g->value, g->n_value, &g->cap_value, GRAPH_VALUES_MAX,
		    sizeof(*g->value)))
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"graph '%s': no memory for value %d (most allowed: %d)", g->name, g->n_value,
			GRAPH_VALUES_MAX);
	g->value[g->n_value] = (struct gvalue){
		.name = name, .shape = SHAPE_UNKNOWN, .producer = NODE_NONE
	};
	*ret = g->n_value++;
	return ERR_OK;
}

static int32_t *new_indices(struct arena *arena, int32_t n)
{
	int32_t *p = arena_alloc(arena, (size_t)n * sizeof(*p) + 1);
	for (int32_t i = 0; p && i < n; i++)
		p[i] = VALUE_NONE;
	return p;
}

enum err_code graph_add_node(struct graph *g, enum op_id op, const char *name, int32_t n_in,
	int32_t n_out, int32_t n_attr, int32_t *ret, struct err *err)
{
	if (n_in > GRAPH_NODE_IO_MAX || n_out > GRAPH_NODE_IO_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"node '%s' (%s) has %d inputs and %d outputs, at most %d are allowed", name,
			op_info(op)->name, n_in, n_out, GRAPH_NODE_IO_MAX);
	if (!grow(g->arena, (void **)&g->node, g->n_node, &g->cap_node, GRAPH_NODES_MAX,
		    sizeof(*g->node)))
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"graph '%s': no memory for node %d (most allowed: %d)", g->name, g->n_node,
			GRAPH_NODES_MAX);
	struct node *n = &g->node[g->n_node];
	*n = (struct node){ .op = op, .name = name ? name : "" };
	n->in = new_indices(g->arena, n_in);
	n->out = new_indices(g->arena, n_out);
	n->attr = ARENA_ARRAY(g->arena, struct attr, n_attr);
	if (!n->in || !n->out || !n->attr)
		return err_oom(err);
	n->n_in = n_in;
	n->n_out = n_out;
	n->n_attr = n_attr;
	*ret = g->n_node++;
	return ERR_OK;
}

enum err_code graph_add_constant(struct graph *g, const char *name, const struct tensor *t,
	int32_t *ret, struct err *err)
{
	enum err_code rc = graph_add_value(g, name, ret, err);
	if (rc != ERR_OK)
		return rc;
	struct gvalue *v = &g->value[*ret];
	v->constant = t;
	v->type = t->dtype == DTYPE_TENSOR ? (struct type){ .is_sequence = true }
					   : (struct type){ .dtype = t->dtype };
	v->shape = t->shape;
	return ERR_OK;
}

/* Symbols are numbered by the main graph, so that a body and its parent agree. */
static struct graph *root_of(struct graph *g)
{
	while (g->parent)
		g = g->parent;
	return g;
}

/* Where the name is, or would be; the table is never full. */
static int32_t *symbol_place(const struct graph *root, struct slice name)
{
	uint32_t h = 2166136261u, mask = root->n_symbol_place - 1;
	for (size_t i = 0; i < name.len; i++)
		h = (h ^ (unsigned char)name.ptr[i]) * 16777619u;
	int32_t *place = &root->symbol_place[h & mask];
	while (*place >= 0 && !slice_is(name, root->symbol[*place]))
		place = &root->symbol_place[++h & mask];
	return place;
}

/* Makes the table new when symbols fill half of it. */
static bool grow_places(struct graph *root)
{
	if (root->symbol_place && (uint32_t)root->n_symbol * 2 < root->n_symbol_place)
		return true;
	uint32_t n = 64;
	while (n < (uint32_t)root->n_symbol * 4)
		n *= 2;
	int32_t *place = arena_alloc(root->arena, n * sizeof(*place));
	if (!place)
		return false;
	memset(place, 0xff, n * sizeof(*place));
	root->symbol_place = place;
	root->n_symbol_place = n;
	for (int32_t i = 0; i < root->n_symbol; i++)
		*symbol_place(root, slice_of(root->symbol[i])) = i;
	return true;
}

int64_t graph_symbol(struct graph *g, struct slice name)
{
	struct graph *root = root_of(g);
	if (!grow_places(root))
		return DIM_UNKNOWN;
	int32_t *place = symbol_place(root, name);
	if (*place >= 0)
		return DIM_SYMBOL(*place);
	char *copy = arena_strndup(root->arena, name.ptr, name.len);
	if (!copy || !grow(root->arena, (void **)&root->symbol, root->n_symbol, &root->cap_symbol,
			     GRAPH_VALUES_MAX, sizeof(*root->symbol)))
		return DIM_UNKNOWN;
	root->symbol[root->n_symbol] = copy;
	*place = root->n_symbol;
	return DIM_SYMBOL(root->n_symbol++);
}

const char *graph_symbol_name(const struct graph *g, int64_t dim)
{
	while (g->parent)
		g = g->parent;
	int64_t i = DIM_SYMBOL_INDEX(dim);
	bool named = dim <= DIM_SYMBOL(0) && i < g->n_symbol && g->symbol[i][0] != '?';
	return named ? g->symbol[i] : NULL;
}

struct tensor *graph_new_tensor(struct graph *g, enum dtype dtype, const struct shape *shape)
{
	size_t bytes;
	if (tensor_bytes_overflow(dtype, shape, &bytes))
		return NULL;
	struct tensor *t = ARENA_NEW(g->arena, struct tensor);
	void *data = t ? arena_alloc_aligned(g->arena, bytes ? bytes : 1, ARENA_ALIGN_TENSOR) : NULL;
	if (!data)
		return NULL;
	*t = (struct tensor){ .data = data, .dtype = dtype, .shape = *shape };
	return t;
}

int32_t graph_find_value(const struct graph *g, struct slice name)
{
	for (int32_t i = 0; i < g->n_value; i++)
		if (slice_is(name, g->value[i].name))
			return i;
	return VALUE_NONE;
}

const struct attr *node_attr(const struct node *n, const char *name)
{
	for (int32_t i = 0; i < n->n_attr; i++)
		if (strcmp(n->attr[i].name, name) == 0)
			return &n->attr[i];
	return NULL;
}

int64_t node_int(const struct node *n, const char *name, int64_t otherwise)
{
	const struct attr *a = node_attr(n, name);
	return a ? a->i : otherwise;
}

float node_float(const struct node *n, const char *name, float otherwise)
{
	const struct attr *a = node_attr(n, name);
	return a ? a->f : otherwise;
}

struct slice node_string(const struct node *n, const char *name, const char *otherwise)
{
	const struct attr *a = node_attr(n, name);
	return a ? a->s : slice_of(otherwise);
}

const int64_t *node_ints(const struct node *n, const char *name, int32_t *ret_n)
{
	const struct attr *a = node_attr(n, name);
	*ret_n = a ? a->n : 0;
	return a ? a->ints : NULL;
}

const float *node_floats(const struct node *n, const char *name, int32_t *ret_n)
{
	const struct attr *a = node_attr(n, name);
	*ret_n = a ? a->n : 0;
	return a ? a->floats : NULL;
}

const struct slice *node_strings(const struct node *n, const char *name, int32_t *ret_n)
{
	const struct attr *a = node_attr(n, name);
	*ret_n = a ? a->n : 0;
	return a ? a->strings : NULL;
}

const struct tensor *node_tensor(const struct node *n, const char *name)
{
	const struct attr *a = node_attr(n, name);
	return a ? a->t : NULL;
}

struct graph *node_graph(const struct node *n, const char *name)
{
	const struct attr *a = node_attr(n, name);
	return a ? a->g : NULL;
}

const char *node_label(const struct graph *g, const struct node *n, char *buf, size_t size)
{
	const char *op = op_info(n->op)->name;
	if (n->name[0])
		snprintf(buf, size, "node '%.120s' (%s)", n->name, op);
	else
		snprintf(buf, size, "node #%ld (%s)", (long)(n - g->node), op);
	return buf;
}

void graph_count_uses(const struct graph *g, int32_t *ret_uses)
{
	memset(ret_uses, 0, (size_t)g->n_value * sizeof(*ret_uses));
	for (int32_t i = 0; i < g->n_node; i++) {
		const struct node *n = &g->node[i];
		if (n->dead)
			continue;
		for (int32_t k = 0; k < n->n_in; k++)
			if (n->in[k] != VALUE_NONE)
				ret_uses[n->in[k]]++;
	}
	for (int32_t i = 0; i < g->n_output; i++)
		ret_uses[g->output[i]]++;
}

/* -- compaction: a stable topological order ------------------------------------------------ */

/* Kahn's algorithm with the ready nodes taken in their old order, through a binary heap
   of node numbers. */
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
	struct sorter s = { .missing = mem, .first = mem + n, .heap = mem + 2 * n, .user = mem + 4 * n };
	count_edges(g, &s);
	fill_edges(g, &s, mem + 3 * n);
	if (sort_nodes(g, &s, sorted) != alive) {
		rc = err_set(err, ERR_INVALID_ARGUMENT, "graph '%s': its nodes form a cycle", g->name);
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

/* -- extraction ------------------------------------------------------------------------------ */

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

enum err_code graph_extract(const struct graph *g, const int32_t *output, int n_output,
	struct arena *arena, struct graph **ret, struct err *err)
{
	/* Values keep their numbers, so nodes are copied as they are. */
	struct graph *out = graph_new(arena, g->parent, g->name);
	bool *value = calloc((size_t)g->n_value + 1, 1), *node = calloc((size_t)g->n_node + 1, 1);
	enum err_code rc = ERR_RESOURCE_EXHAUSTED;
	if (!out || !value || !node)
		goto oom;
	out->value = ARENA_ARRAY(arena, struct gvalue, (size_t)g->n_value + 1);
	out->input = ARENA_ARRAY(arena, int32_t, (size_t)g->n_input + 1);
	out->output = ARENA_ARRAY(arena, int32_t, (size_t)n_output + 1);
	if (!out->value || !out->input || !out->output)
		goto oom;
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
	mark_needed(g, output, n_output, value, node);
	rc = extract_marked(g, value, node, out, err);
	if (rc == ERR_OK)
		rc = graph_compact(out, err);
	if (rc == ERR_OK)
		*ret = out;
	goto out;
oom:
	rc = err_oom(err);
out:
	free(value);
	free(node);
	return rc;
}
