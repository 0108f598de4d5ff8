/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_node.c -- a NodeProto becomes a node, several, a constant, or a call inlined
 */
#include "loader/onnx/onnx_reader.h"


#define NODE_ATTRS_MAX 256

/* A node while it is being read. */
struct reading {
	struct onnx_scope *scope;
	const Onnx__NodeProto *proto;
	struct lower draft;
	int32_t **captured; /* per attribute; NULL: it is no graph */
};

static const char *op_type(const Onnx__NodeProto *p)
{
	return p->op_type ? p->op_type : "";
}

static const char *domain_name(const Onnx__NodeProto *p)
{
	return p->domain && p->domain[0] ? p->domain : op_domain_name(DOMAIN_ONNX);
}

/* Puts the node in front of the message. */
static enum err_code blame(const Onnx__NodeProto *p, struct err *err)
{
	return err_prefix(err, "node '%.80s' (%.80s)", p->name ? p->name : "", op_type(p));
}

/* -- what stands in the proto ---------------------------------------------------------------- */

static enum err_code check_proto(const Onnx__NodeProto *p, struct err *err)
{
	enum err_code rc = onnx_check_name(p->op_type, "operator", err);
	if (rc == ERR_OK && p->name && p->name[0])
		rc = onnx_check_name(p->name, "node", err);
	if (rc != ERR_OK)
		return rc;
	if (p->n_input > GRAPH_NODE_IO_MAX || p->n_output > GRAPH_NODE_IO_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"has %zu inputs and %zu outputs, at most %d are allowed", p->n_input,
			p->n_output, GRAPH_NODE_IO_MAX);
	if (p->n_output == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "has no outputs");
	if (p->n_attribute > NODE_ATTRS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"has %zu attributes, at most %d are allowed", p->n_attribute,
			NODE_ATTRS_MAX);
	for (size_t i = 0; i < p->n_attribute; i++) {
		rc = onnx_check_name(p->attribute[i]->name, "attribute", err);
		for (size_t k = 0; k < i && rc == ERR_OK; k++)
			if (strcmp(p->attribute[k]->name, p->attribute[i]->name) == 0)
				rc = err_set(err, ERR_INVALID_ARGUMENT,
					"attribute '%.80s' is there twice", p->attribute[i]->name);
		if (rc != ERR_OK)
			return rc;
	}
	return ERR_OK;
}

/* Why a name is not known: nobody makes it, or somebody does later. */
static enum err_code unknown_input(const struct reading *x, Onnx__NodeProto **node, size_t n,
	const char *name, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < node[i]->n_output; k++)
			if (strcmp(node[i]->output[k], name) == 0)
				return err_set(err, ERR_INVALID_ARGUMENT,
					"input '%.120s' is made by %s '%.80s' (%.80s): nodes must "
					"stand in topological order, without cycles",
					name, node[i] == x->proto ? "itself," : "a later node,",
					node[i]->name ? node[i]->name : "", op_type(node[i]));
	return err_set(err, ERR_INVALID_ARGUMENT,
		"input '%.120s' is neither an input, an initializer nor made by a node", name);
}

/* Values by name; an absent optional input is "". */
static enum err_code find_inputs(
	struct reading *x, Onnx__NodeProto **rest, size_t n_rest, struct err *err)
{
	const Onnx__NodeProto *p = x->proto;
	struct lower *d = &x->draft;
	d->in = ARENA_ARRAY(d->scratch, int32_t, p->n_input + LOWER_SPARE);
	if (!d->in)
		return err_oom(err);
	d->n_in = (int32_t)p->n_input;
	for (size_t i = 0; i < p->n_input; i++) {
		d->in[i] = VALUE_NONE;
		if (!p->input[i][0])
			continue;
		enum err_code rc = onnx_check_name(p->input[i], "input", err);
		if (rc == ERR_OK)
			rc = onnx_find_value(x->scope, p->input[i], &d->in[i], err);
		if (rc == ERR_OK && d->in[i] == VALUE_NONE)
			rc = unknown_input(x, rest, n_rest, p->input[i], err);
		if (rc != ERR_OK)
			return rc;
		if (d->in[i] == ONNX_ABSENT)
			d->in[i] = VALUE_NONE;
	}
	return ERR_OK;
}

