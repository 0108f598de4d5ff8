/* SPDX-License-Identifier: Apache-2.0 */
/* AveragePool, LpPool, MaxPool and their global kin, reference: an output row at a time. */
#include "exec/cpu/types.h"
#include "exec/cpu/conv/window.h"

#include <math.h>
#include <string.h>

struct pool_state {
	struct split split;
	struct window w;
	bool count_pad, column_major;
	double *counted; /* of averages: elements of a window along a row, by output */
	int64_t p; /* of LpPool */
};

/* Visits every element under a window: body sees x[at] and at. */
#define FOR_WINDOW(w, d, h, c, at, body) \
	for (int64_t kd = (d).from; kd < (d).to; kd++) \
		for (int64_t kh = (h).from; kh < (h).to; kh++) \
			for (int64_t kw = (c).from; kw < (c).to; kw++) { \
				int64_t at = (((d).start + kd * (w)->g.dilation[AXIS_D]) * \
							     (w)->g.in[AXIS_H] + \
						     (h).start + kh * (w)->g.dilation[AXIS_H]) * \
						     (w)->g.in[AXIS_W] + \
					     (c).start + kw * (w)->g.dilation[AXIS_W]; \
				body; \
			}

/* In an image of the same sizes with width varying slowest. */
static int64_t column_major(const struct window *w, int64_t at)
{
	const int64_t *in = w->g.in;
	int64_t c = at % in[AXIS_W], h = at / in[AXIS_W] % in[AXIS_H];
	int64_t d = at / (in[AXIS_W] * in[AXIS_H]);
	return (c * in[AXIS_H] + h) * in[AXIS_D] + d;
}

/* Visits the rows under a row's windows, tap by tap: body sees x[start + o * stride] for outputs
   o in [o_from, o_to). */
#define FOR_TAPS(w, d, h, body) \
	for (int64_t kd = (d).from; kd < (d).to; kd++) \
		for (int64_t kh = (h).from; kh < (h).to; kh++) \
			for (int64_t kw = 0; kw < (w)->g.kernel[AXIS_W]; kw++) { \
				int64_t plane = (d).start + kd * (w)->g.dilation[AXIS_D]; \
				int64_t line = plane * (w)->g.in[AXIS_H] + (h).start + \
					       kh * (w)->g.dilation[AXIS_H]; \
				int64_t stride = (w)->g.stride[AXIS_W], o_from, o_to; \
				int64_t start = window_at(w, AXIS_W, 0, kw); \
				window_span(start, stride, (w)->g.in[AXIS_W], (w)->g.out[AXIS_W], \
					&o_from, &o_to); \
				start += line * (w)->g.in[AXIS_W]; \
				body; \
			}

/* For a kernel's units [begin, end): each row of the output is an item, whose image begins at x;
   d and h are what its windows reach. */
#define FOR_ROWS(T, a, begin, end, count_pad, ...) \
	int64_t from, to, width = w->g.out[AXIS_W], image = window_image(w); \
	split_range(&s->split, begin, end, &from, &to); \
	for (int64_t item = from; item < to; item++) { \
		struct window_row r = window_row(w, item); \
		const T *x = (const T *)(a)->in[0].data + (r.n * w->c_in + r.c) * image; \
		struct reach d = window_reach(w, count_pad, AXIS_D, r.d); \
		struct reach h = window_reach(w, count_pad, AXIS_H, r.h); \
		__VA_ARGS__ \
	}

/* The first of the largest; a number that is none stays. */
#define MAX_POOL(id, T, LOWEST) \
	static void run_max_pool_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct pool_state *s = a->state; \
		const struct window *w = &s->w; \
		FOR_ROWS(T, a, begin, end, s->count_pad, { \
			int64_t base = (r.n * w->c_in + r.c) * image; \
			T *restrict best = (T *)a->out[0].data + item * width; \
			int64_t *restrict found = (int64_t *)a->out[1].data + item * width; \
			for (int64_t o = 0; o < width; o++) { \
				best[o] = LOWEST; \
				found[o] = -1; \
			} \
			FOR_TAPS(w, d, h, { \
				for (int64_t o = o_from; o < o_to; o++) { \
					T v = x[start + o * stride]; \
					T b = best[o]; \
					bool stays = (found[o] >= 0) & ((v <= b) | (b != b)); \
					best[o] = stays ? b : v; \
					found[o] = stays ? found[o] : start + o * stride; \
				} \
			}) \
			for (int64_t o = 0; o < width; o++) \
				found[o] = base + (s->column_major ? column_major(w, found[o]) \
						: found[o]); \
		}) \
	}
MAX_POOL(F32, float, -INFINITY)
MAX_POOL(F64, double, -INFINITY)
MAX_POOL(I8, int8_t, INT8_MIN)
MAX_POOL(U8, uint8_t, 0)

/* Without indices. A number that is none stays. */
#define MAX_POOL_ROWS(id, T, LOWEST) \
	static void run_max_pool_rows_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct pool_state *s = a->state; \
		const struct window *w = &s->w; \
		FOR_ROWS(T, a, begin, end, false, { \
			T *best = (T *)a->out[0].data + item * width; \
			for (int64_t o = 0; o < width; o++) \
				best[o] = LOWEST; \
			FOR_TAPS(w, d, h, { \
				for (int64_t o = o_from; o < o_to; o++) { \
					T v = x[start + o * stride]; \
					best[o] = v > best[o] || v != v ? v : best[o]; \
				} \
			}) \
		}) \
	}
