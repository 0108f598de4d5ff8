/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_shape.c -- operators that give their input another shape, or make one from a list
 * of integers: Reshape, Squeeze, Expand, Tile, Range, Shape, ...
 */
#include "exec/infer/infer.h"
#include "exec/infer/move_geometry.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum err_code infer_want_shape(struct infer *x, int i, struct infer_ints *ints, struct shape *ret,
	struct err *err)
{
	const struct shape *s = &x->in[i]->shape;
	TRY(infer_want_type(x, i, T(I64), err));
	TRY(infer_want_list(x, i, -1, err));
	if (!x->in[i]->data)
		TRY(infer_need_data(x, i));
	*ret = SHAPE_UNKNOWN;
	if (s->rank == 1 && s->dim[0] > RANK_MAX)
		return infer_fail(x, err,
			"input %d has %" PRId64 " entries, the largest rank is %d", i, s->dim[0],
			RANK_MAX);
	if (infer_ints(x, i, ints)) {
		ret->rank = ints->n;
		for (int k = 0; k < ints->n; k++)
			ret->dim[k] = ints->v[k];
	} else if (s->rank == 1 && s->dim[0] >= 0) {
		ret->rank = (int)s->dim[0];
		*ints = (struct infer_ints){ .rank = 1, .n = ret->rank };
		for (int k = 0; k < ret->rank; k++)
			ret->dim[k] = ints->v[k] = DIM_UNKNOWN;
	}
	return ERR_OK;
}

/* The number of elements as a product of numbers and symbols. */
struct product {
	int64_t number;
	int n;
	int64_t symbol[2 * RANK_MAX];
	bool known;
};

static void product_times(struct product *p, int64_t dim)
{
	if (dim == DIM_UNKNOWN || (dim >= 0 && __builtin_mul_overflow(p->number, dim, &p->number)))
		p->known = false;
	else if (dim < 0)
		p->symbol[p->n++] = dim;
}

static struct product product_of(const struct shape *s, int from, int to)
{
	struct product p = { .number = 1, .known = s->rank >= 0 };
	for (int i = from; i < to; i++)
		product_times(&p, s->dim[i]);
	return p;
}

/* Takes the symbol out of p; false: it has none. */
static bool product_cancel(struct product *p, int64_t symbol)
{
	for (int i = 0; i < p->n; i++)
		if (p->symbol[i] == symbol) {
			p->symbol[i] = p->symbol[--p->n];
			return true;
		}
	return false;
}

