/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * A row of patches at once: each vector holds a block of channels, as in winograd.c, and points go
 * along the row alone (wino_points.h).
 *
 * Compiled once per instruction set; ISA is avx2 or avx512.
 */
#include "exec/cpu/conv/conv_vec.h"
#include "exec/cpu/conv/wino_points.h"

#define SIZE 4
#define SIDE(stride) ((stride) == 1 ? SIZE + 2 : 2 * SIZE + 1)
#define KIND(point) ((point) <= SIZE ? (point) : SIZE + 1)

/* Pixels of the row that it has, zeros beside them. */
INLINE void read_patch(const struct wino_row *r, const int side, int64_t x, vec *to)
{
	if (x >= 0 && x + side <= r->w) {
		UNROLL for (int i = 0; i < side; i++) to[i] =
			*(const vec *)(r->first + (x + i) * VEC_FLOATS);
		return;
	}
	for (int i = 0; i < side; i++)
		to[i] = x + i >= 0 && x + i < r->w ? *(const vec *)(r->first + (x + i) * VEC_FLOATS)
						   : (vec){0};
}

INLINE void to_points(const int stride, const struct wino_row *r)
{
	const int side = SIDE(stride);
	const int64_t *at = r->at;
	for (int64_t p = 0; p < r->patches; p++, at += side) {
		VEC_ARRAY d[WINO_POINTS_MAX], v[WINO_POINTS_MAX];
		read_patch(r, side, p * SIZE * stride - r->pad, d);
		points_of(SIZE, stride, r->half && p == r->patches - 1, d, v, 1);
		UNROLL for (int i = 0; i < side; i++) if (at[i] >= 0) *
			(vec *)(r->kind[KIND(i)] + at[i]) = v[i];
	}
}

/* Complete sums to their place, as far as it is in the row. */
INLINE void write_patch(const struct wino_row *r, int64_t x, vec *y, const struct wino_end *end)
{
	vec low = vec_all(end->act.low), high = vec_all(end->act.high),
	    bias = *(const vec *)end->bias;
	int64_t n = min_i64(SIZE, r->w - x);
	for (int64_t i = 0; i < n; i++) {
		y[i] += bias;
		if (end->sum)
			y[i] += *(const vec *)(end->sum + (x + i) * VEC_FLOATS);
		y[i] = vec_clamp(y[i], low, high);
	}
	if (end->act.fn)
		end->act.fn(y, y, n * VEC_FLOATS, end->act.param);
	for (int64_t i = 0; i < n; i++)
		*(vec *)(r->first + (x + i) * VEC_FLOATS) = y[i];
}

INLINE void to_pixels(const int stride, const struct wino_row *r, const struct wino_end *end)
{
	const int side = SIDE(stride);
	const int64_t *at = r->at;
	for (int64_t p = 0; p < r->patches; p++, at += side) {
		VEC_ARRAY m[WINO_POINTS_MAX], y[SIZE];
		UNROLL for (int i = 0; i < side; i++) m[i] =
			at[i] >= 0 ? *(const vec *)(r->kind[KIND(i)] + at[i]) : (vec){0};
		pixels_of(SIZE, stride, r->half && p == r->patches - 1, m, y, 1);
		write_patch(r, p * SIZE, y, end);
	}
}

static void points(int stride, const struct wino_row *from)
{
	stride == 1 ? to_points(1, from) : to_points(2, from);
}

static void pixels(int stride, const struct wino_row *to, const struct wino_end *end)
{
	stride == 1 ? to_pixels(1, to, end) : to_pixels(2, to, end);
}

const struct wino_row_vec VEC_NAME(wino_row_vec) = {
	.points = points,
	.pixels = pixels,
};
