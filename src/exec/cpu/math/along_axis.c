/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators that go along one axis slice by slice: ArgMax, ArgMin, Hardmax, CumSum,
 * CumProd, TopK. One loop per type; an item of work is a slice.
 */
#include "exec/cpu/cpu.h"

#include <string.h>
#include "exec/cpu/types.h"

struct axis_state {
	struct split split;
	struct axis_view v;
	bool want_max, last, exclusive, reverse;
	int64_t k;
	void (*fn)(const struct axis_state *s, const struct kernel_args *a, int64_t in_at, int64_t item);
};

static void run_slices(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct axis_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t item = from; item < to; item++)
		s->fn(s, a, item / s->v.inner * s->v.n * s->v.inner + item % s->v.inner, item);
}

static struct axis_state *axis_state(struct prep *p, struct kernel *ret, int axis, double ns)
{
	struct axis_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return NULL;
	const struct shape *x = &p->in[0].shape;
	s->v = x->rank ? axis_view(x, axis) : (struct axis_view){ 1, 1, 1 };
	s->split = split_work(p, ret, s->v.outer * s->v.inner, 10 + ns * (double)s->v.n);
	ret->run = run_slices;
	return s;
}

/* -- ArgMax, ArgMin: the first NaN wins, as in numpy ----------------------------------------- */

#define ARG(id, T, U) \
	static int64_t find_##T(const struct axis_state *s, const T *x) \
	{ \
		T best = x[0]; \
		int64_t found = 0; \
		for (int64_t i = 1; i < s->v.n; i++) { \
			T v = x[i * s->v.inner]; \
			bool better = s->want_max ? v > best : v < best; \
			if ((better || v != v || (s->last && v == best)) && best == best) { \
				best = v; \
				found = i; \
			} \
		} \
		return found; \
	} \
	static void arg_##T(const struct axis_state *s, const struct kernel_args *a, int64_t at, \
		int64_t item) \
	{ \
		((int64_t *)a->out[0].data)[item] = find_##T(s, (const T *)a->in[0].data + at); \
	}
FOR_NUM(ARG)

typedef void (*slice_fn)(const struct axis_state *s, const struct kernel_args *a, int64_t at, int64_t item);
#define ROW(id, T, U, fn) [DTYPE_##id] = fn##_##T,
static const slice_fn args[DTYPE_COUNT_] = { FOR_NUM(ROW, arg) };

enum err_code prepare_arg(struct prep *p, struct kernel *ret, struct err *err)
{
	int axis = node_axis(p->node, "axis", 0, p->in[0].shape.rank);
	struct axis_state *s = axis_state(p, ret, axis, 1);
	if (!s)
		return err_oom(err);
	s->want_max = p->node->op == OP_ARG_MAX;
	s->last = node_int(p->node, "select_last_index", 0) != 0;
	s->fn = args[p->in[0].dtype];
	return s->fn ? ERR_OK : prep_refuse(err, "no loop for this type");
}

/* -- Hardmax: 1 where ArgMax points, 0 elsewhere ------------------------------------------------ */

#define HARDMAX(id, T, U) \
	static void hardmax_##T(const struct axis_state *s, const struct kernel_args *a, int64_t at, \
		int64_t item) \
	{ \
		T *o = (T *)a->out[0].data + at; \
		int64_t found = find_##T(s, (const T *)a->in[0].data + at); \
		(void)item; \
		for (int64_t i = 0; i < s->v.n; i++) \
			o[i * s->v.inner] = i == found; \
	}
FOR_REAL(HARDMAX)
static const slice_fn hardmaxes[DTYPE_COUNT_] = { FOR_REAL(ROW, hardmax) };

enum err_code prepare_hardmax(struct prep *p, struct kernel *ret, struct err *err)
{
	int axis = node_axis(p->node, "axis", -1, p->in[0].shape.rank);
	struct axis_state *s = axis_state(p, ret, axis, 2);
	if (!s)
		return err_oom(err);
	s->want_max = true;
	s->fn = hardmaxes[p->in[0].dtype];
	if (s->v.n == 0)
		s->split.items = 0;
	return ERR_OK;
}

/* -- CumSum, CumProd: float in double ----------------------------------------------------------- */

#define CUM(name, T, A, START, OP) \
	static void name##_##T(const struct axis_state *s, const struct kernel_args *a, int64_t at, \
		int64_t item) \
	{ \
		int64_t step = s->reverse ? -s->v.inner : s->v.inner; \
		int64_t first = s->reverse ? (s->v.n - 1) * s->v.inner : 0; \
		const T *x = (const T *)a->in[0].data + at + first; \
		T *o = (T *)a->out[0].data + at + first; \
		A sum = START; \
		(void)item; \
		for (int64_t i = 0; i < s->v.n; i++) { \
			A v = (A)x[i * step]; \
			o[i * step] = (T)(s->exclusive ? sum : sum OP v); \
			sum = sum OP v; \
		} \
	}
