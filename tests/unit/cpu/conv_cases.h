/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conv_cases.h -- the convolutions that test_conv.c computes, grouped by the kernel that takes them
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "exec/attrs.h"

struct conv_case {
	int64_t n, ic, h, w, oc, kh, kw, group;
	int64_t stride, dilation, pad[4]; /* pads as ONNX has them */
	bool blocked, bias, sum, transposed;
	bool line;   /* rank 3, of width w */
	bool nhwc;   /* run by the kernel that has channels innermost */
	bool rounds; /* rounds more than sums of products do: the tolerance is wider */
	bool bf16;   /* run by a kernel of that precision, on numbers that bfloat16 holds exactly */
	bool wild;   /* with bf16: some numbers are infinities and NaNs */
	bool kept;   /* with bf16: images lie in bfloat16 where they can; results are rounded */
	enum activation act;
	int threads;
};

static const struct conv_case cases[] = {
	/* first layers: few channels, plain input */
	{ 1, 3, 17, 19, 32, 7, 7, 1, 2, 1, { 3, 3, 3, 3 }, .bias = true, .act = ACT_RELU,
		.threads = 1 },
	{ 2, 1, 8, 9, 16, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .threads = 2 },
	{ 1, 4, 9, 9, 16, 3, 3, 1, 1, 1, { 0, 1, 2, 0 }, .bias = true, .threads = 1 },
	/* whole blocks, blocked and plain, with everything that is fused */
	{ 1, 32, 14, 14, 64, 1, 1, 1, 1, 1, { 0 }, .blocked = true, .bias = true, .sum = true,
		.act = ACT_RELU, .threads = 1 },
	{ 3, 32, 13, 7, 64, 3, 3, 1, 2, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.sum = true, .act = ACT_CLIP, .threads = 2 },
	{ 1, 32, 28, 29, 128, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.sum = true, .act = ACT_HARD_SWISH, .threads = 4 },
	{ 2, 16, 9, 9, 32, 3, 3, 1, 1, 2, { 2, 2, 2, 2 }, .sum = true, .act = ACT_SIGMOID,
		.threads = 1 },
	{ 1, 16, 9, 9, 16, 5, 1, 1, 1, 1, { 2, 0, 2, 0 }, .blocked = true, .act = ACT_LEAKY_RELU,
		.threads = 1 },
	/* channels that fill no block */
	{ 1, 24, 11, 11, 40, 1, 1, 1, 1, 1, { 0 }, .bias = true, .act = ACT_SWISH, .threads = 1 },
	{ 2, 5, 7, 6, 7, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .bias = true, .sum = true, .act = ACT_TANH,
		.threads = 2 },
	{ 1, 17, 5, 5, 33, 2, 2, 1, 1, 1, { 0, 0, 1, 1 }, .act = ACT_GELU, .threads = 1 },
	/* groups and depthwise */
	{ 1, 64, 28, 28, 64, 3, 3, 2, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.threads = 2 },
	{ 2, 12, 8, 8, 30, 3, 3, 6, 1, 1, { 1, 1, 1, 1 }, .bias = true, .sum = true, .threads = 1 },
	{ 1, 32, 8, 8, 64, 3, 3, 4, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .sum = true,
		.act = ACT_RELU, .threads = 1 },
	{ 1, 32, 15, 15, 32, 3, 3, 32, 2, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.act = ACT_CLIP, .threads = 1 },
	{ 1, 512, 40, 40, 512, 5, 5, 512, 1, 1, { 2, 2, 2, 2 }, .blocked = true, .threads = 2 },
	{ 1, 20, 6, 6, 20, 3, 3, 20, 1, 1, { 1, 1, 1, 1 }, .bias = true, .act = ACT_HARD_SIGMOID,
		.threads = 1 },
	/* one pixel, one row, rank 3 */
	{ 2, 32, 1, 1, 48, 1, 1, 1, 1, 1, { 0 }, .bias = true, .act = ACT_RELU, .threads = 1 },
	{ 1, 16, 1, 40, 32, 1, 5, 1, 1, 1, { 0, 2 }, .bias = true, .line = true,
		.act = ACT_GELU_TANH, .threads = 1 },
	/* one column */
	{ 1, 32, 40, 1, 48, 5, 1, 1, 1, 1, { 2, 0, 2, 0 }, .blocked = true, .bias = true,
		.threads = 1 },
	{ 2, 20, 40, 1, 24, 3, 1, 1, 2, 2, { 1, 0, 2, 0 }, .act = ACT_RELU, .threads = 1 },
	/* blocks of eight */
	{ 1, 8, 12, 13, 8, 3, 9, 1, 1, 1, { 1, 4, 1, 4 }, .bias = true, .act = ACT_RELU,
		.threads = 1 },
	{ 2, 24, 9, 9, 24, 5, 5, 24, 2, 1, { 2, 2, 2, 2 }, .bias = true, .act = ACT_HARD_SWISH,
		.threads = 2 },
	{ 1, 24, 9, 9, 40, 1, 1, 1, 1, 1, { 0 }, .bias = true, .sum = true, .threads = 2 },
	/* parts of different numbers of blocks */
	{ 1, 48, 30, 30, 144, 1, 1, 1, 1, 1, { 0 }, .blocked = true, .bias = true, .sum = true,
		.threads = 2 },
	{ 1, 144, 40, 40, 144, 3, 3, 144, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.threads = 2 },
	/* channels last inside: parts of rows, of pixels, of a line, and of channels where weights
	   are many */
	{ 1, 32, 29, 30, 48, 3, 3, 1, 2, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.sum = true, .act = ACT_RELU, .nhwc = true, .threads = 3 },
	{ 1, 32, 23, 23, 48, 5, 5, 1, 1, 2, { 4, 4, 4, 4 }, .blocked = true, .nhwc = true,
		.threads = 5 },
	{ 1, 32, 28, 27, 64, 1, 1, 1, 1, 1, { 0 }, .blocked = true, .bias = true, .sum = true,
		.act = ACT_CLIP, .nhwc = true, .threads = 5 },
	{ 1, 20, 24, 24, 40, 3, 3, 1, 1, 1, { 0, 1, 2, 1 }, .bias = true, .sum = true, .nhwc = true,
		.threads = 3 },
	{ 3, 24, 20, 20, 33, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .nhwc = true, .threads = 2 },
	{ 1, 32, 1, 400, 32, 1, 5, 1, 1, 1, { 0, 2 }, .bias = true, .line = true, .nhwc = true,
		.threads = 3 },
	{ 1, 64, 40, 40, 64, 3, 3, 64, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .nhwc = true,
		.threads = 2 },
	{ 1, 256, 7, 7, 256, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.sum = true, .act = ACT_RELU, .nhwc = true, .threads = 2 },
	/* transposed */
	{ 1, 32, 6, 5, 16, 2, 2, 1, 2, 1, { 0 }, .blocked = true, .bias = true, .transposed = true,
		.threads = 1 },
	{ 2, 24, 6, 5, 9, 3, 3, 1, 2, 1, { 1, 1, 1, 1 }, .bias = true, .transposed = true,
		.threads = 2 },
};
#define COUNT(cases) ((int)(sizeof(cases) / sizeof(cases[0])))

