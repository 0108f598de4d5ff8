/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DeformConv: a convolution whose taps are moved, each by an offset of its own, and read
 * between pixels by linear interpolation; what lies beside the image is zero.
 *
 * DESIGN. An item of work is a block of output points of one image. All that they read is
 * gathered in columns first (a row per channel and tap, a column per point); the products
 * then run along the points, so that sums are independent and the compiler can use vectors.
 */
#include "exec/cpu/nn/taps.h"
#include "exec/cpu/types.h"

#include <math.h>
#include <string.h>
#include "base/checked.h"
#include "exec/infer/conv_geometry.h"

#define BLOCK 64 /* points */

struct deform_state {
	struct split split; /* of blocks of all images */
	struct conv_geometry g;
	int64_t c_in, c_out, offset_groups;
	int64_t image, points, blocks, kernel; /* pixels of X, of Y; blocks per image; taps */
	int64_t corners;                       /* of a point between pixels: 2 ^ axes */
	size_t columns_at, corners_at;         /* in the scratch, behind the sums */
};

/* The two pixels around v along an axis. */
static void around(double v, int64_t size, struct tap *tap)
{
	bool inside = v > -1 && v < (double)size;
	int64_t low = inside ? (int64_t)floor(v) : -2;
	double part = inside ? v - (double)low : 0;
	tap[0] = (struct tap){ low >= 0 ? low : TAP_OUTSIDE, 1 - part };
	tap[1] = (struct tap){ inside && low + 1 < size ? low + 1 : TAP_OUTSIDE, part };
}

/* The position of a tap of an output point along each axis, undeformed. */
static void tap_position(const struct conv_geometry *g, int64_t point, int64_t tap, double *at)
{
	for (int i = g->spatial - 1; i >= 0; i--) {
		at[i] = (double)(point % g->out[i] * g->stride[i] +
				 tap % g->kernel[i] * g->dilation[i] - g->pad_begin[i]);
		point /= g->out[i];
		tap /= g->kernel[i];
	}
}

#define DEFORM_CONV(id, T, U) \
	/* Column `col` of the rows of one tap of the channels of one offset group. */ \
	static void gather_##T(const struct kernel_args *a, const struct deform_state *s, \
		int64_t n, int64_t group, int64_t tap, int64_t point, T *column, \
		struct tap *corner) \
	{ \
		const struct conv_geometry *g = &s->g; \
		int64_t channels = s->c_in / s->offset_groups, corners = 1; \
		int64_t first = (n * s->offset_groups + group) * s->kernel + tap; \
		const T *offset = (const T *)a->in[2].data + first * g->spatial * s->points + \
			point; \
		const T *mask = args_has_in(a, 4) \
			? (const T *)a->in[4].data + first * s->points + point : NULL; \
		const T *x = (const T *)a->in[0].data + (n * s->c_in + group * channels) * \
			s->image; \
		double at[RANK_MAX]; \
		tap_position(g, point, tap, at); \
		corner[0] = (struct tap){ 0, mask ? (double)*mask : 1 }; \
		for (int i = 0; i < g->spatial; i++, corners *= 2) { \
			struct tap pair[2]; \
			around(at[i] + (double)offset[i * s->points], g->in[i], pair); \
			taps_multiply(corner, corners, pair, 2, g->in[i]); \
		} \
		for (int64_t c = 0; c < channels; c++, x += s->image) { \
			double sum = 0; \
			for (int64_t k = 0; k < corners; k++) \
				if (corner[k].at != TAP_OUTSIDE) \
					sum += corner[k].weight * (double)x[corner[k].at]; \
			column[(group * channels + c) * s->kernel * BLOCK] = (T)sum; \
		} \
	} \
	static void multiply_##T(const struct kernel_args *a, const struct deform_state *s, \
		const T *columns, int64_t oc, double *sum, int64_t count) \
	{ \
		int64_t rows = s->c_in / s->g.group * s->kernel, per_out = s->c_out / s->g.group; \
		const T *w = (const T *)a->in[1].data + oc * rows, \
			*col = columns + oc / per_out * rows * BLOCK; \
		double bias = args_has_in(a, 3) ? (double)((const T *)a->in[3].data)[oc] : 0; \
		for (int64_t p = 0; p < count; p++) \
			sum[p] = bias; \
		for (int64_t r = 0; r < rows; r++, col += BLOCK) \
			for (int64_t p = 0; p < count; p++) \
				sum[p] += (double)w[r] * (double)col[p]; \
	} \
	static void run_deform_conv_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct deform_state *s = a->state; \
		double *sum = a->scratch; \
		T *columns = (T *)((char *)a->scratch + s->columns_at); \
		struct tap *corner = (struct tap *)((char *)a->scratch + s->corners_at); \
		int64_t from, to; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t item = from; item < to; item++) { \
			int64_t n = item / s->blocks, first = item % s->blocks * BLOCK; \
			int64_t count = min_i64(s->points - first, BLOCK); \
			for (int64_t g = 0; g < s->offset_groups; g++) \
				for (int64_t t = 0; t < s->kernel; t++) \
					for (int64_t p = 0; p < count; p++) \
						gather_##T(a, s, n, g, t, first + p, \
							columns + t * BLOCK + p, corner); \
			for (int64_t oc = 0; oc < s->c_out; oc++) { \
				T *y = (T *)a->out[0].data + (n * s->c_out + oc) * s->points + \
					first; \
				multiply_##T(a, s, columns, oc, sum, count); \
				for (int64_t p = 0; p < count; p++) \
					y[p] = (T)sum[p]; \
			} \
		} \
	}
FOR_REAL(DEFORM_CONV)

enum err_code prepare_deform_conv(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape, *y = &p->out[0].shape;
	struct deform_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	enum err_code rc = conv_geometry(p->node, x, &p->in[1].shape, &s->g, err);
	if (rc != ERR_OK)
		return rc;
	s->c_in = x->dim[1];
	s->c_out = y->dim[1];
	s->offset_groups = node_int(p->node, "offset_group", 1);
	s->image = shape_count_range(x, 2, x->rank);
	s->points = shape_count_range(y, 2, y->rank);
	s->blocks = (s->points + BLOCK - 1) / BLOCK;
	s->kernel = shape_count_range(&p->in[1].shape, 2, x->rank);
	s->corners = INT64_C(1) << s->g.spatial;
	size_t columns;
	if (mul_overflows(
		    (size_t)(s->c_in * s->kernel), BLOCK * dtype_bytes(p->in[0].dtype), &columns))
		return err_oom(err);
	s->columns_at = BLOCK * sizeof(double);
	s->corners_at = s->columns_at + round_up(columns, ARENA_ALIGN_TENSOR);
	ret->scratch_bytes = s->corners_at + (size_t)s->corners * sizeof(struct tap);
	double rows = (double)(s->c_in * s->kernel);
	s->split = split_work(p, ret, y->dim[0] * s->blocks,
		BLOCK * rows *
			((double)(s->corners * 2) + (double)s->c_out / (double)s->g.group / 4));
	ret->run = p->in[0].dtype == DTYPE_F64 ? run_deform_conv_double : run_deform_conv_float;
	return ERR_OK;
}