static enum err_code read_attrs(struct reading *x, struct err *err)
{
	const Onnx__NodeProto *p = x->proto;
	struct lower *d = &x->draft;
	d->attr = ARENA_ARRAY(d->scratch, struct attr, p->n_attribute + LOWER_SPARE);
	x->captured = ARENA_ARRAY(d->scratch, int32_t *, p->n_attribute);
	if (!d->attr || !x->captured)
		return err_oom(err);
	for (size_t i = 0; i < p->n_attribute; i++) {
		const Onnx__AttributeProto *a;
		struct onnx_scope *scope;
		enum err_code rc = onnx_attr_resolve(x->scope, p->attribute[i], &a, &scope, err);
		if (rc != ERR_OK)
			return rc;
		if (!a)
			continue;
		if (a->g && scope->graph != x->scope->graph)
			return err_set(err, ERR_UNIMPLEMENTED,
				"attribute '%.80s': a graph that a function takes and uses in "
				"another",
				p->attribute[i]->name);
		struct attr *to = &d->attr[d->n_attr];
		to->name = onnx_keep_name(x->scope->reader, p->attribute[i]->name);
		if (!to->name)
			return err_oom(err);
		rc = onnx_read_attr(scope, a, to, &x->captured[d->n_attr], err);
		if (rc != ERR_OK)
			return rc;
		d->n_attr++;
	}
	return ERR_OK;
}

/* -- what goes into the graph ---------------------------------------------------------------- */

/* Inputs that bodies capture stand behind the node's own, body after body. */
static enum err_code append_captures(struct reading *x, struct err *err)
{
	struct lower *d = &x->draft;
	size_t n = (size_t)d->n_in;
	for (int32_t i = 0; i < d->n_attr; i++)
		n += d->attr[i].kind == ATTR_GRAPH ? (size_t)d->attr[i].g->n_capture : 0;
	if (n == (size_t)d->n_in)
		return ERR_OK;
	int32_t *in = ARENA_ARRAY(d->scratch, int32_t, n);
	if (!in || n > GRAPH_NODE_IO_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"uses %zu values, at most %d are allowed", n, GRAPH_NODE_IO_MAX);
	memcpy(in, d->in, (size_t)d->n_in * sizeof(*in));
	for (int32_t i = 0; i < d->n_attr; i++) {
		int32_t more = d->attr[i].kind == ATTR_GRAPH ? d->attr[i].g->n_capture : 0;
		if (more)
			memcpy(in + d->n_in, x->captured[i], (size_t)more * sizeof(*in));
		d->n_in += more;
	}
	d->in = in;
	return ERR_OK;
}

/* Absent ones at the end say nothing. */
static void trim(int32_t *list, int32_t *n)
{
	while (*n > 0 && list[*n - 1] == VALUE_NONE)
		--*n;
}

static enum err_code add_outputs(struct reading *x, struct err *err)
{
	const Onnx__NodeProto *p = x->proto;
	struct lower *d = &x->draft;
	d->out = ARENA_ARRAY(d->scratch, int32_t, p->n_output);
	if (!d->out)
		return err_oom(err);
	d->n_out = (int32_t)p->n_output;
	for (size_t i = 0; i < p->n_output; i++) {
		d->out[i] = VALUE_NONE;
		if (!p->output[i][0])
			continue;
		const char *name = onnx_value_name(x->scope, p->output[i]);
		if (!name)
			return err_oom(err);
		enum err_code rc = onnx_bind(x->scope, p->output[i], d->graph->n_value, err);
		if (rc == ERR_OK)
			rc = graph_add_value(d->graph, name, &d->out[i], err);
		if (rc != ERR_OK)
			return rc;
	}
	return ERR_OK;
}

