/* SPDX-License-Identifier: Apache-2.0 */
#include "support/onnx_text.h"

#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* Where lines go to: the model's graph, or a body or function that is open. */
struct writer {
	struct arena *arena;
	Onnx__ModelProto *model;
	Onnx__GraphProto *graph, *body[16];
	Onnx__FunctionProto *function;
	int n_body;
};

/* Appends to a protobuf-c list, which has its count beside it. */
#define APPEND(w, list, n, item) \
	do { \
		void *p_ = arena_calloc((w)->arena, (n) + 1, sizeof(*(list))); \
		ck_assert_ptr_nonnull(p_); \
		if (n) \
			memcpy(p_, (list), (n) * sizeof(*(list))); \
		(list) = p_; \
		(list)[(n)++] = (item); \
	} while (0)

#define MAKE(w, ret, type, prefix) \
	type *ret = ARENA_NEW((w)->arena, type); \
	ck_assert_ptr_nonnull(ret); \
	prefix##__init(ret)

/* Cuts the next word off; strings in quotes and lists in brackets are one word. */
static char *word(char **line)
{
	char *p = *line + strspn(*line, " \t"), *start = p;
	if (!*p)
		return NULL;
	for (char close = 0; *p && (close || (*p != ' ' && *p != '\t')); p++) {
		if (close)
			close = *p == close ? 0 : close;
		else if (*p == '"' || *p == '[')
			close = *p == '"' ? '"' : ']';
	}
	*line = *p ? p + 1 : p;
	*p = 0;
	return start;
}

static char *need(char **line)
{
	char *w = word(line);
	ck_assert_msg(w, "a word is missing");
	return w;
}

/* The next element of "a,b,c"; NULL at the end. "_" is "". */
static char *element(char **list)
{
	if (!*list)
		return NULL;
	char *start = *list, *comma = strchr(start, ',');
	if (comma)
		*comma = 0;
	*list = comma ? comma + 1 : NULL;
	return strcmp(start, "_") == 0 ? (char *)"" : start;
}

/* "[a,b]" without its brackets; NULL when empty. */
static char *unbracket(char *s)
{
	size_t len = strlen(s);
	ck_assert_msg(len >= 2 && s[0] == '[' && s[len - 1] == ']', "'%s' is no list", s);
	s[len - 1] = 0;
	return s[1] ? s + 1 : NULL;
}

static bool is_number(const char *s)
{
	char *end;
	strtod(s, &end);
	return *s && !*end;
}

/* -- types and tensors ----------------------------------------------------------------------- */

static int dtype_named(const char *name)
{
	enum dtype d = dtype_find(slice_of(name));
	ck_assert_msg(d != DTYPE_UNDEFINED, "no type '%s'", name);
	return (int)d;
}

static Onnx__ValueInfoProto *value_info(struct writer *w, char *line)
{
	MAKE(w, v, Onnx__ValueInfoProto, onnx__value_info_proto);
	MAKE(w, type, Onnx__TypeProto, onnx__type_proto);
	MAKE(w, tensor, Onnx__TypeProto__Tensor, onnx__type_proto__tensor);
	v->name = need(&line);
	char *dtype = word(&line), *dims = word(&line);
	v->type = type;
	type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	type->tensor_type = tensor;
	tensor->has_elem_type = 1;
	tensor->elem_type = dtype ? dtype_named(dtype) : DTYPE_F32;
	if (!dims)
		return v;
	MAKE(w, shape, Onnx__TensorShapeProto, onnx__tensor_shape_proto);
	tensor->shape = shape;
	dims = unbracket(dims);
	for (char *d; (d = element(&dims));) {
		MAKE(w, dim, Onnx__TensorShapeProto__Dimension,
			onnx__tensor_shape_proto__dimension);
		if (is_number(d)) {
			dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
			dim->dim_value = strtoll(d, NULL, 10);
		} else if (strcmp(d, "?") != 0) {
			dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
			dim->dim_param = d;
		}
		APPEND(w, shape->dim, shape->n_dim, dim);
	}
	return v;
}

