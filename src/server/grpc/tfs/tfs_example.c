/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/tfs/tfs_example.h"

#include "exec/half.h"
#include "server/dialect/example.h"
#include "server/grpc/tfs/tfs_spec.h"
#include "server/grpc/typed.h"

/* Names and numbers as in proto/tensorflow.proto and tensorflow_serving.proto. */
enum { INPUT_LIST = 1, INPUT_LIST_WITH_CONTEXT };
enum { LIST_EXAMPLES = 1, LIST_CONTEXT };
enum { EXAMPLE_FEATURES = 1 };
enum { FEATURES_FEATURE = 1 };
enum { FEATURE_BYTES = 1, FEATURE_FLOATS, FEATURE_INT64S };
enum { VALUE = 1 };

/* --- one feature --- */

struct feature {
	struct slice name;
	uint32_t kind; /* 0: none, as if it were not there */
	struct wire list;
};

static enum dtype natural_type(uint32_t kind)
{
	return kind == FEATURE_BYTES	? DTYPE_STRING
	       : kind == FEATURE_FLOATS ? DTYPE_F32
					: DTYPE_I64;
}

/* What values of this kind may become: floats any float, integers that and any integer. */
static bool may_be(uint32_t kind, enum dtype dtype)
{
	if (kind == FEATURE_BYTES)
		return dtype == DTYPE_STRING;
	return dtype_in(dtype, kind == FEATURE_FLOATS ? T_FLOAT : T_NUM | T(BOOL));
}

static int64_t count_packed(struct wire *w, uint32_t kind)
{
	int64_t n = 0;
	if (kind == FEATURE_FLOATS) {
		n = (int64_t)(w->left / 4);
		w->bad |= w->left % 4 != 0;
		return n;
	}
	for (; w->left; n++)
		wire_raw_varint(w);
	return n;
}

static int64_t count(struct wire w, uint32_t kind, bool *ret_bad)
{
	uint32_t field;
	enum wire_type type;
	int64_t n = 0;
	while (wire_next(&w, &field, &type)) {
		if (field == VALUE && type == WIRE_BYTES && kind != FEATURE_BYTES) {
			struct wire packed = wire_message(&w, type);
			n += count_packed(&packed, kind);
			w.bad |= packed.bad;
		} else {
			n += field == VALUE;
			wire_skip(&w, type);
		}
	}
	*ret_bad = w.bad;
	return n;
}

static void put_float(struct tensor *t, int64_t i, double v)
{
	switch (t->dtype) {
	case DTYPE_F32: ((float *)t->data)[i] = (float)v; break;
	case DTYPE_F64: ((double *)t->data)[i] = v; break;
	case DTYPE_F16: ((uint16_t *)t->data)[i] = float_to_half((float)v); break;
	default: ((uint16_t *)t->data)[i] = float_to_bfloat((float)v); break;
	}
}

static bool read_values(struct wire w, struct tensor *to, struct arena *arena)
{
	struct typed d = typed_into(to);
	uint32_t field;
	enum wire_type type;
	while (wire_next(&w, &field, &type)) {
		if (field == VALUE)
			typed_read(&d, &w, type, arena);
		else
			wire_skip(&w, type);
	}
	return wire_ok(&w) && !d.out_of_range && d.at == d.room;
}

/* Right to their place, or by way of the type that they have in the message. */
static enum err_code convert(
	const struct feature *f, struct tensor *to, struct arena *arena, struct err *err)
{
	struct tensor own = { .dtype = natural_type(f->kind), .shape = to->shape };
	bool direct = own.dtype == to->dtype ||
		      (f->kind == FEATURE_INT64S && !dtype_in(to->dtype, T_FLOAT));
	own.data = direct ? to->data : arena_alloc(arena, tensor_bytes(&own) + 1);
	if (!own.data)
		return err_oom(err);
	if (direct)
		own.dtype = to->dtype;
	if (!read_values(f->list, &own, arena))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"Feature: %.*s has a value that does not fit %s", SLICE_ARG(f->name),
			dtype_name(to->dtype));
	for (int64_t i = 0; !direct && i < tensor_count(to); i++)
		put_float(to, i, tensor_float(&own, i));
	return ERR_OK;
}