static enum err_code add_node(struct lower *d, struct err *err)
{
	int32_t at;
	enum err_code rc =
		graph_add_node(d->graph, d->op, d->name, d->n_in, d->n_out, d->n_attr, &at, err);
	if (rc != ERR_OK)
		return rc;
	struct node *n = &d->graph->node[at];
	memcpy(n->in, d->in, (size_t)d->n_in * sizeof(*n->in));
	memcpy(n->out, d->out, (size_t)d->n_out * sizeof(*n->out));
	memcpy(n->attr, d->attr, (size_t)d->n_attr * sizeof(*n->attr));
	for (int32_t i = 0; i < d->n_out; i++)
		if (d->out[i] != VALUE_NONE)
			d->graph->value[d->out[i]].producer = at;
	return ERR_OK;
}

static enum err_code read_operator(struct reading *x, enum op_domain domain, struct err *err)
{
	struct lower *d = &x->draft;
	struct onnx_scope *scope = x->scope;
	d->type = slice_of(op_type(x->proto));
	d->name = arena_printf(scope->reader->arena, "%.*s%s", GRAPH_NAME_MAX / 2, scope->prefix,
		x->proto->name ? x->proto->name : "");
	if (!d->name)
		return err_oom(err);
	enum err_code rc = read_attrs(x, err);
	if (rc == ERR_OK)
		rc = add_outputs(x, err);
	if (rc != ERR_OK)
		return blame(x->proto, err);
	int32_t own = d->n_in;
	rc = append_captures(x, err);
	if (rc != ERR_OK)
		return blame(x->proto, err);
	if (d->n_in == own)
		trim(d->in, &d->n_in);
	trim(d->out, &d->n_out);
	d->err = err;
	rc = lower_node(d, domain);
	if (rc != ERR_OK)
		return rc; /* names the node itself */
	if (d->n_in == own)
		trim(d->in, &d->n_in);
	return add_node(d, err);
}

/* -- Constant --------------------------------------------------------------------------------- */

static enum err_code constant_of(struct onnx_reader *r, const struct attr *a, struct tensor **ret,
	struct err *err)
{
	struct shape scalar = SHAPE_SCALAR, list = shape_of(a->n);
	const void *from = NULL;
	enum dtype dtype = DTYPE_UNDEFINED;
	switch (a->kind) {
	case ATTR_TENSOR: *ret = (struct tensor *)a->t; return ERR_OK;
	case ATTR_INT: from = &a->i, dtype = DTYPE_I64; break;
	case ATTR_FLOAT: from = &a->f, dtype = DTYPE_F32; break;
	case ATTR_STRING: from = &a->s, dtype = DTYPE_STRING; break;
	case ATTR_INTS: from = a->ints, dtype = DTYPE_I64; break;
	case ATTR_FLOATS: from = a->floats, dtype = DTYPE_F32; break;
	case ATTR_STRINGS: from = a->strings, dtype = DTYPE_STRING; break;
	default: return err_set(err, ERR_INVALID_ARGUMENT, "'%.80s' is no value", a->name);
	}
	bool is_list = a->kind == ATTR_INTS || a->kind == ATTR_FLOATS || a->kind == ATTR_STRINGS;
	enum err_code rc = onnx_new_tensor(r, dtype, is_list ? &list : &scalar, ret, err);
	if (rc == ERR_OK && tensor_bytes(*ret))
		memcpy((*ret)->data, from, tensor_bytes(*ret));
	return rc;
}

/* The attributes that Constant may have, and of which kind. */
static bool is_value_attr(const struct attr *a)
{
	static const struct {
		const char *name;
		enum attr_kind kind;
	} known[] = { { "value", ATTR_TENSOR }, { "sparse_value", ATTR_TENSOR },
		{ "value_float", ATTR_FLOAT }, { "value_floats", ATTR_FLOATS },
		{ "value_int", ATTR_INT }, { "value_ints", ATTR_INTS },
		{ "value_string", ATTR_STRING }, { "value_strings", ATTR_STRINGS } };
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, a->name) == 0)
			return known[i].kind == a->kind;
	return false;
}

