/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GridSample of floats between four pixels. Which those are is worked out for a block of points,
 * and then read in each channel. Compiled once per instruction set; ISA is avx2 or avx512.
 */
#include <math.h>
#include "exec/cpu/vec_isa.h"

#define POINTS 512	    /* done together, channel by channel */
#define SIDE_MAX (1 << 15) /* of an image, whose pixels have 32-bit indices */

struct squares_state {
	struct split split; /* of points of all images */
	int64_t height, width, channels;
	int64_t image, points; /* pixels of one channel of X and Y */
	bool align, border;    /* border: what lies beyond is the nearest pixel, else zero */
};

/* A square by two pairs of neighbours, above and below; columns of a pair. */
enum { ROWS = 2, COLUMNS = 2 };

/* By point. seen: all bits where a pixel counts, else none; all places are on the image. */
struct squares {
	int32_t at[ROWS][POINTS], seen[ROWS][COLUMNS][POINTS];
	float weight[ROWS][COLUMNS][POINTS];
};

/* Of points along one axis: two neighbouring pixels of it, what they weigh, and whether they
   count. */
struct along {
	int32_t first[POINTS], seen[2][POINTS];
	float weight[2][POINTS];
};

/* -1 ... 1 as pixels; what is far beyond is brought near, and NaN is low. Where a point has but
   one of its two pixels on the axis, the pair is moved so that both are, and the other one does
   not count. */
static void place(const struct squares_state *s, const float *grid, int64_t n, float size,
	struct along *ret)
{
	float low = s->border ? 0 : -2, high = s->border ? size - 1 : size + 1;
	for (int64_t i = 0; i < n; i++) {
		float v = grid[2 * i];
		v = s->align ? (v + 1) / 2 * (size - 1) : ((v + 1) * size - 1) / 2;
		v = v > low ? v : low;
		v = v < high ? v : high;
		float first = floorf(v), part = v - first;
		int32_t at = (int32_t)first, last = (int32_t)size - 2;
		/* The last pixel's neighbour weighs nothing beyond the border. */
		bool before = at < 0, behind = at > last;
		ret->first[i] = before ? 0 : behind ? last : at;
		ret->weight[0][i] = before ? part : 1 - part;
		ret->weight[1][i] = behind ? 1 - part : part;
		ret->seen[0][i] = -(at >= -1 && at <= last);
		ret->seen[1][i] = -(at >= 0 && at <= last + 1);
	}
}

/* Returns whether all of n points count. */
static bool all_seen(const int32_t *seen, int64_t n)
{
	int32_t all = -1;
	for (int64_t i = 0; i < n; i++)
		all &= seen[i];
	return all == -1;
}

/* True: all pixels count. */
static bool cross(const struct along *y, const struct along *x, int64_t n, int32_t width,
	struct squares *ret)
{
	for (int r = 0; r < ROWS; r++) {
		for (int64_t i = 0; i < n; i++)
			ret->at[r][i] = (y->first[i] + r) * width + x->first[i];
		for (int c = 0; c < COLUMNS; c++)
			for (int64_t i = 0; i < n; i++) {
				ret->seen[r][c][i] = y->seen[r][i] & x->seen[c][i];
				ret->weight[r][c][i] = y->weight[r][i] * x->weight[c][i];
			}
	}
	return all_seen(y->seen[0], n) && all_seen(y->seen[1], n) && all_seen(x->seen[0], n) &&
	       all_seen(x->seen[1], n);
}

/* Pairs of neighbours as wide elements, and then apart. */
static inline __attribute__((always_inline)) void
gather_pairs(const float *x, const int32_t *at, vec ret[COLUMNS])
{
	vec part[2];
	UNROLL for (int i = 0; i < 2; i++) {
		const void *half = at + i * VEC_FLOATS / 2;
#ifdef __AVX512F__
		part[i] = (vec)_mm512_i32gather_pd(_mm256_loadu_si256(half), x, sizeof(*x));
#else
		part[i] = (vec)_mm256_i32gather_pd(
			(const void *)x, _mm_loadu_si128(half), sizeof(*x));
#endif
	}
	ret[0] = __builtin_shufflevector(part[0], part[1], EVEN_LANES);
	ret[1] = __builtin_shufflevector(part[0], part[1], ODD_LANES);
}

/* whole: all pixels count. Behind the last point places are 0. */
static inline __attribute__((always_inline)) void
read_channel(const struct squares *q, int64_t n, const float *x, float *y, bool whole)
{
	for (int64_t i = 0; i < n; i += VEC_FLOATS) {
		vec sum = { 0 };
		UNROLL for (int r = 0; r < ROWS; r++) {
			vec pair[COLUMNS];
			gather_pairs(x, q->at[r] + i, pair);
			UNROLL for (int c = 0; c < COLUMNS; c++) {
				if (!whole)
					pair[c] = (vec)((vec_mask)pair[c] &
							*(const vec_mask *)(q->seen[r][c] + i));
				sum += *(const vec *)(q->weight[r][c] + i) * pair[c];
			}
		}
		if (n - i < VEC_FLOATS)
			vec_store_first(y + i, n - i, sum);
		else
			*(vec *)(y + i) = sum;
	}
}

/* n neighbouring points of one image. */
static void sample(
	const struct squares_state *s, const float *grid, int64_t n, const float *x, float *y)
{
	struct along down, right;
	struct squares q;
	memset(q.at, 0, sizeof(q.at));
	place(s, grid, n, (float)s->width, &right);
	place(s, grid + 1, n, (float)s->height, &down);
	bool whole = cross(&down, &right, n, (int32_t)s->width, &q);
	for (int64_t c = 0; c < s->channels; c++, x += s->image, y += s->points)
		if (whole)
			read_channel(&q, n, x, y, true);
		else
			read_channel(&q, n, x, y, false);
}

static void run_squares(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct squares_state *s = a->state;
	const float *x = a->in[0].data, *grid = a->in[1].data;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t point = from, n; point < to; point += n) {
		int64_t image = point / s->points, at = point % s->points;
		n = min_i64(min_i64(POINTS, to - point), s->points - at);
		sample(s, grid + point * 2, n, x + image * s->channels * s->image,
			(float *)a->out[0].data + image * s->channels * s->points + at);
	}
}

static bool takes(const struct prep *p)
{
	const struct shape *x = &p->in[0].shape;
	struct slice mode = node_string(p->node, "mode", "linear");
	struct slice padding = node_string(p->node, "padding_mode", "zeros");
	if (x->rank != 4 || p->in[1].dtype != DTYPE_F32 || slice_is(padding, "reflection") ||
		slice_is(mode, "nearest") || slice_is(mode, "cubic"))
		return false;
	return x->dim[2] >= 2 && x->dim[3] >= 2 && x->dim[2] <= SIDE_MAX && x->dim[3] <= SIDE_MAX;
}

enum err_code VEC_NAME(prepare_grid_squares)(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape, *y = &p->out[0].shape;
	if (!takes(p))
		return prep_refuse(err, "not between four pixels of an image");
	struct squares_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	*s = (struct squares_state){ .height = x->dim[2], .width = x->dim[3],
		.channels = x->dim[1], .image = x->dim[2] * x->dim[3],
		.points = y->dim[2] * y->dim[3],
		.align = node_int(p->node, "align_corners", 0) != 0,
		.border = slice_is(node_string(p->node, "padding_mode", "zeros"), "border") };
	s->split = split_work(p, ret, tensor_count(&p->out[0]) ? y->dim[0] * s->points : 0,
		5 + (double)s->channels);
	ret->run = run_squares;
	return ERR_OK;
}