/* What tiles of our own must take. */
static const struct conv_case tiles_cases[] = {
	/* rows that are pieces of one, as many pixels as fill tiles or not */
	{ 1, 32, 14, 14, 64, 1, 1, 1, 1, 1, { 0 }, .blocked = true, .bias = true, .sum = true,
		.act = ACT_RELU, .threads = 1 },
	{ 2, 16, 5, 3, 48, 1, 1, 1, 1, 1, { 0 }, .blocked = true, .act = ACT_CLIP, .threads = 1 },
	{ 1, 512, 20, 20, 128, 1, 1, 1, 1, 1, { 0 }, .blocked = true, .bias = true, .threads = 4 },
	/* a row of three tiles, whatever their size */
	{ 1, 32, 4, 75, 64, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.sum = true, .threads = 1 },
	/* sums in pieces */
	{ 1, 2048, 7, 7, 32, 1, 1, 1, 1, 1, { 0 }, .blocked = true, .bias = true, .sum = true,
		.act = ACT_HARD_SWISH, .threads = 1 },
	{ 1, 256, 9, 7, 24, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.sum = true, .threads = 1 },
	/* strides, holes, padding on all sides, columns that no window reads */
	{ 1, 32, 13, 16, 32, 1, 1, 1, 2, 1, { 0 }, .blocked = true, .sum = true, .act = ACT_SIGMOID,
		.threads = 1 },
	{ 3, 32, 13, 7, 64, 3, 3, 1, 2, 1, { 1, 0, 2, 3 }, .blocked = true, .bias = true,
		.threads = 2 },
	{ 2, 32, 9, 7, 64, 1, 1, 1, 2, 1, { 0 }, .blocked = true, .bias = true, .sum = true,
		.act = ACT_RELU, .threads = 1 },
	{ 1, 20, 9, 7, 24, 1, 1, 1, 3, 1, { 0 }, .bias = true, .threads = 1 },
	{ 1, 16, 9, 20, 16, 3, 2, 1, 1, 3, { 2, 1, 0, 4 }, .blocked = true, .act = ACT_LEAKY_RELU,
		.threads = 1 },
	{ 1, 128, 60, 61, 128, 3, 3, 1, 2, 1, { 0, 0, 0, 0 }, .blocked = true, .bias = true,
		.threads = 2 },
	/* plain and in blocks of eight, from and to */
	{ 1, 3, 17, 19, 32, 7, 7, 1, 2, 1, { 3, 3, 3, 3 }, .bias = true, .act = ACT_RELU,
		.threads = 1 },
	{ 1, 20, 6, 7, 24, 1, 1, 1, 1, 1, { 0 }, .bias = true, .act = ACT_SWISH, .threads = 1 },
	{ 2, 2, 9, 20, 16, 3, 4, 1, 2, 3, { 2, 1, 0, 7 }, .bias = true, .threads = 2 },
	{ 2, 2, 9, 20, 16, 3, 4, 1, 2, 1, { 2, 1, 0, 7 }, .bias = true, .threads = 2 },
	{ 1, 3, 11, 35, 32, 2, 3, 1, 4, 1, { 0, 2, 1, 0 }, .threads = 1 },
	{ 1, 1, 8, 9, 16, 1, 1, 1, 2, 1, { 0 }, .bias = true, .threads = 1 },
	{ 2, 24, 9, 9, 144, 1, 1, 1, 1, 1, { 0 }, .blocked = true, .bias = true, .act = ACT_CLIP,
		.threads = 2 },
	{ 1, 40, 9, 9, 40, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.sum = true, .act = ACT_TANH, .threads = 1 },
	{ 1, 24, 5, 5, 8, 5, 5, 1, 1, 1, { 2, 2, 2, 2 }, .blocked = true, .threads = 1 },
	/* one pixel */
	{ 2, 32, 1, 1, 48, 1, 1, 1, 1, 1, { 0 }, .bias = true, .sum = true, .act = ACT_RELU,
		.threads = 1 },
	{ 1, 8, 3, 3, 16, 3, 3, 1, 1, 1, { 0 }, .blocked = true, .bias = true, .threads = 1 },
};

