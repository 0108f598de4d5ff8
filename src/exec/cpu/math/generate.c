/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators that make a tensor from a few numbers: ConstantOfShape, Range, OneHot, Shape,
 * Size, EyeLike; and Trilu, which blanks parts of one.
 */
#include "exec/cpu/ncopy.h"

#include <string.h>
#include "exec/cpu/types.h"
#include "exec/infer/move_geometry.h"

struct fill_state {
	struct split split; /* of elements; of rows for Trilu; of index positions for OneHot */
	struct axis_view v;
	int64_t bytes, depth;
	bool upper;
	int64_t value[2]; /* one element of up to 16 bytes */
};

static struct fill_state *
fill_state(struct prep *p, struct kernel *ret, run_fn run, int64_t items, double ns)
{
	struct fill_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return NULL;
	s->bytes = (int64_t)dtype_bytes(p->out[0].dtype);
	s->split = split_work(p, ret, items, ns);
	ret->run = run;
	return s;
}

static void run_constant(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct fill_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	ncopy_fill((char *)a->out[0].data + from * s->bytes, (const char *)s->value, to - from,
		(size_t)s->bytes);
}

enum err_code prepare_constant_of_shape(struct prep *p, struct kernel *ret, struct err *err)
{
	struct fill_state *s = fill_state(p, ret, run_constant, tensor_count(&p->out[0]), 1);
	if (!s)
		return err_oom(err);
	const struct attr *value = node_attr(p->node, "value");
	if (value) /* absent: float 0 */
		memcpy(s->value, value->t->data, (size_t)s->bytes);
	return ERR_OK;
}

/* -- Shape, Size: known while planning; run only where nothing else made them so --------------- */

static void run_shape(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct fill_state *s = a->state;
	(void)begin, (void)end;
	for (int64_t i = 0; i < s->v.n; i++)
		((int64_t *)a->out[0].data)[i] = a->in[0].shape.dim[s->v.outer + i];
}

enum err_code prepare_shape(struct prep *p, struct kernel *ret, struct err *err)
{
	struct fill_state *s = fill_state(p, ret, run_shape, 1, 1);
	if (!s)
		return err_oom(err);
	int first, end;
	shape_span(p->node, p->in[0].shape.rank, &first, &end);
	s->v = (struct axis_view){ .outer = first, .n = end - first };
	return ERR_OK;
}

static void run_size(const struct kernel_args *a, int64_t begin, int64_t end)
{
	(void)begin, (void)end;
	*(int64_t *)a->out[0].data = tensor_count(&a->in[0]);
}

enum err_code prepare_size(struct prep *p, struct kernel *ret, struct err *err)
{
	return fill_state(p, ret, run_size, 1, 1) ? ERR_OK : err_oom(err);
}

/* -- Range ------------------------------------------------------------------------------------- */

#define RANGE(id, T, U) \
	static void run_range_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct fill_state *s = a->state; \
		int64_t from, to; \
		T start = *(const T *)a->in[0].data, delta = *(const T *)a->in[2].data; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t i = from; i < to; i++) \
			((T *)a->out[0].data)[i] = (T)((U)start + (U)i * (U)delta); \
	}
#define RANGE_WHOLE(id, T, U) \
	static void run_range_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct fill_state *s = a->state; \
		int64_t from, to; \
		U delta = (U)*(const T *)a->in[2].data, at; \
		split_range(&s->split, begin, end, &from, &to); \
		at = (U)*(const T *)a->in[0].data + (U)from * delta; \
		for (int64_t i = from; i < to; i++, at += delta) \
			((T *)a->out[0].data)[i] = (T)at; \
	}
RANGE(F32, float, double)
RANGE(F64, double, double)
FOR_SIGNED(RANGE_WHOLE)

static const run_fn ranges[DTYPE_COUNT_] = {
#define ROW(id, T, U) [DTYPE_##id] = run_range_##T,
	FOR_SIGNED(ROW) FOR_REAL(ROW)
};

enum err_code prepare_range(struct prep *p, struct kernel *ret, struct err *err)
{
	run_fn run = ranges[p->in[0].dtype];
	if (!run)
		return prep_refuse(err, "no loop for this type");
	return fill_state(p, ret, run, tensor_count(&p->out[0]), 1) ? ERR_OK : err_oom(err);
}

/* -- OneHot: an item is one index; its elements lie v.inner apart ------------------------------ */

