/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native_put.c -- the graph section of a native file, written; native_take.c reads it
 *
 *   text     = u32 bytes, the bytes
 *   shape    = i32 rank, i64 per dimension (symbols by number)
 *   tensor   = u8 dtype, shape, then u64 offset; or, of strings, a text per element
 *   type     = u8 dtype, u8 key of a map, u8 1: sequence, 2: optional
 *   value    = text name, type, shape, u32 number of its tensor + 1, or 0
 *   attr     = text name, u8 kind, u32 count, what the kind says
 *   node     = text domain, text operator, text name, inputs, outputs, attrs
 *   graph    = text name, values, inputs, outputs, captures, nodes
 *   section  = properties, symbols, tensors, graph
 *
 * Lists are u32 count, then the elements. Operators go by name, so that a file does not
 * depend on how a build numbers them.
 */
#include <string.h>
#include "base/hash.h"
#include "exec/packs.h"
#include "loader/native/native.h"
#include "loader/native/native_format.h"

/* -- tensors --------------------------------------------------------------------------------- */

struct collector {
	struct packs *packs;
	struct arena *arena;
	struct native_tensors *out;
	int64_t cap;
	struct err *err;
};

static enum err_code collect(struct collector *c, const struct tensor *t, const char *where)
{
	struct native_tensors *out = c->out;
	if (t->dtype == DTYPE_TENSOR || t->layout != LAYOUT_PLAIN)
		return err_set(c->err, ERR_UNIMPLEMENTED,
			"'%s': a constant sequence cannot be written to a native file", where);
	if (out->n == c->cap) {
		int64_t cap = c->cap ? 2 * c->cap : 256;
		struct native_tensor *row =
			ARENA_ARRAY(c->arena, struct native_tensor, (size_t)cap);
		if (!row)
			return err_oom(c->err);
		if (out->n)
			memcpy(row, out->row, (size_t)out->n * sizeof(*row));
		out->row = row;
		c->cap = cap;
	}
	out->row[out->n++] = (struct native_tensor){.t = t};
	return ERR_OK;
}

static enum err_code collect_graph(struct collector *c, const struct graph *g);

static enum err_code collect_attr(struct collector *c, const struct attr *a)
{
	enum err_code rc = ERR_OK;
	if (a->kind == ATTR_TENSOR || a->kind == ATTR_TENSORS)
		for (int32_t i = 0; i < (a->kind == ATTR_TENSOR ? 1 : a->n) && rc == ERR_OK; i++)
			rc = collect(c, &a->t[i], a->name);
	return a->kind == ATTR_GRAPH ? collect_graph(c, a->g) : rc;
}

/* In the order in which put_graph() writes; bodies are at most GRAPH_DEPTH_MAX deep. */
static enum err_code collect_graph(struct collector *c, const struct graph *g)
{
	enum err_code rc = ERR_OK;
	for (int32_t i = 0; i < g->n_value && rc == ERR_OK; i++)
		if (g->value[i].constant)
			rc = collect(c, g->value[i].constant, g->value[i].name);
	for (int32_t i = 0; i < g->n_node && rc == ERR_OK; i++)
		for (int32_t k = 0; k < g->node[i].n_attr && rc == ERR_OK; k++)
			rc = collect_attr(c, &g->node[i].attr[k]);
	return rc;
}

/* Tensors of the same bytes (a weight that two nodes see) get one place. */
static enum err_code place(struct collector *c)
{
	struct native_tensors *t = c->out;
	uint64_t places = 64;
	while (places < 2 * (uint64_t)t->n)
		places *= 2;
	int64_t *first = ARENA_ARRAY(c->arena, int64_t, places); /* row + 1, or 0 */
	if (!first)
		return err_oom(c->err);
	for (int64_t i = 0; i < t->n; i++) {
		const struct tensor *x = t->row[i].t;
		size_t bytes = x->dtype == DTYPE_STRING ? 0 : tensor_bytes(x);
		if (bytes == 0)
			continue;
		uint64_t h = hash_mix((uintptr_t)x->data, bytes);
		while (first[h % places] &&
			(t->row[first[h % places] - 1].t->data != x->data ||
				tensor_bytes(t->row[first[h % places] - 1].t) != bytes))
			h++;
		if (first[h % places]) {
			t->row[i].offset = t->row[first[h % places] - 1].offset;
			continue;
		}
		first[h % places] = i + 1;
		bool source = c->packs && packs_retired(c->packs, x->data);
		uint64_t *end = source ? &t->source_bytes : &t->bytes;
		t->row[i].offset = *end | (source ? NATIVE_IN_SOURCES : 0);
		*end += native_align(bytes);
	}
	return ERR_OK;
}

enum err_code native_collect(const struct graph *g, struct packs *packs, struct arena *arena,
	struct native_tensors *ret, struct err *err)
{
	struct collector c = {.packs = packs, .arena = arena, .out = ret, .err = err};
	*ret = (struct native_tensors){0};
	enum err_code rc = collect_graph(&c, g);
	return rc == ERR_OK ? place(&c) : rc;
}

/* -- writing ---------------------------------------------------------------------------------- */

struct writer {
	struct buf *b;
	int64_t tensor; /* the next one's number */
};