/* Transposed ones whose windows lie side by side. */
static const struct conv_case transposed_cases[] = {
	{ 2, 24, 6, 5, 24, 2, 2, 1, 2, 1, { 0 }, .blocked = true, .bias = true, .transposed = true,
		.threads = 1 },
	{ 1, 32, 5, 17, 48, 3, 3, 1, 3, 1, { 0 }, .blocked = true, .transposed = true,
		.threads = 1 },
	{ 1, 24, 7, 40, 1, 2, 2, 1, 2, 1, { 0 }, .bias = true, .transposed = true, .threads = 1 },
	{ 1, 5, 3, 4, 3, 2, 2, 1, 2, 1, { 0 }, .transposed = true, .threads = 1 },
};

/* And what Winograd's way must, on vectors of 16 as on those of 8. */
static const struct conv_case winograd_cases[] = {
	{ 1, 32, 14, 14, 32, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.sum = true, .act = ACT_RELU, .threads = 1 },
	{ 2, 16, 9, 11, 48, 3, 3, 1, 1, 1, { 0, 0, 0, 0 }, .blocked = true, .act = ACT_HARD_SWISH,
		.threads = 1 },
	{ 1, 64, 57, 58, 64, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.rounds = true, .threads = 4 },
	{ 1, 32, 5, 7, 32, 3, 3, 1, 1, 1, { 2, 1, 0, 3 }, .blocked = true, .sum = true,
		.act = ACT_CLIP, .threads = 1 },
	{ 1, 512, 7, 7, 64, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.rounds = true, .threads = 1 },
	{ 3, 64, 6, 6, 256, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.sum = true, .threads = 2 },
	/* blocks of eight, even and odd numbers of them */
	{ 1, 48, 9, 10, 24, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.sum = true, .act = ACT_RELU, .threads = 1 },
	{ 2, 24, 7, 9, 40, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .act = ACT_HARD_SWISH,
		.threads = 1 },
	{ 1, 8, 7, 9, 16, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.threads = 1 },
	/* a last patch of one, two, three pixels, and one alone, where a patch has 4 and where it
	   has 2 */
	{ 1, 16, 14, 17, 16, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.threads = 1 },
	{ 1, 16, 21, 15, 16, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .threads = 1 },
	{ 1, 512, 5, 4, 512, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .rounds = true,
		.threads = 1 },
	{ 1, 512, 3, 1, 512, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .rounds = true,
		.threads = 1 },
	/* windows two pixels apart: whole patches, last ones of one, two, three pixels, in parts,
	   in blocks of eight */
	{ 1, 32, 16, 17, 32, 3, 3, 1, 2, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.sum = true, .act = ACT_RELU, .threads = 1 },
	{ 2, 16, 18, 19, 48, 3, 3, 1, 2, 1, { 1, 1, 1, 1 }, .blocked = true, .act = ACT_HARD_SWISH,
		.threads = 1 },
	{ 1, 32, 14, 12, 32, 3, 3, 1, 2, 1, { 0, 1, 2, 0 }, .blocked = true, .sum = true,
		.act = ACT_CLIP, .threads = 1 },
	{ 1, 64, 113, 114, 64, 3, 3, 1, 2, 1, { 0, 0, 1, 1 }, .blocked = true, .bias = true,
		.rounds = true, .threads = 4 },
	{ 1, 512, 14, 13, 512, 3, 3, 1, 2, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.rounds = true, .threads = 1 },
	{ 1, 512, 4, 8, 512, 3, 3, 1, 2, 1, { 1, 1, 1, 1 }, .blocked = true, .rounds = true,
		.threads = 2 },
	{ 1, 24, 11, 20, 40, 3, 3, 1, 2, 1, { 1, 1, 1, 1 }, .blocked = true, .act = ACT_HARD_SWISH,
		.threads = 1 },
	{ 1, 8, 3, 5, 16, 3, 3, 1, 2, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.threads = 1 },
	/* padding wider than a patch */
	{ 1, 16, 5, 6, 16, 3, 3, 1, 1, 1, { 3, 13, 15, 2 }, .blocked = true, .bias = true,
		.threads = 1 },
	{ 1, 16, 5, 6, 16, 3, 3, 1, 2, 1, { 0, 25, 30, 14 }, .blocked = true, .threads = 1 },
	/* rows for each thread where there are few weights */
	{ 1, 64, 14, 14, 64, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .rounds = true,
		.threads = 3 },
	/* weights made of planes, for threads that wait for the same memory */
	{ 1, 256, 14, 14, 256, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.sum = true, .act = ACT_RELU, .rounds = true, .threads = 2 },
	{ 1, 256, 9, 13, 272, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .rounds = true,
		.threads = 3 },
	/* rows too long for one unit */
	{ 1, 64, 9, 700, 64, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .rounds = true,
		.threads = 1 },
	{ 1, 64, 9, 700, 64, 3, 3, 1, 2, 1, { 1, 1, 1, 1 }, .blocked = true, .rounds = true,
		.threads = 2 },
};

