/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MaxPool without indices and AveragePool of plain floats, a row of the result at a time.
 *
 * DESIGN. All rows under the windows of a row are first made one, neighbours side by side whatever
 * the stride; that row lies in scratch, with its padding. Then the windows are taken along it.
 * Vectors that would leave a row begin earlier instead: what they have in common with the one
 * before is worked out twice.
 *
 * Compiled once per instruction set; ISA is avx2 or avx512.
 */
#include <math.h>
#include "exec/cpu/conv/window.h"
#include "exec/cpu/nn/pool_vec.h"

#define ROW_MAX (1 << 16) /* floats of the row in scratch */

struct pool_state {
	struct split split; /* of rows of the result */
	struct window w;
	/* Padding of the row in scratch; its floats, and what vectors read behind. */
	int64_t before, row;
	float none;	     /* what padding is */
	/* Of averages: elements of a window along a row, by output; NULL: maxima. */
	float *counted;
	bool count_pad;
};

static inline __attribute__((always_inline)) vec step(bool max, vec a, vec b)
{
	return max ? max_step(a, b) : sum_step(a, b);
}

/* n floats from or to a vector, which they fill or not. */
static inline vec load_some(const float *x, int64_t n)
{
	if (n == VEC_FLOATS)
		return *(const vec *)x;
	vec v = vec_all(0);
	memcpy(&v, x, (size_t)n * sizeof(*x));
	return v;
}

static inline void store_some(float *to, vec v, int64_t n)
{
	if (n == VEC_FLOATS)
		*(vec *)to = v;
	else
		memcpy(to, &v, (size_t)n * sizeof(*to));
}

/* The rows of one image at x that lie in the windows of a row of the result, made one. */
static inline __attribute__((always_inline)) void join_rows(const struct pool_state *s, bool max,
	const float *x, const struct reach *d, const struct reach *h, float *to)
{
	const struct conv_geometry *g = &s->w.g;
	int64_t n = g->in[AXIS_W], part = min_i64(n, VEC_FLOATS);
	for (int64_t from = 0; from < n; from += VEC_FLOATS) {
		int64_t at = n < VEC_FLOATS ? 0 : min_i64(from, n - VEC_FLOATS);
		vec v = vec_all(s->none);
		for (int64_t kd = d->from; kd < d->to; kd++)
			for (int64_t kh = h->from; kh < h->to; kh++) {
				int64_t plane = d->start + kd * g->dilation[AXIS_D];
				int64_t row =
					plane * g->in[AXIS_H] + h->start + kh * g->dilation[AXIS_H];
				v = step(max, v, load_some(x + row * n + at, part));
			}
		store_some(to + at, v, part);
	}
}

/* Every stride-th float. */
static inline __attribute__((always_inline)) vec load_apart(const float *x, int64_t stride)
{
	const vec *at = (const vec *)x;
	if (stride == 1)
		return at[0];
	if (stride == 2)
		return __builtin_shufflevector(at[0], at[1], EVEN_LANES);
	vec v;
	UNROLL for (int j = 0; j < VEC_FLOATS; j++)
		v[j] = x[j * stride];
	return v;
}

/* Windows along the row. */
static inline __attribute__((always_inline)) void join_columns(
	const struct pool_state *s, bool max, int64_t stride, const float *x, float rows, float *y)
{
	const struct conv_geometry *g = &s->w.g;
	int64_t n = g->out[AXIS_W], part = min_i64(n, VEC_FLOATS);
	for (int64_t from = 0; from < n; from += VEC_FLOATS) {
		int64_t at = n < VEC_FLOATS ? 0 : min_i64(from, n - VEC_FLOATS);
		vec v = vec_all(s->none);
		for (int64_t k = 0; k < g->kernel[AXIS_W]; k++)
			v = step(max, v,
				load_apart(x + at * stride + k * g->dilation[AXIS_W], stride));
		if (!max)
			v /= vec_all(rows) * *(const vec *)(s->counted + at);
		store_some(y + at, v, part);
	}
}

