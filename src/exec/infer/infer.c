/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/infer/infer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* No real tensor has a larger dimension, and sums and products of two stay in range of
   what the geometry files check. */
#define DIM_MAX (INT64_C(1) << 48)

enum err_code infer_fail(const struct infer *x, struct err *err, const char *fmt, ...)
{
	(void)x;
	va_list ap;
	va_start(ap, fmt);
	enum err_code rc = err_vset(err, ERR_INVALID_ARGUMENT, fmt, ap);
	va_end(ap);
	return rc;
}

enum err_code infer_need_data(struct infer *x, int i)
{
	assert(infer_has(x, i) && !x->in[i]->data);
	(void)i;
	x->needs_data = true;
	return ERR_OK;
}

/* "float32, int8 or bool" for messages. */
static const char *format_types(uint64_t set, char *buf, size_t size)
{
	size_t at = 0;
	buf[0] = '\0';
	for (int d = 1; d < DTYPE_TENSOR && at < size; d++) {
		if (!dtype_in((enum dtype)d, set))
			continue;
		bool last = !(set & ((UINT64_C(1) << DTYPE_TENSOR) - 1) >> (d + 1) << (d + 1));
		at += (size_t)snprintf(buf + at, size - at, "%s%s",
			at == 0 ? "" : last ? " or " : ", ", dtype_name((enum dtype)d));
	}
	return buf;
}

static enum err_code want_tensor(const struct infer *x, int i, struct err *err)
{
	const struct type *t = &x->in[i]->type;
	if (!type_is_tensor(t))
		return infer_fail(x, err, "input %d is a %s, it must be a tensor", i,
			t->is_sequence ? "sequence" : t->is_optional ? "optional" : "map");
	return ERR_OK;
}

enum err_code infer_want_type(const struct infer *x, int i, uint64_t set, struct err *err)
{
	char buf[300];
	if (!infer_has(x, i))
		return infer_fail(x, err, "input %d is required", i);
	const struct type *t = &x->in[i]->type;
	TRY(want_tensor(x, i, err));
	if (t->dtype != DTYPE_UNDEFINED && !dtype_in(t->dtype, set))
		return infer_fail(x, err, "input %d is %s, it must be %s", i, dtype_name(t->dtype),
			format_types(set, buf, sizeof(buf)));
	return ERR_OK;
}

enum err_code infer_want_rank(const struct infer *x, int i, int min, int max, struct err *err)
{
	const struct shape *s = &x->in[i]->shape;
	if (s->rank == RANK_UNKNOWN || (s->rank >= min && s->rank <= max))
		return ERR_OK;
	if (min == max)
		return infer_fail(
			x, err, "input %d is %s, its rank must be %d", i, SHAPE_TEXT(s), min);
	if (max >= RANK_MAX)
		return infer_fail(x, err, "input %d is %s, its rank must be at least %d", i,
			SHAPE_TEXT(s), min);
	return infer_fail(
		x, err, "input %d is %s, its rank must be in [%d,%d]", i, SHAPE_TEXT(s), min, max);
}

enum err_code infer_want_same_type(const struct infer *x, int i, int j, struct err *err)
{
	enum dtype a = x->in[i]->type.dtype, b = x->in[j]->type.dtype;
	if (a == b || a == DTYPE_UNDEFINED || b == DTYPE_UNDEFINED)
		return ERR_OK;
	return infer_fail(x, err, "input %d is %s and input %d is %s, they must be of one type", i,
		dtype_name(a), j, dtype_name(b));
}

enum err_code infer_want_one_type(const struct infer *x, int first, uint64_t set, struct err *err)
{
	for (int i = first; i < x->n_in; i++) {
		if (!infer_has(x, i))
			continue;
		TRY(infer_want_type(x, i, set, err));
		TRY(infer_want_same_type(x, first, i, err));
	}
	return ERR_OK;
}

