/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window.h -- convolutions and pools as three nested spatial axes
 *
 * One- and two-dimensional ones get leading axes of size one. An item of work is one row
 * of the output: fixed image, channel, depth and height.
 *
 * Threads: read only after window_init(). Memory: none.
 */
#pragma once

#include "exec/infer/conv_geometry.h"
#include "exec/cpu/cpu.h"

enum { AXIS_D, AXIS_H, AXIS_W, AXES };

struct window {
	struct conv_geometry g; /* of three spatial axes */
	int64_t n, c_in, c_out; /* images, channels of X and Y */
};

/* Where an item stands. */
struct window_row {
	int64_t n, c, d, h;
};

/* Refuses more than three spatial axes. g as conv_geometry() and its kin give it. */
MUST_CHECK enum err_code window_init(struct window *w, const struct conv_geometry *g,
	const struct shape *x, const struct shape *y, struct err *err);

static inline int64_t window_rows(const struct window *w)
{
	return w->n * w->c_out * w->g.out[AXIS_D] * w->g.out[AXIS_H];
}

static inline struct window_row window_row(const struct window *w, int64_t item)
{
	struct window_row r;
	r.h = item % w->g.out[AXIS_H];
	item /= w->g.out[AXIS_H];
	r.d = item % w->g.out[AXIS_D];
	item /= w->g.out[AXIS_D];
	r.c = item % w->c_out;
	r.n = item / w->c_out;
	return r;
}

static inline int64_t window_image(const struct window *w)
{
	return w->g.in[AXIS_D] * w->g.in[AXIS_H] * w->g.in[AXIS_W];
}

static inline int64_t window_taps(const struct window *w)
{
	return w->g.kernel[AXIS_D] * w->g.kernel[AXIS_H] * w->g.kernel[AXIS_W];
}

/* The input index that tap k of output o reads; may lie outside. */
static inline int64_t window_at(const struct window *w, int axis, int64_t o, int64_t k)
{
	return o * w->g.stride[axis] + k * w->g.dilation[axis] - w->g.pad_begin[axis];
}

/* Outputs [*from, *to) of [0, n) whose first input index, start + o * stride, is in [0, size). */
static inline void
window_span(int64_t start, int64_t stride, int64_t size, int64_t n, int64_t *from, int64_t *to)
{
	*from = start >= 0 ? 0 : min_i64((-start + stride - 1) / stride, n);
	*to = start >= size ? 0 : min_i64((size - 1 - start) / stride + 1, n);
}

/* What of a window along one axis lies in the image: indices start + k * dilation for k in
   [from, to), and how many of them an average divides by. */
struct reach {
	int64_t start, from, to, counted;
};

static inline struct reach window_reach(const struct window *w, bool count_pad, int axis, int64_t o)
{
	const struct conv_geometry *g = &w->g;
	int64_t dilation = g->dilation[axis];
	struct reach r = { .start = window_at(w, axis, o, 0) };
	window_span(r.start, dilation, g->in[axis], g->kernel[axis], &r.from, &r.to);
	r.to = max_i64(r.to, r.from);
	r.counted = r.to - r.from;
	if (count_pad) {
		int64_t end = g->in[axis] + g->pad_end[axis];
		r.counted = r.start >= end
				    ? 0
				    : min_i64((end - 1 - r.start) / dilation + 1, g->kernel[axis]);
	}
	return r;
}
