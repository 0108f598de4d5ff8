/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conv_geometry.h -- where the windows of convolutions and pools lie
 *
 * Life of a version: ... -> load [INFER] -> compile [PREPARE] -> ...
 *
 * One place turns kernel_shape, strides, dilations, pads, auto_pad, ceil_mode,
 * output_padding and output_shape into numbers: infer takes the output size from it,
 * kernels everything else, so that no kernel reads one of those attributes again.
 *
 * Ownership, memory: none. Threads: any.
 */
#pragma once

#include "exec/graph.h"

#define SPATIAL_MAX (RANK_MAX - 2)

/*
 * Axis i of the spatial ones. A convolution or pool reads, for output o and tap k, input
 * o * stride + k * dilation - pad_begin where that is in [0, in); a transposed one adds
 * input i times tap k to output i * stride + k * dilation - pad_begin where that is in
 * [0, out). pad_begin and out say where; pad_end is for averages that count padding (it
 * ends at in + pad_end, even under a window of ceil_mode that goes on) and for libraries
 * that ask. A dilated pool window may lie on padding alone.
 */
struct conv_geometry {
	int spatial;   /* axes; X has rank spatial + 2 */
	int64_t group; /* 1 for pools */
	int64_t in[SPATIAL_MAX];  /* a size, a symbol or DIM_UNKNOWN, as in the shape given */
	int64_t out[SPATIAL_MAX]; /* a size; the input's symbol if it stays; DIM_UNKNOWN */
	int64_t kernel[SPATIAL_MAX];
	int64_t stride[SPATIAL_MAX];
	int64_t dilation[SPATIAL_MAX];
	int64_t pad_begin[SPATIAL_MAX]; /* 0 while in is no number and auto_pad is SAME_* */
	int64_t pad_end[SPATIAL_MAX];
};

/* X is [N,C,in...] of known rank; W [M,C/group,kernel...], or [C,M/group,kernel...] for
   the transposed one. INVALID_ARGUMENT: an attribute or a dimension breaks a rule; the
   message does not name the node. */
MUST_CHECK enum err_code conv_geometry(const struct node *n, const struct shape *x,
	const struct shape *w, struct conv_geometry *ret, struct err *err);
MUST_CHECK enum err_code conv_transpose_geometry(const struct node *n, const struct shape *x,
	const struct shape *w, struct conv_geometry *ret, struct err *err);
MUST_CHECK enum err_code pool_geometry(const struct node *n, const struct shape *x,
	struct conv_geometry *ret, struct err *err);

/* What MaxUnpool's input was made from, by its attributes. */
MUST_CHECK enum err_code
unpool_shape(const struct node *n, const struct shape *x, struct shape *ret, struct err *err);
/* The windows over an image that Col2Im's columns are; image and block are lists of as many
   integers as there are spatial axes. */
MUST_CHECK enum err_code col2im_geometry(const struct node *n, const struct tensor *image,
	const struct tensor *block, struct conv_geometry *ret, struct err *err);

/* Axes beside each other along which windows are single points and every point is one, as the ones
   that lie in memory in one run, become one axis. */
void conv_geometry_merge(struct conv_geometry *g);

/* Rounded down; b > 0. */
static inline int64_t floor_div(int64_t a, int64_t b)
{
	return a >= 0 ? a / b : -((b - 1 - a) / b);
}

/* Of the window, holes included: dilation * (kernel - 1) + 1. */
static inline int64_t conv_extent(const struct conv_geometry *g, int i)
{
	return g->dilation[i] * (g->kernel[i] - 1) + 1;
}