static int symbol_order(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* The product as one dimension: a number, a symbol, or a symbol derived from several. */
static int64_t product_dim(const struct infer *x, struct product *p)
{
	char text[GRAPH_NAME_MAX];
	int at = 0;
	if (!p->known || p->n == 0 || p->number == 0)
		return p->known ? p->number : DIM_UNKNOWN;
	if (p->n == 1 && p->number == 1)
		return p->symbol[0];
	qsort(p->symbol, (size_t)p->n, sizeof(p->symbol[0]), symbol_order);
	for (int i = 0; i < p->n; i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "*s%" PRId64,
			DIM_SYMBOL_INDEX(p->symbol[i]));
	return infer_derived(x, "%" PRId64 "%s", p->number, text);
}

/* What -1 in a Reshape stands for: the input's elements over those of the other
   dimensions, as far as symbols cancel. */
static int64_t solve_minus_one(
	const struct infer *x, const struct shape *in, const struct shape *out, int at)
{
	struct product num = product_of(in, 0, in->rank);
	if (!num.known)
		return DIM_UNKNOWN;
	int64_t below = 1;
	for (int i = 0; i < out->rank; i++) {
		int64_t d = out->dim[i];
		if (i == at)
			continue;
		if (d == DIM_UNKNOWN || (d < 0 && !product_cancel(&num, d)) ||
			(d >= 0 && __builtin_mul_overflow(below, d, &below)))
			return DIM_UNKNOWN;
	}
	if (below == 0 || num.number % below)
		return DIM_UNKNOWN;
	num.number /= below;
	return product_dim(x, &num);
}

/* All is known: the number of elements must stay. */
static enum err_code check_reshape(const struct infer *x, const struct shape *in,
	const struct shape *out, struct err *err)
{
	int64_t a, b;
	if (!shape_is_static(in) || !shape_is_static(out))
		return ERR_OK;
	if (!shape_count_overflows(in, &a) && !shape_count_overflows(out, &b) && a == b)
		return ERR_OK;
	return infer_fail(x, err, "input is %s, which cannot be reshaped to %s", SHAPE_TEXT(in),
		SHAPE_TEXT(out));
}

enum err_code infer_reshape(struct infer *x, struct err *err)
{
	const struct shape *in = &x->in[0]->shape;
	struct infer_ints want;
	struct shape out;
	int minus_one = -1;
	bool allowzero = node_int(x->node, "allowzero", 0) != 0;
	TRY(infer_want_int(x, "allowzero", 0, 0, 1, err));
	TRY(infer_want_shape(x, 1, &want, &out, err));
	for (int i = 0; i < out.rank; i++) {
		if (!(want.literal >> i & 1))
			continue;
		if (out.dim[i] < -1)
			return infer_fail(x, err, "shape[%d] is %" PRId64, i, out.dim[i]);
		if (out.dim[i] == -1 && minus_one >= 0)
			return infer_fail(x, err, "shape has -1 twice, at %d and %d", minus_one, i);
		if (out.dim[i] == -1)
			minus_one = i;
		if (out.dim[i] == 0 && !allowzero) {
			if (in->rank >= 0 && i >= in->rank)
				return infer_fail(x, err, "shape[%d] is 0, but input is %s", i,
					SHAPE_TEXT(in));
			out.dim[i] = in->rank >= 0 ? in->dim[i] : DIM_UNKNOWN;
		}
	}
	if (minus_one >= 0) {
		out.dim[minus_one] = solve_minus_one(x, in, &out, minus_one);
		if (shape_is_static(in) && want.literal == (1u << want.n) - 1 &&
			out.dim[minus_one] == DIM_UNKNOWN)
			return infer_fail(x, err, "input is %s: no number at %d makes shape %s fit",
				SHAPE_TEXT(in), minus_one, SHAPE_TEXT(&out));
	}
	TRY(check_reshape(x, in, &out, err));
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_flatten(struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape;
	struct shape out = shape_of(DIM_UNKNOWN, DIM_UNKNOWN);
	int64_t axis = node_int(x->node, "axis", 1);
	if (s->rank >= 0) {
		TRY(infer_want_int(x, "axis", 1, -s->rank, s->rank, err));
		int split = (int)(axis < 0 ? axis + s->rank : axis);
		struct product a = product_of(s, 0, split), b = product_of(s, split, s->rank);
		out = shape_of(product_dim(x, &a), product_dim(x, &b));
	}
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

/* The input axes of Squeeze and Unsqueeze as bits of this rank, if they are known. */
static enum err_code axes_input(struct infer *x, int rank, uint32_t *ret_mask, bool *ret_known,
	struct err *err)
{
	TRY(infer_want_type(x, 1, T(I64), err));
	TRY(infer_want_rank(x, 1, 0, 1, err));
	*ret_known = x->in[1]->data && rank >= 0;
	if (!x->in[1]->data)
		TRY(infer_need_data(x, 1));
	return *ret_known ? axes_mask(x->in[1]->data, rank, ret_mask, err) : ERR_OK;
}

static void set_unknown_dims(struct infer *x, int rank)
{
	struct shape out = { .rank = rank < 0 || rank > RANK_MAX ? RANK_UNKNOWN : rank };
	for (int i = 0; i < out.rank; i++)
		out.dim[i] = DIM_UNKNOWN;
	infer_set(x, 0, x->in[0]->type.dtype, &out);
}

/* How many axes a list has, RANK_MAX + 1 when that is not known. */
static int axes_length(const struct shape *axes)
{
	if (axes->rank == 0)
		return 1;
	return axes->rank == 1 && axes->dim[0] >= 0 && axes->dim[0] <= RANK_MAX ? (int)axes->dim[0]
										: RANK_MAX + 1;
}

enum err_code infer_squeeze(struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape;
	struct shape out = { .rank = 0 };
	uint32_t mask = 0;
	bool known = s->rank >= 0;
	if (infer_has(x, 1)) {
		TRY(axes_input(x, s->rank, &mask, &known, err));
		if (!known) {
			set_unknown_dims(x, s->rank - axes_length(&x->in[1]->shape));
			return ERR_OK;
		}
	}
	for (int i = 0; i < s->rank; i++) {
		bool listed = infer_has(x, 1) ? mask >> i & 1 : s->dim[i] == 1;
		if (listed && s->dim[i] >= 0 && s->dim[i] != 1)
			return infer_fail(
				x, err, "input is %s: axis %d is not 1", SHAPE_TEXT(s), i);
		if (!infer_has(x, 1) && s->dim[i] < 0)
			known = false; /* it may turn out to be 1 */
		if (!listed)
			out.dim[out.rank++] = s->dim[i];
	}
	infer_set(x, 0, x->in[0]->type.dtype, known ? &out : &SHAPE_UNKNOWN);
	return ERR_OK;
}

enum err_code infer_unsqueeze(struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape, *axes = &x->in[1]->shape;
	int n = axes_length(axes), rank = s->rank < 0 || n > RANK_MAX ? RANK_UNKNOWN : s->rank + n;
	struct shape out = { .rank = rank };
	uint32_t mask;
	bool known;
	if (rank > RANK_MAX || (x->in[1]->data && n > RANK_MAX))
		return infer_fail(x, err, "axes is %s, the output's rank must not exceed %d",
			SHAPE_TEXT(axes), RANK_MAX);
	TRY(axes_input(x, rank, &mask, &known, err));
	if (!known) {
		set_unknown_dims(x, rank);
		return ERR_OK;
	}
	for (int i = 0, k = 0; i < rank; i++)
		out.dim[i] = mask >> i & 1 ? 1 : s->dim[k++];
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_expand(struct infer *x, struct err *err)
{
	struct infer_ints want;
	struct shape to, out;
	TRY(infer_want_shape(x, 1, &want, &to, err));
	for (int i = 0; i < to.rank; i++)
		if (want.literal >> i & 1 && to.dim[i] < 0)
			return infer_fail(x, err,
				"shape[%d] is %" PRId64 ", it must not be negative", i, to.dim[i]);
	TRY(shape_broadcast(&x->in[0]->shape, &to, &out, err));
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_tile(struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape;
	struct infer_ints repeats;
	struct shape n, out = *s;
	TRY(infer_want_shape(x, 1, &repeats, &n, err));
	if (s->rank >= 0 && n.rank >= 0 && n.rank != s->rank)
		return infer_fail(
			x, err, "repeats has %d entries, input is %s", n.rank, SHAPE_TEXT(s));
	if (s->rank < 0 && n.rank >= 0)
		set_unknown_dims(x, n.rank);
	for (int i = 0; i < s->rank; i++) {
		bool literal = n.rank >= 0 && (repeats.literal >> i & 1);
		if (literal && n.dim[i] < 0)
			return infer_fail(x, err,
				"repeats[%d] is %" PRId64 ", it must not be negative", i, n.dim[i]);
		if (literal && n.dim[i] == 1)
			continue;
		if (!literal || s->dim[i] < 0)
			out.dim[i] = DIM_UNKNOWN;
		else if (__builtin_mul_overflow(s->dim[i], n.dim[i], &out.dim[i]))
			return infer_fail(x, err, "repeats[%d] is %" PRId64 ", which is too large",
				i, n.dim[i]);
	}
	if (s->rank >= 0)
		infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_constant_of_shape(struct infer *x, struct err *err)
{
	struct infer_ints want;
	struct shape out;
	const struct attr *value = node_attr(x->node, "value");
	TRY(infer_want_shape(x, 0, &want, &out, err));
	for (int i = 0; i < out.rank; i++)
		if (want.literal >> i & 1 && out.dim[i] < 0)
			return infer_fail(x, err,
				"input[%d] is %" PRId64 ", it must not be negative", i, out.dim[i]);
	if (value && tensor_count(value->t) != 1)
		return infer_fail(x, err, "value is %s, it must have one element",
			SHAPE_TEXT(&value->t->shape));
	infer_set(x, 0, value ? value->t->dtype : DTYPE_F32, &out);
	return ERR_OK;
}

/* ceil((limit - start) / delta) elements, in the type's own arithmetic. */
static enum err_code range_count(const struct infer *x, int64_t *ret, struct err *err)
{
	if (dtype_in(x->in[0]->type.dtype, T_FLOAT)) {
		double start = tensor_float(x->in[0]->data, 0),
		       limit = tensor_float(x->in[1]->data, 0);
		double delta = tensor_float(x->in[2]->data, 0), n = ceil((limit - start) / delta);
		if (delta == 0 || !(n < 0x1p48))
			return infer_fail(x, err,
				"start %g, limit %g, delta %g give no finite range", start, limit,
				delta);
		*ret = n > 0 ? (int64_t)n : 0;
		return ERR_OK;
	}
	int64_t start = tensor_int(x->in[0]->data, 0), limit = tensor_int(x->in[1]->data, 0);
	int64_t delta = tensor_int(x->in[2]->data, 0);
	if (delta == 0)
		return infer_fail(x, err, "delta is 0");
	__int128 span = (__int128)limit - start, step = delta;
	__int128 n = (span + step - (step > 0 ? 1 : -1)) / step;
	if (span == 0 || (span > 0) != (step > 0))
		n = 0;
	if (n > INT64_C(1) << 48)
		return infer_fail(x, err, "start %" PRId64 ", limit %" PRId64 ", delta %" PRId64
			" give too many elements", start, limit, delta);
	*ret = (int64_t)n;
	return ERR_OK;
}

enum err_code infer_range(struct infer *x, struct err *err)
{
	struct shape out = shape_of(DIM_UNKNOWN);
	bool known = true;
	TRY(infer_want_one_type(x, 0, T_FLOAT | T_INT, err));
	for (int i = 0; i < 3; i++) {
		TRY(infer_want_scalar(x, i, err));
		if (!x->in[i]->data) {
			known = false;
			TRY(infer_need_data(x, i));
		}
	}
	if (known)
		TRY(range_count(x, &out.dim[0], err));
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_shape(struct infer *x, struct err *err)
{
	int rank = x->in[0]->shape.rank, from, to;
	struct shape out = shape_of(DIM_UNKNOWN);
	(void)err;
	if (rank >= 0) {
		shape_span(x->node, rank, &from, &to);
		out.dim[0] = to - from;
	}
	infer_set(x, 0, DTYPE_I64, &out);
	return ERR_OK;
}

enum err_code infer_size(struct infer *x, struct err *err)
{
	(void)err;
	infer_set(x, 0, DTYPE_I64, &SHAPE_SCALAR);
	return ERR_OK;
}