static enum err_code take_feature(
	struct examples *e, int64_t row, const struct feature *f, struct err *err)
{
	struct tensor to;
	bool bad;
	if (!f->kind)
		return ERR_OK;
	int64_t n = count(f->list, f->kind, &bad);
	if (bad)
		return tfs_malformed(err, "Feature");
	int i = signature_find_in(e->r->sig, f->name);
	if (i >= 0 && !may_be(f->kind, e->r->sig->in[i].type.dtype))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"Feature: %.*s. Data types don't match. Data type: %s but expected type: "
			"%s",
			SLICE_ARG(f->name), dtype_name(natural_type(f->kind)),
			dtype_name(e->r->sig->in[i].type.dtype));
	TRY(examples_place(e, row, f->name, n, &to, err));
	return to.data ? convert(f, &to, e->r->arena, err) : ERR_OK;
}

/* --- examples --- */

static struct feature read_feature(struct wire *w, enum wire_type outer, struct arena *arena)
{
	struct wire_entry e = wire_map_entry(w, outer, TFS_NAME_MAX, arena);
	struct feature f = { .name = e.key };
	uint32_t field;
	enum wire_type type;
	while (wire_next(&e.value, &field, &type)) {
		if (field >= FEATURE_BYTES && field <= FEATURE_INT64S) {
			f.kind = field;
			f.list = wire_message(&e.value, type);
		} else {
			wire_skip(&e.value, type);
		}
	}
	w->bad |= e.value.bad;
	return f;
}

static enum err_code take_features(
	struct examples *e, int64_t row, struct wire w, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	while (wire_next(&w, &field, &type)) {
		if (field != FEATURES_FEATURE) {
			wire_skip(&w, type);
			continue;
		}
		struct feature f = read_feature(&w, type, e->r->arena);
		if (!wire_ok(&w))
			break;
		TRY(take_feature(e, row, &f, err));
	}
	return wire_ok(&w) ? ERR_OK : tfs_malformed(err, "Features");
}

static enum err_code take_example(struct examples *e, int64_t row, struct wire w, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	while (wire_next(&w, &field, &type)) {
		if (field == EXAMPLE_FEATURES) {
			struct wire features = wire_message(&w, type);
			if (wire_ok(&w))
				TRY(take_features(e, row, features, err));
		} else {
			wire_skip(&w, type);
		}
	}
	return wire_ok(&w) ? ERR_OK : tfs_malformed(err, "Example");
}

/* The list of either kind; they differ by the context. */
struct list {
	struct wire examples, context;
	int64_t n;
};

static enum err_code read_input(struct wire w, struct list *ret, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	*ret = (struct list){ .n = 0 };
	while (wire_next(&w, &field, &type)) {
		if (field == INPUT_LIST || field == INPUT_LIST_WITH_CONTEXT)
			ret->examples = wire_message(&w, type);
		else
			wire_skip(&w, type);
	}
	struct wire list = ret->examples;
	while (wire_next(&list, &field, &type)) {
		if (field == LIST_CONTEXT)
			ret->context = wire_message(&list, type);
		else
			wire_skip(&list, type);
		ret->n += field == LIST_EXAMPLES;
	}
	return wire_ok(&w) && wire_ok(&list) ? ERR_OK : tfs_malformed(err, "Input");
}

enum err_code tfs_example_take(
	struct rpc_call *c, struct wire input, int64_t *ret_n, struct err *err)
{
	struct examples e;
	struct list list;
	uint32_t field;
	enum wire_type type;
	size_t bytes_max = examples_bytes_max(input.left, c->rpc->conf.message_bytes_max);
	TRY(read_input(input, &list, err));
	TRY(examples_init(&e, c->request, list.n, bytes_max, err));
	TRY(take_example(&e, EXAMPLE_CONTEXT, list.context, err));
	for (int64_t row = 0; wire_next(&list.examples, &field, &type);) {
		struct wire one = list.examples;
		if (field == LIST_EXAMPLES)
			one = wire_message(&list.examples, type);
		else
			wire_skip(&list.examples, type);
		if (field == LIST_EXAMPLES)
			TRY(take_example(&e, row++, one, err));
	}
	*ret_n = list.n;
	return examples_end(&e, err);
}
