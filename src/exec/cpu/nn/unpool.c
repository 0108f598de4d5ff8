/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pools and convolutions took apart, put together again: MaxUnpool puts maxima back
 * where they came from, Col2Im adds up the windows that an image was cut into.
 */
#include "exec/cpu/conv/window.h"

#include <string.h>
#include "exec/cpu/types.h"

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
