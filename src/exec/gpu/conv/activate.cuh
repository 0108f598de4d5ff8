/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activate.cuh -- what our convolutions do to a result before they store it
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
