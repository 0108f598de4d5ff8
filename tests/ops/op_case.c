/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "exec/fused.h"
#include "exec/infer/infer.h"
#include "support/models.h"
#include "support/tensors.h"

/* What all movers move: one type of each size and kind. */
#define T_MOVED \
	(T(F32) | T(U8) | T(F16) | T(I64) | T(STRING) | T(C128) | T(BOOL) | T(I4) | T(F8E5M2))
#define T_FULL (T_INT | T_UINT | T_REAL)
#define T_WIDE (T_REAL | T(I32) | T(I64) | T(U32) | T(U64))

const struct op_case op_cases[] = {
#define OP_CASE(op, types, in, attrs, want, rtol) \
	{ OP_##op, types, in, attrs, want, rtol, __FILE__, __LINE__ },
#include "ops/op_cases.def"
#undef OP_CASE
};
const int op_cases_count = sizeof(op_cases) / sizeof(op_cases[0]);

/* An operand while it is read. */
struct op_operand {
	struct tensor t;
	enum dtype dtype, map_key; /* of a sequence's elements; of a map */
	bool known, is_optional;
};

static void die(const struct op_case *c, const char *what, const char *at)
{
	fprintf(stderr, "%s:%d: %s: '%s'\n", c->file, c->line, what, at);
	abort();
}

static enum dtype short_type(const struct op_case *c, const char *s, size_t len)
{
	static const struct {
		const char *name;
		enum dtype dtype;
	} names[] = { { "i64", DTYPE_I64 }, { "i32", DTYPE_I32 }, { "f32", DTYPE_F32 },
		{ "f64", DTYPE_F64 }, { "bool", DTYPE_BOOL }, { "u8", DTYPE_U8 },
		{ "i8", DTYPE_I8 }, { "str", DTYPE_STRING }, { "f16", DTYPE_F16 },
		{ "bf16", DTYPE_BF16 }, { "f8", DTYPE_F8E4M3FN }, { "i4", DTYPE_I4 } };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i].name) == len && memcmp(names[i].name, s, len) == 0)
			return names[i].dtype;
	die(c, "no such type", s);
	return DTYPE_UNDEFINED;
}

/* 'text', without escapes; it stands in the case, which outlives all. */
static const char *parse_string(const struct op_case *c, const char *s, struct slice *ret)
{
	size_t n = strcspn(s + 1, "'");
	if (*s != '\'' || s[n + 1] != '\'')
		die(c, "no string", s);
	*ret = (struct slice){ s + 1, n };
	return s + n + 2;
}

static const char *parse_values(const struct op_case *c, const char *s, struct tensor *t)
{
	for (int64_t i = 0; i < tensor_count(t); i++) {
		if (*s == '\'') {
			s = parse_string(c, s, (struct slice *)t->data + i);
			s += *s == ',';
			continue;
		}
		char *end;
		double v = strtod(s, &end);
		if (end == s)
			die(c, "too few values", s);
		tensors_set(t, i, v);
		s = end + (*end == ',');
	}
	return s;
}

/* A tensor from *s on; moves *s behind it. */
static struct tensor parse_tensor(
	const struct op_case *c, enum dtype dtype, const char **s, uint32_t seed, bool *ret_known)
{
	const char *p = *s;
	size_t word = strcspn(p, " :=~;}>");
	struct shape shape = SHAPE_SCALAR;
	struct tensor t;
	if (p[word] == ':') {
		dtype = short_type(c, p, word);
		p += word + 1;
	}
	if (*p == 's')
		p++;
	else
		for (; *p >= '0' && *p <= '9'; p += *p == 'x')
			shape.dim[shape.rank++] = strtol(p, (char **)&p, 10);
	t = tensors_new(dtype, shape);
	tensors_fill(&t, TENSORS_ANY, seed);
	if (*p == '=') {
		p = parse_values(c, p + 1, &t);
		*ret_known = true;
	}
	if (*p == '~') {
		tensors_fill(&t, p[1] == 'p' ? TENSORS_POSITIVE
				 : p[1] == 's' ? TENSORS_SPECIAL
					       : TENSORS_ANY,
			seed);
		*ret_known = p[1] == 'w';
		p += 2;
	}
	*s = p;
	return t;
}

/* <keys;values> */
static struct tensor
parse_map(const struct op_case *c, enum dtype dtype, const char **s, uint32_t seed)
{
	bool known;
	struct tensor t = tensors_new(DTYPE_TENSOR, shape_of(2)), *pair = t.data;
	++*s;
	pair[0] = parse_tensor(c, dtype, s, seed, &known);
	if (*(*s)++ != ';')
		die(c, "a map has keys and values", *s);
	pair[1] = parse_tensor(c, dtype, s, seed + 1, &known);
	if (*(*s)++ != '>')
		die(c, "a map does not end here", *s);
	return t;
}