static void put_u8(struct buf *b, uint8_t v)
{
	buf_char(b, (char)v);
}

static void put_u32(struct buf *b, uint32_t v)
{
	buf_bytes(b, &v, sizeof(v));
}

static void put_u64(struct buf *b, uint64_t v)
{
	buf_bytes(b, &v, sizeof(v));
}

static void put_text(struct buf *b, struct slice s)
{
	put_u32(b, (uint32_t)s.len);
	buf_slice(b, s);
}

static void put_shape(struct buf *b, const struct shape *s)
{
	put_u32(b, (uint32_t)s->rank);
	for (int i = 0; i < s->rank; i++)
		put_u64(b, (uint64_t)s->dim[i]);
}

static void put_type(struct buf *b, const struct type *t)
{
	put_u8(b, (uint8_t)t->dtype);
	put_u8(b, (uint8_t)t->map_key);
	put_u8(b, (uint8_t)(t->is_sequence | t->is_optional << 1));
}

static void put_indices(struct buf *b, const int32_t *index, int32_t n)
{
	put_u32(b, (uint32_t)n);
	buf_bytes(b, index, (size_t)n * sizeof(*index));
}

static void put_tensors(struct buf *b, const struct native_tensors *t)
{
	put_u32(b, (uint32_t)t->n);
	for (int64_t i = 0; i < t->n; i++) {
		const struct tensor *x = t->row[i].t;
		put_u8(b, (uint8_t)x->dtype);
		put_shape(b, &x->shape);
		if (x->dtype != DTYPE_STRING)
			put_u64(b, t->row[i].offset);
		for (int64_t k = 0; x->dtype == DTYPE_STRING && k < tensor_count(x); k++)
			put_text(b, ((const struct slice *)x->data)[k]);
	}
}

static void put_graph(struct writer *w, const struct graph *g);

static void put_attr(struct writer *w, const struct attr *a)
{
	struct buf *b = w->b;
	put_text(b, slice_of(a->name));
	put_u8(b, (uint8_t)a->kind);
	put_u32(b, a->kind == ATTR_TENSOR ? 1 : (uint32_t)a->n);
	switch (a->kind) {
	case ATTR_INT:
		put_u64(b, (uint64_t)a->i);
		break;
	case ATTR_FLOAT:
		buf_bytes(b, &a->f, sizeof(a->f));
		break;
	case ATTR_STRING:
		put_text(b, a->s);
		break;
	case ATTR_TENSOR:
		w->tensor++;
		break;
	case ATTR_TENSORS:
		w->tensor += a->n;
		break;
	case ATTR_GRAPH:
		put_graph(w, a->g);
		break;
	case ATTR_INTS:
		buf_bytes(b, a->ints, (size_t)a->n * sizeof(*a->ints));
		break;
	case ATTR_FLOATS:
		buf_bytes(b, a->floats, (size_t)a->n * sizeof(*a->floats));
		break;
	case ATTR_STRINGS:
		for (int32_t i = 0; i < a->n; i++)
			put_text(b, a->strings[i]);
		break;
	case ATTR_TYPE:
		put_type(b, a->type);
		break;
	}
}

static void put_node(struct writer *w, const struct node *n)
{
	const struct op_info *op = op_info(n->op);
	put_text(w->b, slice_of(op_domain_of(op)));
	put_text(w->b, slice_of(op->name));
	put_text(w->b, slice_of(n->name));
	put_indices(w->b, n->in, n->n_in);
	put_indices(w->b, n->out, n->n_out);
	put_u32(w->b, (uint32_t)n->n_attr);
	for (int32_t i = 0; i < n->n_attr; i++)
		put_attr(w, &n->attr[i]);
}

static void put_graph(struct writer *w, const struct graph *g)
{
	struct buf *b = w->b;
	put_text(b, slice_of(g->name ? g->name : ""));
	put_u32(b, (uint32_t)g->n_value);
	for (int32_t i = 0; i < g->n_value; i++) {
		const struct gvalue *v = &g->value[i];
		put_text(b, slice_of(v->name));
		put_type(b, &v->type);
		put_shape(b, &v->shape);
		put_u32(b, v->constant ? (uint32_t)++w->tensor : 0);
	}
	put_indices(b, g->input, g->n_input);
	put_indices(b, g->output, g->n_output);
	put_indices(b, g->capture, g->n_capture);
	put_u32(b, (uint32_t)g->n_node);
	for (int32_t i = 0; i < g->n_node; i++)
		put_node(w, &g->node[i]);
}

void native_put_graph(struct buf *b, const struct native_model *m, const struct native_tensors *t)
{
	struct writer w = {.b = b};
	put_u32(b, (uint32_t)m->n_prop);
	for (int i = 0; i < m->n_prop; i++) {
		put_text(b, slice_of(m->prop[i].key));
		put_text(b, slice_of(m->prop[i].value));
	}
	put_u32(b, (uint32_t)m->graph->n_symbol);
	for (int32_t i = 0; i < m->graph->n_symbol; i++)
		put_text(b, slice_of(m->graph->symbol[i]));
	put_tensors(b, t);
	put_graph(&w, m->graph);
}
