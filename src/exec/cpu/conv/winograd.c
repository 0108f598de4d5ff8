/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * F(2,3) on the points 0, 1, -1, infinity, F(4,3) on these and 2, -2: a pass along the columns,
 * then one along the rows. Where windows are two pixels apart F(2,2) on 0, 1, infinity and
 * F(4,2) on 0, 1, -1, 2, infinity take the pixels under the outer taps. Half a patch has points
 * that the whole one has, with the same weights, so their factors are of one scale. Each vector
 * holds a block of channels, so all lanes do the same and nothing is shuffled.
 *
 * Compiled once per instruction set; ISA is avx2, avx512 or avx512_bf16.
 */
#include "exec/cpu/conv/conv_vec.h"
#include "exec/cpu/matmul/slot.h"

#define PATCH_MAX (WINO_SIZE_MAX * WINO_SIZE_MAX)
#define POINTS_MAX (WINO_POINTS_MAX * WINO_POINTS_MAX)

#define INLINE static inline __attribute__((always_inline))

/* -- along one axis; elements are `step` vectors apart; what half a patch has not is zero ------- */

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

/* One pixel: F(1,3) on 0, 1, infinity. */
INLINE void points_2_half(const vec *d, vec *v, const int step)
{
	v[0] = d[0] - d[step];
	v[step] = d[step] + d[step];
	v[2 * step] = (vec){ 0 };
	v[3 * step] = d[2 * step] - d[step];
}

