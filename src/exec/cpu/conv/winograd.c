/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * A pass along the columns, then one along the rows (wino_points.h). Each vector holds a block of
 * channels, so all lanes do the same and nothing is shuffled.
 *
 * Compiled once per instruction set; ISA is avx2, avx512 or avx512_bf16.
 */
#include "exec/cpu/conv/conv_vec.h"
#include "exec/cpu/conv/wino_points.h"
#include "exec/cpu/matmul/slot.h"

#define PATCH_MAX (WINO_SIZE_MAX * WINO_SIZE_MAX)
#define POINTS_MAX (WINO_POINTS_MAX * WINO_POINTS_MAX)

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

/* At the edge of the image: rows and columns that it has, zeros around them. */
INLINE void read_part(const struct wino_patch *p, const bool plain, int side, vec *to)
{
	int64_t left = min_i64(max_i64(-p->x, 0), side), right = min_i64(p->w - p->x, side);
	for (int64_t i = 0; i < side; i++, to += side) {
		bool in = p->y + i >= 0 && p->y + i < p->h;
		int64_t first = in ? left : side, last = in ? right : side, j = 0;
		const float *row = p->image + offset_of(p, i, 0, VEC_FLOATS);
		for (; j < first; j++)
			to[j] = (vec){ 0 };
		for (; j < last; j++)
			to[j] = plain ? *(const vec *)(row + j * VEC_FLOATS)
				      : get(p, p->image, i, j);
		for (; j < side; j++)
			to[j] = (vec){ 0 };
	}
}

/* Or of halves. */
static __attribute__((noinline)) void read_slowly(const struct wino_patch *p, int side, vec *to)
{
	if (has_slots(p) || p->to_high)
		read_part(p, false, side, to);
	else
		read_part(p, true, side, to);
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
				to[i * side + j] = slot_get(
					p->image + offset_of(p, i, j, VEC_FLOATS / PER_SLOT));
		return;
	}
	UNROLL for (int i = 0; i < side; i++)
		UNROLL for (int j = 0; j < side; j++)
			to[i * side + j] =
				*(const vec *)(p->image + offset_of(p, i, j, VEC_FLOATS));
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

INLINE void to_points(const int size, const int stride, const bool whole,
	const struct wino_patch *from, const struct wino_places *to)
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
				slot_put(kind[KIND(size, i) * kinds + KIND(size, j)] + at[j],
					row[j]);
		}
	}
}

INLINE void any_to_points(const int size, const int stride, const struct wino_patch *from,
	const struct wino_places *to)
{
	if (is_whole(from, to, POINTS(size, stride)))
		to_points(size, stride, true, from, to);
	else
		to_points(size, stride, false, from, to);
}

static void points(
	struct wino_form form, const struct wino_patch *from, const struct wino_places *to)
{
	if (form.stride == 1)
		form.size == 2 ? any_to_points(2, 1, from, to) : any_to_points(4, 1, from, to);
	else
		form.size == 2 ? any_to_points(2, 2, from, to) : any_to_points(4, 2, from, to);
}

/* Complete sums to their place, as far as it is in the image. */
INLINE void write_patch(
	const int size, vec *y, const struct wino_patch *p, const struct wino_end *end)
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
	return !end->sum && !end->act.fn && !p->to_high && p->y + size <= p->h &&
	       p->x + size <= p->w;
}

INLINE void put_plain_row(const int size, const struct wino_patch *p, int64_t i, const vec *y,
	const struct wino_end *end)
{
	vec low = vec_all(end->act.low), high = vec_all(end->act.high);
	float *row =
		p->image + offset_of(p, i, 0, has_slots(p) ? VEC_FLOATS / PER_SLOT : VEC_FLOATS);
	UNROLL for (int j = 0; j < size; j++) {
		vec v = vec_clamp(y[j], low, high);
		if (has_slots(p))
			slot_put(row + j * VEC_FLOATS / PER_SLOT, v);
		else
			*(vec *)(row + j * VEC_FLOATS) = v;
	}
}

/* Column j of points; what is not there is zero. */
INLINE void get_column(const int size, const int stride, const bool whole,
	const struct wino_places *from, const int j, vec *to)
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

INLINE void to_pixels(const int size, const int stride, const bool whole,
	const struct wino_places *from, const struct wino_patch *to, const struct wino_end *end)
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

static void pixels(struct wino_form form, const struct wino_places *from,
	const struct wino_patch *to, const struct wino_end *end)
{
	if (form.stride == 1)
		form.size == 2 ? any_to_pixels(2, 1, from, to, end)
			       : any_to_pixels(4, 1, from, to, end);
	else
		form.size == 2 ? any_to_pixels(2, 2, from, to, end)
			       : any_to_pixels(4, 2, from, to, end);
}

const struct wino_vec VEC_NAME(wino_vec) = {
	.points = points,
	.pixels = pixels,
};
