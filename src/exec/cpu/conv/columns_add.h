/* SPDX-License-Identifier: Apache-2.0 */
/*
 * columns_add.h -- columns of windows added up where the windows lie: ConvTranspose, Col2Im
 *
 * Columns are, for each channel and tap, a row of floats with one for each place of the window.
 * Places are those of some rows of one depth; behind each row stand zeros, columns_pitch() in all.
 *
 * Threads: any; all state is the caller's. Memory: none.
 */
#pragma once

#include "exec/cpu/conv/window.h"

/* Taps along an axis: one puts place i to (i + at) * stride + phase, at from first on. */
struct columns_axis {
	int64_t first, span; /* the largest at is first + span */
};

struct columns_add {
	const struct window *w; /* as of a transposed convolution: in places, out pixels */
	struct columns_axis axis[AXES];
	int64_t channels, depth, row, rows; /* of the places */
	const float *x;
	float *y;
	float *planes; /* columns_floats() */
};

typedef void (*columns_add_fn)(const struct columns_add *c);
void columns_add_base(const struct columns_add *c);
#ifdef __x86_64__
void columns_add_avx2(const struct columns_add *c);
void columns_add_avx512(const struct columns_add *c);
#endif

static inline struct columns_axis columns_axis(const struct window *w, int axis)
{
	const struct conv_geometry *g = &w->g;
	int64_t first = floor_div(-g->pad_begin[axis], g->stride[axis]);
	int64_t last = (g->kernel[axis] - 1) * g->dilation[axis] - g->pad_begin[axis];
	return (struct columns_axis){ first, floor_div(last, g->stride[axis]) - first };
}

/* From a row of places to the next. */
static inline int64_t columns_pitch(const struct window *w)
{
	return w->g.in[AXIS_W] + columns_axis(w, AXIS_W).span;
}

/* Of a phase's plane: where pixels of every stride-th row and column lie together. */
static inline int64_t columns_plane(const struct window *w, int64_t rows)
{
	return (rows + columns_axis(w, AXIS_H).span) * columns_pitch(w) +
	       columns_axis(w, AXIS_W).span;
}

static inline int64_t columns_floats(const struct window *w, int64_t rows)
{
	return w->g.stride[AXIS_H] * w->g.stride[AXIS_W] * columns_plane(w, rows);
}
