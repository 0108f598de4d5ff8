/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.cuh -- results that the threads of a warp or of a block come to together
 */
#pragma once

#include "exec/gpu/kernels.cuh"

#define WARP 32
#define ALL_LANES 0xffffffffu
#define WARPS_MAX 32 /* of a block */

/* Every lane gets combine() of all lanes' values, which is associative and commutative. */
template <typename T, typename F> static __device__ inline T over_warp(T v, F combine)
{
	for (int by = WARP / 2; by > 0; by /= 2)
		v = combine(v, __shfl_xor_sync(ALL_LANES, v, by));
	return v;
}

/* The same of a block of whole warps; all its threads come here. Where a block is one warp wide
   each of them has a value of its own. */
template <typename T, typename F> static __device__ inline T over_block(T v, F combine)
{
	__shared__ T part[WARPS_MAX];
	int warps = blockDim.x / WARP, warp = threadIdx.x / WARP;
	v = over_warp(v, combine);
	if (warps == 1)
		return v;
	if (threadIdx.x % WARP == 0)
		part[warp] = v;
	__syncthreads();
	v = part[0];
	for (int i = 1; i < warps; i++)
		v = combine(v, part[i]);
	__syncthreads(); /* before part is written again */
	return v;
}

static __device__ inline float plus(float a, float b) { return a + b; }
static __device__ inline float larger(float a, float b) { return a > b || a != a ? a : b; }

/* A row of whole groups in registers: group g of a thread is number g * blockDim.x + threadIdx.x of
   the row's, which are `groups`; what lies beyond them is `otherwise`. */
template <typename T> struct held {
	static constexpr int V = wide_of<T>, G = GPU_HELD / V;
	float v[G][V];
};

template <typename T>
static __device__ inline void hold(
	struct held<T> &row, const T *x, uint32_t groups, float otherwise)
{
	constexpr int V = held<T>::V;
	for (int g = 0; g < held<T>::G; g++) {
		uint32_t i = g * blockDim.x + threadIdx.x;
		group<T, V> from = {};
		if (i < groups)
			from = load_group<T, V>(x + i * V, true);
		for (int k = 0; k < V; k++)
			row.v[g][k] = i < groups ? widen(from.v[k]) : otherwise;
	}
}
