/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_graph.c -- a GraphProto as a graph; what names mean in it
 *
 * A body sees the names around its node. The graph wants these captures explicit, so the
 * first use of an outer name makes a value of the body that stands for it, through as many
 * bodies as lie between. Outer constants are shared instead: they stay constants inside.
 */
#include "loader/onnx/onnx_reader.h"

/* -- names --------------------------------------------------------------------------------- */

enum err_code
onnx_bind(struct onnx_scope *scope, const char *name, int32_t value, struct err *err)
{
	bool is_new;
	enum err_code rc = onnx_check_name(name, "value", err);
	if (rc != ERR_OK)
		return rc;
	if (onnx_map_add(&scope->names, slice_of(name), value, &is_new) != ERR_OK)
		return err_oom(err);
	if (!is_new)
		return err_set(err, ERR_INVALID_ARGUMENT, "value '%.120s' is defined twice", name);
	return ERR_OK;
}

static enum err_code
remember_capture(struct onnx_scope *scope, int32_t outer, int32_t inner, struct err *err)
{
	int32_t n = scope->graph->n_capture;
	if (n == scope->cap_captured) {
		int32_t cap = n ? 2 * n : 8;
		struct onnx_capture *p = ARENA_ARRAY(
			onnx_scratch(scope->reader), struct onnx_capture, (size_t)cap);
		if (!p || n >= GRAPH_NODE_IO_MAX)
			return err_set(err, ERR_RESOURCE_EXHAUSTED,
				"graph '%.120s' uses more than %d outer values", scope->graph->name,
				GRAPH_NODE_IO_MAX);
		if (n)
			memcpy(p, scope->captured, (size_t)n * sizeof(*p));
		scope->captured = p;
		scope->cap_captured = cap;
	}
	scope->captured[n] = (struct onnx_capture){ .outer = outer, .inner = inner };
	scope->graph->n_capture = n + 1;
	return ERR_OK;
}

/* A value of scope's graph that stands for outer, a value of the graph around it. */
static enum err_code import_value(
	struct onnx_scope *scope, const char *name, int32_t outer, int32_t *ret, struct err *err)
{
	const struct gvalue *from = &scope->outer->graph->value[outer];
	const char *kept = onnx_keep_name(scope->reader, name);
	if (!kept)
		return err_oom(err);
	enum err_code rc = from->constant
		? graph_add_constant(scope->graph, kept, from->constant, ret, err)
		: graph_add_value(scope->graph, kept, ret, err);
	if (rc == ERR_OK)
		rc = onnx_bind(scope, name, *ret, err);
	if (rc != ERR_OK || from->constant)
		return rc;
	scope->graph->value[*ret].type = from->type;
	scope->graph->value[*ret].shape = from->shape;
	return remember_capture(scope, outer, *ret, err);
}

enum err_code
onnx_find_value(struct onnx_scope *scope, const char *name, int32_t *ret, struct err *err)
{
	/* Outwards to where the name is known, then inwards, importing it on the way. */
	struct onnx_scope *path[ONNX_NESTING_MAX + 1];
	struct slice key = slice_of(name);
	int depth = 0;
	int32_t v = onnx_map_find(&scope->names, key);
	while (v < 0 && scope->outer && depth < ONNX_NESTING_MAX) {
		path[depth++] = scope;
		scope = scope->outer;
		v = onnx_map_find(&scope->names, key);
	}
	while (v >= 0 && v != ONNX_ABSENT && depth > 0) {
		enum err_code rc = import_value(path[--depth], name, v, &v, err);
		if (rc != ERR_OK)
			return rc;
	}
	*ret = v < 0 ? VALUE_NONE : v;
	return ERR_OK;
}

/* -- inputs and initializers --------------------------------------------------------------- */

static enum err_code
read_type(struct onnx_scope *scope, const Onnx__ValueInfoProto *p, int32_t v, struct err *err)
{
	struct type type;
	struct shape shape;
	/* Bodies may leave types to be inferred; PyTorch then writes empty ones. */
	bool said = p->type && p->type->value_case != ONNX__TYPE_PROTO__VALUE__NOT_SET;
	if (!said && scope->outer)
		return ERR_OK;
	enum err_code rc = said ? onnx_read_type(scope->graph, p->type, &type, &shape, err)
				   : err_set(err, ERR_INVALID_ARGUMENT, "has no type");
	if (rc != ERR_OK)
		return err_prefix(err, "value '%.120s'", p->name);
	scope->graph->value[v].type = type;
	scope->graph->value[v].shape = shape;
	return ERR_OK;
}

