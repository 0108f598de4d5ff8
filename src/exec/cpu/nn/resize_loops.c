/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resize by taps: the rows of the input that an item is made of are summed by the products of their
 * weights, in long runs, and then the last axis is done tap by tap over what follows it (the
 * inner run). Compiled once per instruction set.
 */
#include "exec/cpu/nn/resize_loops.h"

#include <string.h>
#include "exec/cpu/types.h"
#include "exec/cpu/vec_isa.h"

#define RESIZE(T, narrow) \
	/* sum += weight times a row of the input. */ \
	static void add_row_##T(double *sum, const T *x, int64_t n, double weight) \
	{ \
		IVDEP for (int64_t i = 0; i < n; i++) \
			sum[i] += weight * (double)x[i]; \
	} \
	static T narrow_##T(double v) \
	{ \
		return narrow; \
	} \
	/* Two taps: of single elements, and of runs. */ \
	static void finish_pairs_##T(const struct resize_taps *t, T *restrict y, \
		const double *restrict sum, int64_t n) \
	{ \
		for (int64_t o = 0; o < n; o++) \
			y[o] = narrow_##T( \
				(double)t->weight[2 * o] * sum[t->index[2 * o]] + \
				(double)t->weight[2 * o + 1] * sum[t->index[2 * o + 1]]); \
	} \
	static void finish_runs_##T(const struct resize_taps *t, T *restrict y, \
		const double *restrict sum, int64_t n, int64_t inner) \
	{ \
		for (int64_t o = 0; o < n; o++, y += inner) { \
			const double *a = sum + t->index[2 * o] * inner, \
				*b = sum + t->index[2 * o + 1] * inner; \
			double first = (double)t->weight[2 * o], \
				second = (double)t->weight[2 * o + 1]; \
			for (int64_t i = 0; i < inner; i++) \
				y[i] = narrow_##T(first * a[i] + second * b[i]); \
		} \
	} \
	/* The last resized axis, from the sum of rows. */ \
	static void finish_row_##T(const struct resize_state *s, T *y, const double *sum) \
	{ \
		int last = s->rank - 2; \
		const struct resize_taps *t = &s->axis[last]; \
		int64_t inner = s->stride[last]; \
		if (t->n == 2 && inner == 1) { \
			finish_pairs_##T(t, y, sum, s->out[last]); \
			return; \
		} \
		if (t->n == 2) { \
			finish_runs_##T(t, y, sum, s->out[last], inner); \
			return; \
		} \
		for (int64_t o = 0; o < s->out[last]; o++) { \
			const int32_t *index = t->index + o * t->n; \
			const float *weight = t->weight + o * t->n; \
			for (int64_t i = 0; i < inner; i++) { \
				double v = 0; \
				for (int64_t k = 0; k < t->n; k++) \
					v += (double)weight[k] * sum[index[k] * inner + i]; \
				y[o * inner + i] = narrow_##T(v); \
			} \
		} \
	} \
	static void extrapolate_##T(const struct resize_state *s, T *y, bool whole) \
	{ \
		int last = s->rank - 2; \
		const bool *off = s->axis[last].outside; \
		int64_t inner = s->stride[last]; \
		for (int64_t i = 0; i < s->out[last] * inner && (whole || off); i++) \
			if (whole || off[i / inner]) \
				y[i] = narrow_##T((double)s->extrapolation); \
	} \
	static void sum_rows_##T(const struct resize_state *s, const T *x, const int64_t *index, \
		double *sum) \
	{ \
		int last = s->rank - 2; \
		int64_t tap[RANK_MAX] = { 0 }, row = s->in[last] * s->stride[last]; \
		memset(sum, 0, (size_t)row * sizeof(*sum)); \
		for (bool more = true; more;) { \
			double weight = 1; \
			int64_t offset = 0; \
			for (int i = 0; i < last; i++) { \
				int64_t k = index[i] * s->axis[i].n + tap[i]; \
				weight *= (double)s->axis[i].weight[k]; \
				offset += s->axis[i].index[k] * s->stride[i]; \
			} \
			if (weight != 0) \
				add_row_##T(sum, x + offset, row, weight); \
			more = false; \
			for (int i = last - 1; i >= 0 && !more; i--) { \
				more = ++tap[i] < s->axis[i].n; \
				tap[i] = more ? tap[i] : 0; \
			} \
		} \
	} \
	static void run_resize_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct resize_state *s = a->state; \
		int64_t from, to, row = s->out[s->rank - 2] * s->stride[s->rank - 2]; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t item = from; item < to; item++) { \
			int64_t index[RANK_MAX]; \
			T *y = (T *)a->out[0].data + item * row; \
			bool outside = resize_index(s, item, index); \
			sum_rows_##T(s, a->in[0].data, index, a->scratch); \
			finish_row_##T(s, y, a->scratch); \
			extrapolate_##T(s, y, outside); \
		} \
	}
RESIZE(float, (float)v)
RESIZE(double, v)
/* NaN, as a model's cubic_coeff_a may make it, is the lowest. */
#define CUT(low, high) (v > (low) ? v < (high) ? v : (high) : (low))
RESIZE(uint8_t, (uint8_t)CUT(0, UINT8_MAX))
RESIZE(int8_t, (int8_t)CUT(INT8_MIN, INT8_MAX))
RESIZE(int32_t, (int32_t)CUT(INT32_MIN, INT32_MAX))

const run_fn VEC_NAME(resize_runs)[DTYPE_COUNT_] = {
	[DTYPE_F32] = run_resize_float,
	[DTYPE_F64] = run_resize_double,
	[DTYPE_U8] = run_resize_uint8_t,
	[DTYPE_I8] = run_resize_int8_t,
	[DTYPE_I32] = run_resize_int32_t,
};
