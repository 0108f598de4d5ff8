/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels.cuh -- what the .cu files share
 *
 * A kernel is extern "C", named FAMILY_what_TYPE, and found by that name (gpu_function()).
 */
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
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

/* -- element types: the short floats compute as float ---------------------------------------- */

using half = __half;
using bfloat = __nv_bfloat16;

template <typename T> struct computes_as {
	using type = T;
};
template <> struct computes_as<half> {
	using type = float;
};
template <> struct computes_as<bfloat> {
	using type = float;
};
template <typename T> constexpr bool is_short = false;
template <> constexpr bool is_short<half> = true;
template <> constexpr bool is_short<bfloat> = true;
template <typename T> using compute = typename computes_as<T>::type;

template <typename T> static __device__ inline T widen(T v) { return v; }
static __device__ inline float widen(half v) { return __half2float(v); }
static __device__ inline float widen(bfloat v) { return __bfloat162float(v); }

template <typename T> struct narrow_to {
	static __device__ inline T of(T v) { return v; }
};
template <> struct narrow_to<half> {
	static __device__ inline half of(float v) { return __float2half_rn(v); }
};
template <> struct narrow_to<bfloat> {
	static __device__ inline bfloat of(float v) { return __float2bfloat16_rn(v); }
};
template <typename T> static __device__ inline T narrow(compute<T> v)
{
	return narrow_to<T>::of(v);
}

/* V elements that one access moves. */
template <typename T, int V> struct alignas(sizeof(T) * V) group {
	T v[V];
};
template <typename T> constexpr int wide_of = 16 / sizeof(T);
/* ROW(type, name, elements of a group): kernels of each float, one element at a time and many. */
#define FLOAT_GROUPS(ROW) \
	ROW(float, f32, 1) \
	ROW(half, f16, 1) \
	ROW(bfloat, bf16, 1) \
	ROW(float, f32_wide, wide_of<float>) \
	ROW(half, f16_wide, wide_of<half>) \
	ROW(bfloat, bf16_wide, wide_of<bfloat>)

template <typename T, int V>
static __device__ inline group<T, V> load_group(const T *p, bool dense)
{
	group<T, V> g;
	if (V == 1 || !dense) {
		T one = *p;
		for (int i = 0; i < V; i++)
			g.v[i] = one;
		return g;
	}
	return *reinterpret_cast<const group<T, V> *>(p);
}

template <typename T, int V> static __device__ inline void store_group(T *p, const group<T, V> &g)
{
	*reinterpret_cast<group<T, V> *>(p) = g;
}

/* -- places ------------------------------------------------------------------------------------ */

static __device__ inline uint32_t quotient(uint32_t n, struct gpu_div by)
{
	return (__umulhi(n, by.mul) + n) >> by.shift;
}

/* Where group i of each of N operands begins, for a walk of that rank. */
template <int N>
static __device__ inline void walk_to(const struct gpu_walk &w, int rank, uint32_t i, uint32_t *at)
{
	for (int k = 0; k < N; k++)
		at[k] = 0;
	for (int d = rank - 1; d > 0; d--) {
		uint32_t q = quotient(i, w.dim[d]), r = i - q * w.dim[d].d;
		for (int k = 0; k < N; k++)
			at[k] += r * w.stride[k][d];
		i = q;
	}
	for (int k = 0; k < N; k++)
		at[k] += i * w.stride[k][0];
}
template <int N>
static __device__ inline void walk_to(const struct gpu_walk &w, uint32_t i, uint32_t *at)
{
	walk_to<N>(w, w.rank, i, at);
}

/* -- complaints -------------------------------------------------------------------------------- */

/* The first one of a run stays. */
static __device__ inline void complain(const struct gpu_complaint &c, int64_t value)
{
	if (atomicCAS(&c.at->code, 0, c.code) != 0)
		return;
	c.at->step = c.step;
	c.at->value = value;
}
