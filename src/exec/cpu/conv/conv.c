/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv, FusedConv and ConvTranspose, reference: an output row at a time, tap by tap, in
 * double. What is right, and fast enough for types and shapes that no other kernel takes.
 */
#include "exec/cpu/types.h"
#include "exec/cpu/math/unary.h"
#include "exec/cpu/conv/window.h"

#include <string.h>

struct conv_state {
	struct split split; /* of output rows */
	struct window w;
	struct activation_loop act;
};

enum err_code window_init(struct window *w, const struct conv_geometry *g, const struct shape *x,
	const struct shape *y, struct err *err)
{
	if (g->spatial > AXES)
		return prep_refuse(err, "more than three spatial axes");
	w->n = x->dim[0];
	w->c_in = x->dim[1];
	w->c_out = y->dim[1];
	w->g = *g;
	w->g.spatial = AXES;
	for (int i = 0; i < AXES; i++) {
		int from = i - (AXES - g->spatial);
		bool real = from >= 0;
		w->g.in[i] = real ? g->in[from] : 1;
		w->g.out[i] = real ? g->out[from] : 1;
		w->g.kernel[i] = real ? g->kernel[from] : 1;
		w->g.stride[i] = real ? g->stride[from] : 1;
		w->g.dilation[i] = real ? g->dilation[from] : 1;
		w->g.pad_begin[i] = real ? g->pad_begin[from] : 0;
		w->g.pad_end[i] = real ? g->pad_end[from] : 0;
	}
	return ERR_OK;
}

/* acc[o] += wt * x[start + o * stride] where that is inside. */
#define CONV(id, T, U) \
	static void add_tap_##T(const struct window *w, double *acc, const T *x, double wt, \
		int64_t k) \
	{ \
		int64_t from, to, stride = w->g.stride[AXIS_W], \
			start = window_at(w, AXIS_W, 0, k); \
		window_span(start, stride, w->g.in[AXIS_W], w->g.out[AXIS_W], &from, &to); \
		for (int64_t o = from; o < to; o++) \
			acc[o] += wt * (double)x[start + o * stride]; \
	} \
	static void add_channel_##T(const struct window *w, double *acc, const T *x, const T *wt, \
		struct window_row r) \
	{ \
		const int64_t *in = w->g.in, *k = w->g.kernel; \
		for (int64_t kd = 0; kd < k[AXIS_D]; kd++) { \
			int64_t d = window_at(w, AXIS_D, r.d, kd); \
			for (int64_t kh = 0; kh < k[AXIS_H]; kh++) { \
				int64_t h = window_at(w, AXIS_H, r.h, kh); \
				if (d < 0 || d >= in[AXIS_D] || h < 0 || h >= in[AXIS_H]) \
					continue; \
				const T *row = x + (d * in[AXIS_H] + h) * in[AXIS_W]; \
				const T *taps = wt + (kd * k[AXIS_H] + kh) * k[AXIS_W]; \
				for (int64_t kw = 0; kw < k[AXIS_W]; kw++) \
					add_tap_##T(w, acc, row, (double)taps[kw], kw); \
			} \
		} \
	} \
	static void finish_row_##T(const struct kernel_args *a, const struct conv_state *s, \
		int64_t item, const double *acc, double bias) \
	{ \
		int64_t n = s->w.g.out[AXIS_W]; \
		T *o = (T *)a->out[0].data + item * n; \
		const T *z = args_has_in(a, 3) ? (const T *)a->in[3].data + item * n : NULL; \
		for (int64_t i = 0; i < n; i++) \
			o[i] = (T)(acc[i] + bias + (z ? (double)z[i] : 0)); \
		if (s->act.fn) \
			s->act.fn(o, o, n, s->act.param); \
	} \
	static void run_conv_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct conv_state *s = a->state; \
		const struct window *w = &s->w; \
		double *acc = a->scratch; \
		int64_t from, to, per_in = w->c_in / w->g.group, per_out = w->c_out / w->g.group; \
		int64_t image = window_image(w), taps = window_taps(w); \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t item = from; item < to; item++) { \
			struct window_row r = window_row(w, item); \
			const T *x = (const T *)a->in[0].data + \
				     (r.n * w->c_in + r.c / per_out * per_in) * image; \
			const T *wt = (const T *)a->in[1].data + r.c * per_in * taps; \
			memset(acc, 0, (size_t)w->g.out[AXIS_W] * sizeof(*acc)); \
			for (int64_t c = 0; c < per_in; c++) \
				add_channel_##T(w, acc, x + c * image, wt + c * taps, r); \
			finish_row_##T(a, s, item, acc, \
				args_has_in(a, 2) ? (double)((const T *)a->in[2].data)[r.c] : 0); \
		} \
	}
FOR_REAL(CONV)