static Onnx__TensorProto *tensor(struct writer *w, char *line)
{
	MAKE(w, t, Onnx__TensorProto, onnx__tensor_proto);
	t->name = need(&line);
	t->has_data_type = 1;
	t->data_type = dtype_named(need(&line));
	char *dims = unbracket(need(&line)), *v;
	for (char *d; (d = element(&dims));)
		APPEND(w, t->dims, t->n_dims, strtoll(d, NULL, 10));
	while ((v = word(&line))) {
		ProtobufCBinaryData bytes = { strlen(v), (uint8_t *)v };
		switch (t->data_type) {
		case DTYPE_F32: APPEND(w, t->float_data, t->n_float_data, strtof(v, NULL)); break;
		case DTYPE_F64: APPEND(w, t->double_data, t->n_double_data, strtod(v, NULL)); break;
		case DTYPE_I64:
			APPEND(w, t->int64_data, t->n_int64_data, strtoll(v, NULL, 0));
			break;
		case DTYPE_U32:
		case DTYPE_U64:
			APPEND(w, t->uint64_data, t->n_uint64_data, strtoull(v, NULL, 0));
			break;
		case DTYPE_STRING: APPEND(w, t->string_data, t->n_string_data, bytes); break;
		default: APPEND(w, t->int32_data, t->n_int32_data, (int32_t)strtol(v, NULL, 0));
		}
	}
	return t;
}

/* -- attributes and nodes -------------------------------------------------------------------- */

static Onnx__GraphProto *find_body(const struct writer *w, const char *name)
{
	for (int i = 0; i < w->n_body; i++)
		if (strcmp(w->body[i]->name, name) == 0)
			return w->body[i];
	ck_abort_msg("no body '%s'", name);
}

static Onnx__TensorProto *find_init(const struct writer *w, const char *name)
{
	for (size_t i = 0; i < w->graph->n_initializer; i++)
		if (strcmp(w->graph->initializer[i]->name, name) == 0)
			return w->graph->initializer[i];
	ck_abort_msg("no initializer '%s'", name);
}

#define A(id) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##id

static void list_value(struct writer *w, Onnx__AttributeProto *a, char *text)
{
	bool floats = strchr(text, '.'), words = isalpha((unsigned char)text[1]);
	text = unbracket(text);
	a->type = words ? A(STRINGS) : floats ? A(FLOATS) : A(INTS);
	for (char *e; (e = element(&text));) {
		if (words)
			APPEND(w, a->strings, a->n_strings,
				((ProtobufCBinaryData){ strlen(e), (uint8_t *)e }));
		else if (floats)
			APPEND(w, a->floats, a->n_floats, strtof(e, NULL));
		else
			APPEND(w, a->ints, a->n_ints, strtoll(e, NULL, 10));
	}
}

static Onnx__AttributeProto *attribute(struct writer *w, char *text)
{
	MAKE(w, a, Onnx__AttributeProto, onnx__attribute_proto);
	char *v = strchr(text, '=');
	ck_assert_msg(v, "'%s' is no attribute", text);
	*v++ = 0;
	a->name = text;
	a->has_type = 1;
	if (*v == '@') {
		a->type = A(GRAPH);
		a->g = find_body(w, v + 1);
	} else if (*v == '$') {
		a->type = A(TENSOR);
		a->t = find_init(w, v + 1);
	} else if (*v == '&') {
		a->ref_attr_name = v + 1;
		a->type = A(INT);
	} else if (*v == '[') {
		list_value(w, a, v);
	} else if (*v == '"') {
		a->type = A(STRING);
		a->has_s = 1;
		a->s = (ProtobufCBinaryData){ strlen(v) - 2, (uint8_t *)v + 1 };
	} else if (strchr(v, '.')) {
		a->type = A(FLOAT);
		a->has_f = 1;
		a->f = strtof(v, NULL);
	} else {
		a->type = A(INT);
		a->has_i = 1;
		a->i = strtoll(v, NULL, 0);
	}
	return a;
}

