/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DFT and STFT on fft.h. An item of work is one transform: its points are read into double
 * from wherever they lie, transformed there, and what is asked for is written.
 */
#include "exec/cpu/signal/fft.h"
#include "exec/cpu/cpu.h"
#include "exec/cpu/types.h"

#include <string.h>
#include "exec/infer/dft_geometry.h"

struct dft_state {
	struct split split;
	const struct fft *fft;
	int64_t points; /* of a transform */
	struct axis_view in, out; /* inner: complex numbers, or reals that stand alone */
	int parts;                /* of the input: 1 real, 2 complex */
	bool inverse, real_out;   /* real_out: from one half of the spectrum */
	/* STFT */
	int64_t step, frames, window;
};

/* One half of a real signal's spectrum, made whole; what has no imaginary part loses it. */
static void complete(struct cplx *x, int64_t n)
{
	x[0].im = 0;
	if (n % 2 == 0)
		x[n / 2].im = 0;
	for (int64_t k = n / 2 + 1; k < n; k++)
		x[k] = (struct cplx){ x[n - k].re, -x[n - k].im };
}

#define DFT(id, T, U) \
	static void read_##T(struct cplx *to, const T *x, int64_t n, int64_t apart, int parts) \
	{ \
		for (int64_t k = 0; k < n; k++) \
			to[k] = (struct cplx){ (double)x[k * apart], \
				parts == 2 ? (double)x[k * apart + 1] : 0 }; \
	} \
	static void write_##T(T *y, const struct cplx *from, int64_t n, int64_t apart, int parts) \
	{ \
		for (int64_t k = 0; k < n; k++) { \
			y[k * apart] = (T)from[k].re; \
			if (parts == 2) \
				y[k * apart + 1] = (T)from[k].im; \
		} \
	} \
	static void run_dft_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct dft_state *s = a->state; \
		struct cplx *x = a->scratch; \
		int64_t from, to, n = s->out.n, inner = s->in.inner, points = s->points; \
		int parts_out = s->real_out ? 1 : 2; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t item = from; item < to; item++) { \
			int64_t outer = item / inner, i = item % inner; \
			int64_t have = min_i64(s->real_out ? points / 2 + 1 : points, s->in.n); \
			memset(x, 0, (size_t)points * sizeof(*x)); \
			read_##T(x, (const T *)a->in[0].data + (outer * s->in.n * inner + i) * \
				s->parts, have, inner * s->parts, s->parts); \
			if (s->real_out) \
				complete(x, points); \
			fft_run(s->fft, s->inverse, x, x + points); \
			write_##T((T *)a->out[0].data + (outer * n * inner + i) * parts_out, x, n, \
				inner * parts_out, parts_out); \
		} \
	} \
	/* An item is a frame of a signal. */ \
	static void run_stft_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct dft_state *s = a->state; \
		struct cplx *x = a->scratch; \
		const T *window = args_has_in(a, 2) ? a->in[2].data : NULL; \
		int64_t from, to, points = s->points; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t item = from; item < to; item++) { \
			int64_t at = item / s->frames * s->in.n + item % s->frames * s->step; \
			memset(x, 0, (size_t)points * sizeof(*x)); \
			read_##T(x, (const T *)a->in[0].data + at * s->parts, s->window, s->parts, \
				s->parts); \
			for (int64_t k = 0; k < s->window && window; k++) { \
				x[k].re *= (double)window[k]; \
				x[k].im *= (double)window[k]; \
			} \
			fft_run(s->fft, false, x, x + points); \
			write_##T((T *)a->out[0].data + item * s->out.n * 2, x, s->out.n, 2, 2); \
		} \
	}
FOR_REAL(DFT)

/* Items of `points` points; ns: n log n. */
static enum err_code dft_split(struct prep *p, struct dft_state *s, struct kernel *ret,
	int64_t items, int64_t points, struct err *err)
{
	s->points = points;
	if (tensor_count(&p->out[0]) == 0) {
		items = 0;
	} else {
		enum err_code rc = fft_new(p, points, &s->fft, err);
		if (rc != ERR_OK)
			return rc;
		ret->scratch_bytes = (size_t)(points + fft_scratch(s->fft)) * sizeof(struct cplx);
	}
	s->split = split_work(p, ret, items, 20 * (double)points);
	return ERR_OK;
}

enum err_code prepare_dft(struct prep *p, struct kernel *ret, struct err *err)
{
	struct dft_geometry g;
	struct dft_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	enum err_code rc =
		dft_geometry(p->node, &p->in[0].shape, prep_has_in(p, 1) ? &p->in[1] : NULL,
			prep_has_in(p, 2) ? &p->in[2] : NULL, &g, err);
	if (rc != ERR_OK)
		return rc;
	struct shape in = p->in[0].shape, out = p->out[0].shape;
	s->parts = (int)in.dim[in.rank - 1];
	in.dim[in.rank - 1] = out.dim[out.rank - 1] = 1;
	s->in = axis_view(&in, g.axis);
	s->out = axis_view(&out, g.axis);
	s->inverse = g.inverse;
	s->real_out = g.inverse && g.onesided;
	ret->run = p->in[0].dtype == DTYPE_F64 ? run_dft_double : run_dft_float;
	return dft_split(p, s, ret, s->in.outer * s->in.inner, g.length, err);
}

enum err_code prepare_stft(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *in = &p->in[0].shape, *out = &p->out[0].shape;
	struct dft_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	int64_t points = stft_length(in, prep_has_in(p, 2) ? &p->in[2].shape : NULL,
		prep_has_in(p, 3) ? &p->in[3] : NULL);
	s->parts = (int)in->dim[2];
	s->in.n = in->dim[1];
	s->out.n = out->dim[2];
	s->step = tensor_int(&p->in[1], 0);
	s->frames = out->dim[1];
	s->window = prep_has_in(p, 2) ? min_i64(p->in[2].shape.dim[0], points) : points;
	ret->run = p->in[0].dtype == DTYPE_F64 ? run_stft_double : run_stft_float;
	return dft_split(p, s, ret, out->dim[0] * s->frames, points, err);
}
