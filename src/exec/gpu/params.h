/* SPDX-License-Identifier: Apache-2.0 */
/*
 * params.h -- structs that kernels take by value, in C and in CUDA C alike
 */
#pragma once

#include <stdint.h>

#define GPU_RANK_MAX 8 /* of boxes after dimensions are merged */

/* A box that is copied; strides in elements. */
struct gpu_box {
	int64_t count;
	int32_t rank;
	int64_t dim[GPU_RANK_MAX], src[GPU_RANK_MAX], dst[GPU_RANK_MAX];
};