static enum err_code
read_input(struct onnx_scope *scope, const Onnx__ValueInfoProto *p, struct err *err)
{
	int32_t v;
	const char *name = onnx_keep_name(scope->reader, p->name);
	if (!name)
		return err_oom(err);
	enum err_code rc = graph_add_value(scope->graph, name, &v, err);
	if (rc == ERR_OK)
		rc = onnx_bind(scope, name, v, err);
	if (rc == ERR_OK)
		rc = read_type(scope, p, v, err);
	return rc;
}

static bool fits(const struct gvalue *declared, const struct tensor *t)
{
	if (declared->type.dtype == DTYPE_UNDEFINED)
		return true;
	bool same = declared->type.dtype == t->dtype && !declared->type.is_sequence;
	if (declared->shape.rank == RANK_UNKNOWN)
		return same;
	same = same && declared->shape.rank == t->shape.rank;
	for (int i = 0; same && i < t->shape.rank; i++)
		same = declared->shape.dim[i] < 0 || declared->shape.dim[i] == t->shape.dim[i];
	return same;
}

/* An initializer of an input's name makes it a constant: the interface loses it. */
static enum err_code
add_initializer(struct onnx_scope *scope, const char *name, struct tensor *t, struct err *err)
{
	struct graph *g = scope->graph;
	int32_t v = name ? onnx_map_find(&scope->names, slice_of(name)) : -1;
	if (v >= 0 && g->value[v].constant)
		return err_set(
			err, ERR_INVALID_ARGUMENT, "initializer '%.120s' is there twice", name);
	if (v >= 0) {
		if (!fits(&g->value[v], t))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"initializer '%.120s' is %s %s, the input of that name is not",
				name, dtype_name(t->dtype), SHAPE_TEXT(&t->shape));
		g->value[v].constant = t;
		g->value[v].type = (struct type){ .dtype = t->dtype };
		g->value[v].shape = t->shape;
		return ERR_OK;
	}
	if (scope->reader->ir_version < 4)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"initializer '%.120s' is no input, which IR version %lld wants",
			name ? name : "", (long long)scope->reader->ir_version);
	const char *kept = onnx_keep_name(scope->reader, name);
	if (!kept)
		return err_oom(err);
	enum err_code rc = graph_add_constant(g, kept, t, &v, err);
	return rc == ERR_OK ? onnx_bind(scope, kept, v, err) : rc;
}

static enum err_code
read_initializers(struct onnx_scope *scope, const Onnx__GraphProto *proto, struct err *err)
{
	struct onnx_reader *r = scope->reader;
	struct tensor *t;
	enum err_code rc = ERR_OK;
	for (size_t i = 0; i < proto->n_initializer && rc == ERR_OK; i++) {
		rc = onnx_read_tensor(r, proto->initializer[i], &t, err);
		if (rc == ERR_OK)
			rc = add_initializer(scope, proto->initializer[i]->name, t, err);
	}
	for (size_t i = 0; i < proto->n_sparse_initializer && rc == ERR_OK; i++) {
		rc = onnx_read_sparse(r, proto->sparse_initializer[i], &t, err);
		if (rc == ERR_OK)
			rc = add_initializer(
				scope, proto->sparse_initializer[i]->values->name, t, err);
	}
	return rc;
}

static enum err_code
read_inputs(struct onnx_scope *scope, const Onnx__GraphProto *proto, struct err *err)
{
	struct graph *g = scope->graph;
	if (proto->n_input > ONNX_INTERFACE_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "%zu inputs, at most %d are allowed",
			proto->n_input, ONNX_INTERFACE_MAX);
	enum err_code rc = ERR_OK;
	for (size_t i = 0; i < proto->n_input && rc == ERR_OK; i++)
		rc = read_input(scope, proto->input[i], err);
	if (rc == ERR_OK)
		rc = read_initializers(scope, proto, err);
	if (rc != ERR_OK)
		return rc;
	g->input = ARENA_ARRAY(g->arena, int32_t, proto->n_input);
	if (!g->input)
		return err_oom(err);
	/* Inputs were the first values. */
	for (int32_t v = 0; v < (int32_t)proto->n_input; v++)
		if (!g->value[v].constant)
			g->input[g->n_input++] = v;
	return ERR_OK;
}

