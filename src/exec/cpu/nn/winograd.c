/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * F(2x2,3x3) on the points 0, 1, -1, infinity, F(4x4,3x3) on these and 2, -2: a pass along
 * the columns, then one along the rows. Each vector holds a block of channels, so all lanes
 * do the same and nothing is shuffled.
 *
 * Compiled once per instruction set; ISA is avx2, avx512 or avx512_bf16.
 */
#include "exec/cpu/nn/conv_vec.h"
#include "exec/cpu/nn/slot.h"

#define PIXELS_MAX 4 /* along a side */
#define SIDE_MAX (PIXELS_MAX + 2)

#define INLINE static inline __attribute__((always_inline))

/* -- along one axis; elements are `step` vectors apart ---------------------------------------- */

INLINE void points_2(const vec *d, vec *v, const int step)
{
	v[0] = d[0] - d[2 * step];
	v[step] = d[step] + d[2 * step];
	v[2 * step] = d[2 * step] - d[step];
	v[3 * step] = d[step] - d[3 * step];
}

INLINE void pixels_2(const vec *m, vec *y, const int step)
{
	y[0] = m[0] + m[step] + m[2 * step];
	y[step] = m[step] - m[2 * step] - m[3 * step];
}

INLINE void points_4(const vec *d, vec *v, const int step)
{
	vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step],
	    d5 = d[5 * step];
	vec two = vec_all(2), four = vec_all(4), five = vec_all(5);
	vec even = d4 - four * d2, odd = d3 - four * d1, near = d4 - d2, far = two * (d3 - d1);
	v[0] = four * d0 - five * d2 + d4;
	v[step] = even + odd;
	v[2 * step] = even - odd;
	v[3 * step] = near + far;
	v[4 * step] = near - far;
	v[5 * step] = four * d1 - five * d3 + d5;
}

INLINE void pixels_4(const vec *m, vec *y, const int step)
{
	vec plus = m[step] + m[2 * step], minus = m[step] - m[2 * step];
	vec far_plus = m[3 * step] + m[4 * step], far_minus = m[3 * step] - m[4 * step];
	y[0] = m[0] + plus + far_plus;
	y[step] = minus + vec_all(2) * far_minus;
	y[2 * step] = plus + vec_all(4) * far_plus;
	y[3 * step] = minus + vec_all(8) * far_minus + m[5 * step];
}

/* size is a number where these are called, so only one branch is left. */
INLINE void points_of(const int size, const vec *d, vec *v, const int step)
{
	if (size == 2)
		points_2(d, v, step);
	else
		points_4(d, v, step);
}

INLINE void pixels_of(const int size, const vec *m, vec *y, const int step)
{
	if (size == 2)
		pixels_2(m, y, step);
	else
		pixels_4(m, y, step);
}

/* -- patches -------------------------------------------------------------------------------- */

/* Of a block that is as wide as `floats`. */
INLINE int64_t offset_of(const struct wino_patch *p, int64_t i, int64_t j, int64_t floats)
{
	return ((p->y + i) * p->w + p->x + j) * floats;
}

INLINE vec get(const struct wino_patch *p, const float *image, int64_t i, int64_t j)
{
	if (!p->to_high)
		return *(const vec *)(image + offset_of(p, i, j, VEC_FLOATS));
	const float *low = image + offset_of(p, i, j, VEC_FLOATS / 2);
	return vec_join(low, p->low_only ? NULL : low + p->to_high);
}

INLINE void put(const struct wino_patch *p, int64_t i, int64_t j, vec v)
{
	if (!p->to_high) {
		*(vec *)(p->image + offset_of(p, i, j, VEC_FLOATS)) = v;
		return;
	}
	float *low = p->image + offset_of(p, i, j, VEC_FLOATS / 2);
	vec_part(v, low, p->low_only ? NULL : low + p->to_high);
}

