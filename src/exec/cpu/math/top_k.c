/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TopK. An item of work is a slice.
 *
 * DESIGN. A heap holds the k best so far, the worst of them at its root; runs of elements none of
 * which is better are passed over. Where k is a good part of a slice of floats, all of it is sorted
 * instead, by the digits of keys whose lower half is the index. Ties go to the lower index, NaN is
 * above all numbers.
 */
#include "exec/cpu/cpu.h"

#include <string.h>
#include "exec/cpu/math/key_sort.h"
#include "exec/cpu/types.h"

#define RUN 16       /* elements looked at before the heap is asked */
#define SORT_PART 32 /* slices are sorted where k is at least this part of them, */
#define SORT_MIN 128 /* and they are at least so long */

struct top_k_state {
	struct split split;
	struct axis_view v;
	bool want_max;
	int64_t k;
	void (*fn)(const struct top_k_state *s, const struct kernel_args *a, int64_t in_at,
		int64_t out_at);
};

static void run_top_k(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct top_k_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t item = from; item < to; item++) {
		int64_t outer = item / s->v.inner, at = item % s->v.inner;
		s->fn(s, a, outer * s->v.n * s->v.inner + at, outer * s->k * s->v.inner + at);
	}
}

/* -- a heap ------------------------------------------------------------------------------------ */

/* Does element i stand before j? */
#define TOP_K(id, T, U) \
	static bool before_##T(const struct top_k_state *s, const T *x, int64_t i, int64_t j) \
	{ \
		T a = x[i * s->v.inner], b = x[j * s->v.inner]; \
		bool more = a > b || (a != a && b == b), less = a < b || (b != b && a == a); \
		return more || less ? more == s->want_max : i < j; \
	} \
	static void sift_##T(const struct top_k_state *s, const T *x, int64_t *heap, int64_t n) \
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
	/* Is one of RUN neighbours better than b, or a NaN? */ \
	static bool any_better_##T(const T *x, T b, bool max) \
	{ \
		int any = 0; \
		if (max) \
			for (int i = 0; i < RUN; i++) \
				any |= !(x[i] <= b); \
		else \
			for (int i = 0; i < RUN; i++) \
				any |= !(x[i] >= b); \
		return any; \
	} \
	static void put_heap_##T(const struct top_k_state *s, const struct kernel_args *a, \
		const T *x, int64_t *heap, int64_t out) \
	{ \
		for (int64_t n = s->k; n > 0;) { \
			int64_t worst = heap[0]; \
			heap[0] = heap[--n]; \
			if (n) \
				sift_##T(s, x, heap, n); \
			int64_t to = out + n * s->v.inner; \
			((T *)a->out[0].data)[to] = x[worst * s->v.inner]; \
			if (args_has_out(a, 1)) \
				((int64_t *)a->out[1].data)[to] = worst; \
		} \
	} \
	static void top_k_##T(const struct top_k_state *s, const struct kernel_args *a, \
		int64_t at, int64_t out) \
	{ \
		const T *x = (const T *)a->in[0].data + at; \
		int64_t *heap = a->scratch, n = 0; \
		bool dense = s->v.inner == 1; \
		for (int64_t i = 0; i < s->v.n; i++) { \
			if (n < s->k) { \
				int64_t c = n++; \
				for (; c && before_##T(s, x, heap[(c - 1) / 2], i); \
					c = (c - 1) / 2) \
					heap[c] = heap[(c - 1) / 2]; \
				heap[c] = i; \
				continue; \
			} \
			while (dense && i + RUN <= s->v.n && \
				!any_better_##T(x + i, x[heap[0]], s->want_max)) \
				i += RUN; \
			int64_t end = min_i64(i + RUN, s->v.n); \
			for (; i < end; i++) \
				if (before_##T(s, x, i, heap[0])) { \
					heap[0] = i; \
					sift_##T(s, x, heap, n); \
				} \
			i--; \
		} \
		put_heap_##T(s, a, x, heap, out); \
	}
FOR_NUM(TOP_K)

/* -- sorted floats ----------------------------------------------------------------------------- */

static void top_k_sorted(
	const struct top_k_state *s, const struct kernel_args *a, int64_t at, int64_t out)
{
	const float *x = (const float *)a->in[0].data + at;
	uint64_t *keys = a->scratch;
	int64_t n = s->v.n, inner = s->v.inner;
	uint32_t turn = s->want_max ? UINT32_MAX : 0;
	for (int64_t i = 0; i < n; i++)
		keys[i] = (uint64_t)(key_place(x[i * inner]) ^ turn) << 32 | (uint64_t)i;
	keys = key_sort(keys, keys + n, n);
	for (int64_t i = 0; i < s->k; i++, out += inner) {
		int64_t index = (int64_t)(keys[i] & UINT32_MAX);
		((float *)a->out[0].data)[out] = x[index * inner];
		if (args_has_out(a, 1))
			((int64_t *)a->out[1].data)[out] = index;
	}
}

enum err_code prepare_top_k(struct prep *p, struct kernel *ret, struct err *err)
{
	static void (*const heaps[DTYPE_COUNT_])(
		const struct top_k_state *, const struct kernel_args *, int64_t, int64_t) = {
#define ROW(id, T, U) [DTYPE_##id] = top_k_##T,
		FOR_NUM(ROW)
	};
	const struct shape *x = &p->in[0].shape;
	int axis = node_axis(p->node, "axis", -1, x->rank);
	struct top_k_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->v = x->rank ? axis_view(x, axis) : (struct axis_view){ 1, 1, 1 };
	s->k = p->out[0].shape.dim[axis];
	s->want_max = node_int(p->node, "largest", 1) != 0;
	s->fn = heaps[p->in[0].dtype];
	if (!s->fn)
		return prep_refuse(err, "no loop for this type");
	ret->run = run_top_k;
	ret->scratch_bytes = (size_t)s->k * sizeof(int64_t);
	if (p->in[0].dtype == DTYPE_F32 && s->v.n >= SORT_MIN && s->k >= s->v.n / SORT_PART &&
		s->v.n <= UINT32_MAX) {
		s->fn = top_k_sorted;
		ret->scratch_bytes = 2 * (size_t)s->v.n * sizeof(uint64_t);
	}
	s->split = split_work(p, ret, s->k ? s->v.outer * s->v.inner : 0, 10 + 8 * (double)s->v.n);
	return ERR_OK;
}