static enum err_code conv_state(struct prep *p, struct kernel *ret, const struct conv_geometry *g,
	run_fn f32, run_fn f64, double channels, struct err *err)
{
	struct conv_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	enum err_code rc = window_init(&s->w, g, &p->in[0].shape, &p->out[0].shape, err);
	if (rc != ERR_OK)
		return rc;
	if (p->node->op == OP_FUSED_CONV)
		activation_find(p->node, p->in[0].dtype, &s->act);
	int64_t width = s->w.g.out[AXIS_W];
	s->split = split_work(p, ret, width ? window_rows(&s->w) : 0,
		20 + channels * (double)(window_taps(&s->w) * width));
	ret->run = p->in[0].dtype == DTYPE_F64 ? f64 : f32;
	ret->scratch_bytes = (size_t)width * sizeof(double);
	return ERR_OK;
}

enum err_code prepare_conv_ref(struct prep *p, struct kernel *ret, struct err *err)
{
	struct conv_geometry g;
	enum err_code rc = conv_geometry(p->node, &p->in[0].shape, &p->in[1].shape, &g, err);
	if (rc != ERR_OK)
		return rc;
	return conv_state(p, ret, &g, run_conv_float, run_conv_double,
		(double)p->in[1].shape.dim[1], err);
}

/* -- ConvTranspose: input i times tap k goes to i * stride + k * dilation - pad --------------- */

/* The input index whose tap k falls on output o; -1: none. */
static int64_t source_at(const struct window *w, int axis, int64_t o, int64_t k)
{
	int64_t at = o + w->g.pad_begin[axis] - k * w->g.dilation[axis], stride = w->g.stride[axis];
	return at >= 0 && at % stride == 0 && at / stride < w->g.in[axis] ? at / stride : -1;
}

#define CONV_TRANSPOSE(id, T, U) \
	static void scatter_taps_##T(const struct window *w, double *acc, const T *row, \
		const T *taps) \
	{ \
		for (int64_t kw = 0; kw < w->g.kernel[AXIS_W]; kw++) { \
			int64_t from, to, stride = w->g.stride[AXIS_W]; \
			int64_t at = kw * w->g.dilation[AXIS_W] - w->g.pad_begin[AXIS_W]; \
			window_span(at, stride, w->g.out[AXIS_W], w->g.in[AXIS_W], &from, &to); \
			for (int64_t i = from; i < to; i++) \
				acc[at + i * stride] += (double)row[i] * (double)taps[kw]; \
		} \
	} \
	static void scatter_channel_##T( \
		const struct window *w, double *acc, const T *x, const T *wt, struct window_row r) \
	{ \
		const int64_t *in = w->g.in, *k = w->g.kernel; \
		for (int64_t kd = 0; kd < k[AXIS_D]; kd++) { \
			int64_t d = source_at(w, AXIS_D, r.d, kd); \
			for (int64_t kh = 0; kh < k[AXIS_H]; kh++) { \
				int64_t h = source_at(w, AXIS_H, r.h, kh); \
				if (d >= 0 && h >= 0) \
					scatter_taps_##T(w, acc, \
						x + (d * in[AXIS_H] + h) * in[AXIS_W], \
						wt + (kd * k[AXIS_H] + kh) * k[AXIS_W]); \
			} \
		} \
	} \
	static void run_conv_transpose_##T( \
		const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct conv_state *s = a->state; \
		const struct window *w = &s->w; \
		double *acc = a->scratch; \
		int64_t from, to, per_in = w->c_in / w->g.group, per_out = w->c_out / w->g.group; \
		int64_t image = window_image(w), taps = window_taps(w); \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t item = from; item < to; item++) { \
			struct window_row r = window_row(w, item); \
			int64_t first = r.c / per_out * per_in; \
			memset(acc, 0, (size_t)w->g.out[AXIS_W] * sizeof(*acc)); \
			for (int64_t c = first; c < first + per_in; c++) \
				scatter_channel_##T(w, acc, \
					(const T *)a->in[0].data + (r.n * w->c_in + c) * image, \
					(const T *)a->in[1].data + \
						(c * per_out + r.c % per_out) * taps, \
					r); \
			finish_row_##T(a, s, item, acc, \
				args_has_in(a, 2) ? (double)((const T *)a->in[2].data)[r.c] : 0); \
		} \
	}
FOR_REAL(CONV_TRANSPOSE)

enum err_code prepare_conv_transpose_ref(struct prep *p, struct kernel *ret, struct err *err)
{
	struct conv_geometry g;
	enum err_code rc =
		conv_transpose_geometry(p->node, &p->in[0].shape, &p->in[1].shape, &g, err);
	if (rc != ERR_OK)
		return rc;
	return conv_state(p, ret, &g, run_conv_transpose_float, run_conv_transpose_double,
		(double)(p->in[0].shape.dim[1] / max_i64(g.group, 1)), err);
}