/* Winograd's way along rows: many weights, several threads. */
static const struct conv_case rows_cases[] = {
	{ 1, 256, 7, 7, 256, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.sum = true, .act = ACT_RELU, .rounds = true, .threads = 2 },
	/* last patches of one, two, three pixels; one such alone; panels of one vector */
	{ 2, 512, 4, 5, 128, 3, 3, 1, 1, 1, { 0, 1, 1, 1 }, .blocked = true, .act = ACT_HARD_SWISH,
		.rounds = true, .threads = 3 },
	{ 1, 1024, 3, 6, 80, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.rounds = true, .threads = 2 },
	{ 1, 512, 5, 2, 128, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .sum = true,
		.act = ACT_CLIP, .rounds = true, .threads = 2 },
	/* windows two pixels apart */
	{ 1, 512, 14, 14, 128, 3, 3, 1, 2, 1, { 1, 1, 1, 1 }, .blocked = true, .bias = true,
		.sum = true, .act = ACT_RELU, .rounds = true, .threads = 2 },
	{ 1, 512, 5, 12, 128, 3, 3, 1, 2, 1, { 0, 0, 1, 1 }, .blocked = true, .act = ACT_HARD_SWISH,
		.rounds = true, .threads = 2 },
	{ 2, 1024, 4, 4, 80, 3, 3, 1, 2, 1, { 1, 1, 1, 1 }, .blocked = true, .rounds = true,
		.threads = 3 },
	/* padding wider than a patch */
	{ 1, 256, 3, 2, 256, 3, 3, 1, 1, 1, { 3, 9, 4, 5 }, .blocked = true, .bias = true,
		.rounds = true, .threads = 2 },
	{ 1, 256, 3, 2, 256, 3, 3, 1, 2, 1, { 4, 18, 5, 3 }, .blocked = true, .rounds = true,
		.threads = 2 },
	/* rows in parts */
	{ 1, 1024, 9, 14, 64, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .blocked = true, .rounds = true,
		.threads = 2 },
	{ 1, 1024, 15, 28, 64, 3, 3, 1, 2, 1, { 1, 1, 1, 1 }, .blocked = true, .rounds = true,
		.threads = 3 },
};

/* Strassen's products: pixels in pairs, halves of the channels, two panels. */
static const struct conv_case strassen_cases[] = {
	{ 1, 128, 14, 14, 128, 1, 1, 1, 1, 1, { 0 }, .blocked = true, .bias = true, .sum = true,
		.act = ACT_RELU, .threads = 1 },
	{ 2, 192, 6, 5, 128, 1, 1, 1, 1, 1, { 0 }, .blocked = true, .bias = true, .act = ACT_CLIP,
		.threads = 2 },
	{ 1, 128, 9, 8, 320, 1, 1, 1, 1, 1, { 0 }, .blocked = true, .sum = true, .threads = 3 },
	{ 1, 512, 20, 17, 128, 1, 1, 1, 1, 1, { 0 }, .blocked = true, .bias = true, .threads = 1 },
	{ 1, 512, 1, 2, 512, 1, 1, 1, 1, 1, { 0 }, .blocked = true, .bias = true, .threads = 1 },
};
