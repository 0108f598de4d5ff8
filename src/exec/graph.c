/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/graph.h"

#include <string.h>

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
static bool grow(
	struct arena *arena, void **array, int32_t n, int32_t *cap, int32_t max, size_t size)
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
			"graph '%s': no memory for value %d (most allowed: %d)", g->name,
			g->n_value, GRAPH_VALUES_MAX);
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
	void *data =
		t ? arena_alloc_aligned(g->arena, bytes ? bytes : 1, ARENA_ALIGN_TENSOR) : NULL;
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
