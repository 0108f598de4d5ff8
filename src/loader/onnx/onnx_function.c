/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_function.c -- calls of a model's own functions, inlined into the caller's graph
 *
 * A function's body has names of its own; its values go nameless into the graph, and its
 * results get the names that the caller gives them. A function that reaches itself, also
 * through a body of control flow, is refused; how many nodes all calls may give is bounded
 * with the nodes of the model.
 */
#include "loader/onnx/onnx_reader.h"

#define FUNCTIONS_MAX 65536

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* Domain, name and overload are free of newlines, or the function is not found. */
static struct slice
function_key(struct onnx_reader *r, const char *domain, const char *name, const char *overload)
{
	if (!or_empty(domain)[0])
		domain = op_domain_name(DOMAIN_ONNX);
	return slice_of(arena_printf(onnx_scratch(r), "%s\n%s\n%s", domain, or_empty(name),
		or_empty(overload)));
}

static enum err_code check_function(const Onnx__FunctionProto *f, struct err *err)
{
	const struct onnx_imports imports = { f->opset_import, f->n_opset_import };
	enum err_code rc = onnx_check_name(f->name, "function", err);
	if (rc == ERR_OK && (f->n_input > GRAPH_NODE_IO_MAX || f->n_output > GRAPH_NODE_IO_MAX))
		rc = err_set(err, ERR_INVALID_ARGUMENT, "more than %d inputs or outputs",
			GRAPH_NODE_IO_MAX);
	return rc == ERR_OK ? onnx_check_imports(&imports, err) : rc;
}

enum err_code
onnx_index_functions(struct onnx_reader *r, const Onnx__ModelProto *model, struct err *err)
{
	r->function = model->functions;
	r->functions.arena = onnx_scratch(r);
	r->active = ARENA_ARRAY(onnx_scratch(r), bool, model->n_functions);
	if (!r->active)
		return err_oom(err);
	if (model->n_functions > FUNCTIONS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "%zu functions, at most %d are allowed",
			model->n_functions, FUNCTIONS_MAX);
	for (size_t i = 0; i < model->n_functions; i++) {
		const Onnx__FunctionProto *f = model->functions[i];
		struct slice key = function_key(r, f->domain, f->name, f->overload);
		bool is_new = false;
		enum err_code rc = check_function(f, err);
		if (rc != ERR_OK)
			return err_prefix(err, "function '%.80s'", or_empty(f->name));
		if (!key.ptr || onnx_map_add(&r->functions, key, (int32_t)i, &is_new) != ERR_OK)
			return err_oom(err);
		if (!is_new)
			return err_set(err, ERR_INVALID_ARGUMENT, "function '%.80s' is there twice",
				f->name);
	}
	return ERR_OK;
}

int32_t onnx_find_function(struct onnx_reader *r, const Onnx__NodeProto *node)
{
	if (r->functions.n == 0)
		return -1;
	struct slice key = function_key(r, node->domain, node->op_type, node->overload);
	return key.ptr ? onnx_map_find(&r->functions, key) : -1;
}

/* -- one call --------------------------------------------------------------------------------- */

static enum err_code check_call(const struct onnx_reader *r, const Onnx__NodeProto *node,
	int32_t function, struct err *err)
{
	const Onnx__FunctionProto *f = r->function[function];
	if (r->active[function])
		return err_set(err, ERR_INVALID_ARGUMENT, "function '%.80s' calls itself", f->name);
	if (r->nesting == ONNX_NESTING_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"subgraphs and functions are nested deeper than %d", ONNX_NESTING_MAX);
	if (node->n_input > f->n_input || node->n_output > f->n_output)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"has %zu inputs and %zu outputs, function '%.80s' takes %zu and gives %zu",
			node->n_input, node->n_output, f->name, f->n_input, f->n_output);
	return ERR_OK;
}

/* The attributes that the function says it cannot do without. */
static enum err_code
check_call_attrs(const Onnx__NodeProto *node, const Onnx__FunctionProto *f, struct err *err)
{
	for (size_t i = 0; i < f->n_attribute; i++) {
		bool found = false;
		for (size_t k = 0; k < node->n_attribute && !found; k++)
			found = strcmp(node->attribute[k]->name, f->attribute[i]) == 0;
		if (!found)
			return err_set(err, ERR_INVALID_ARGUMENT, "attribute '%.80s' is missing",
				f->attribute[i]);
	}
	return ERR_OK;
}

