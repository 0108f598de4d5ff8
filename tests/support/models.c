/* SPDX-License-Identifier: Apache-2.0 */
#include "support/models.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTRS_MAX 24
#define IO_MAX 64 /* inputs, outputs or captures of a graph */

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static void must_ok(enum err_code rc, const struct err *err)
{
	if (rc == ERR_OK)
		return;
	fprintf(stderr, "models: %s\n", err->msg);
	abort();
}

static struct graph *make_room(struct graph *g)
{
	g->input = must(ARENA_ARRAY(g->arena, int32_t, IO_MAX));
	g->output = must(ARENA_ARRAY(g->arena, int32_t, IO_MAX));
	g->capture = must(ARENA_ARRAY(g->arena, int32_t, IO_MAX));
	return g;
}

struct graph *model_new(void)
{
	return make_room(must(graph_new(must(arena_new(1 << 16, 0)), NULL, "main")));
}

void model_free(struct graph *g)
{
	if (g)
		arena_free(g->arena);
}

struct graph *model_body(struct graph *parent, const char *name)
{
	return make_room(must(graph_new(parent->arena, parent, name)));
}

static int32_t add_value(struct graph *g, const char *stem)
{
	struct err err;
	int32_t v;
	char *name = must(arena_printf(g->arena, "%s_%d", stem, g->n_value));
	must_ok(graph_add_value(g, name, &v, &err), &err);
	return v;
}

int32_t model_capture(struct graph *body)
{
	int32_t v = add_value(body, "capture");
	assert(body->n_capture < IO_MAX);
	body->capture[body->n_capture++] = v;
	return v;
}

int32_t model_input(struct graph *g, const char *name, enum dtype dtype, struct shape shape)
{
	int32_t v = add_value(g, name);
	g->value[v].name = name;
	g->value[v].type = (struct type){ .dtype = dtype };
	g->value[v].shape = shape;
	assert(g->n_input < IO_MAX);
	g->input[g->n_input++] = v;
	return v;
}

void model_output(struct graph *g, int32_t value)
{
	assert(g->n_output < IO_MAX);
	g->output[g->n_output++] = value;
}

static int32_t add_constant(struct graph *g, const struct tensor *t)
{
	struct err err;
	int32_t v;
	char *name = must(arena_printf(g->arena, "const_%d", g->n_value));
	must_ok(graph_add_constant(g, name, t, &v, &err), &err);
	return v;
}

int32_t model_floats(struct graph *g, struct shape shape, const float *v)
{
	struct tensor *t = must(graph_new_tensor(g, DTYPE_F32, &shape));
	float *to = t->data;
	uint32_t seed = 12345u + 977u * (uint32_t)g->n_value;
	for (int64_t i = 0; i < tensor_count(t); i++) {
		seed = seed * 1664525u + 1013904223u;
		to[i] = v ? v[i] : (float)(seed >> 8) / (float)(1 << 23) - 1.0f;
	}
	return add_constant(g, t);
}

int32_t model_scalar(struct graph *g, float v)
{
	return model_floats(g, SHAPE_SCALAR, &v);
}

int32_t model_int64s(struct graph *g, struct shape shape, const int64_t *v)
{
	struct tensor *t = must(graph_new_tensor(g, DTYPE_I64, &shape));
	memcpy(t->data, v, tensor_bytes(t));
	return add_constant(g, t);
}

int32_t model_node(struct graph *g, enum op_id op, int n_out, int n_in, const int32_t *in)
{
	struct err err;
	int32_t i, first = VALUE_NONE;
	must_ok(graph_add_node(g, op, "", n_in, n_out, ATTRS_MAX, &i, &err), &err);
	struct node *n = &g->node[i];
	n->name = must(arena_printf(g->arena, "%s_%d", op_info(op)->name, i));
	n->n_attr = 0;
	if (n_in)
		memcpy(n->in, in, (size_t)n_in * sizeof(*in));
	for (int k = 0; k < n_out; k++) {
		int32_t v = add_value(g, op_info(op)->name);
		g->value[v].producer = i;
		g->node[i].out[k] = v;
		if (k == 0)
			first = v;
	}
	return first;
}

static struct attr *add_attr(struct graph *g, const char *name, enum attr_kind kind)
{
	struct node *n = &g->node[g->n_node - 1];
	assert(n->n_attr < ATTRS_MAX);
	struct attr *a = &n->attr[n->n_attr++];
	*a = (struct attr){ .name = name, .kind = kind };
	return a;
}

void model_attr_int(struct graph *g, const char *name, int64_t v)
{
	add_attr(g, name, ATTR_INT)->i = v;
}

void model_attr_float(struct graph *g, const char *name, float v)
{
	add_attr(g, name, ATTR_FLOAT)->f = v;
}

void model_attr_string(struct graph *g, const char *name, const char *v)
{
	add_attr(g, name, ATTR_STRING)->s = slice_of(v);
}

#define ATTR_LIST(fn, kind, T, field) \
	void fn(struct graph *g, const char *name, int n, const T *v) \
	{ \
		T *copy = must(ARENA_ARRAY(g->arena, T, (size_t)n + 1)); \
		memcpy(copy, v, (size_t)n * sizeof(*v)); \
		struct attr *a = add_attr(g, name, kind); \
		a->field = copy; \
		a->n = n; \
	}
ATTR_LIST(model_attr_ints, ATTR_INTS, int64_t, ints)
ATTR_LIST(model_attr_floats, ATTR_FLOATS, float, floats)
ATTR_LIST(model_attr_strings, ATTR_STRINGS, struct slice, strings)

void model_attr_type(struct graph *g, const char *name, const struct type *t)
{
	add_attr(g, name, ATTR_TYPE)->type = t;
}

void model_attr_tensor(struct graph *g, const char *name, const struct tensor *t)
{
	add_attr(g, name, ATTR_TENSOR)->t = t;
}

void model_attr_graph(struct graph *g, const char *name, struct graph *body)
{
	add_attr(g, name, ATTR_GRAPH)->g = body;
}

int model_count(const struct graph *g, enum op_id op)
{
	int count = 0;
	for (int32_t i = 0; i < g->n_node; i++)
		count += !g->node[i].dead && (op == OP_NONE || g->node[i].op == op);
	return count;
}
