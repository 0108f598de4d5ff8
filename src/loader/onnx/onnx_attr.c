/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_attr.c -- attributes of nodes
 */
#include "loader/onnx/onnx_reader.h"

#define TYPE(id) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##id
typedef Onnx__AttributeProto__AttributeType attr_type;

/* A long list, read past protobuf-c; NULL: there is none. */
static const struct pb_piece *lifted(const struct onnx_reader *r, const Onnx__AttributeProto *a)
{
	return pb_lifted_piece(&r->lifted, &a->base);
}

/* The types whose field is set. */
static unsigned fields_set(const struct onnx_reader *r, const Onnx__AttributeProto *a)
{
	static const attr_type type_of[] = { [PB_FLOATS] = TYPE(FLOATS), [PB_INTS] = TYPE(INTS),
		[PB_STRINGS] = TYPE(STRINGS) };
	const struct pb_piece *piece = lifted(r, a);
	return (piece ? 1u << type_of[piece->kind] : 0) |
	       (a->has_f ? 1u << TYPE(FLOAT) : 0) | (a->has_i ? 1u << TYPE(INT) : 0) |
	       (a->has_s ? 1u << TYPE(STRING) : 0) | (a->t ? 1u << TYPE(TENSOR) : 0) |
	       (a->g ? 1u << TYPE(GRAPH) : 0) | (a->tp ? 1u << TYPE(TYPE_PROTO) : 0) |
	       (a->sparse_tensor ? 1u << TYPE(SPARSE_TENSOR) : 0) |
	       (a->n_floats ? 1u << TYPE(FLOATS) : 0) | (a->n_ints ? 1u << TYPE(INTS) : 0) |
	       (a->n_strings ? 1u << TYPE(STRINGS) : 0) | (a->n_tensors ? 1u << TYPE(TENSORS) : 0) |
	       (a->n_graphs ? 1u << TYPE(GRAPHS) : 0) |
	       (a->n_sparse_tensors ? 1u << TYPE(SPARSE_TENSORS) : 0) |
	       (a->n_type_protos ? 1u << TYPE(TYPE_PROTOS) : 0);
}

/* Types that may have no field: proto3 writers leave out zeros, and lists may be empty. */
#define MAY_BE_ABSENT \
	(1u << TYPE(FLOAT) | 1u << TYPE(INT) | 1u << TYPE(STRING) | 1u << TYPE(FLOATS) | \
		1u << TYPE(INTS) | 1u << TYPE(STRINGS) | 1u << TYPE(TENSORS))

/* Exactly the field that its type says is set; ret_type: that type. */
static enum err_code check_field(const struct onnx_reader *r, const Onnx__AttributeProto *a,
	attr_type *ret_type, struct err *err)
{
	unsigned set = fields_set(r, a), type = (unsigned)a->type;
	if (set & (set - 1))
		return err_set(
			err, ERR_INVALID_ARGUMENT, "attribute '%.80s' has two values", a->name);
	if (type == TYPE(UNDEFINED) && set)
		type = (unsigned)__builtin_ctz(set);
	if (type == TYPE(UNDEFINED) || type > TYPE(TYPE_PROTOS))
		return err_set(err, ERR_INVALID_ARGUMENT, "attribute '%.80s' has no type", a->name);
	if (set != 1u << type && !(set == 0 && (MAY_BE_ABSENT >> type & 1)))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"attribute '%.80s': its value is not of the type that it says", a->name);
	*ret_type = (attr_type)type;
	return ERR_OK;
}

static const Onnx__AttributeProto *
find_attr(Onnx__AttributeProto **attr, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (attr[i]->name && strcmp(attr[i]->name, name) == 0)
			return attr[i];
	return NULL;
}

enum err_code onnx_attr_resolve(struct onnx_scope *scope, const Onnx__AttributeProto *a,
	const Onnx__AttributeProto **ret, struct onnx_scope **ret_scope, struct err *err)
{
	/* Each step goes to a caller: as many as calls are nested. */
	while (a && a->ref_attr_name && a->ref_attr_name[0]) {
		const struct onnx_call *call = scope->call;
		const char *name = a->ref_attr_name;
		if (!call)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"attribute '%.80s' refers to '%.80s' of a function, but is in none",
				a->name, name);
		if (fields_set(scope->reader, a))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"attribute '%.80s' has a value and refers to '%.80s'", a->name,
				name);
		a = find_attr(call->node->attribute, call->node->n_attribute, name);
		if (a) {
			scope = call->scope;
			continue;
		}
		a = find_attr(
			call->function->attribute_proto, call->function->n_attribute_proto, name);
		if (a && a->ref_attr_name && a->ref_attr_name[0])
			return err_set(err, ERR_INVALID_ARGUMENT,
				"attribute '%.80s': a default cannot refer to another", name);
	}
	*ret = a;
	*ret_scope = scope;
	return ERR_OK;
}

static enum err_code read_strings(
	struct onnx_reader *r, const Onnx__AttributeProto *a, struct attr *ret, struct err *err)
{
	struct slice *s = ARENA_ARRAY(r->arena, struct slice, a->n_strings);
	if (!s)
		return err_oom(err);
	for (size_t i = 0; i < a->n_strings; i++) {
		struct slice from = { (char *)a->strings[i].data, a->strings[i].len };
		if (!pb_list_put_string(s, i, from, r->arena))
			return err_oom(err);
	}
	ret->strings = s;
	ret->n = (int32_t)a->n_strings;
	return ERR_OK;
}

