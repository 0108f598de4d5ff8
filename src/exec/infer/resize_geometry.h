/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resize_geometry.h -- what Resize's attributes, roi, scales and sizes come to
 *
 * Life of a version: ... -> load [INFER] -> compile [PREPARE] -> ...
 *
 * Ownership, memory: none. Threads: any.
 */
#pragma once

#include "exec/graph.h"

enum resize_mode { RESIZE_NEAREST, RESIZE_LINEAR, RESIZE_CUBIC, RESIZE_MODE_COUNT_ };

enum resize_coord {
	RESIZE_HALF_PIXEL,
	RESIZE_HALF_PIXEL_SYMMETRIC,
	RESIZE_PYTORCH_HALF_PIXEL,
	RESIZE_ALIGN_CORNERS,
	RESIZE_ASYMMETRIC,
	RESIZE_TF_HALF_PIXEL, /* of opsets 11 and 12; TensorFlow's nearest still asks for it */
	RESIZE_TF_CROP,
	RESIZE_COORD_COUNT_
};

enum resize_nearest {
	RESIZE_ROUND_PREFER_FLOOR,
	RESIZE_ROUND_PREFER_CEIL,
	RESIZE_FLOOR,
	RESIZE_CEIL,
	RESIZE_NEAREST_COUNT_
};

struct resize_geometry {
	int rank;
	int64_t in[RANK_MAX];
	int64_t out[RANK_MAX]; /* DIM_UNKNOWN where in is not known and scale is not 1 */
	float scale[RANK_MAX]; /* as given, else out / in; 1 on axes that stay */
	float roi_start[RANK_MAX], roi_end[RANK_MAX]; /* 0 and 1 unless RESIZE_TF_CROP */
	enum resize_mode mode;
	enum resize_coord coord;
	enum resize_nearest nearest;
	bool antialias, exclude_outside;
	bool from_sizes; /* scale is out / in, rounded to float */
	float cubic_a, extrapolation;
};

/* Input c of Resize at x->rank known; roi, scales and sizes are NULL where absent (an
   empty one counts as absent). Exactly one of scales and sizes must be there. The
   message does not name the node. */
MUST_CHECK enum err_code resize_geometry(const struct node *n, const struct shape *x,
	const struct tensor *roi, const struct tensor *scales, const struct tensor *sizes,
	struct resize_geometry *ret, struct err *err);
