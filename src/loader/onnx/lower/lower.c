/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/onnx/lower/lower.h"

#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include "exec/half.h"

#define OPSET_ONNX_MAX 28
#define OPSET_ML_MAX 5

static const int opset_max[DOMAIN_COUNT_] = {
	[DOMAIN_ONNX] = OPSET_ONNX_MAX,
	[DOMAIN_ML] = OPSET_ML_MAX,
	[DOMAIN_MS] = 1,
	[DOMAIN_TRAINING] = 1,
	[DOMAIN_PREVIEW] = 1,
};

struct old_op {
	enum op_domain domain;
	const char *name;
	int from, to;
	lower_fn fn;
	const struct attr_spec *attrs;
};

static const struct old_op old_ops[] = {
#define OP_OLD(domain, name, from, to, fn, attrs) { DOMAIN_##domain, name, from, to, fn, attrs },
#include "exec/ops_old.def"
#undef OP_OLD
};

void lower_fail(struct lower *x, enum err_code code, const char *fmt, ...)
{
	if (x->rc != ERR_OK)
		return;
	char text[ERR_MSG_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	x->rc = err_set(x->err, code, "node '%.80s' (%.*s of opset %lld): %s", x->name,
		SLICE_ARG(x->type), (long long)x->opset, text);
}

/* -- the table ------------------------------------------------------------------------------ */

static const struct old_op *find_old(const struct lower *x, enum op_domain domain)
{
	for (size_t i = 0; i < sizeof(old_ops) / sizeof(old_ops[0]); i++) {
		const struct old_op *o = &old_ops[i];
		if (o->domain == domain && o->from <= x->opset && x->opset <= o->to &&
			slice_is(x->type, o->name))
			return o;
	}
	return NULL;
}

static struct attr *find_attr(struct lower *x, const char *name)
{
	for (int32_t i = 0; i < x->n_attr; i++)
		if (strcmp(x->attr[i].name, name) == 0)
			return &x->attr[i];
	return NULL;
}

/* So that rewrites can take what they know without looking twice. */
static void check_old_attrs(struct lower *x)
{
	for (const struct attr_spec *spec = x->old_attrs; spec->name; spec++) {
		const struct attr *a = find_attr(x, spec->name);
		if (a ? (int)a->kind != spec->kind : spec->required)
			lower_fail(x, ERR_INVALID_ARGUMENT, "attribute '%s' is %s", spec->name,
				a ? "of the wrong type" : "missing");
	}
}

enum err_code lower_node(struct lower *x, enum op_domain domain)
{
	const char *domain_name = op_domain_name(domain);
	if (domain == DOMAIN_CUSTOM) { /* x->op is it, and has no older meaning */
		const struct op_info *op = op_info(x->op);
		if (x->opset < op->since)
			lower_fail(x, ERR_UNIMPLEMENTED,
				"this operator of domain %s begins with opset %d", op_domain_of(op),
				op->since);
		return x->rc;
	}
	if (x->opset > opset_max[domain]) {
		lower_fail(x, ERR_UNIMPLEMENTED, "domain %s is known up to opset %d", domain_name,
			opset_max[domain]);
		return x->rc;
	}
	x->op = op_find(slice_of(domain_name), x->type);
	const struct old_op *old = find_old(x, domain);
	if (old) {
		x->old_attrs = old->attrs;
		check_old_attrs(x);
		if (x->rc == ERR_OK)
			old->fn(x);
	}
	if (x->op == OP_NONE || (!old && x->opset < op_info(x->op)->since))
		lower_fail(x, ERR_UNIMPLEMENTED, "this operator of domain %s is not supported",
			domain_name);
	return x->rc;
}

/* -- the draft ------------------------------------------------------------------------------ */

const struct attr *lower_take(struct lower *x, const char *name)
{
	struct attr *a = find_attr(x, name);
	if (!a)
		return NULL;
	struct attr taken = *a;
	*a = x->attr[--x->n_attr];
	/* Its place is free now, and stays so as long as anybody looks. */
	x->attr[x->n_attr] = taken;
	return &x->attr[x->n_attr];
}

int64_t lower_take_int(struct lower *x, const char *name, int64_t otherwise)
{
	const struct attr *a = lower_take(x, name);
	return a ? a->i : otherwise;
}

float lower_take_float(struct lower *x, const char *name, float otherwise)
{
	const struct attr *a = lower_take(x, name);
	return a ? a->f : otherwise;
}

void lower_take_rest(struct lower *x)
{
	for (const struct attr_spec *spec = x->old_attrs; spec->name; spec++)
		lower_take(x, spec->name);
}

void lower_set(struct lower *x, struct attr attr)
{
	x->attr[x->n_attr++] = attr;
}

void lower_default_int(struct lower *x, const char *name, int64_t i)
{
	if (!find_attr(x, name))
		lower_set(x, (struct attr){ .name = name, .kind = ATTR_INT, .i = i });
}

void lower_default_float(struct lower *x, const char *name, float f)
{
	if (!find_attr(x, name))
		lower_set(x, (struct attr){ .name = name, .kind = ATTR_FLOAT, .f = f });
}

int32_t lower_in(struct lower *x, int i)
{
	if (lower_has_in(x, i))
		return x->in[i];
	lower_fail(x, ERR_INVALID_ARGUMENT, "input %d is required", i);
	return VALUE_NONE;
}

void lower_set_in(struct lower *x, int i, int32_t v)
{
	while (x->n_in <= i)
		x->in[x->n_in++] = VALUE_NONE;
	x->in[i] = v;
}

/* -- nodes before it ------------------------------------------------------------------------ */

void lower_with(struct lower *x, struct attr attr)
{
	assert(x->n_next_attr < LOWER_SPARE);
	x->next_attr[x->n_next_attr++] = attr;
}

void lower_with_int(struct lower *x, const char *name, int64_t i)
{
	lower_with(x, (struct attr){ .name = name, .kind = ATTR_INT, .i = i });
}

/* What the node makes is v and the values after it. */
static int32_t emit(struct lower *x, enum op_id op, int32_t n_in, const int32_t *in, int32_t n_out,
	int32_t v)
{
	int32_t n_attr = x->n_next_attr, at;
	x->n_next_attr = 0;
	if (x->rc == ERR_OK)
		x->rc = graph_add_node(x->graph, op, x->name, n_in, n_out, n_attr, &at, x->err);
	if (x->rc != ERR_OK)
		return VALUE_NONE;
	struct node *n = &x->graph->node[at];
	memcpy(n->in, in, (size_t)n_in * sizeof(*in));
	memcpy(n->attr, x->next_attr, (size_t)n_attr * sizeof(*n->attr));
	for (int32_t i = 0; i < n_out; i++) {
		n->out[i] = v + i;
		x->graph->value[v + i].producer = at;
	}
	return v;
}

int32_t lower_emit_outs(
	struct lower *x, enum op_id op, int32_t n_in, const int32_t *in, int32_t n_out)
{
	int32_t first = x->graph->n_value, v;
	if (op == OP_NONE)
		lower_fail(x, ERR_UNIMPLEMENTED, "this operator is not supported");
	for (int32_t i = 0; i < n_out && x->rc == ERR_OK; i++)
		x->rc = graph_add_value(x->graph, "", &v, x->err);
	return emit(x, op, n_in, in, n_out, first);
}

int32_t lower_emit(struct lower *x, enum op_id op, int32_t n_in, const int32_t *in)
{
	return lower_emit_outs(x, op, n_in, in, 1);
}

int32_t lower_emit_out(struct lower *x, enum op_id op, int32_t in, int i)
{
	return emit(x, op, 1, &in, 1, x->out[i]);
}

int32_t lower_emit_draft(struct lower *x, enum op_id op, int32_t n_in, const int32_t *in)
{
	if (x->n_attr > LOWER_SPARE) {
		lower_fail(x, ERR_INVALID_ARGUMENT, "it has %d attributes", x->n_attr);
		return VALUE_NONE;
	}
	for (int32_t i = 0; i < x->n_attr; i++)
		lower_with(x, x->attr[i]);
	x->n_attr = 0;
	return lower_emit(x, op, n_in, in);
}

void lower_become(struct lower *x, enum op_id op, int32_t n_out, int32_t n_in, const int32_t *in)
{
	x->op = op;
	x->n_in = 0;
	for (int32_t i = 0; i < n_in; i++)
		if (in[i] != VALUE_NONE)
			lower_set_in(x, i, in[i]);
	while (x->n_out > n_out || (x->n_out > 1 && x->out[x->n_out - 1] == VALUE_NONE))
		x->n_out--;
}

/* -- constants ------------------------------------------------------------------------------ */

static int32_t add_constant(struct lower *x, enum dtype dtype, const struct shape *shape,
	const void *data)
{
	if (x->rc != ERR_OK)
		return VALUE_NONE;
	struct tensor *t = graph_new_tensor(x->graph, dtype, shape);
	int32_t v;
	if (!t)
		x->rc = err_oom(x->err);
	else
		x->rc = graph_add_constant(x->graph, "", t, &v, x->err);
	if (x->rc != ERR_OK)
		return VALUE_NONE;
	memcpy(t->data, data, tensor_bytes(t));
	return v;
}

int32_t lower_ints(struct lower *x, const int64_t *v, int32_t n)
{
	struct shape s = shape_of(n);
	return add_constant(x, DTYPE_I64, &s, v ? v : (const int64_t[]){ 0 });
}

int32_t lower_int(struct lower *x, int64_t v)
{
	return lower_ints(x, &v, 1);
}

int32_t lower_scalar(struct lower *x, int64_t v)
{
	struct shape s = SHAPE_SCALAR;
	return add_constant(x, DTYPE_I64, &s, &v);
}

int32_t lower_floats(struct lower *x, const float *v, int32_t n)
{
	struct shape s = shape_of(n);
	return add_constant(x, DTYPE_F32, &s, v ? v : (const float[]){ 0 });
}

int32_t lower_float(struct lower *x, enum dtype dtype, double v)
{
	struct shape s = SHAPE_SCALAR;
	float f = (float)v;
	uint16_t h = float_to_half(f), b = float_to_bfloat(f);
	switch (dtype) {
	case DTYPE_F64: return add_constant(x, dtype, &s, &v);
	case DTYPE_F32: return add_constant(x, dtype, &s, &f);
	case DTYPE_F16: return add_constant(x, dtype, &s, &h);
	case DTYPE_BF16: return add_constant(x, dtype, &s, &b);
	default:
		lower_fail(x, ERR_UNIMPLEMENTED, "its input is %s, a floating-point type is needed",
			dtype_name(dtype));
		return VALUE_NONE;
	}
}

int32_t lower_as(struct lower *x, int32_t v, int64_t to)
{
	lower_with_int(x, "to", to);
	return LOWER_EMIT(x, CAST, v);
}

int32_t lower_dims(struct lower *x, int32_t v, int64_t from, int64_t to)
{
	lower_with_int(x, "start", from);
	lower_with_int(x, "end", to);
	return LOWER_EMIT(x, SHAPE, v);
}