/* {a;b;c} */
static struct tensor
parse_sequence(const struct op_case *c, enum dtype dtype, const char **s, uint32_t seed)
{
	struct tensor item[16], t;
	bool known;
	int n = 0;
	for (++*s; **s != '}'; *s += **s == ';', n++)
		item[n] = **s == '<' ? parse_map(c, dtype, s, seed)
				     : parse_tensor(c, dtype, s, seed * 16 + (uint32_t)n, &known);
	++*s;
	t = tensors_new(DTYPE_TENSOR, shape_of(n));
	memcpy(t.data, item, (size_t)n * sizeof(*item));
	return t;
}

/* One operand from *s on; moves *s behind it and its spaces. */
static struct op_operand
parse_operand(const struct op_case *c, enum dtype dtype, const char **s, uint32_t seed)
{
	struct op_operand o = { .t = tensor_absent(), .dtype = dtype };
	o.is_optional = **s == '?';
	*s += o.is_optional;
	if (**s == '-')
		++*s;
	else if (**s == '{')
		o.t = parse_sequence(c, dtype, s, seed);
	else if (**s == '<') {
		o.t = parse_map(c, dtype, s, seed);
		o.map_key = ((const struct tensor *)o.t.data)[0].dtype;
		o.dtype = ((const struct tensor *)o.t.data)[1].dtype;
	} else
		o.t = parse_tensor(c, dtype, s, seed, &o.known);
	if (**s != ' ' && **s != '\0')
		die(c, "an operand does not end here", *s);
	*s += strspn(*s, " ");
	if (o.t.data && o.t.dtype != DTYPE_TENSOR)
		o.dtype = o.t.dtype;
	return o;
}

static const char *add_strings(struct graph *g, const char *name, const char *s)
{
	struct slice list[32];
	int n = 0;
	for (s++; *s != ']'; s += *s == ',') {
		size_t len = strcspn(s + 1, "'");
		list[n++] = (struct slice){ arena_strndup(g->arena, s + 1, len), len };
		s += len + 2;
	}
	model_attr_strings(g, name, n, list);
	return s + 1;
}

static const char *add_numbers(struct graph *g, const char *name, const char *s)
{
	int64_t ints[32];
	float floats[32];
	int n = 0;
	bool real = false;
	for (s++; *s != ']'; s += *s == ',') {
		double v = strtod(s, (char **)&s);
		ints[n] = (int64_t)v;
		floats[n++] = (float)v;
		real |= *s == 'f';
		s += *s == 'f';
	}
	if (real)
		model_attr_floats(g, name, n, floats);
	else
		model_attr_ints(g, name, n, ints);
	return s + 1;
}

static const char *add_list(struct graph *g, const char *name, const char *s)
{
	return s[1] == '\'' ? add_strings(g, name, s) : add_numbers(g, name, s);
}

static const char *add_string(struct graph *g, const char *name, const char *s)
{
	size_t n = strcspn(s + 1, "'");
	model_attr_string(g, name, arena_strndup(g->arena, s + 1, n));
	return s + n + 2;
}

/* "Mul 0 1; Relu 2": operators of the node's inputs, and of what came of those before. */
static const char *add_body(struct op_node *n, const char *s)
{
	struct graph *body = model_body(n->graph, "fused");
	struct err err;
	for (int i = 0; i < n->n_in; i++)
		model_input(body, "", n->in[i].dtype, n->in[i].shape);
	for (s++; *s != '\''; s += strspn(s, "; ")) {
		size_t len = strcspn(s, " ");
		int32_t in[FUSED_INPUTS_MAX], last;
		int n_in = 0;
		enum op_id op = op_find(slice_of(""), (struct slice){ s, len });
		for (s += len; *s == ' '; n_in++)
			in[n_in] = (int32_t)strtol(s, (char **)&s, 10);
		last = model_node(body, op, 1, n_in, in);
		body->n_output = 0; /* the last one's is the result */
		model_output(body, last);
	}
	if (infer_graph(body, &err) != ERR_OK)
		die(n->c, err.msg, s);
	model_attr_graph(n->graph, "body", body);
	return s + 1;
}

static const char *add_number(struct graph *g, const char *name, const char *s)
{
	char *end;
	double v = strtod(s, &end);
	if (*end == 'f')
		model_attr_float(g, name, (float)v);
	else
		model_attr_int(g, name, (int64_t)v);
	return end + (*end == 'f');
}

