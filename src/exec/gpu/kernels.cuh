/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels.cuh -- what the .cu files share
 *
 * A kernel is extern "C", named FAMILY_what_TYPE, and found by that name (gpu_function()).
 */
#pragma once

#include <stdint.h>
#include "exec/gpu/params.h"

#define KERNEL(name) extern "C" __global__ void name

static __device__ inline int64_t thread_index()
{
	return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

static __device__ inline int64_t thread_stride()
{
	return (int64_t)gridDim.x * blockDim.x;
}