static enum err_code bind_inputs(struct onnx_scope *inner, const Onnx__NodeProto *node,
	const Onnx__FunctionProto *f, const int32_t *in, struct err *err)
{
	for (size_t i = 0; i < f->n_input; i++) {
		/* An input left out is bound to nothing: uses of it are absent inputs too. */
		int32_t v = i < node->n_input ? in[i] : VALUE_NONE;
		enum err_code rc =
			onnx_bind(inner, f->input[i], v == VALUE_NONE ? ONNX_ABSENT : v, err);
		if (rc != ERR_OK)
			return rc;
	}
	return ERR_OK;
}

/* A value of the caller's under the caller's name: the function's own value takes it; one
   that comes from outside, or has a name already, is passed on by an Identity. */
static enum err_code bind_output(struct onnx_scope *scope, const char *name, int32_t v,
	int32_t first_own, struct err *err)
{
	struct graph *g = scope->graph;
	const char *kept = onnx_value_name(scope, name);
	int32_t at, out = v;
	if (!kept)
		return err_oom(err);
	if (v >= first_own && !g->value[v].name[0]) {
		g->value[v].name = kept;
		return onnx_bind(scope, name, v, err);
	}
	enum err_code rc = graph_add_value(g, kept, &out, err);
	if (rc == ERR_OK)
		rc = graph_add_node(g, OP_IDENTITY, kept, 1, 1, 0, &at, err);
	if (rc != ERR_OK)
		return rc;
	g->node[at].in[0] = v;
	g->node[at].out[0] = out;
	g->value[out].producer = at;
	return onnx_bind(scope, name, out, err);
}

static enum err_code bind_outputs(struct onnx_scope *scope, struct onnx_scope *inner,
	const Onnx__NodeProto *node, int32_t first_own, struct err *err)
{
	const Onnx__FunctionProto *f = inner->call->function;
	for (size_t i = 0; i < node->n_output; i++) {
		int32_t v;
		if (!node->output[i][0])
			continue;
		enum err_code rc = onnx_find_value(inner, f->output[i], &v, err);
		if (rc == ERR_OK && (v == VALUE_NONE || v == ONNX_ABSENT))
			rc = err_set(err, ERR_INVALID_ARGUMENT,
				"output '%.80s' of function '%.80s' is made by no node",
				f->output[i], f->name);
		if (rc == ERR_OK)
			rc = bind_output(scope, node->output[i], v, first_own, err);
		if (rc != ERR_OK)
			return rc;
	}
	return ERR_OK;
}

static enum err_code inline_call(struct onnx_scope *scope, const Onnx__NodeProto *node,
	int32_t function, const int32_t *in, struct err *err)
{
	struct onnx_reader *r = scope->reader;
	const Onnx__FunctionProto *f = r->function[function];
	const struct onnx_call call = { .function = f, .node = node, .scope = scope };
	struct onnx_scope inner = {
		.reader = r,
		.graph = scope->graph,
		.names = { .arena = onnx_scratch(r) },
		.imports = { f->opset_import, f->n_opset_import },
		.call = &call,
		.nameless = true,
		.known = scope->known,
	};
	int32_t first_own = scope->graph->n_value;
	inner.prefix = arena_printf(onnx_scratch(r), "%.*s%s/", GRAPH_NAME_MAX / 2, scope->prefix,
		or_empty(node->name)[0] ? node->name : f->name);
	if (!inner.prefix)
		return err_oom(err);
	enum err_code rc = check_call_attrs(node, f, err);
	if (rc == ERR_OK)
		rc = bind_inputs(&inner, node, f, in, err);
	if (rc == ERR_OK)
		rc = onnx_read_nodes(&inner, f->node, f->n_node, err);
	if (rc == ERR_OK)
		rc = bind_outputs(scope, &inner, node, first_own, err);
	return rc;
}

enum err_code onnx_inline(struct onnx_scope *scope, const Onnx__NodeProto *node, int32_t function,
	const int32_t *in, struct err *err)
{
	struct onnx_reader *r = scope->reader;
	enum err_code rc = check_call(r, node, function, err);
	if (rc == ERR_OK) {
		r->active[function] = true;
		r->nesting++;
		rc = inline_call(scope, node, function, in, err);
		r->nesting--;
		r->active[function] = false;
	}
	/* Where it was called from; of calls within calls the first is enough. */
	if (rc != ERR_OK && !scope->call)
		return err_prefix(err, "node '%.80s' (function %.80s)", or_empty(node->name),
			r->function[function]->name);
	return rc;
}
