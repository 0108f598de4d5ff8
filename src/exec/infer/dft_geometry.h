/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dft_geometry.h -- along which axis a DFT goes, over how many points
 *
 * Life of a version: ... -> load [INFER] -> compile [PREPARE] -> ...
 *
 * Ownership, memory: none. Threads: any.
 */
#pragma once

#include "exec/graph.h"

struct dft_geometry {
	int axis;
	int64_t length; /* points, or DIM_UNKNOWN */
	bool inverse, onesided;
};

/* x: of known rank, its last dimension the parts of a number. length and axis may be NULL.
   The message does not name the node. */
MUST_CHECK enum err_code dft_geometry(const struct node *n, const struct shape *x,
	const struct tensor *length, const struct tensor *axis, struct dft_geometry *ret,
	struct err *err);

/* Points of STFT's frames: frame_length, else the window's, else the signal's, which is
   [batch, points, parts]. window and frame_length may be NULL. */
int64_t stft_length(const struct shape *signal, const struct shape *window,
	const struct tensor *frame_length);
