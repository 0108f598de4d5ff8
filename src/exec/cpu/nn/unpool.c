/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pools and convolutions took apart, put together again: MaxUnpool puts maxima back
 * where they came from, Col2Im adds up the windows that an image was cut into.
 */
#include "base/checked.h"
#include "exec/cpu/conv/columns_add.h"
#include "exec/cpu/conv/window.h"

#include <string.h>
#include "exec/cpu/types.h"

/* Floats that planes of phases may have, in sizes of the image. */
#define PLANES_MAX 4

/* -- MaxUnpool ------------------------------------------------------------------------------- */

struct unpool_state {
	int rank;
	int64_t pooled[RANK_MAX]; /* the tensor that the indices are of */
	int64_t stride[RANK_MAX]; /* of the output */
	int64_t count;            /* of pooled */
	bool same;                /* so is the output */
	size_t bytes;
};

static void run_max_unpool(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct unpool_state *s = a->state;
	const int64_t *index = a->in[1].data;
	char *y = a->out[0].data;
	int64_t n = tensor_count(&a->in[0]);
	(void)begin, (void)end;
	memset(y, 0, tensor_bytes(&a->out[0]));
	for (int64_t i = 0; i < n; i++) {
		int64_t rest = index[i], at = 0;
		if (rest < 0 || rest >= s->count) {
			kernel_fault(a, FAULT_INDEX, rest);
			return;
		}
		for (int d = s->rank - 1; d >= 0 && !s->same; d--) {
			at += rest % s->pooled[d] * s->stride[d];
			rest /= s->pooled[d];
		}
		at = s->same ? rest : at;
		memcpy(y + at * (int64_t)s->bytes,
			(const char *)a->in[0].data + i * (int64_t)s->bytes, s->bytes);
	}
}

enum err_code prepare_max_unpool(struct prep *p, struct kernel *ret, struct err *err)
{
	struct shape pooled;
	struct unpool_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	enum err_code rc = unpool_shape(p->node, &p->in[0].shape, &pooled, err);
	if (rc != ERR_OK)
		return rc;
	s->rank = pooled.rank;
	memcpy(s->pooled, pooled.dim, sizeof(s->pooled));
	shape_strides(&p->out[0].shape, s->stride);
	s->count = shape_count(&pooled);
	s->same = shape_equal(&pooled, &p->out[0].shape);
	s->bytes = dtype_bytes(p->in[0].dtype);
	ret->run = run_max_unpool;
	return ERR_OK;
}

/* -- Col2Im: an item is an image of one channel --------------------------------------------- */

struct fold_state {
	struct split split;
	struct conv_geometry g; /* of the convolution that made the columns */
	int64_t image, columns, kernel, rows; /* rows: of columns */
};

/* The pixels that a tap of a row of windows lies on: first + o * stride, for windows o in [from,
   to). */
struct tap_row {
	int64_t first, from, to;
};

/* false: on padding, all of them. */
static bool tap_row(const struct conv_geometry *g, int64_t row, int64_t tap, struct tap_row *ret)
{
	int last = g->spatial - 1;
	int64_t start = tap % g->kernel[last] * g->dilation[last] - g->pad_begin[last], line = 0,
		lines = 1;
	window_span(start, g->stride[last], g->in[last], g->out[last], &ret->from, &ret->to);
	tap /= g->kernel[last];
	for (int i = last - 1; i >= 0; i--) {
		int64_t at = row % g->out[i] * g->stride[i] + tap % g->kernel[i] * g->dilation[i] -
			     g->pad_begin[i];
		if (at < 0 || at >= g->in[i])
			return false;
		line += at * lines;
		lines *= g->in[i];
		row /= g->out[i];
		tap /= g->kernel[i];
	}
	ret->first = line * g->in[last] + start;
	return true;
}

#define FOLD(id, T, ADD) \
	static void fold_##id(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct fold_state *s = a->state; \
		int64_t from, to, stride = s->g.stride[s->g.spatial - 1]; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t item = from; item < to; item++) { \
			const T *x = (const T *)a->in[0].data + item * s->kernel * s->columns; \
			T *y = (T *)a->out[0].data + item * s->image; \
			memset(y, 0, (size_t)s->image * sizeof(T)); \
			for (int64_t k = 0; k < s->kernel; k++) \
				for (int64_t r = 0; r < s->rows; r++, x += s->columns / s->rows) { \
					struct tap_row t; \
					if (!tap_row(&s->g, r, k, &t)) \
						continue; \
					T *restrict at = y + t.first; \
					const T *restrict v = x; \
					for (int64_t o = t.from; stride == 1 && o < t.to; o++) \
						ADD(at[o], v[o]); \
					for (int64_t o = t.from; stride != 1 && o < t.to; o++) \
						ADD(at[o * stride], v[o]); \
				} \
		} \
	}
#define PLUS(to, from) (to) += (from)
#define EITHER(to, from) (to) |= (from)
#define COMPLEX_PLUS(to, from) ((to).re += (from).re, (to).im += (from).im)
struct c64 {
	float re, im;
};
struct c128 {
	double re, im;
};
#define FOLD_NUMBER(id, T, U) FOLD(id, T, PLUS)
FOLD_NUMBER(U8, uint8_t, )
FOLD_NUMBER(U16, uint16_t, )
FOLD_NUMBER(U32, uint32_t, )
FOLD_NUMBER(U64, uint64_t, )
FOLD_NUMBER(F32, float, )
FOLD_NUMBER(F64, double, )
FOLD(BOOL, uint8_t, EITHER)
FOLD(C64, struct c64, COMPLEX_PLUS)
FOLD(C128, struct c128, COMPLEX_PLUS)

