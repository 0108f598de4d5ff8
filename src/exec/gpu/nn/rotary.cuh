/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rotary.cuh -- pairs of a vector's elements turned by the angles of its position
 */
#pragma once

#include "exec/gpu/kernels.cuh"

/* Element k of the vector x, of which the first 2 * half are turned. cosines, sines: of its
   position. */
template <typename T>
static __device__ inline T turned(
	const T *x, uint32_t k, uint32_t half, bool interleaved, const T *cosines, const T *sines)
{
	if (k >= 2 * half)
		return x[k];
	bool second = interleaved ? k & 1 : k >= half;
	uint32_t pair = interleaved ? k / 2 : second ? k - half : k, apart = interleaved ? 1 : half;
	float own = widen(x[k]), other = widen(x[second ? k - apart : k + apart]);
	float c = widen(cosines[pair]), s = widen(sines[pair]);
	return narrow<T>(second ? s * other + c * own : c * own - s * other);
}
