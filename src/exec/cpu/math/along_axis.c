/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators that go along one axis slice by slice: ArgMax, ArgMin, Hardmax, CumSum,
 * CumProd. One loop per type; an item of work is a slice, or, where slices lie side by side,
 * a block of them.
 */
#include "exec/cpu/math/along_axis.h"

#include <string.h>
#include "exec/cpu/types.h"

static void run_slices(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct axis_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t item = from; item < to; item++)
		s->fn(s, a, item / s->v.inner * s->v.n * s->v.inner + item % s->v.inner, item);
}

static void run_columns(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct axis_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++) {
		int64_t outer = i / s->blocks, col = i % s->blocks * s->width;
		s->columns(s, a, outer * s->v.n * s->v.inner + col, outer * s->v.inner + col,
			min_i64(s->width, s->v.inner - col));
	}
}

/* From here on slices are taken side by side, if they lie so. */
static void take_columns(struct prep *p, struct kernel *ret, struct axis_state *s, columns_fn fn,
	int64_t width, double ns)
{
	if (!fn || s->v.inner < 4 || s->v.n > INT32_MAX)
		return;
	s->columns = fn;
	s->width = width;
	s->blocks = (s->v.inner + width - 1) / width;
	s->split = split_work(p, ret, s->v.n ? s->v.outer * s->blocks : 0,
		10 + ns * (double)(s->v.n * min_i64(width, s->v.inner)));
	ret->run = run_columns;
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

/* From here on slices are rows, if they are dense. */
static void take_rows(struct prep *p, struct kernel *ret, struct axis_state *s, run_fn run)
{
	s->row = CPU_BEST(arg_row)[p->in[0].dtype];
	s->bytes = (int64_t)dtype_bytes(p->in[0].dtype);
	if (!s->row || s->v.inner != 1)
		return;
	s->split = split_work(p, ret, s->v.outer, 10 + 0.2 * (double)s->v.n);
	ret->run = run;
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

/* found: of each of n columns. max and last are known to the compiler, so that its loop has no
   branches. */
#define ARG_COLUMNS(id, T, U) \
	static inline __attribute__((always_inline)) void scan_columns_##T( \
		const struct axis_state *s, const T *x, int64_t n, int32_t *restrict found, \
		bool max, bool last) \
	{ \
		T best[AXIS_COLUMNS]; \
		memcpy(best, x, (size_t)n * sizeof(T)); \
		memset(found, 0, (size_t)n * sizeof(*found)); \
		for (int64_t i = 1; i < s->v.n; i++) { \
			const T *row = x + i * s->v.inner; \
			int32_t at = (int32_t)i; \
			for (int64_t k = 0; k < n; k++) { \
				T v = row[k], b = best[k]; \
				bool stays = max ? (last ? v < b : v <= b) \
					: (last ? v > b : v >= b); \
				stays |= b != b; \
				best[k] = stays ? b : v; \
				found[k] = stays ? found[k] : at; \
			} \
		} \
	} \
	static void find_columns_##T(const struct axis_state *s, const T *x, int64_t n, \
		int32_t *found) \
	{ \
		if (s->want_max && s->last) \
			scan_columns_##T(s, x, n, found, true, true); \
		else if (s->want_max) \
			scan_columns_##T(s, x, n, found, true, false); \
		else if (s->last) \
			scan_columns_##T(s, x, n, found, false, true); \
		else \
			scan_columns_##T(s, x, n, found, false, false); \
	} \
	static void arg_columns_##T(const struct axis_state *s, const struct kernel_args *a, \
		int64_t at, int64_t item, int64_t n) \
	{ \
		int32_t found[AXIS_COLUMNS]; \
		find_columns_##T(s, (const T *)a->in[0].data + at, n, found); \
		for (int64_t k = 0; k < n; k++) \
			((int64_t *)a->out[0].data)[item + k] = found[k]; \
	}
FOR_NUM(ARG_COLUMNS)

static void run_arg_rows(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct axis_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t r = from; r < to; r++)
		((int64_t *)a->out[0].data)[r] =
			s->row((const char *)a->in[0].data + r * s->v.n * s->bytes, s->v.n,
				s->want_max, s->last);
}

#define ROW(id, T, U, fn) [DTYPE_##id] = fn##_##T,
static const slice_fn args[DTYPE_COUNT_] = { FOR_NUM(ROW, arg) };
static const columns_fn args_columns[DTYPE_COUNT_] = { FOR_NUM(ROW, arg_columns) };

