/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native_take.c -- the graph section of a native file, read; native_put.c says what is in it
 *
 * Bytes of strangers, though checksums hold: every count is bounded by the bytes that are
 * left, every index and offset is checked here or by graph_check(), which comes next.
 */
#include <string.h>
#include "base/cursor.h"
#include "loader/native/native.h"
#include "loader/native/native_format.h"

#define TEXT_MAX (1u << 20)
#define PROPS_MAX 65536

struct reader {
	struct cursor c;
	const struct native_weights *weights;
	struct arena *arena;
	struct native_tensors *tensors;
	int64_t tensor; /* the next one of an attribute or value */
	int depth;
	int64_t n_symbol;
	struct err *err;
};

static enum err_code damaged(const struct reader *r, const char *what)
{
	return err_set(r->err, ERR_INVALID_ARGUMENT, "the graph is damaged: %s", what);
}

/* A count of things that take least bytes each at the least. */
static uint32_t take_count(struct reader *r, size_t least)
{
	uint32_t n = cursor_u32(&r->c);
	if (n > cursor_left(&r->c) / least || n > INT32_MAX) {
		r->c.failed = true;
		return 0;
	}
	return n;
}

/* NUL terminated, without one inside. NULL: failed. */
static const char *take_text(struct reader *r)
{
	uint32_t len = cursor_u32(&r->c);
	struct slice s = cursor_slice(&r->c, len);
	const char *copy = NULL;
	if (!r->c.failed && len <= TEXT_MAX && !(len && memchr(s.ptr, '\0', len)))
		copy = arena_strndup(r->arena, len ? s.ptr : "", len);
	if (!copy)
		r->c.failed = true;
	return copy;
}

static struct slice take_bytes(struct reader *r)
{
	uint32_t len = cursor_u32(&r->c);
	struct slice s = cursor_slice(&r->c, len);
	char *copy = r->c.failed ? NULL : arena_strndup(r->arena, len ? s.ptr : "", len);
	if (!copy)
		r->c.failed = true;
	return (struct slice){copy ? copy : "", copy ? len : 0};
}

static struct shape take_shape(struct reader *r)
{
	struct shape s = {.rank = (int32_t)cursor_u32(&r->c)};
	if (s.rank < RANK_UNKNOWN || s.rank > RANK_MAX) {
		r->c.failed = true;
		return SHAPE_UNKNOWN;
	}
	for (int i = 0; i < s.rank; i++) {
		s.dim[i] = (int64_t)cursor_u64(&r->c);
		r->c.failed |= s.dim[i] < DIM_UNKNOWN && DIM_SYMBOL_INDEX(s.dim[i]) >= r->n_symbol;
	}
	return s;
}

static enum dtype take_dtype(struct reader *r)
{
	uint8_t n = cursor_u8(&r->c);
	if (n >= DTYPE_COUNT_)
		r->c.failed = true;
	return n < DTYPE_COUNT_ ? (enum dtype)n : DTYPE_UNDEFINED;
}

static struct type take_type(struct reader *r)
{
	struct type t = {.dtype = take_dtype(r), .map_key = take_dtype(r)};
	uint8_t flags = cursor_u8(&r->c);
	t.is_sequence = flags & 1;
	t.is_optional = flags >> 1 & 1;
	if (flags > 3)
		r->c.failed = true;
	return t;
}

static int32_t *take_indices(struct reader *r, int32_t *ret_n)
{
	uint32_t n = take_count(r, sizeof(int32_t));
	const void *from = cursor_take(&r->c, n * sizeof(int32_t));
	int32_t *to = from ? ARENA_ARRAY(r->arena, int32_t, n + 1) : NULL;
	*ret_n = to ? (int32_t)n : 0;
	if (!to)
		r->c.failed = true;
	else
		memcpy(to, from, n * sizeof(int32_t));
	return to;
}

static enum err_code take_strings(struct reader *r, struct tensor *t)
{
	int64_t n;
	if (shape_count_overflows(&t->shape, &n) ||
		(uint64_t)n > cursor_left(&r->c) / sizeof(uint32_t))
		return damaged(r, "a tensor has more strings than there are bytes");
	struct slice *s = ARENA_ARRAY(r->arena, struct slice, (size_t)n + 1);
	if (!s)
		return err_oom(r->err);
	for (int64_t i = 0; i < n; i++)
		s[i] = take_bytes(r);
	t->data = s;
	return ERR_OK;
}

const char *native_weight(const struct native_weights *w, uint64_t offset, uint64_t bytes)
{
	const struct slice *s = offset & NATIVE_IN_SOURCES ? &w->sources : &w->weights;
	uint64_t at = offset & ~NATIVE_IN_SOURCES;
	return at <= s->len && bytes <= s->len - at ? s->ptr + at : NULL;
}

