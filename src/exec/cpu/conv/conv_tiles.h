/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conv_tiles.h -- a convolution as sums over taps: shared by conv_tiles.c, where the design is, and
 * conv_tiles_copy.c only
 *
 * Life of a request: ... -> plan -> [KERNELS] -> ...
 *
 * Threads: any, each with a scratch of its own. Memory: the plan's.
 */
#pragma once

#include "exec/cpu/conv/conv_job.h"

/* Where the slots that windows read are, from a window's begin, and how many of them at once. */
struct taps {
	const int64_t *at;
	int64_t n, piece, run;
};

struct tiles_state {
	struct conv_job j;
	bool copied;	     /* a unit copies what it reads */
	bool flat;	     /* the image is one row */
	int64_t rows, width; /* of the result; where it is one row: the pieces it is cut in */
	int64_t unit_rows, row_units, slices;
	int64_t pixel, row_slots, plane_slots; /* of the source or of its copy */
	struct taps taps, halved; /* halved: the same, the last of a row from the second copy */
	const float *packed;
	int64_t tap[];
};

/* Windows begin with whole slots of two pixels, which follow each other. */
static inline bool tiles_is_paired(const struct conv_job *j)
{
	return j->beside > 1 && j->stride[1] % 2 == 0 && j->dilation[1] == 1;
}

/* Slots of so many pixels of a row. */
static inline int64_t tiles_run_of(const struct conv_job *j, int64_t pixels)
{
	return tiles_is_paired(j) ? (pixels + 1) / 2 : pixels * job_run(j);
}

/* Pixels of a window's row that lie together and are one tap: all where channels are apart. */
static inline int64_t tiles_tap_pixels(const struct conv_job *j)
{
	if (tiles_is_paired(j))
		return (j->kernel[1] + 1) / 2 * 2;
	return j->src_run > 1 || j->beside > 1 || j->dilation[1] > 1 ? j->beside : j->kernel[1];
}

/* Slots of a tap. */
static inline int64_t tiles_tap_run(const struct conv_job *j)
{
	return j->src_run * tiles_tap_pixels(j) / j->vec->per_slot;
}

/* Of a row of windows. */
static inline int64_t tiles_row_taps(const struct conv_job *j)
{
	return (j->kernel[1] + tiles_tap_pixels(j) - 1) / tiles_tap_pixels(j);
}

/* For channels that lie together. */
static inline int64_t tiles_taps_of_run(const struct conv_job *j)
{
	return j->kernel[0] * tiles_row_taps(j);
}

/* Of odd width, where a slot is of two pixels. */
static inline bool tiles_ends_in_half(const struct conv_job *j)
{
	return j->beside > 1 && j->kernel[1] % 2;
}

/* Of a unit's copy. */
static inline int64_t tiles_copy_slots(const struct tiles_state *s)
{
	return s->j.ic / s->j.src_run * s->plane_slots;
}

/* -- conv_tiles_copy.c: into a unit's scratch ------------------------------------------------ */

/* Rows of the source below the windows of the unit's rows, zeros where there are none. */
void tiles_copy_padded(
	const struct tiles_state *s, const float *image, int64_t first_row, float *to);

/* The pixels that windows of one read, for n pixels of the result. */
void tiles_copy_flat(
	const struct tiles_state *s, const float *image, int64_t first, int64_t n, float *to);

/* Whence windows take their slots, once they are copied; it may make the second copy. */
const struct taps *tiles_choose_taps(const struct tiles_state *s, float *copy);