enum err_code prepare_arg(struct prep *p, struct kernel *ret, struct err *err)
{
	int axis = node_axis(p->node, "axis", 0, p->in[0].shape.rank);
	struct axis_state *s = axis_state(p, ret, axis, 1);
	if (!s)
		return err_oom(err);
	s->want_max = p->node->op == OP_ARG_MAX;
	s->last = node_int(p->node, "select_last_index", 0) != 0;
	s->fn = args[p->in[0].dtype];
	take_columns(p, ret, s, args_columns[p->in[0].dtype], AXIS_COLUMNS, 0.3);
	take_rows(p, ret, s, run_arg_rows);
	return s->fn ? ERR_OK : prep_refuse(err, "no loop for this type");
}

/* -- Hardmax: 1 where ArgMax points, 0 elsewhere ----------------------------------------------- */

#define HARDMAX(id, T, U) \
	static void hardmax_##T(const struct axis_state *s, const struct kernel_args *a, \
		int64_t at, int64_t item) \
	{ \
		T *o = (T *)a->out[0].data + at; \
		int64_t found = find_##T(s, (const T *)a->in[0].data + at); \
		(void)item; \
		for (int64_t i = 0; i < s->v.n; i++) \
			o[i * s->v.inner] = i == found; \
	}
#define HARDMAX_COLUMNS(id, T, U) \
	static void hardmax_columns_##T( \
		const struct axis_state *s, const struct kernel_args *a, int64_t at, int64_t item, \
		int64_t n) \
	{ \
		int32_t found[AXIS_COLUMNS]; \
		find_columns_##T(s, (const T *)a->in[0].data + at, n, found); \
		(void)item; \
		for (int64_t i = 0; i < s->v.n; i++) \
			for (int64_t k = 0; k < n; k++) \
				((T *)a->out[0].data)[at + i * s->v.inner + k] = i == found[k]; \
	}
FOR_REAL(HARDMAX)
FOR_REAL(HARDMAX_COLUMNS)
static const columns_fn hardmaxes_columns[DTYPE_COUNT_] = { FOR_REAL(ROW, hardmax_columns) };
static const slice_fn hardmaxes[DTYPE_COUNT_] = { FOR_REAL(ROW, hardmax) };

static void run_hardmax_rows(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct axis_state *s = a->state;
	int64_t from, to, row = s->v.n * s->bytes;
	split_range(&s->split, begin, end, &from, &to);
	memset((char *)a->out[0].data + from * row, 0, (size_t)((to - from) * row));
	for (int64_t r = from; r < to; r++) {
		int64_t found = s->row((const char *)a->in[0].data + r * row, s->v.n, true, false);
		memcpy((char *)a->out[0].data + r * row + found * s->bytes, &s->one,
			(size_t)s->bytes);
	}
}

enum err_code prepare_hardmax(struct prep *p, struct kernel *ret, struct err *err)
{
	int axis = node_axis(p->node, "axis", -1, p->in[0].shape.rank);
	struct axis_state *s = axis_state(p, ret, axis, 2);
	if (!s)
		return err_oom(err);
	s->want_max = true;
	s->fn = hardmaxes[p->in[0].dtype];
	take_columns(p, ret, s, hardmaxes_columns[p->in[0].dtype], AXIS_COLUMNS, 0.5);
	tensor_set(&(struct tensor){ .data = &s->one, .dtype = p->in[0].dtype }, 0, 1);
	take_rows(p, ret, s, run_hardmax_rows);
	if (s->v.n == 0)
		s->split.items = 0;
	return ERR_OK;
}

/* -- CumSum, CumProd: float in double ---------------------------------------------------------- */

#define CUM(name, T, A, START, OP) \
	static void name##_##T(const struct axis_state *s, const struct kernel_args *a, \
		int64_t at, int64_t item) \
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
CUM_SUMS(CUM)
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
	bool prod = p->node->op == OP_CUM_PROD;
	bool known =
		p->in[1].data && shape_axis(tensor_int(&p->in[1], 0), p->in[0].shape.rank, &axis);
	struct axis_state *s = axis_state(p, ret, axis, 1);
	if (!s)
		return err_oom(err);
	if (!known) {
		ret->run = run_cum;
		ret->units = 1;
	} else {
		const struct cum_columns *columns = CPU_BEST(&cum_columns);
		take_columns(p, ret, s, (prod ? columns->prod : columns->sum)[p->in[0].dtype],
			CUM_COLUMNS, 0.3);
	}
	s->exclusive = node_int(p->node, "exclusive", 0) != 0;
	s->reverse = node_int(p->node, "reverse", 0) != 0;
	s->fn = (prod ? cum_prods : cum_sums)[p->in[0].dtype];
	return s->fn ? ERR_OK : prep_refuse(err, "no loop for this type");
}