/* -- outputs ------------------------------------------------------------------------------- */

static enum err_code
read_output(struct onnx_scope *scope, const Onnx__ValueInfoProto *p, struct onnx_map *seen,
	struct err *err)
{
	struct graph *g = scope->graph;
	bool is_new;
	int32_t v;
	enum err_code rc = onnx_check_name(p->name, "output", err);
	if (rc == ERR_OK)
		rc = onnx_find_value(scope, p->name, &v, err);
	if (rc != ERR_OK)
		return rc;
	if (v == VALUE_NONE || v == ONNX_ABSENT)
		return err_set(
			err, ERR_INVALID_ARGUMENT, "output '%.120s' is made by no node", p->name);
	if (onnx_map_add(seen, slice_of(p->name), 0, &is_new) != ERR_OK)
		return err_oom(err);
	if (!is_new)
		return err_set(
			err, ERR_INVALID_ARGUMENT, "output '%.120s' is there twice", p->name);
	g->output[g->n_output++] = v;
	/* What inputs and constants are is known already. */
	return g->value[v].producer == NODE_NONE ? ERR_OK : read_type(scope, p, v, err);
}

static enum err_code
read_outputs(struct onnx_scope *scope, const Onnx__GraphProto *proto, struct err *err)
{
	struct graph *g = scope->graph;
	struct onnx_map seen = { .arena = onnx_scratch(scope->reader) };
	if (proto->n_output == 0 || proto->n_output > ONNX_INTERFACE_MAX)
		return err_set(err, proto->n_output ? ERR_RESOURCE_EXHAUSTED : ERR_INVALID_ARGUMENT,
			"%zu outputs, 1 to %d are allowed", proto->n_output, ONNX_INTERFACE_MAX);
	g->output = ARENA_ARRAY(g->arena, int32_t, proto->n_output);
	if (!g->output)
		return err_oom(err);
	enum err_code rc = ERR_OK;
	for (size_t i = 0; i < proto->n_output && rc == ERR_OK; i++)
		rc = read_output(scope, proto->output[i], &seen, err);
	return rc;
}

/* -- graphs -------------------------------------------------------------------------------- */

enum err_code
onnx_read_graph(struct onnx_scope *scope, const Onnx__GraphProto *proto, struct err *err)
{
	enum err_code rc = read_inputs(scope, proto, err);
	if (rc == ERR_OK)
		rc = onnx_read_nodes(scope, proto->node, proto->n_node, err);
	if (rc == ERR_OK)
		rc = read_outputs(scope, proto, err);
	return rc;
}

static enum err_code list_captures(
	struct onnx_scope *scope, int32_t **ret_captured, struct err *err)
{
	struct graph *g = scope->graph;
	int32_t *outer = ARENA_ARRAY(onnx_scratch(scope->reader), int32_t, (size_t)g->n_capture);
	g->capture = ARENA_ARRAY(g->arena, int32_t, (size_t)g->n_capture);
	if (!g->capture || !outer)
		return err_oom(err);
	for (int32_t i = 0; i < g->n_capture; i++) {
		g->capture[i] = scope->captured[i].inner;
		outer[i] = scope->captured[i].outer;
	}
	*ret_captured = outer;
	return ERR_OK;
}

enum err_code onnx_read_body(struct onnx_scope *outer, const Onnx__GraphProto *proto,
	struct graph **ret, int32_t **ret_captured, struct err *err)
{
	struct onnx_reader *r = outer->reader;
	if (r->nesting == ONNX_NESTING_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"subgraphs and functions are nested deeper than %d", ONNX_NESTING_MAX);
	const char *name = onnx_keep_name(r, proto->name);
	struct lower_known known = { 0 };
	struct onnx_scope scope = {
		.reader = r,
		.graph = name ? graph_new(r->arena, outer->graph, name) : NULL,
		.names = { .arena = onnx_scratch(r) },
		.outer = outer,
		.imports = outer->imports,
		.call = outer->call,
		.prefix = outer->prefix,
		.known = &known,
	};
	if (!scope.graph)
		return err_oom(err);
	r->nesting++;
	enum err_code rc = onnx_read_graph(&scope, proto, err);
	if (rc == ERR_OK)
		rc = list_captures(&scope, ret_captured, err);
	r->nesting--;
	if (rc != ERR_OK)
		return outer->outer ? rc : err_prefix(err, "graph '%.80s'", name);
	*ret = scope.graph;
	return ERR_OK;
}