enum err_code infer_want_scalar(const struct infer *x, int i, struct err *err)
{
	const struct shape *s = &x->in[i]->shape;
	if (s->rank <= 0 || (s->rank == 1 && (s->dim[0] < 0 || s->dim[0] == 1)))
		return ERR_OK;
	return infer_fail(x, err, "input %d is %s, it must be a scalar", i, SHAPE_TEXT(s));
}

enum err_code infer_want_list(const struct infer *x, int i, int64_t n, struct err *err)
{
	const struct shape *s = &x->in[i]->shape;
	TRY(infer_want_rank(x, i, 1, 1, err));
	if (s->rank == 1 && n >= 0 && dim_conflict(s->dim[0], n))
		return infer_fail(x, err,
			"input %d has %" PRId64 " elements, %" PRId64 " are needed", i, s->dim[0],
			n);
	return ERR_OK;
}

enum err_code infer_want_fit(const struct infer *x, int i, const struct shape *to, struct err *err)
{
	const struct shape *s = &x->in[i]->shape;
	bool fits = s->rank < 0 || to->rank < 0 || s->rank <= to->rank;
	for (int k = 0; fits && to->rank >= 0 && k < s->rank; k++) {
		int64_t d = s->dim[k];
		fits = d == 1 || !dim_conflict(d, to->dim[to->rank - s->rank + k]);
	}
	if (fits)
		return ERR_OK;
	return infer_fail(x, err, "input %d is %s, which does not broadcast to %s", i,
		SHAPE_TEXT(s), SHAPE_TEXT(to));
}

enum err_code infer_axis(const struct infer *x, const char *name, int64_t otherwise, int rank,
	int *ret, struct err *err)
{
	int64_t axis = node_int(x->node, name, otherwise);
	if (shape_axis(axis, rank, ret))
		return ERR_OK;
	return infer_fail(
		x, err, "%s is %" PRId64 ", it must be in [%d,%d]", name, axis, -rank, rank - 1);
}

enum err_code infer_want_int(const struct infer *x, const char *name, int64_t otherwise,
	int64_t min, int64_t max, struct err *err)
{
	int64_t v = node_int(x->node, name, otherwise);
	if (v >= min && v <= max)
		return ERR_OK;
	return infer_fail(x, err, "%s is %" PRId64 ", it must be in [%" PRId64 ",%" PRId64 "]",
		name, v, min, max);
}

enum err_code infer_want_choice(const struct infer *x, const char *name, const char *otherwise,
	const char *const *names, struct err *err)
{
	struct slice s = node_string(x->node, name, otherwise);
	char list[120] = "";
	size_t at = 0;
	for (int i = 0; names[i]; i++) {
		if (slice_is(s, names[i]))
			return ERR_OK;
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s",
			i == 0 ? "" : names[i + 1] ? ", " : " or ", names[i]);
		at = at < sizeof(list) ? at : sizeof(list);
	}
	return infer_fail(x, err, "%s is '%.*s', it must be %s", name, SLICE_ARG(s), list);
}

enum err_code infer_want_number(
	struct infer *x, int i, int64_t *ret, bool *ret_known, struct err *err)
{
	TRY(infer_want_type(x, i, T(I32) | T(I64), err));
	TRY(infer_want_scalar(x, i, err));
	*ret_known = x->in[i]->data;
	if (!*ret_known)
		return infer_need_data(x, i);
	*ret = tensor_int(x->in[i]->data, 0);
	return ERR_OK;
}

enum err_code infer_broadcast(const struct infer *x, int first, struct shape *ret, struct err *err)
{
	*ret = x->in[first]->shape;
	for (int i = first + 1; i < x->n_in; i++)
		if (infer_has(x, i))
			TRY(shape_broadcast(ret, &x->in[i]->shape, ret, err));
	return ERR_OK;
}

