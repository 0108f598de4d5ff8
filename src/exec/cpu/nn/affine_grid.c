/* SPDX-License-Identifier: Apache-2.0 */
/* AffineGrid: the points of an image, -1 ... 1 along each axis, moved by a matrix per image. */
#include "exec/cpu/cpu.h"
#include "exec/cpu/types.h"

struct affine_state {
	struct split split; /* of points of all images */
	int spatial;
	bool align;
	int64_t dim[RANK_MAX], points;
};

/* Index i of n as a position: the middle of a pixel, between outer edges or corner pixels. */
static double position(const struct affine_state *s, int64_t i, int64_t n)
{
	if (s->align)
		return n > 1 ? -1 + 2 * (double)i / (double)(n - 1) : -1;
	return (2 * (double)i + 1) / (double)n - 1;
}

/* The innermost axis comes first in positions and matrices. Along it only the first product
   changes. */
#define AFFINE_GRID(id, T, U) \
	static inline __attribute__((always_inline)) void affine_row_##T( \
		const struct affine_state *s, int n, const T *theta, int64_t row, int64_t from, \
		int64_t to, T *restrict y) \
	{ \
		double at[RANK_MAX], sum[RANK_MAX]; \
		for (int i = 1; i < n; i++) { \
			int64_t dim = s->dim[n - 1 - i]; \
			at[i] = position(s, row % dim, dim); \
			row /= dim; \
		} \
		for (int i = 0; i < n; i++) { \
			sum[i] = (double)theta[i * (n + 1) + n]; \
			for (int k = 1; k < n; k++) \
				sum[i] += (double)theta[i * (n + 1) + k] * at[k]; \
		} \
		double first = position(s, 0, s->dim[n - 1]), \
			step = position(s, 1, s->dim[n - 1]) - first; \
		for (int64_t k = from; k < to; k++) { \
			double x = first + (double)k * step; \
			for (int i = 0; i < n; i++) \
				*y++ = (T)(sum[i] + (double)theta[i * (n + 1)] * x); \
		} \
	} \
	static void run_affine_grid_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct affine_state *s = a->state; \
		int64_t from, to, n = s->spatial, width = s->dim[n - 1]; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t point = from, count; point < to; point += count) { \
			const T *theta = (const T *)a->in[0].data + point / s->points * n * \
				(n + 1); \
			int64_t at = point % width; \
			count = min_i64(width - at, to - point); \
			int64_t row = point % s->points / width; \
			T *y = (T *)a->out[0].data + point * n; \
			if (n == 2) /* known, the loops over n are unrolled */ \
				affine_row_##T(s, 2, theta, row, at, at + count, y); \
			else \
				affine_row_##T(s, (int)n, theta, row, at, at + count, y); \
		} \
	}
FOR_REAL(AFFINE_GRID)

enum err_code prepare_affine_grid(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *y = &p->out[0].shape;
	struct affine_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->spatial = y->rank - 2;
	s->align = node_int(p->node, "align_corners", 0) != 0;
	s->points = shape_count_range(y, 1, y->rank - 1);
	for (int i = 0; i < s->spatial; i++)
		s->dim[i] = y->dim[i + 1];
	s->split = split_work(p, ret, y->dim[0] * s->points, 3);
	ret->run = p->in[0].dtype == DTYPE_F64 ? run_affine_grid_double : run_affine_grid_float;
	return ERR_OK;
}
