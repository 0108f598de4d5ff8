/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activate.cuh -- what our convolutions do to a result before they store it, and how they read
 *
 * A thread has many results, each of which would get a copy of all functions: bounds, which are
 * most of what models have, are inlined, and the others are called.
 */
#pragma once

#include "exec/gpu/kernels.cuh"
#include "exec/gpu/math/unary.cuh"

/* Those of enum activation (attrs.h): each kernel has a copy of this. */
static __device__ __noinline__ float call(struct gpu_call c, float v)
{
	switch (c.fn) {
#define ONE(id) \
	case UNARY_##id: \
		return apply(gpu_call{ UNARY_##id, c.alpha, c.beta }, v);
		ONE(CLIP)
		ONE(GELU)
		ONE(GELU_TANH)
		ONE(HARD_SIGMOID)
		ONE(HARD_SWISH)
		ONE(LEAKY_RELU)
		ONE(SIGMOID)
		ONE(SWISH)
		ONE(TANH)
#undef ONE
	}
	return v;
}

static __device__ inline float activate(const struct gpu_activation &a, float v)
{
	if (a.call.fn != GPU_NO_CALL)
		return call(a.call, v);
	v = v < a.low ? a.low : v; /* NaN stays */
	return v > a.high ? a.high : v;
}

/* Zeros, where it is not inside; it is read even so: loads without conditions are asked for
   together. */
template <typename T, int V>
static __device__ inline group<T, V> load_inside(const T *p, bool inside)
{
	uint4 words = *reinterpret_cast<const uint4 *>(p);
	uint32_t mask = inside ? ~0u : 0;
	group<T, V> v;
	words.x &= mask;
	words.y &= mask;
	words.z &= mask;
	words.w &= mask;
	memcpy(&v, &words, sizeof(v));
	return v;
}