/* At the edge of the image, or of halves. */
static void read_slowly(const struct wino_patch *p, int side, vec *to)
{
	for (int i = 0; i < side; i++)
		for (int j = 0; j < side; j++) {
			int64_t y = p->y + i, x = p->x + j;
			bool in = y >= 0 && y < p->h && x >= 0 && x < p->w;
			to[i * side + j] = in ? get(p, p->image, i, j) : (vec){ 0 };
		}
}

INLINE void read_patch(const struct wino_patch *p, const int side, vec *to)
{
	if (p->y < 0 || p->x < 0 || p->y + side > p->h || p->x + side > p->w || p->to_high) {
		read_slowly(p, side, to);
		return;
	}
	UNROLL for (int i = 0; i < side; i++)
		UNROLL for (int j = 0; j < side; j++)
			to[i * side + j] = *(const vec *)(p->image + offset_of(p, i, j, VEC_FLOATS));
}

INLINE void to_points(const int size, const struct wino_patch *from, struct wino_points to)
{
	const int side = size + 2;
	VEC_ARRAY d[SIDE_MAX * SIDE_MAX], v[SIDE_MAX * SIDE_MAX];
	read_patch(from, side, d);
	UNROLL for (int j = 0; j < side; j++)
		points_of(size, d + j, v + j, side);
	UNROLL for (int i = 0; i < side; i++) {
		VEC_ARRAY row[SIDE_MAX];
		points_of(size, v + i * side, row, 1);
		UNROLL for (int j = 0; j < side; j++)
			slot_put(to.first + (i * side + j) * to.stride, row[j]);
	}
}

static void points(int size, const struct wino_patch *from, struct wino_points to)
{
	if (size == 2)
		to_points(2, from, to);
	else
		to_points(4, from, to);
}

/* Complete sums to their place, as far as it is in the image. */
INLINE void write_patch(const int size, vec *y, const struct wino_patch *p, const struct wino_end *end)
{
	vec low = vec_all(end->act.low), high = vec_all(end->act.high);
	int64_t rows = min_i64(size, p->h - p->y), cols = min_i64(size, p->w - p->x);
	for (int64_t i = 0; i < rows; i++)
		for (int64_t j = 0; j < cols; j++) {
			vec *v = &y[i * size + j];
			if (end->sum)
				*v += get(p, end->sum, i, j);
			*v = vec_clamp(*v, low, high);
		}
	if (end->act.fn)
		end->act.fn(y, y, (int64_t)size * size * VEC_FLOATS, end->act.param);
	for (int64_t i = 0; i < rows; i++)
		for (int64_t j = 0; j < cols; j++)
			put(p, i, j, y[i * size + j]);
}

INLINE void to_pixels(const int size, struct wino_points from, const struct wino_patch *to,
	const struct wino_end *end)
{
	const int side = size + 2;
	VEC_ARRAY v[PIXELS_MAX * SIDE_MAX], y[PIXELS_MAX * PIXELS_MAX];
	vec bias = *(const vec *)end->bias;
	UNROLL for (int j = 0; j < side; j++) {
		VEC_ARRAY m[SIDE_MAX], col[PIXELS_MAX];
		UNROLL for (int i = 0; i < side; i++)
			m[i] = *(const vec *)(from.first + (i * side + j) * from.stride);
		pixels_of(size, m, col, 1);
		UNROLL for (int i = 0; i < size; i++)
			v[i * side + j] = col[i];
	}
	UNROLL for (int i = 0; i < size; i++) {
		pixels_of(size, v + i * side, y + i * size, 1);
		UNROLL for (int j = 0; j < size; j++)
			y[i * size + j] += bias;
	}
	write_patch(size, y, to, end);
}

static void pixels(int size, struct wino_points from, const struct wino_patch *to,
	const struct wino_end *end)
{
	if (size == 2)
		to_pixels(2, from, to, end);
	else
		to_pixels(4, from, to, end);
}

const struct wino_vec VEC_NAME(wino_vec) = {
	.points = points,
	.pixels = pixels,
};
