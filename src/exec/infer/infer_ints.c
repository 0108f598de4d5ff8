/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_ints.c -- the integers that shapes are made of, followed through the operators that
 * exporters compute shapes with
 */
#include "exec/infer/infer.h"
#include "exec/infer/move_geometry.h"

#include <inttypes.h>

static bool ints_shape(const struct infer *x, struct infer_ints *ret)
{
	const struct shape *s = &x->in[0]->shape;
	int from, to;
	if (s->rank < 0)
		return false;
	shape_span(x->node, s->rank, &from, &to);
	*ret = (struct infer_ints){ .rank = 1, .n = to - from };
	for (int i = 0; i < ret->n; i++) {
		ret->v[i] = s->dim[from + i];
		ret->literal |= (uint32_t)(ret->v[i] >= 0) << i;
	}
	return true;
}

static void ints_pick(const struct infer_ints *from, int i, struct infer_ints *to)
{
	to->v[to->n] = from->v[i];
	to->literal |= (from->literal >> i & 1) << to->n;
	to->n++;
}

static bool ints_gather(const struct infer *x, struct infer_ints *ret)
{
	struct infer_ints data, index;
	if (!infer_ints(x, 0, &data) || data.rank != 1 || !infer_ints(x, 1, &index))
		return false;
	*ret = (struct infer_ints){ .rank = index.rank };
	for (int i = 0; i < index.n; i++) {
		int at;
		if (!(index.literal >> i & 1) || !shape_axis(index.v[i], data.n, &at))
			return false;
		ints_pick(&data, at, ret);
	}
	return true;
}

static bool ints_slice(const struct infer *x, struct infer_ints *ret)
{
	struct infer_ints data;
	const struct tensor *t[5] = { NULL };
	struct slice_geometry g;
	if (!infer_ints(x, 0, &data) || data.rank != 1)
		return false;
	for (int i = 1; i < 5; i++) {
		t[i] = infer_has(x, i) ? x->in[i]->data : NULL;
		if (infer_has(x, i) && !t[i])
			return false;
	}
	struct shape s = shape_of(data.n);
	if (slice_geometry(&s, t[1], t[2], t[3], t[4], &g, NULL) != ERR_OK)
		return false;
	*ret = (struct infer_ints){ .rank = 1 };
	for (int i = 0; i < g.count[0]; i++)
		ints_pick(&data, (int)(g.start[0] + i * g.step[0]), ret);
	return true;
}

static bool ints_concat(const struct infer *x, struct infer_ints *ret)
{
	*ret = (struct infer_ints){ .rank = 1 };
	for (int i = 0; i < x->n_in; i++) {
		struct infer_ints part;
		if (!infer_ints(x, i, &part) || part.rank != 1 || ret->n + part.n > RANK_MAX)
			return false;
		for (int k = 0; k < part.n; k++)
			ints_pick(&part, k, ret);
	}
	return true;
}

/* The same integers; the output's inferred shape says whether they are a list. */
static bool ints_same(const struct infer *x, struct infer_ints *ret)
{
	int rank = x->out[0].shape.rank;
	if (rank < 0 || rank > 1 || !infer_ints(x, 0, ret))
		return false;
	ret->rank = rank;
	return true;
}

static bool ints_cast(const struct infer *x, struct infer_ints *ret)
{
	int64_t to = node_int(x->node, "to", 0);
	return (to == DTYPE_I64 || to == DTYPE_I32) && ints_same(x, ret);
}

/* a op b for two numbers; also 1 * b, a * 1, a / 1, a + 0. */
static bool combine(enum op_id op, int64_t a, int64_t b, int64_t *ret)
{
	switch (op) {
	case OP_ADD: return !__builtin_add_overflow(a, b, ret);
	case OP_SUB: return !__builtin_sub_overflow(a, b, ret);
	case OP_MUL: return !__builtin_mul_overflow(a, b, ret);
	case OP_DIV: *ret = b > 0 ? a / b : 0; return b > 0;
	default: return false;
	}
}

static void combine_dims(const struct infer *x, const struct infer_ints *a, int i,
	const struct infer_ints *b, int k, struct infer_ints *ret)
{
	enum op_id op = x->node->op;
	bool la = a->literal >> i & 1, lb = b->literal >> k & 1;
	bool one = op == OP_MUL || op == OP_DIV;
	int64_t unit = one ? 1 : 0;
	ret->v[ret->n] = DIM_UNKNOWN;
	if (la && lb && combine(op, a->v[i], b->v[k], &ret->v[ret->n]))
		ret->literal |= 1u << ret->n;
	else if (lb && !la && b->v[k] == unit)
		ret->v[ret->n] = a->v[i];
	else if (la && !lb && a->v[i] == unit && (op == OP_MUL || op == OP_ADD))
		ret->v[ret->n] = b->v[k];
	ret->n++;
}

static bool ints_arith(const struct infer *x, struct infer_ints *ret)
{
	struct infer_ints a, b;
	if (!infer_ints(x, 0, &a) || !infer_ints(x, 1, &b) || (a.n != b.n && a.n != 1 && b.n != 1))
		return false;
	int n = a.n == 1 ? b.n : a.n;
	*ret = (struct infer_ints){ .rank = a.rank > b.rank ? a.rank : b.rank };
	for (int i = 0; i < n; i++)
		combine_dims(x, &a, a.n == 1 ? 0 : i, &b, b.n == 1 ? 0 : i, ret);
	return true;
}

static bool propagate(const struct infer *x, struct infer_ints *ret)
{
	switch (x->node->op) {
	case OP_SHAPE: return ints_shape(x, ret);
	case OP_GATHER: return ints_gather(x, ret);
	case OP_SLICE: return ints_slice(x, ret);
	case OP_CONCAT: return ints_concat(x, ret);
	case OP_CAST: return ints_cast(x, ret);
	case OP_IDENTITY:
	case OP_RESHAPE:
	case OP_SQUEEZE:
	case OP_UNSQUEEZE: return ints_same(x, ret);
	case OP_ADD:
	case OP_SUB:
	case OP_MUL:
	case OP_DIV: return ints_arith(x, ret);
	default: return false;
	}
}

/* Where the result's type would wrap a number, nothing is said of it. */
static void forget_wrapped(enum dtype dtype, struct infer_ints *x)
{
	for (int i = 0; i < x->n; i++) {
		bool literal = x->literal >> i & 1;
		bool fits = dtype == DTYPE_I64 ||
			    (dtype == DTYPE_I32 && x->v[i] == (int32_t)x->v[i]);
		if (literal && !fits) {
			x->literal &= ~(1u << i);
			x->v[i] = DIM_UNKNOWN;
		}
	}
}

bool infer_propagate_ints(const struct infer *x, struct infer_ints *ret)
{
	if (!propagate(x, ret))
		return false;
	forget_wrapped(x->out[0].type.dtype, ret);
	return true;
}