/* Indices are of any numeric type; those out of range are hot nowhere. */
static void put_hot(
	const struct fill_state *s, const struct kernel_args *a, int64_t item, char *dst)
{
	double index = tensor_float(&a->in[0], item);
	if (!(index >= -(double)s->depth && index < (double)s->depth))
		return;
	int64_t k = (int64_t)index;
	memcpy(dst + (k < 0 ? k + s->depth : k) * s->v.inner * s->bytes,
		(const char *)a->in[2].data + s->bytes, (size_t)s->bytes);
}

static void run_one_hot(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct fill_state *s = a->state;
	const char *off = a->in[2].data;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t item = from, n; item < to; item += n) {
		int64_t outer = item / s->v.inner, at = item % s->v.inner,
			step = s->v.inner * s->bytes;
		char *dst = (char *)a->out[0].data + outer * s->depth * step + at * s->bytes;
		bool last = s->v.inner == 1;
		n = min_i64(s->v.inner - at, to - item);
		for (int64_t k = 0; k < (last ? 1 : s->depth); k++)
			ncopy_fill(dst + k * step, off, last ? s->depth : n, (size_t)s->bytes);
		for (int64_t i = 0; i < n; i++)
			put_hot(s, a, item + i, dst + i * s->bytes);
	}
}

enum err_code prepare_one_hot(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *y = &p->out[0].shape;
	int axis = node_axis(p->node, "axis", -1, y->rank);
	int64_t depth = y->dim[axis];
	struct fill_state *s = fill_state(p, ret, run_one_hot, depth ? tensor_count(&p->in[0]) : 0,
		10 + 2.0 * (double)depth);
	if (!s)
		return err_oom(err);
	s->v = axis_view(y, axis);
	s->depth = depth;
	return ERR_OK;
}

/* -- Trilu: an item is a row ------------------------------------------------------------------- */

static void run_trilu(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct fill_state *s = a->state;
	int64_t from, to, n = s->v.inner, k = args_has_in(a, 1) ? tensor_int(&a->in[1], 0) : 0;
	split_range(&s->split, begin, end, &from, &to);
	/* Beyond the matrix all are alike; so that k + row does not overflow. */
	k = min_i64(max_i64(k, -s->v.n - 1), n + 1);
	for (int64_t row = from; row < to; row++) {
		char *dst = (char *)a->out[0].data + row * n * s->bytes;
		const char *src = (const char *)a->in[0].data + row * n * s->bytes;
		/* Elements before `edge` are below the diagonal. */
		int64_t edge = row % s->v.n + k + (s->upper ? 0 : 1);
		edge = min_i64(max_i64(edge, 0), n);
		int64_t keep = s->upper ? edge : 0, count = s->upper ? n - edge : edge;
		if (dst != src)
			memcpy(dst + keep * s->bytes, src + keep * s->bytes,
				(size_t)(count * s->bytes));
		memset(dst + (s->upper ? 0 : edge) * s->bytes, 0, (size_t)((n - count) * s->bytes));
	}
}

enum err_code prepare_trilu(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	int64_t n = x->dim[x->rank - 1], rows = shape_count_range(x, 0, x->rank - 1);
	struct fill_state *s = fill_state(p, ret, run_trilu, n ? rows : 0, 5 + (double)n / 2);
	if (!s)
		return err_oom(err);
	s->v = (struct axis_view){ .n = x->dim[x->rank - 2], .inner = n };
	s->upper = node_int(p->node, "upper", 1) != 0;
	ret->inplace = true;
	return ERR_OK;
}

/* -- EyeLike: an item is a row ----------------------------------------------------------------- */

static void run_eye(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct fill_state *s = a->state;
	int64_t from, to, n = s->v.inner;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t row = from; row < to; row++) {
		char *dst = (char *)a->out[0].data + row * n * s->bytes;
		memset(dst, 0, (size_t)(n * s->bytes));
		if (row + s->depth >= 0 && row + s->depth < n)
			memcpy(dst + (row + s->depth) * s->bytes, s->value, (size_t)s->bytes);
	}
}

enum err_code prepare_eye_like(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *y = &p->out[0].shape;
	int64_t rows = y->dim[0], n = y->dim[1];
	struct fill_state *s = fill_state(p, ret, run_eye, n ? rows : 0, 10 + (double)n / 4);
	if (!s)
		return err_oom(err);
	struct tensor one = { .data = s->value, .dtype = p->out[0].dtype };
	tensor_set(&one, 0, 1);
	s->v.inner = n;
	/* Which diagonal; beyond the matrix all are alike, and row + k does not overflow. */
	s->depth = min_i64(max_i64(node_int(p->node, "k", 0), -rows), n);
	return ERR_OK;
}