static void names(struct writer *w, char *list, char ***ret, size_t *n)
{
	if (strcmp(list, "-") == 0)
		return;
	for (char *e; (e = element(&list));)
		APPEND(w, *ret, *n, e);
}

static void arrow(char **line)
{
	ck_assert_str_eq(need(line), "->");
}

static Onnx__NodeProto *node(struct writer *w, char *line)
{
	MAKE(w, n, Onnx__NodeProto, onnx__node_proto);
	n->op_type = need(&line);
	char *colon = strchr(n->op_type, ':');
	if (colon) {
		*colon = 0;
		n->domain = n->op_type;
		n->op_type = colon + 1;
	}
	names(w, need(&line), &n->input, &n->n_input);
	arrow(&line);
	names(w, need(&line), &n->output, &n->n_output);
	for (char *a; (a = word(&line));)
		APPEND(w, n->attribute, n->n_attribute, attribute(w, a));
	return n;
}

static void function(struct writer *w, char *line)
{
	MAKE(w, f, Onnx__FunctionProto, onnx__function_proto);
	f->domain = need(&line);
	f->name = need(&line);
	names(w, need(&line), &f->input, &f->n_input);
	arrow(&line);
	names(w, need(&line), &f->output, &f->n_output);
	for (char *a; (a = word(&line));) {
		if (strchr(a, '='))
			APPEND(w, f->attribute_proto, f->n_attribute_proto, attribute(w, a));
		else
			APPEND(w, f->attribute, f->n_attribute, a);
	}
	APPEND(w, w->model->functions, w->model->n_functions, f);
	w->function = f;
}

/* -- lines ----------------------------------------------------------------------------------- */

static void opset(struct writer *w, char *line)
{
	MAKE(w, o, Onnx__OperatorSetIdProto, onnx__operator_set_id_proto);
	char *first = need(&line), *second = word(&line);
	o->domain = second ? first : (char *)"";
	o->has_version = 1;
	o->version = strtoll(second ? second : first, NULL, 10);
	if (w->function)
		APPEND(w, w->function->opset_import, w->function->n_opset_import, o);
	else
		APPEND(w, w->model->opset_import, w->model->n_opset_import, o);
}

static void meta(struct writer *w, char *line)
{
	MAKE(w, e, Onnx__StringStringEntryProto, onnx__string_string_entry_proto);
	e->key = need(&line);
	e->value = need(&line);
	APPEND(w, w->model->metadata_props, w->model->n_metadata_props, e);
}

static void add_line(struct writer *w, char *line)
{
	char *what = word(&line);
	Onnx__GraphProto *g = w->graph;
	if (!what)
		return;
	if (strcmp(what, "ir") == 0)
		w->model->ir_version = strtoll(need(&line), NULL, 10);
	else if (strcmp(what, "opset") == 0)
		opset(w, line);
	else if (strcmp(what, "meta") == 0)
		meta(w, line);
	else if (strcmp(what, "in") == 0)
		APPEND(w, g->input, g->n_input, value_info(w, line));
	else if (strcmp(what, "out") == 0)
		APPEND(w, g->output, g->n_output, value_info(w, line));
	else if (strcmp(what, "init") == 0)
		APPEND(w, g->initializer, g->n_initializer, tensor(w, line));
	else if (strcmp(what, "node") == 0 && w->function)
		APPEND(w, w->function->node, w->function->n_node, node(w, line));
	else if (strcmp(what, "node") == 0)
		APPEND(w, g->node, g->n_node, node(w, line));
	else if (strcmp(what, "function") == 0)
		function(w, line);
	else if (strcmp(what, "body") == 0) {
		MAKE(w, b, Onnx__GraphProto, onnx__graph_proto);
		b->name = need(&line);
		w->body[w->n_body++] = w->graph = b;
	} else if (strcmp(what, "end") == 0) {
		w->function = NULL;
		w->graph = w->model->graph;
	} else {
		ck_abort_msg("no such line: %s", what);
	}
}