bool infer_ints(const struct infer *x, int i, struct infer_ints *ret)
{
	const struct tensor *t = x->in[i]->data;
	if (!t) {
		if (x->in[i]->ints)
			*ret = *x->in[i]->ints;
		return x->in[i]->ints;
	}
	if (t->shape.rank > 1 || tensor_count(t) > RANK_MAX)
		return false;
	enum dtype_class class = dtype_info(t->dtype)->class;
	if (class != DTYPE_CLASS_INT && class != DTYPE_CLASS_UINT)
		return false;
	*ret = (struct infer_ints){ .rank = t->shape.rank, .n = (int32_t)tensor_count(t) };
	ret->literal = (1u << ret->n) - 1;
	for (int k = 0; k < ret->n; k++)
		ret->v[k] = tensor_int(t, k);
	return true;
}

int64_t infer_derived(const struct infer *x, const char *fmt, ...)
{
	char text[GRAPH_NAME_MAX] = "?";
	if (!x->symbols)
		return DIM_UNKNOWN;
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(text + 1, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	/* A cut text might be equal to another one that means something else. */
	if (len < 0 || len >= (int)sizeof(text) - 1)
		return DIM_UNKNOWN;
	return graph_symbol(x->symbols, (struct slice){ text, (size_t)len + 1 });
}

void infer_set(struct infer *x, int out, enum dtype dtype, const struct shape *shape)
{
	if (out >= x->n_out)
		return;
	x->out[out].type = (struct type){ .dtype = dtype };
	x->out[out].shape = *shape;
}

/* What holds nothing costs no memory, however large its other dimensions are. But kernels walk
   rows, and multiply dimensions with those of other inputs: together they stay below this. */
#define EMPTY_COUNT_MAX (INT64_C(1) << 28)

static bool is_too_hollow(const struct shape *s)
{
	struct shape filled = *s;
	int64_t count = 0;
	bool empty = false;
	for (int k = 0; k < s->rank; k++) {
		empty |= s->dim[k] == 0;
		filled.dim[k] = s->dim[k] ? s->dim[k] : 1;
	}
	return empty && shape_is_static(s) &&
	       (shape_count_overflows(&filled, &count) || count > EMPTY_COUNT_MAX);
}

static enum err_code check_inputs(const struct infer *x, struct err *err)
{
	bool containers = op_info(x->node->op)->flags & (OP_CONTAINERS | OP_CONTROL);
	for (int i = 0; i < x->n_in; i++) {
		if (!x->in[i])
			continue;
		if (!containers)
			TRY(want_tensor(x, i, err));
		const struct shape *s = &x->in[i]->shape;
		for (int k = 0; k < s->rank; k++)
			if (s->dim[k] > DIM_MAX)
				return infer_fail(x, err,
					"input %d is %s, a dimension is too large", i,
					SHAPE_TEXT(s));
		if (is_too_hollow(s))
			return infer_fail(x, err, "input %d is %s, which is empty and too large", i,
				SHAPE_TEXT(s));
	}
	return ERR_OK;
}

static enum err_code check_outputs(const struct infer *x, struct err *err)
{
	for (int i = 0; i < x->n_out; i++) {
		const struct ivalue *v = &x->out[i];
		size_t bytes;
		if (shape_is_static(&v->shape) && (is_too_hollow(&v->shape) ||
			tensor_bytes_overflow(v->type.dtype, &v->shape, &bytes)))
			return infer_fail(x, err, "output %d would be %s, which is too large", i,
				SHAPE_TEXT(&v->shape));
	}
	return ERR_OK;
}

enum err_code infer_node(struct infer *x, struct err *err)
{
	const struct op_info *op = op_info(x->node->op);
	x->needs_data = false;
	for (int i = 0; i < x->n_out; i++)
		x->out[i] = (struct ivalue){ .shape = SHAPE_UNKNOWN };
	enum err_code rc = check_inputs(x, err);
	if (rc == ERR_OK)
		rc = op->infer(x, err);
	if (rc == ERR_OK)
		rc = check_outputs(x, err);
	if (rc != ERR_OK)
		return err_prefix(err, "%s",
			node_label(x->graph, x->node, (char[NODE_LABEL_MAX]){ 0 }, NODE_LABEL_MAX));
	return ERR_OK;
}