static enum err_code take_list(
	struct onnx_reader *r, void *from, size_t n, size_t size, const void **ret, struct err *err)
{
	bool adopts = n >= PB_BIG_BYTES / size; /* a piece of its own, which need not be copied */
	void *to = adopts ? from : arena_alloc(r->arena, n * size);
	if (!to || (adopts && pb_mem_adopt(&r->mem, from, r->arena) != ERR_OK))
		return err_oom(err);
	if (n && !adopts)
		memcpy(to, from, n * size);
	*ret = to;
	return ERR_OK;
}

static enum err_code read_tensors(
	struct onnx_reader *r, const Onnx__AttributeProto *a, struct attr *ret, struct err *err)
{
	struct tensor *list = ARENA_ARRAY(r->arena, struct tensor, a->n_tensors), *t;
	if (!list)
		return err_oom(err);
	for (size_t i = 0; i < a->n_tensors; i++) {
		enum err_code rc = onnx_read_tensor(r, a->tensors[i], &t, err);
		if (rc != ERR_OK)
			return rc;
		list[i] = *t;
	}
	ret->t = list;
	ret->n = (int32_t)a->n_tensors;
	return ERR_OK;
}

static enum err_code read_one_tensor(
	struct onnx_reader *r, const Onnx__AttributeProto *a, struct attr *ret, struct err *err)
{
	struct tensor *t = NULL;
	enum err_code rc = a->t ? onnx_read_tensor(r, a->t, &t, err)
				: onnx_read_sparse(r, a->sparse_tensor, &t, err);
	if (rc == ERR_OK)
		ret->t = t;
	return rc;
}

static enum err_code
read_type(struct onnx_scope *scope, const Onnx__TypeProto *p, struct attr *ret, struct err *err)
{
	struct type *type = ARENA_NEW(scope->reader->arena, struct type);
	struct shape shape;
	if (!type)
		return err_oom(err);
	ret->type = type;
	return onnx_read_type(scope->graph, p, type, &shape, err);
}

enum err_code onnx_read_attr(struct onnx_scope *scope, const Onnx__AttributeProto *a,
	struct attr *ret, int32_t **ret_captured, struct err *err)
{
	static const enum attr_kind kind_of[] = {
		[TYPE(FLOAT)] = ATTR_FLOAT, [TYPE(INT)] = ATTR_INT, [TYPE(STRING)] = ATTR_STRING,
		[TYPE(TENSOR)] = ATTR_TENSOR, [TYPE(SPARSE_TENSOR)] = ATTR_TENSOR,
		[TYPE(GRAPH)] = ATTR_GRAPH, [TYPE(FLOATS)] = ATTR_FLOATS, [TYPE(INTS)] = ATTR_INTS,
		[TYPE(STRINGS)] = ATTR_STRINGS, [TYPE(TENSORS)] = ATTR_TENSORS,
		[TYPE(TYPE_PROTO)] = ATTR_TYPE,
	};
	struct onnx_reader *r = scope->reader;
	attr_type type = TYPE(UNDEFINED);
	enum err_code rc = check_field(r, a, &type, err);
	if (rc != ERR_OK)
		return rc;
	switch (type) {
	case TYPE(GRAPHS):
	case TYPE(SPARSE_TENSORS):
	case TYPE(TYPE_PROTOS):
		return err_set(
			err, ERR_UNIMPLEMENTED, "attribute '%.80s': lists of this type", a->name);
	default: ret->kind = kind_of[type];
	}
	const struct pb_piece *piece = lifted(r, a);
	if (piece) {
		ret->n = (int32_t)piece->n;
		ret->ints = piece->data; /* or floats, strings: as check_field() says */
		return ERR_OK;
	}
	switch (ret->kind) {
	case ATTR_FLOAT: ret->f = a->f; return ERR_OK;
	case ATTR_INT: ret->i = a->i; return ERR_OK;
	case ATTR_STRING:
		ret->s = (struct slice){ arena_strndup(r->arena, (char *)a->s.data, a->s.len),
			a->s.len };
		return ret->s.ptr ? ERR_OK : err_oom(err);
	case ATTR_FLOATS:
		ret->n = (int32_t)a->n_floats;
		return take_list(r, a->floats, a->n_floats, sizeof(float),
			(const void **)&ret->floats, err);
	case ATTR_INTS:
		ret->n = (int32_t)a->n_ints;
		return take_list(r, a->ints, a->n_ints, sizeof(int64_t), (const void **)&ret->ints,
			err);
	case ATTR_STRINGS: return read_strings(r, a, ret, err);
	case ATTR_TENSOR: return read_one_tensor(r, a, ret, err);
	case ATTR_TENSORS: return read_tensors(r, a, ret, err);
	case ATTR_TYPE: return read_type(scope, a->tp, ret, err);
	case ATTR_GRAPH: return onnx_read_body(scope, a->g, &ret->g, ret_captured, err);
	}
	return ERR_OK;
}