Onnx__ModelProto *onnx_text_model(struct arena *a, const char *text)
{
	struct writer w = { .arena = a };
	MAKE(&w, m, Onnx__ModelProto, onnx__model_proto);
	MAKE(&w, g, Onnx__GraphProto, onnx__graph_proto);
	w.model = m;
	w.graph = m->graph = g;
	g->name = (char *)"g";
	m->has_ir_version = 1;
	m->ir_version = 8;
	for (char *line = arena_strdup(a, text), *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		add_line(&w, line);
	}
	return m;
}

struct slice onnx_text_pack(struct arena *a, const ProtobufCMessage *m)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *bytes = arena_alloc(a, len + 1);
	ck_assert_ptr_nonnull(bytes);
	protobuf_c_message_pack(m, bytes);
	return (struct slice){ (char *)bytes, len };
}

/* -- a graph as text -------------------------------------------------------------------------- */

struct shower {
	const struct graph *g;
	FILE *to;
	int32_t *number; /* of nameless values */
	int32_t n;
};

static void show_constant(struct shower *s, const struct tensor *t)
{
	int64_t n = tensor_count(t);
	fputs(t->shape.rank ? "{" : "", s->to);
	for (int64_t i = 0; i < n; i++)
		fprintf(s->to, i ? ",%.9g" : "%.9g", tensor_float(t, i));
	fputs(t->shape.rank ? "}" : "", s->to);
}

static void show_value(struct shower *s, int32_t v)
{
	const struct gvalue *g = v == VALUE_NONE ? NULL : &s->g->value[v];
	if (!g)
		fputs("_", s->to);
	else if (g->name[0])
		fputs(g->name, s->to);
	else if (g->constant)
		show_constant(s, g->constant);
	else {
		if (s->number[v] < 0)
			s->number[v] = s->n++;
		fprintf(s->to, "%%%d", s->number[v]);
	}
}

static void show_attr(struct shower *s, const struct attr *a)
{
	fprintf(s->to, " %s=", a->name);
	switch (a->kind) {
	case ATTR_INT: fprintf(s->to, "%lld", (long long)a->i); break;
	case ATTR_FLOAT: fprintf(s->to, "%g", (double)a->f); break;
	case ATTR_STRING: fprintf(s->to, "%.*s", SLICE_ARG(a->s)); break;
	case ATTR_TENSOR: show_constant(s, a->t); break;
	case ATTR_GRAPH: fprintf(s->to, "@%s", a->g->name); break;
	case ATTR_INTS:
		for (int i = 0; i < a->n; i++)
			fprintf(s->to, i ? ",%lld" : "%lld", (long long)a->ints[i]);
		break;
	case ATTR_STRINGS:
		for (int i = 0; i < a->n; i++)
			fprintf(s->to, i ? ",%.*s" : "%.*s", SLICE_ARG(a->strings[i]));
		break;
	default: fputs("...", s->to);
	}
}

const char *onnx_text_graph(struct arena *a, const struct graph *g)
{
	char *text = NULL;
	size_t size = 0;
	struct shower s = { .g = g, .to = open_memstream(&text, &size) };
	s.number = ARENA_ARRAY(a, int32_t, (size_t)g->n_value + 1);
	ck_assert(s.to && s.number);
	for (int32_t i = 0; i < g->n_value; i++)
		s.number[i] = -1;
	for (int32_t i = 0; i < g->n_node; i++) {
		const struct node *n = &g->node[i];
		fprintf(s.to, "%s(", op_info(n->op)->name);
		for (int32_t k = 0; k < n->n_in; k++) {
			fputs(k ? ", " : "", s.to);
			show_value(&s, n->in[k]);
		}
		fputs(")", s.to);
		for (int32_t k = 0; k < n->n_attr; k++)
			show_attr(&s, &n->attr[k]);
		for (int32_t k = 0; k < n->n_out; k++) {
			fputs(k ? ", " : " -> ", s.to);
			show_value(&s, n->out[k]);
		}
		fputs("\n", s.to);
	}
	fclose(s.to);
	char *kept = arena_strdup(a, text);
	free(text);
	return kept;
}