static enum err_code take_tensor(struct reader *r, struct native_tensor *row)
{
	struct tensor *t = ARENA_NEW(r->arena, struct tensor);
	size_t bytes;
	if (!t)
		return err_oom(r->err);
	t->dtype = take_dtype(r);
	t->shape = take_shape(r);
	row->t = t;
	if (r->c.failed || t->dtype == DTYPE_UNDEFINED || t->dtype == DTYPE_TENSOR ||
		!shape_is_static(&t->shape))
		return damaged(r, "a tensor's type or shape is none");
	if (t->dtype == DTYPE_STRING)
		return take_strings(r, t);
	row->offset = cursor_u64(&r->c);
	if (tensor_bytes_overflow(t->dtype, &t->shape, &bytes) || row->offset % NATIVE_ALIGN)
		return damaged(r, "a tensor lies outside of the weights");
	t->data = (char *)(uintptr_t)native_weight(r->weights, row->offset, bytes);
	return t->data ? ERR_OK : damaged(r, "a tensor lies outside of the weights");
}

static enum err_code take_tensors(struct reader *r)
{
	uint32_t n = take_count(r, 1 + sizeof(uint32_t));
	struct native_tensor *row = ARENA_ARRAY(r->arena, struct native_tensor, (size_t)n + 1);
	enum err_code rc = row ? ERR_OK : err_oom(r->err);
	for (uint32_t i = 0; i < n && rc == ERR_OK; i++)
		rc = take_tensor(r, &row[i]);
	*r->tensors =
		(struct native_tensors){ row, n, r->weights->weights.len, r->weights->sources.len };
	return rc;
}

/* The next n tensors in the order of their occurrence. */
static const struct tensor *next_tensors(struct reader *r, uint32_t n)
{
	if (n > r->tensors->n - r->tensor) {
		r->c.failed = true;
		return NULL;
	}
	const struct native_tensor *row = &r->tensors->row[r->tensor];
	r->tensor += n;
	if (n == 1)
		return row->t;
	struct tensor *t = ARENA_ARRAY(r->arena, struct tensor, (size_t)n + 1);
	for (uint32_t i = 0; t && i < n; i++)
		t[i] = *row[i].t;
	return t;
}

static enum err_code take_graph(struct reader *r, struct graph *g);

static enum err_code take_body(struct reader *r, struct graph *parent, struct graph **ret)
{
	*ret = graph_new(r->arena, parent, "");
	if (!*ret)
		return err_oom(r->err);
	if (++r->depth > GRAPH_DEPTH_MAX)
		return damaged(r, "bodies are nested too deep");
	enum err_code rc = take_graph(r, *ret);
	r->depth--;
	return rc;
}

static enum err_code take_list(struct reader *r, struct attr *a)
{
	size_t size = a->kind == ATTR_FLOATS ? sizeof(float) : sizeof(int64_t);
	size_t n = (size_t)a->n;
	if (n > cursor_left(&r->c) / (a->kind == ATTR_STRINGS ? sizeof(uint32_t) : size))
		return damaged(r, "an attribute is longer than the file");
	if (a->kind == ATTR_STRINGS) {
		struct slice *s = ARENA_ARRAY(r->arena, struct slice, n + 1);
		for (size_t i = 0; s && i < n; i++)
			s[i] = take_bytes(r);
		a->strings = s;
		return s ? ERR_OK : err_oom(r->err);
	}
	const void *from = cursor_take(&r->c, n * size);
	int64_t *to = ARENA_ARRAY(r->arena, int64_t, n + 1);
	if (!to)
		return err_oom(r->err);
	if (from)
		memcpy(to, from, n * size);
	a->ints = to; /* floats lie in the same union */
	return ERR_OK;
}

static enum err_code take_attr(struct reader *r, struct graph *g, struct attr *a)
{
	a->name = take_text(r);
	uint8_t kind = cursor_u8(&r->c);
	uint32_t n = cursor_u32(&r->c);
	if (r->c.failed || kind > ATTR_TYPE || n > INT32_MAX)
		return damaged(r, "an attribute is of no kind");
	a->kind = (enum attr_kind)kind;
	a->n = (int32_t)n;
	switch (a->kind) {
	case ATTR_INT:
		a->i = (int64_t)cursor_u64(&r->c);
		break;
	case ATTR_FLOAT: {
		uint32_t bits = cursor_u32(&r->c);
		memcpy(&a->f, &bits, sizeof(bits));
		break;
	}
	case ATTR_STRING:
		a->s = take_bytes(r);
		break;
	case ATTR_TENSOR:
	case ATTR_TENSORS:
		a->t = next_tensors(r, a->kind == ATTR_TENSOR ? 1 : n);
		return a->t ? ERR_OK : damaged(r, "an attribute's tensor is missing");
	case ATTR_GRAPH:
		return take_body(r, g, &a->g);
	case ATTR_INTS:
	case ATTR_FLOATS:
	case ATTR_STRINGS:
		return take_list(r, a);
	case ATTR_TYPE: {
		struct type *t = ARENA_NEW(r->arena, struct type);
		if (!t)
			return err_oom(r->err);
		*t = take_type(r);
		a->type = t;
		break;
	}
	}
	return ERR_OK;
}