/* Sums of signed integers wrap as those of unsigned ones. */
static const run_fn folds[DTYPE_COUNT_] = {
	[DTYPE_U8] = fold_U8,
	[DTYPE_I8] = fold_U8,
	[DTYPE_U16] = fold_U16,
	[DTYPE_I16] = fold_U16,
	[DTYPE_U32] = fold_U32,
	[DTYPE_I32] = fold_U32,
	[DTYPE_U64] = fold_U64,
	[DTYPE_I64] = fold_U64,
	[DTYPE_F32] = fold_F32,
	[DTYPE_F64] = fold_F64,
	[DTYPE_BOOL] = fold_BOOL,
	[DTYPE_C64] = fold_C64,
	[DTYPE_C128] = fold_C128,
};

enum err_code prepare_col2im(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape, *y = &p->out[0].shape;
	struct fold_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	enum err_code rc = col2im_geometry(p->node, &p->in[1], &p->in[2], &s->g, err);
	if (rc != ERR_OK)
		return rc;
	s->columns = x->dim[2];
	s->rows = s->columns / max_i64(s->g.out[s->g.spatial - 1], 1);
	s->image = shape_count_range(y, 2, y->rank);
	s->kernel = y->dim[1] ? x->dim[1] / y->dim[1] : 0;
	s->split = split_work(
		p, ret, y->dim[0] * y->dim[1], 20 + 0.5 * (double)(s->kernel * s->columns));
	ret->run = folds[p->in[0].dtype];
	return ret->run ? ERR_OK : prep_refuse(err, "no loop for this type");
}

/* -- Col2Im of floats, of 3 axes at most ------------------------------------------------------ */

struct runs_state {
	struct split split; /* of channels of all images */
	struct window w;
	columns_add_fn add;
	struct columns_axis axis[AXES];
	int64_t taps, columns, image;
	size_t planes_at; /* in the scratch, behind the columns */
};

/* A depth of a channel's columns, with zeros behind each row. */
static void take_columns(const struct runs_state *s, float *to, const float *x, int64_t depth)
{
	int64_t width = s->w.g.in[AXIS_W], height = s->w.g.in[AXIS_H], pitch = columns_pitch(&s->w);
	for (int64_t k = 0; k < s->taps; k++)
		for (int64_t r = 0; r < height; r++, to += pitch) {
			memcpy(to, x + k * s->columns + (depth * height + r) * width,
				(size_t)width * sizeof(*to));
			memset(to + width, 0, (size_t)(pitch - width) * sizeof(*to));
		}
}

static void run_runs(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct runs_state *s = a->state;
	float *columns = a->scratch, *planes = (float *)((char *)a->scratch + s->planes_at);
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t item = from; item < to; item++) {
		const float *x = (const float *)a->in[0].data + item * s->taps * s->columns;
		float *y = (float *)a->out[0].data + item * s->image;
		memset(y, 0, (size_t)s->image * sizeof(*y));
		for (int64_t d = 0; d < s->w.g.in[AXIS_D]; d++) {
			take_columns(s, columns, x, d);
			s->add(&(struct columns_add){ .w = &s->w,
				.axis = { s->axis[AXIS_D], s->axis[AXIS_H], s->axis[AXIS_W] },
				.channels = 1, .depth = d, .rows = s->w.g.in[AXIS_H],
				.x = columns, .y = y, .planes = planes });
		}
	}
}

enum err_code prepare_col2im_runs(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape, *y = &p->out[0].shape;
	struct runs_state *s = kernel_state(p, ret, sizeof(*s));
	struct conv_geometry g;
	if (!s)
		return err_oom(err);
	TRY(col2im_geometry(p->node, &p->in[1], &p->in[2], &g, err));
	for (int i = 0; i < g.spatial; i++) { /* places of windows are its output */
		int64_t in = g.in[i];
		g.in[i] = g.out[i];
		g.out[i] = in;
	}
	TRY(window_init(&s->w, &g, x, y, err));
	s->taps = window_taps(&s->w);
	s->columns = x->dim[2];
	s->image = shape_count_range(y, 2, y->rank);
	s->add = CPU_BEST(columns_add);
	for (int i = 0; i < AXES; i++)
		s->axis[i] = columns_axis(&s->w, i);
	bool close = true;
	for (int i = 0; i < AXES; i++)
		close &= s->w.g.stride[i] <= s->w.g.out[i];
	int64_t height = s->w.g.in[AXIS_H], floats = close ? columns_floats(&s->w, height) : 0;
	if (!close || floats > PLANES_MAX * max_i64(s->image, 64))
		return prep_refuse(err, "few windows, far from each other");
	s->planes_at = round_up((size_t)(s->taps * height * columns_pitch(&s->w)) * sizeof(float),
		ARENA_ALIGN_TENSOR);
	ret->scratch_bytes = s->planes_at + (size_t)floats * sizeof(float);
	s->split = split_work(
		p, ret, y->dim[0] * y->dim[1], 20 + 0.2 * (double)(s->taps * s->columns));
	ret->run = run_runs;
	return ERR_OK;
}