static inline __attribute__((always_inline)) void
pool_rows(const struct kernel_args *a, int64_t begin, int64_t end, bool max, int64_t stride)
{
	const struct pool_state *s = a->state;
	const struct window *w = &s->w;
	float *row = a->scratch;
	int64_t from, to, width = w->g.out[AXIS_W];
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = 0; i < s->row; i++)
		row[i] = s->none;
	for (int64_t item = from; item < to; item++) {
		struct window_row r = window_row(w, item);
		struct reach d = window_reach(w, s->count_pad, AXIS_D, r.d),
			     h = window_reach(w, s->count_pad, AXIS_H, r.h);
		const float *x =
			(const float *)a->in[0].data + (r.n * w->c_in + r.c) * window_image(w);
		join_rows(s, max, x, &d, &h, row + s->before);
		join_columns(s, max, stride, row, (float)max_i64(d.counted * h.counted, 1),
			(float *)a->out[0].data + item * width);
	}
}

#define RUN(name, max, stride) \
	static void name(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		pool_rows(a, begin, end, max, stride); \
	}
#define STRIDE ((const struct pool_state *)a->state)->w.g.stride[AXIS_W]
RUN(run_max_1, true, 1)
RUN(run_max_2, true, 2)
RUN(run_max_any, true, STRIDE)
RUN(run_average_1, false, 1)
RUN(run_average_2, false, 2)
RUN(run_average_any, false, STRIDE)

static run_fn choose_run(bool max, int64_t stride)
{
	if (max)
		return stride == 1 ? run_max_1 : stride == 2 ? run_max_2 : run_max_any;
	return stride == 1 ? run_average_1 : stride == 2 ? run_average_2 : run_average_any;
}

static enum err_code count_columns(struct prep *p, struct pool_state *s, struct err *err)
{
	int64_t width = s->w.g.out[AXIS_W];
	s->counted = prep_alloc(p, (size_t)(width + VEC_FLOATS) * sizeof(*s->counted));
	if (!s->counted)
		return err_oom(err);
	for (int64_t o = 0; o < width + VEC_FLOATS; o++)
		s->counted[o] = o < width ? (float)max_i64(
			window_reach(&s->w, s->count_pad, AXIS_W, o).counted, 1) : 1;
	return ERR_OK;
}

/* False: a row is too long to be kept, or empty, or windows go far beyond it. */
static bool place_row(struct pool_state *s)
{
	const struct conv_geometry *g = &s->w.g;
	int64_t n = g->in[AXIS_W], out = g->out[AXIS_W], stride = g->stride[AXIS_W];
	s->before = g->pad_begin[AXIS_W];
	if (n > ROW_MAX || out > ROW_MAX || s->before > ROW_MAX || stride > ROW_MAX || n < 1 ||
		out < 1)
		return false;
	int64_t read = max_i64(out, VEC_FLOATS) * stride + VEC_FLOATS;
	if (conv_extent(g, g->spatial - 1) > ROW_MAX || read > ROW_MAX)
		return false;
	s->row = max_i64(read + conv_extent(g, g->spatial - 1), s->before + n);
	return true;
}

enum err_code VEC_NAME(prepare_pool_rows)(struct prep *p, struct kernel *ret, struct err *err)
{
	bool max = p->node->op == OP_MAX_POOL;
	struct conv_geometry g;
	for (int i = 1; i < p->n_out; i++)
		if (p->out[i].shape.rank != RANK_UNKNOWN)
			return prep_refuse(err, "indices are the reference's");
	TRY(pool_geometry(p->node, &p->in[0].shape, &g, err));
	struct pool_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	TRY(window_init(&s->w, &g, &p->in[0].shape, &p->out[0].shape, err));
	if (!place_row(s))
		return prep_refuse(err, "rows that are empty or too long");
	s->none = max ? -INFINITY : 0;
	s->count_pad = node_int(p->node, "count_include_pad", 0) != 0;
	if (!max)
		TRY(count_columns(p, s, err));
	ret->scratch_bytes = (size_t)s->row * sizeof(float);
	double per_row = (double)(window_taps(&s->w) / s->w.g.kernel[AXIS_W] * s->w.g.in[AXIS_W] +
				  s->w.g.kernel[AXIS_W] * s->w.g.out[AXIS_W]);
	s->split = split_work(p, ret, window_rows(&s->w), 20 + per_row / 8);
	ret->run = choose_run(max, s->w.g.stride[AXIS_W]);
	return ERR_OK;
}
