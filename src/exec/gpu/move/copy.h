/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.h -- one box of elements copied between two strided views on the device
 *
 * All that only moves elements is a list of these. Dimensions are put in the destination's
 * order, merged, and their elements widened up to 16 bytes; what turns rows into columns goes
 * through shared memory, or through registers where the rows are up to GPU_PLANES_MAX.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/gpu/walk.h"

#define GPU_VIEW_RANK_MAX (2 * RANK_MAX) /* before dimensions are merged */

/* Strides and places in elements of elem bytes. */
struct gpu_view {
	int rank;
	int64_t dim[GPU_VIEW_RANK_MAX], src[GPU_VIEW_RANK_MAX], dst[GPU_VIEW_RANK_MAX];
	int64_t src_at, dst_at;
	size_t elem;
};

struct gpu_copy {
	struct gpu_launch launch;
	union {
		struct gpu_box box;
		struct gpu_tiles tiles;
		struct gpu_interleave interleave;
	};
	int64_t src_bytes, dst_bytes; /* where the box begins */
};

/* UNIMPLEMENTED: too large, or of too many dimensions, or of elements that no kernel has. */
MUST_CHECK enum err_code gpu_copy_init(
	struct gpu_copy *c, const struct prep *p, const struct gpu_view *v, struct err *err);

/* Enqueues it. */
void gpu_copy_run(
	const struct kernel_args *a, const struct gpu_copy *c, void *dst, const void *src);