/* @f32:3=1,2,3 */
static const char *add_tensor(struct op_node *n, const char *name, const char *s)
{
	bool known;
	s++;
	struct tensor t = parse_tensor(n->c, n->dtype, &s, 1, &known);
	struct tensor *kept = graph_new_tensor(n->graph, t.dtype, &t.shape);
	if (!kept || t.dtype == DTYPE_STRING)
		die(n->c, "no such attribute", s);
	memcpy(kept->data, t.data, tensor_bytes(&t));
	model_attr_tensor(n->graph, name, kept);
	tensors_free(&t);
	return s;
}

static void add_attrs(struct op_node *n)
{
	for (const char *s = n->c->attrs; *s; s += strspn(s, " ")) {
		size_t len = strcspn(s, "=");
		const char *name = arena_strndup(n->graph->arena, s, len);
		s += len + 1;
		s = n->c->op == OP_FUSED_ELEMENTWISE ? add_body(n, s)
		    : *s == '[' ? add_list(n->graph, name, s)
		    : *s == '\'' ? add_string(n->graph, name, s)
		    : *s == '@'	 ? add_tensor(n, name, s)
				 : add_number(n->graph, name, s);
	}
	/* Cast says its type by number: "to" of the case's wanted output. */
	if (n->c->op == OP_CAST)
		model_attr_int(n->graph, "to", n->want[0].dtype);
}

static bool infer_outputs(struct op_node *n)
{
	struct ivalue in[OP_CASE_IO_MAX], out[OP_CASE_IO_MAX] = { 0 };
	const struct ivalue *present[OP_CASE_IO_MAX] = { NULL };
	struct err err;
	for (int i = 0; i < n->n_in; i++) {
		in[i] = (struct ivalue){ .type = n->type[i], .shape = n->in[i].shape,
			.data = n->known[i] ? &n->in[i] : NULL };
		if (!type_is_tensor(&n->type[i]))
			in[i].shape = SHAPE_UNKNOWN;
		present[i] = n->in[i].data || n->type[i].is_optional ? &in[i] : NULL;
	}
	bool variadic = op_info(n->c->op)->in_max == ARITY_ANY;
	struct infer x = { .graph = n->graph, .node = n->node,
		.n_in = variadic ? n->n_in : OP_CASE_IO_MAX, .n_out = n->n_out, .in = present,
		.out = out };
	if (infer_node(&x, &err) != ERR_OK)
		return false;
	for (int i = 0; i < n->n_out; i++) {
		bool dynamic = op_info(n->c->op)->flags & OP_DATA_DEPENDENT ||
			       !type_is_tensor(&out[i].type);
		if (!shape_is_static(&out[i].shape) && !dynamic)
			die(n->c, "an output has no shape", n->c->in);
		n->out[i] = (struct tensor){ .dtype = type_carrier(&out[i].type),
			.shape = out[i].shape };
	}
	return true;
}

bool op_node_init(struct op_node *n, const struct op_case *c, enum dtype dtype)
{
	int32_t value[OP_CASE_IO_MAX];
	*n = (struct op_node){ .c = c, .dtype = dtype, .graph = model_new() };
	for (const char *s = c->in; *s; n->n_in++) {
		struct op_operand o =
			parse_operand(c, dtype, &s, (uint32_t)(c->line * 8 + n->n_in));
		n->in[n->n_in] = o.t;
		n->known[n->n_in] = o.known;
		n->type[n->n_in] = (struct type){ .dtype = o.dtype, .is_optional = o.is_optional,
			.map_key = o.map_key,
			.is_sequence = o.t.data && o.t.dtype == DTYPE_TENSOR && !o.map_key };
		value[n->n_in] = o.t.data || o.is_optional
					 ? model_input(n->graph, "", o.t.dtype, o.t.shape)
					 : VALUE_NONE;
	}
	int n_want = 0;
	for (const char *s = c->want ? c->want : ""; *s; n_want++)
		n->want[n_want] = parse_operand(c, dtype, &s, 0).t;
	int least = op_info(c->op)->out_min;
	n->n_out = n_want ? n_want : least ? least : 1;
	int32_t first = model_node(n->graph, c->op, n->n_out, n->n_in, value);
	n->node = &n->graph->node[n->graph->value[first].producer];
	add_attrs(n);
	return infer_outputs(n);
}

void op_node_done(struct op_node *n)
{
	for (int i = 0; i < OP_CASE_IO_MAX; i++) {
		tensors_free(&n->in[i]);
		tensors_free(&n->want[i]);
	}
	model_free(n->graph);
}

const char *op_node_text(const struct op_node *n)
{
	static char text[256];
	snprintf(text, sizeof(text), "%s:%d: %s %s (%s) %s", n->c->file, n->c->line,
		op_info(n->c->op)->name, dtype_name(n->dtype), n->c->in, n->c->attrs);
	return text;
}
