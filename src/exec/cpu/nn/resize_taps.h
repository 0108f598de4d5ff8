/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resize_taps.h -- which inputs, with which weights, an output index of Resize is made of
 *
 * Memory: the kernel's state, made in prepare. Threads: read by any.
 */
#pragma once

#include "exec/cpu/cpu.h"
#include "exec/infer/resize_geometry.h"

/* Output index o takes index[o * n ... + n) with weight[...]. */
struct resize_taps {
	int64_t n;
	int32_t *index;
	float *weight;
	const bool *outside; /* by output index; NULL: none extrapolates */
};

MUST_CHECK enum err_code resize_taps_make(struct prep *p, const struct resize_geometry *g, int axis,
	struct resize_taps *t, struct err *err);
