/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels.cuh -- what the .cu files share
 *
 * A kernel is extern "C", named FAMILY_what_TYPE, and found by that name (gpu_function()).
 */
#pragma once

#include <stdint.h>
#include "exec/gpu/params.h"

#ifndef KERNEL /* the tests have their own: tests/gpu/device.h */
#define KERNEL(name, params) extern "C" __global__ void name params
#define DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) type name[]
#endif

static __device__ inline int64_t thread_index()
{
	return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

static __device__ inline int64_t thread_stride()
{
	return (int64_t)gridDim.x * blockDim.x;
}
