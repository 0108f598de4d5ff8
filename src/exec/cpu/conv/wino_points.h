/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wino_points.h -- pixels to points and points to pixels, along one axis
 *
 * Life of a request: ... -> plan -> [KERNELS] -> ...
 *
 * F(2,3) on the points 0, 1, -1, infinity, F(4,3) on these and 2, -2. Where windows are two pixels
 * apart F(2,2) on 0, 1, infinity and F(4,2) on 0, 1, -1, 2, infinity take the pixels under the
 * outer taps. Half a patch has points that the whole one has, with the same weights
 * (wino_weights.c), so their factors are of one scale; that of four pixels is such that a kind's
 * weights are one vector and a part of another one (conv_rows.c).
 *
 * Elements are `step` vectors apart; what half a patch has not is zero.
 *
 * For files that are compiled once per instruction set. Threads: any. Memory: none.
 */
#pragma once

#include "exec/cpu/vec_isa.h"

#define INLINE static inline __attribute__((always_inline))

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
	vec half = vec_all(.5), two = vec_all(2);
	vec even = two * d2 - half * d4, odd = two * d1 - half * d3;
	vec near = vec_all(.25) * (d4 - d2), far = half * (d3 - d1);
	v[0] = vec_all(4) * d0 - vec_all(5) * d2 + d4;
	v[step] = even + odd;
	v[2 * step] = even - odd;
	v[3 * step] = near + far;
	v[4 * step] = near - far;
	v[5 * step] = vec_all(8) * d1 - vec_all(10) * d3 + two * d5;
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
	v[step] = vec_all(1.5) * (d1 + d2);
	v[2 * step] = vec_all(1.5) * (d2 - d1);
	v[3 * step] = v[4 * step] = (vec){ 0 };
	v[5 * step] = vec_all(2) * (d[3 * step] - d1);
}

INLINE void pixels_4_half(const vec *m, vec *y, const int step)
{
	y[0] = m[0] + m[step] + m[2 * step];
	y[step] = m[step] - m[2 * step] + m[5 * step];
	y[2 * step] = y[3 * step] = (vec){ 0 };
}

/* -- the same where windows are two pixels apart: d are the pixels under the outer taps -------- */

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
	vec two = vec_all(2), third = vec_all(1.f / 3), twice = two * d1;
	v[0] = two * (d0 - d2) + d3 - d1;
	v[step] = twice + d2 - d3;
	v[2 * step] = d2 - third * (d3 + twice);
	v[3 * step] = third * (d3 - d1);
	v[4 * step] = two * (twice - d2 - two * d3 + d4);
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
	v[4 * step] = vec_all(2) * (d[4 * step] - d1);
}

INLINE void pixels_4_apart_half(const vec *m, vec *y, const int step)
{
	y[0] = m[0] + m[step];
	y[step] = m[step] + m[4 * step];
	y[2 * step] = y[3 * step] = (vec){ 0 };
}

/* -- all of them; size and stride are numbers where these are called --------------------------- */

INLINE void points_of(
	const int size, const int stride, bool half, const vec *d, vec *v, const int step)
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

INLINE void pixels_of(
	const int size, const int stride, bool half, const vec *m, vec *y, const int step)
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