static enum err_code read_constant(struct reading *x, struct err *err)
{
	const Onnx__NodeProto *p = x->proto;
	struct lower *d = &x->draft;
	struct tensor *t = NULL;
	int32_t v;
	enum err_code rc = read_attrs(x, err);
	if (rc != ERR_OK)
		return rc;
	if (d->n_attr != 1 || d->n_in != 0 || p->n_output != 1 || !is_value_attr(d->attr))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"must have one value (value, sparse_value, value_float, ...), one output "
			"and no inputs");
	rc = constant_of(x->scope->reader, d->attr, &t, err);
	if (rc != ERR_OK)
		return rc;
	const char *name = onnx_value_name(x->scope, p->output[0]);
	if (!name)
		return err_oom(err);
	rc = graph_add_constant(d->graph, name, t, &v, err);
	return rc == ERR_OK ? onnx_bind(x->scope, p->output[0], v, err) : rc;
}

/* -- which of these it is --------------------------------------------------------------------- */

/* DOMAIN_COUNT_: none that files may use. */
static enum op_domain find_domain(const char *name)
{
	for (int i = 0; i < DOMAIN_CUSTOM; i++)
		if (i != DOMAIN_SIGNET && strcmp(name, op_domain_name((enum op_domain)i)) == 0)
			return (enum op_domain)i;
	return DOMAIN_COUNT_;
}

static enum err_code
read_node(struct onnx_scope *scope, Onnx__NodeProto **node, size_t n_node, struct err *err)
{
	struct onnx_reader *r = scope->reader;
	struct reading x = {
		.scope = scope,
		.proto = node[0],
		.draft = { .graph = scope->graph, .scratch = onnx_scratch(r),
			.known = scope->known },
	};
	if (++r->n_nodes > GRAPH_NODES_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"more than %d nodes, those of functions counted at each call",
			GRAPH_NODES_MAX);
	enum err_code rc = check_proto(x.proto, err);
	if (rc == ERR_OK)
		rc = find_inputs(&x, node, n_node, err);
	if (rc != ERR_OK)
		return blame(x.proto, err);
	enum op_domain domain = find_domain(domain_name(x.proto));
	x.draft.opset = onnx_imported_version(&scope->imports, x.proto->domain);
	if (x.draft.opset == 0 && domain == DOMAIN_MS)
		/* There is no other; tf2onnx writes Range of it without an import. */
		x.draft.opset = 1;
	if (x.draft.opset == 0) {
		err_set(err, ERR_INVALID_ARGUMENT, "its domain '%.80s' is not imported",
			domain_name(x.proto));
		return blame(x.proto, err);
	}
	if (domain == DOMAIN_ONNX && strcmp(op_type(x.proto), "Constant") == 0)
		return read_constant(&x, err) == ERR_OK ? ERR_OK : blame(x.proto, err);
	/* An operator that we have goes before a function of its name. */
	int32_t function = onnx_find_function(r, x.proto);
	enum op_id op = op_find(slice_of(domain_name(x.proto)), slice_of(op_type(x.proto)));
	if (domain == DOMAIN_COUNT_ && op != OP_NONE) {
		domain = DOMAIN_CUSTOM;
		x.draft.op = op;
	}
	if (function >= 0 && op == OP_NONE)
		return onnx_inline(scope, x.proto, function, x.draft.in, err);
	if (domain != DOMAIN_COUNT_)
		return read_operator(&x, domain, err);
	err_set(err, ERR_UNIMPLEMENTED,
		"domain '%.80s' of opset %lld has no operator that is supported",
		domain_name(x.proto), (long long)x.draft.opset);
	return blame(x.proto, err);
}

enum err_code
onnx_read_nodes(struct onnx_scope *scope, Onnx__NodeProto **node, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		enum err_code rc = read_node(scope, node + i, n - i, err);
		if (rc != ERR_OK)
			return rc;
	}
	return ERR_OK;
}
