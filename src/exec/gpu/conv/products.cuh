/* SPDX-License-Identifier: Apache-2.0 */
/*
 * products.cuh -- convolutions on tensor cores: sums of 16 results by 32 channels, as filters.h has
 * them
 *
 * With g = lane / 4 and t = lane % 4 a lane has of them channels 8t to 8t + 7 of results g and g +
 * 8.
 */
#pragma once

#include "exec/gpu/conv/activate.cuh"
#include "exec/gpu/mma.cuh"

/* Four products; of each, result g's numbers 0 and 1, then those of g + 8. */
typedef float sums[4][4];

/* A step of them: low and high are what the lane has of the filters, of the first and
   the last two. */
template <typename T>
static __device__ inline void multiply_add(
	sums &sum, const uint32_t (&a)[4], const uint4 &low, const uint4 &high)
{
	mma<T>::add(sum[0], a, low.x, low.y);
	mma<T>::add(sum[1], a, low.z, low.w);
	mma<T>::add(sum[2], a, high.x, high.y);
	mma<T>::add(sum[3], a, high.z, high.w);
}

/* What the sums of channels c to c + 7 begin with. */
template <typename T> static __device__ inline void begin_sums(sums &sum, const group<T, 8> &bias)
{
#pragma unroll
	for (int i = 0; i < 16; i++)
		sum[i / 4][i % 4] = widen(bias.v[i / 4 * 2 + i % 2]);
}

/* Result g, or g + 8 with lower. more: what is added at the same place; NULL: nothing. */
template <typename T>
static __device__ inline void store_sums(
	T *to, const sums &sum, int lower, const struct gpu_activation &act, const T *more)
{
	group<T, 8> y, z = {};
	if (more)
		z = load_group<T, 8>(more, true);
#pragma unroll
	for (int i = 0; i < 8; i++) {
		float v = sum[i / 2][lower * 2 + i % 2];
		y.v[i] = narrow<T>(activate(act, more ? v + widen(z.v[i]) : v));
	}
	store_group<T, 8>(to, y);
}