static enum err_code take_node(struct reader *r, struct graph *g)
{
	int32_t n_in, n_out, at;
	const char *domain = take_text(r), *op_name = take_text(r), *name = take_text(r);
	int32_t *in = take_indices(r, &n_in), *out = take_indices(r, &n_out);
	uint32_t n_attr = take_count(r, 2 * sizeof(uint32_t) + 1);
	if (r->c.failed)
		return damaged(r, "a node ends too early");
	enum op_id op = op_find(slice_of(domain), slice_of(op_name));
	if (op == OP_NONE)
		return err_set(r->err, ERR_UNIMPLEMENTED,
			"node '%.80s': there is no operator %.80s of domain '%.80s'", name, op_name,
			domain);
	enum err_code rc = graph_add_node(g, op, name, n_in, n_out, (int32_t)n_attr, &at, r->err);
	if (rc != ERR_OK)
		return rc;
	memcpy(g->node[at].in, in, (size_t)n_in * sizeof(*in));
	memcpy(g->node[at].out, out, (size_t)n_out * sizeof(*out));
	for (uint32_t i = 0; i < n_attr && rc == ERR_OK; i++)
		rc = take_attr(r, g, &g->node[at].attr[i]);
	for (int32_t i = 0; i < n_out && rc == ERR_OK; i++) {
		if (out[i] < VALUE_NONE || out[i] >= g->n_value)
			return damaged(r, "a node gives a value that there is not");
		if (out[i] != VALUE_NONE)
			g->value[out[i]].producer = at;
	}
	return rc;
}

static enum err_code take_value(struct reader *r, struct graph *g)
{
	int32_t at;
	const char *name = take_text(r);
	struct type type = take_type(r);
	struct shape shape = take_shape(r);
	uint32_t tensor = cursor_u32(&r->c);
	if (r->c.failed || (tensor && tensor != r->tensor + 1))
		return damaged(r, "a value makes no sense");
	enum err_code rc = graph_add_value(g, name, &at, r->err);
	if (rc != ERR_OK)
		return rc;
	g->value[at].type = type;
	g->value[at].shape = shape;
	if (tensor) {
		g->value[at].constant = next_tensors(r, 1);
		if (!g->value[at].constant || !shape_equal(&shape, &g->value[at].constant->shape) ||
			type.dtype != g->value[at].constant->dtype)
			return damaged(r, "a value's tensor is missing or another one");
	}
	return ERR_OK;
}

static enum err_code take_graph(struct reader *r, struct graph *g)
{
	enum err_code rc = ERR_OK;
	g->name = take_text(r);
	if (!g->name)
		return damaged(r, "a graph has no name");
	uint32_t n = take_count(r, 3 * sizeof(uint32_t) + 3);
	for (uint32_t i = 0; i < n && rc == ERR_OK; i++)
		rc = take_value(r, g);
	if (rc != ERR_OK)
		return rc;
	g->input = take_indices(r, &g->n_input);
	g->output = take_indices(r, &g->n_output);
	g->capture = take_indices(r, &g->n_capture);
	n = take_count(r, 6 * sizeof(uint32_t));
	if (r->c.failed)
		return damaged(r, "it ends too early");
	for (uint32_t i = 0; i < n && rc == ERR_OK; i++)
		rc = take_node(r, g);
	return rc;
}

static enum err_code take_props(struct reader *r, struct native_model *m)
{
	uint32_t n = take_count(r, 2 * sizeof(uint32_t));
	struct metadata_prop *prop = ARENA_ARRAY(r->arena, struct metadata_prop, (size_t)n + 1);
	if (!prop)
		return err_oom(r->err);
	for (uint32_t i = 0; i < n; i++) {
		prop[i].key = take_text(r);
		prop[i].value = take_text(r);
	}
	m->prop = prop;
	m->n_prop = (int)n;
	return r->c.failed || n > PROPS_MAX ? damaged(r, "its properties") : ERR_OK;
}

static enum err_code take_symbols(struct reader *r, struct graph *g)
{
	uint32_t n = take_count(r, sizeof(uint32_t));
	for (uint32_t i = 0; i < n; i++) {
		const char *name = take_text(r);
		if (!name || graph_symbol(g, slice_of(name)) != DIM_SYMBOL(i))
			return damaged(r, "a symbol is there twice");
	}
	r->n_symbol = n;
	return r->c.failed ? damaged(r, "its symbols") : ERR_OK;
}

enum err_code native_take_graph(struct slice bytes, const struct native_weights *weights,
	struct arena *arena, struct native_model *ret, struct native_tensors *ret_tensors,
	struct err *err)
{
	struct reader r = {.c = cursor_of(bytes.ptr, bytes.len),
		.weights = weights,
		.arena = arena,
		.tensors = ret_tensors,
		.err = err};
	ret->graph = graph_new(arena, NULL, "");
	if (!ret->graph)
		return err_oom(err);
	enum err_code rc = take_props(&r, ret);
	if (rc == ERR_OK)
		rc = take_symbols(&r, ret->graph);
	if (rc == ERR_OK)
		rc = take_tensors(&r);
	if (rc == ERR_OK)
		rc = take_graph(&r, ret->graph);
	if (rc == ERR_OK && (r.c.failed || cursor_left(&r.c)))
		rc = damaged(&r, "there is more, or less, than it says");
	return rc;
}