INLINE void pixels_2_half(const vec *m, vec *y, const int step)
{
	y[0] = m[0] + m[step] + m[3 * step];
	y[step] = (vec){ 0 };
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

/* Two pixels: F(2,3). */
INLINE void points_4_half(const vec *d, vec *v, const int step)
{
	vec d1 = d[step], d2 = d[2 * step];
	v[0] = vec_all(4) * (d[0] - d2);
	v[step] = vec_all(-3) * (d1 + d2);
	v[2 * step] = vec_all(3) * (d1 - d2);
	v[3 * step] = v[4 * step] = (vec){ 0 };
	v[5 * step] = d[3 * step] - d1;
}

INLINE void pixels_4_half(const vec *m, vec *y, const int step)
{
	y[0] = m[0] + m[step] + m[2 * step];
	y[step] = m[step] - m[2 * step] + m[5 * step];
	y[2 * step] = y[3 * step] = (vec){ 0 };
}

/* -- the same where windows are two pixels apart: d are the pixels under the outer taps --------- */

INLINE void points_2_apart(const vec *d, vec *v, const int step)
{
	v[0] = d[0] - d[2 * step];
	v[step] = d[2 * step];
	v[2 * step] = d[4 * step] - d[2 * step];
}

INLINE void pixels_2_apart(const vec *m, vec *y, const int step)
{
	y[0] = m[0] + m[step];
	y[step] = m[step] + m[2 * step];
}

/* One pixel: both taps as they are. */
INLINE void points_2_apart_half(const vec *d, vec *v, const int step)
{
	v[0] = d[0];
	v[step] = (vec){ 0 };
	v[2 * step] = d[2 * step];
}

INLINE void pixels_2_apart_half(const vec *m, vec *y, const int step)
{
	y[0] = m[0] + m[2 * step];
	y[step] = (vec){ 0 };
}

INLINE void points_4_apart(const vec *d, vec *v, const int step)
{
	vec d0 = d[0], d1 = d[2 * step], d2 = d[4 * step], d3 = d[6 * step], d4 = d[8 * step];
	vec two = vec_all(2), twice = two * d1;
	v[0] = two * (d0 - d2) + d3 - d1;
	v[step] = twice + d2 - d3;
	v[2 * step] = vec_all(3) * d2 - d3 - twice;
	v[3 * step] = d3 - d1;
	v[4 * step] = twice - d2 - two * d3 + d4;
}

INLINE void pixels_4_apart(const vec *m, vec *y, const int step)
{
	vec plus = m[step] + m[2 * step], minus = m[step] - m[2 * step], far = m[3 * step];
	y[0] = m[0] + plus + far;
	y[step] = minus + vec_all(2) * far;
	y[2 * step] = plus + vec_all(4) * far;
	y[3 * step] = minus + vec_all(8) * far + m[4 * step];
}

/* Two pixels: F(2,2). */
INLINE void points_4_apart_half(const vec *d, vec *v, const int step)
{
	vec d0 = d[0], d1 = d[2 * step];
	v[0] = vec_all(2) * (d0 - d1);
	v[step] = d1 + d1;
	v[2 * step] = v[3 * step] = (vec){ 0 };
	v[4 * step] = d[4 * step] - d1;
}

INLINE void pixels_4_apart_half(const vec *m, vec *y, const int step)
{
	y[0] = m[0] + m[step];
	y[step] = m[step] + m[4 * step];
	y[2 * step] = y[3 * step] = (vec){ 0 };
}

/* -- all of them; size and stride are numbers where these are called ------------------------------ */

INLINE void points_of(const int size, const int stride, bool half, const vec *d, vec *v, const int step)
{
	if (stride == 1 && size == 2)
		half ? points_2_half(d, v, step) : points_2(d, v, step);
	else if (stride == 1)
		half ? points_4_half(d, v, step) : points_4(d, v, step);
	else if (size == 2)
		half ? points_2_apart_half(d, v, step) : points_2_apart(d, v, step);
	else
		half ? points_4_apart_half(d, v, step) : points_4_apart(d, v, step);
	for (int i = 0; i < size && stride == 2; i++)
		v[(size + 1 + i) * step] = d[(2 * i + 1) * step];
}

INLINE void pixels_of(const int size, const int stride, bool half, const vec *m, vec *y, const int step)
{
	if (stride == 1 && size == 2)
		half ? pixels_2_half(m, y, step) : pixels_2(m, y, step);
	else if (stride == 1)
		half ? pixels_4_half(m, y, step) : pixels_4(m, y, step);
	else if (size == 2)
		half ? pixels_2_apart_half(m, y, step) : pixels_2_apart(m, y, step);
	else
		half ? pixels_4_apart_half(m, y, step) : pixels_4_apart(m, y, step);
	for (int i = 0; i < size && stride == 2; i++)
		y[i * step] += m[(size + 1 + i) * step];
}

/* -- patches -------------------------------------------------------------------------------- */

/* Of a block that is as wide as `floats`. */
INLINE int64_t offset_of(const struct wino_patch *p, int64_t i, int64_t j, int64_t floats)
{
	return ((p->y + i) * p->w + p->x + j) * floats;
}

INLINE bool has_slots(const struct wino_patch *p)
{
	return PER_SLOT > 1 && p->slots;
}

INLINE vec get(const struct wino_patch *p, const float *image, int64_t i, int64_t j)
{
	if (has_slots(p))
		return slot_get(image + offset_of(p, i, j, VEC_FLOATS / PER_SLOT));
	if (!p->to_high)
		return *(const vec *)(image + offset_of(p, i, j, VEC_FLOATS));
	const float *low = image + offset_of(p, i, j, VEC_FLOATS / 2);
	return vec_join(low, p->low_only ? NULL : low + p->to_high);
}

INLINE void put(const struct wino_patch *p, int64_t i, int64_t j, vec v)
{
	if (has_slots(p)) {
		slot_put(p->image + offset_of(p, i, j, VEC_FLOATS / PER_SLOT), v);
		return;
	}
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
	if (has_slots(p)) {
		UNROLL for (int i = 0; i < side; i++)
			UNROLL for (int j = 0; j < side; j++)
				to[i * side + j] = slot_get(p->image + offset_of(p, i, j, VEC_FLOATS / PER_SLOT));
		return;
	}
	UNROLL for (int i = 0; i < side; i++)
		UNROLL for (int j = 0; j < side; j++)
			to[i * side + j] = *(const vec *)(p->image + offset_of(p, i, j, VEC_FLOATS));
}

/* What is known of a form where it is a number. */
#define POINTS(size, stride) ((stride) == 1 ? (size) + 2 : 2 * (size) + 1)
#define KIND(size, point) ((point) <= (size) ? (point) : (size) + 1)

INLINE bool is_between(const int size, const int stride, const int point)
{
	return stride == 2 && point > size;
}

/* All points are there; what is written for such patches is written for them alone. */
INLINE bool is_whole(const struct wino_patch *patch, const struct wino_places *p, const int side)
{
	return !patch->half[0] && !patch->half[1] && p->y[side - 1] >= 0 && p->x[side - 1] >= 0;
}

/* Floats (slots) from where the points of a pair begin to that of row i and column j. */
INLINE int64_t place_of(const struct wino_places *p, const int i, const int j)
{
	return p->y[i] * p->row[j] + p->x[j];
}

INLINE void to_points(const int size, const int stride, const bool whole, const struct wino_patch *from,
	const struct wino_places *to)
{
	const int side = POINTS(size, stride), kinds = size + 2;
	VEC_ARRAY d[POINTS_MAX], v[POINTS_MAX];
	float *const *kind = to->kind;
	int64_t at[WINO_POINTS_MAX];
	read_patch(from, side, d);
	UNROLL for (int j = 0; j < side; j++)
		points_of(size, stride, !whole && from->half[0], d + j, v + j, side);
	UNROLL for (int i = 0; i < side; i++) {
		VEC_ARRAY row[WINO_POINTS_MAX];
		points_of(size, stride, !whole && from->half[1], v + i * side, row, 1);
		UNROLL for (int j = 0; j < side; j++) {
			if (i == 0 || is_between(size, stride, i))
				at[j] = place_of(to, i, j); /* rows of different kinds lie alike */
			if (whole || (to->y[i] >= 0 && to->x[j] >= 0))
				slot_put(kind[KIND(size, i) * kinds + KIND(size, j)] + at[j], row[j]);
		}
	}
}

INLINE void any_to_points(
	const int size, const int stride, const struct wino_patch *from, const struct wino_places *to)
{
	if (is_whole(from, to, POINTS(size, stride)))
		to_points(size, stride, true, from, to);
	else
		to_points(size, stride, false, from, to);
}

static void points(struct wino_form form, const struct wino_patch *from, const struct wino_places *to)
{
	if (form.stride == 1)
		form.size == 2 ? any_to_points(2, 1, from, to) : any_to_points(4, 1, from, to);
	else
		form.size == 2 ? any_to_points(2, 2, from, to) : any_to_points(4, 2, from, to);
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

/* All of a patch is in the image, of whole blocks, and sums are only clamped. */
INLINE bool is_plain(const int size, const struct wino_patch *p, const struct wino_end *end)
{
	return !end->sum && !end->act.fn && !p->to_high && p->y + size <= p->h && p->x + size <= p->w;
}

INLINE void put_plain_row(
	const int size, const struct wino_patch *p, int64_t i, const vec *y, const struct wino_end *end)
{
	vec low = vec_all(end->act.low), high = vec_all(end->act.high);
	float *row = p->image + offset_of(p, i, 0, has_slots(p) ? VEC_FLOATS / PER_SLOT : VEC_FLOATS);
	UNROLL for (int j = 0; j < size; j++) {
		vec v = vec_clamp(y[j], low, high);
		if (has_slots(p))
			slot_put(row + j * VEC_FLOATS / PER_SLOT, v);
		else
			*(vec *)(row + j * VEC_FLOATS) = v;
	}
}

/* Column j of points; what is not there is zero. */
INLINE void get_column(
	const int size, const int stride, const bool whole, const struct wino_places *from, const int j, vec *to)
{
	const int side = POINTS(size, stride), kinds = size + 2;
	float *const *kind = from->kind + KIND(size, j);
	int64_t at = place_of(from, 0, j);
	UNROLL for (int i = 0; i < side; i++) {
		if (is_between(size, stride, i))
			at = place_of(from, i, j);
		bool there = whole || (from->y[i] >= 0 && from->x[j] >= 0);
		to[i] = there ? *(const vec *)(kind[KIND(size, i) * kinds] + at) : (vec){ 0 };
	}
}

INLINE void to_pixels(const int size, const int stride, const bool whole, const struct wino_places *from,
	const struct wino_patch *to, const struct wino_end *end)
{
	const int side = POINTS(size, stride);
	VEC_ARRAY v[WINO_SIZE_MAX * WINO_POINTS_MAX], y[PATCH_MAX];
	vec bias = *(const vec *)end->bias;
	UNROLL for (int j = 0; j < side; j++) {
		VEC_ARRAY m[WINO_POINTS_MAX], col[WINO_SIZE_MAX];
		get_column(size, stride, whole, from, j, m);
		pixels_of(size, stride, !whole && to->half[0], m, col, 1);
		UNROLL for (int i = 0; i < size; i++)
			v[i * side + j] = col[i];
	}
	bool plain = whole && is_plain(size, to, end);
	UNROLL for (int i = 0; i < size; i++) {
		vec *row = y + i * size;
		pixels_of(size, stride, !whole && to->half[1], v + i * side, row, 1);
		UNROLL for (int j = 0; j < size; j++)
			row[j] += bias;
		if (plain)
			put_plain_row(size, to, i, row, end);
	}
	if (!plain)
		write_patch(size, y, to, end);
}

INLINE void any_to_pixels(const int size, const int stride, const struct wino_places *from,
	const struct wino_patch *to, const struct wino_end *end)
{
	if (is_whole(to, from, POINTS(size, stride)))
		to_pixels(size, stride, true, from, to, end);
	else
		to_pixels(size, stride, false, from, to, end);
}

static void pixels(struct wino_form form, const struct wino_places *from, const struct wino_patch *to,
	const struct wino_end *end)
{
	if (form.stride == 1)
		form.size == 2 ? any_to_pixels(2, 1, from, to, end) : any_to_pixels(4, 1, from, to, end);
	else
		form.size == 2 ? any_to_pixels(2, 2, from, to, end) : any_to_pixels(4, 2, from, to, end);
}

const struct wino_vec VEC_NAME(wino_vec) = {
	.points = points,
	.pixels = pixels,
};