MAX_POOL_ROWS(F32, float, -INFINITY)
MAX_POOL_ROWS(F64, double, -INFINITY)
MAX_POOL_ROWS(I8, int8_t, INT8_MIN)
MAX_POOL_ROWS(U8, uint8_t, 0)

#define AVERAGE_POOL(id, T, U) \
	static void run_average_pool_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct pool_state *s = a->state; \
		const struct window *w = &s->w; \
		double *sum = a->scratch; \
		FOR_ROWS(T, a, begin, end, s->count_pad, { \
			memset(sum, 0, (size_t)width * sizeof(*sum)); \
			FOR_TAPS(w, d, h, { \
				for (int64_t o = o_from; o < o_to; o++) \
					sum[o] += (double)x[start + o * stride]; \
			}) \
			T *y = (T *)a->out[0].data + item * width; \
			double rows = (double)(d.counted * h.counted); \
			for (int64_t o = 0; o < width; o++) { \
				double counted = rows * s->counted[o]; \
				y[o] = (T)(counted > 0 ? sum[o] / counted : 0); \
			} \
		}) \
	}
FOR_REAL(AVERAGE_POOL)

/* |v| to the p: by multiplication where p is small, as pow() takes long. */
static double power(double v, int64_t p)
{
	double a = fabs(v);
	return p == 1 ? a : p == 2 ? a * a : p == 3 ? a * a * a : pow(a, (double)p);
}

#define LP_POOL(id, T, U) \
	static void run_lp_pool_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct pool_state *s = a->state; \
		const struct window *w = &s->w; \
		FOR_ROWS(T, a, begin, end, s->count_pad, { \
			for (int64_t o = 0; o < width; o++) { \
				struct reach c = window_reach(w, s->count_pad, AXIS_W, o); \
				double sum = 0; \
				FOR_WINDOW(w, d, h, c, at, sum += power((double)x[at], s->p)) \
				((T *)a->out[0].data)[item * width + o] = \
					(T)(s->p == 2 ? sqrt(sum) : pow(sum, 1 / (double)s->p)); \
			} \
		}) \
	}
FOR_REAL(LP_POOL)

static const run_fn max_pools[DTYPE_COUNT_] = {
	[DTYPE_F32] = run_max_pool_float,
	[DTYPE_F64] = run_max_pool_double,
	[DTYPE_I8] = run_max_pool_int8_t,
	[DTYPE_U8] = run_max_pool_uint8_t,
};
static const run_fn max_pool_rows[DTYPE_COUNT_] = {
	[DTYPE_F32] = run_max_pool_rows_float,
	[DTYPE_F64] = run_max_pool_rows_double,
	[DTYPE_I8] = run_max_pool_rows_int8_t,
	[DTYPE_U8] = run_max_pool_rows_uint8_t,
};
static const run_fn average_pools[DTYPE_COUNT_] = {
	[DTYPE_F32] = run_average_pool_float,
	[DTYPE_F64] = run_average_pool_double,
};

static const run_fn lp_pools[DTYPE_COUNT_] = {
	[DTYPE_F32] = run_lp_pool_float,
	[DTYPE_F64] = run_lp_pool_double,
};

/* Of global pools: one window as large as the image. */
static void global_geometry(const struct shape *x, struct conv_geometry *g)
{
	*g = (struct conv_geometry){ .spatial = 1, .group = 1 };
	g->in[0] = g->kernel[0] = shape_count_range(x, 2, x->rank);
	g->out[0] = g->stride[0] = g->dilation[0] = 1;
}

enum err_code prepare_pool_ref(struct prep *p, struct kernel *ret, struct err *err)
{
	enum op_id op = p->node->op;
	bool max = op == OP_MAX_POOL || op == OP_GLOBAL_MAX_POOL;
	bool lp = op == OP_LP_POOL || op == OP_GLOBAL_LP_POOL;
	struct conv_geometry g;
	enum err_code rc = ERR_OK;
	if (op == OP_GLOBAL_MAX_POOL || op == OP_GLOBAL_AVERAGE_POOL || op == OP_GLOBAL_LP_POOL)
		global_geometry(&p->in[0].shape, &g);
	else
		rc = pool_geometry(p->node, &p->in[0].shape, &g, err);
	if (rc != ERR_OK)
		return rc;
	bool indices = p->n_out > 1 && p->out[1].shape.rank != RANK_UNKNOWN;
	const run_fn *maxima = indices ? max_pools : max_pool_rows;
	ret->run = (max ? maxima : lp ? lp_pools : average_pools)[p->in[0].dtype];
	if (!ret->run)
		return prep_refuse(err, "no loop for this type");
	struct pool_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	rc = window_init(&s->w, &g, &p->in[0].shape, &p->out[0].shape, err);
	if (rc != ERR_OK)
		return rc;
	s->count_pad = node_int(p->node, "count_include_pad", 0) != 0;
	s->p = node_int(p->node, "p", 2);
	s->column_major = node_int(p->node, "storage_order", 0) != 0;
	int64_t width = s->w.g.out[AXIS_W];
	if (!max && !lp) {
		ret->scratch_bytes = (size_t)width * sizeof(double);
		s->counted = prep_alloc(p, ret->scratch_bytes + 1);
		if (!s->counted)
			return err_oom(err);
		for (int64_t o = 0; o < width; o++)
			s->counted[o] =
				(double)window_reach(&s->w, s->count_pad, AXIS_W, o).counted;
	}
	s->split = split_work(p, ret, width ? window_rows(&s->w) : 0,
		20 + (double)(window_taps(&s->w) * width));
	return ERR_OK;
}