#define CUMS(T, A) CUM(cum_sum, T, A, 0, +) CUM(cum_prod, T, A, 1, *)
CUMS(float, double)
CUMS(double, double)
CUMS(int32_t, uint32_t)
CUMS(int64_t, uint64_t)
CUMS(uint32_t, uint32_t)
CUMS(uint64_t, uint64_t)
static const slice_fn cum_sums[DTYPE_COUNT_] = { FOR_WIDE(ROW, cum_sum) };
static const slice_fn cum_prods[DTYPE_COUNT_] = { FOR_WIDE(ROW, cum_prod) };

/* The axis is a value: known while planning, or read when it is there, and then not split. */
static void run_cum(const struct kernel_args *a, int64_t begin, int64_t end)
{
	struct axis_state s = *(const struct axis_state *)a->state;
	const struct shape *x = &a->in[0].shape;
	int axis;
	(void)begin, (void)end;
	if (!shape_axis(tensor_int(&a->in[1], 0), x->rank, &axis)) {
		kernel_fault(a, FAULT_VALUE, tensor_int(&a->in[1], 0));
		return;
	}
	s.v = axis_view(x, axis);
	for (int64_t item = 0; item < s.v.outer * s.v.inner; item++)
		s.fn(&s, a, item / s.v.inner * s.v.n * s.v.inner + item % s.v.inner, item);
}

enum err_code prepare_cum(struct prep *p, struct kernel *ret, struct err *err)
{
	int axis = 0;
	bool known = p->in[1].data && shape_axis(tensor_int(&p->in[1], 0), p->in[0].shape.rank, &axis);
	struct axis_state *s = axis_state(p, ret, axis, 1);
	if (!s)
		return err_oom(err);
	if (!known) {
		ret->run = run_cum;
		ret->units = 1;
	}
	s->exclusive = node_int(p->node, "exclusive", 0) != 0;
	s->reverse = node_int(p->node, "reverse", 0) != 0;
	s->fn = (p->node->op == OP_CUM_PROD ? cum_prods : cum_sums)[p->in[0].dtype];
	return s->fn ? ERR_OK : prep_refuse(err, "no loop for this type");
}

/* -- TopK: a heap of the k best whose root is the worst; ties go to the lower index ------------ */

/* Does element i stand before j? NaN is above all numbers. */
#define TOP_K(id, T, U) \
	static bool before_##T(const struct axis_state *s, const T *x, int64_t i, int64_t j) \
	{ \
		T a = x[i * s->v.inner], b = x[j * s->v.inner]; \
		bool more = a > b || (a != a && b == b), less = a < b || (b != b && a == a); \
		return more || less ? more == s->want_max : i < j; \
	} \
	static void sift_##T(const struct axis_state *s, const T *x, int64_t *heap, int64_t n) \
	{ \
		int64_t at = 0, moving = heap[0]; \
		for (int64_t child; (child = 2 * at + 1) < n; at = child) { \
			if (child + 1 < n && before_##T(s, x, heap[child], heap[child + 1])) \
				child++; \
			if (!before_##T(s, x, moving, heap[child])) \
				break; \
			heap[at] = heap[child]; \
		} \
		heap[at] = moving; \
	} \
	static void top_k_##T(const struct axis_state *s, const struct kernel_args *a, int64_t at, \
		int64_t item) \
	{ \
		const T *x = (const T *)a->in[0].data + at; \
		int64_t *heap = a->scratch, n = 0; \
		int64_t out = item / s->v.inner * s->k * s->v.inner + item % s->v.inner; \
		for (int64_t i = 0; i < s->v.n; i++) { \
			if (n < s->k) { \
				int64_t c = n++; \
				for (; c && before_##T(s, x, heap[(c - 1) / 2], i); c = (c - 1) / 2) \
					heap[c] = heap[(c - 1) / 2]; \
				heap[c] = i; \
			} else if (before_##T(s, x, i, heap[0])) { \
				heap[0] = i; \
				sift_##T(s, x, heap, n); \
			} \
		} \
		while (n > 0) { \
			int64_t worst = heap[0]; \
			heap[0] = heap[--n]; \
			if (n) \
				sift_##T(s, x, heap, n); \
			int64_t to = out + n * s->v.inner; \
			((T *)a->out[0].data)[to] = x[worst * s->v.inner]; \
			if (args_has_out(a, 1)) \
				((int64_t *)a->out[1].data)[to] = worst; \
		} \
	}
FOR_NUM(TOP_K)
static const slice_fn top_ks[DTYPE_COUNT_] = { FOR_NUM(ROW, top_k) };

enum err_code prepare_top_k(struct prep *p, struct kernel *ret, struct err *err)
{
	int axis = node_axis(p->node, "axis", -1, p->in[0].shape.rank);
	struct axis_state *s = axis_state(p, ret, axis, 8);
	if (!s)
		return err_oom(err);
	s->k = p->out[0].shape.dim[axis];
	s->want_max = node_int(p->node, "largest", 1) != 0;
	s->fn = top_ks[p->in[0].dtype];
	if (!s->fn)
		return prep_refuse(err, "no loop for this type");
	if (s->k == 0)
		s->split.items = 0;
	ret->scratch_bytes = (size_t)s->k * sizeof(int64_t);
	return ERR_OK;
}
