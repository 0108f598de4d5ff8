/* SPDX-License-Identifier: Apache-2.0 */
/* Det and Inverse of square matrices: elimination in double, with the largest pivot in turn. */
#include "exec/cpu/cpu.h"

#include <math.h>
#include <string.h>
#include "exec/cpu/types.h"

struct lu_state {
	struct split split; /* of matrices */
	int64_t n;
};

static void swap_rows(double *m, int64_t width, int64_t i, int64_t j)
{
	for (int64_t k = 0; k < width && i != j; k++) {
		double v = m[i * width + k];
		m[i * width + k] = m[j * width + k];
		m[j * width + k] = v;
	}
}

static int64_t find_pivot(const double *m, int64_t n, int64_t width, int64_t col)
{
	int64_t best = col;
	for (int64_t i = col + 1; i < n; i++)
		if (fabs(m[i * width + col]) > fabs(m[best * width + col]))
			best = i;
	return best;
}

/* Makes the first n columns an upper triangle, the others whatever that makes of them.
   Returns the determinant. */
static double eliminate(double *m, int64_t n, int64_t width)
{
	double det = 1;
	for (int64_t col = 0; col < n; col++) {
		int64_t pivot = find_pivot(m, n, width, col);
		swap_rows(m, width, col, pivot);
		double p = m[col * width + col];
		det *= pivot == col ? p : -p;
		if (p == 0)
			return 0;
		for (int64_t i = col + 1; i < n; i++) {
			double factor = m[i * width + col] / p;
			for (int64_t k = col; k < width; k++)
				m[i * width + k] -= factor * m[col * width + k];
		}
	}
	return det;
}

/* Solves for the columns behind the triangle, in place. */
static void substitute(double *m, int64_t n, int64_t width)
{
	for (int64_t i = n - 1; i >= 0; i--)
		for (int64_t c = n; c < width; c++) {
			double v = m[i * width + c];
			for (int64_t k = i + 1; k < n; k++)
				v -= m[i * width + k] * m[k * width + c];
			m[i * width + c] = v / m[i * width + i];
		}
}

#define LU(id, T, U) \
	static void run_det_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct lu_state *s = a->state; \
		int64_t from, to, n = s->n; \
		double *m = a->scratch; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t item = from; item < to; item++) { \
			const T *x = (const T *)a->in[0].data + item * n * n; \
			for (int64_t i = 0; i < n * n; i++) \
				m[i] = (double)x[i]; \
			((T *)a->out[0].data)[item] = (T)eliminate(m, n, n); \
		} \
	} \
	static void run_inverse_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct lu_state *s = a->state; \
		int64_t from, to, n = s->n; \
		double *m = a->scratch; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t item = from; item < to; item++) { \
			const T *x = (const T *)a->in[0].data + item * n * n; \
			T *y = (T *)a->out[0].data + item * n * n; \
			for (int64_t i = 0; i < n; i++) \
				for (int64_t k = 0; k < n; k++) { \
					m[i * 2 * n + k] = (double)x[i * n + k]; \
					m[i * 2 * n + n + k] = i == k; \
				} \
			eliminate(m, n, 2 * n); \
			substitute(m, n, 2 * n); \
			for (int64_t i = 0; i < n; i++) \
				for (int64_t k = 0; k < n; k++) \
					y[i * n + k] = (T)m[i * 2 * n + n + k]; \
		} \
	}
FOR_REAL(LU)

static enum err_code lu_state(struct prep *p, struct kernel *ret, int64_t columns, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	struct lu_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->n = x->dim[x->rank - 1];
	int64_t items = shape_count_range(x, 0, x->rank - 2);
	double n = (double)s->n;
	s->split = split_work(p, ret, items, 20 + n * n * n * (double)columns / 2);
	ret->scratch_bytes = (size_t)(s->n * s->n * columns) * sizeof(double);
	return ERR_OK;
}

enum err_code prepare_det(struct prep *p, struct kernel *ret, struct err *err)
{
	ret->run = p->in[0].dtype == DTYPE_F64 ? run_det_double : run_det_float;
	return lu_state(p, ret, 1, err);
}

enum err_code prepare_inverse(struct prep *p, struct kernel *ret, struct err *err)
{
	ret->run = p->in[0].dtype == DTYPE_F64 ? run_inverse_double : run_inverse_float;
	return lu_state(p, ret, 2, err);
}
