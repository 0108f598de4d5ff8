/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softmax.cu -- Softmax and LogSoftmax along an axis
 *
 * Rows of whole groups of 16 bytes, and others of up to 1024 elements, are held in registers: they
 * are read once and written once. Longer ones are a block's, in three passes. Where the axis is not
 * the innermost neighbouring threads have neighbouring slices.
 */
#include "exec/gpu/rows.cuh"

#define HELD 32 /* elements that a lane holds */

/* Rows of nothing but -infinity are NaN, as on the host. */
static __device__ inline float result(int log_of, float x, float top, float sum)
{
	return log_of ? x - top - logf(sum) : expf(x - top) / sum;
}

template <typename T> static __device__ inline float exp_for(float x)
{
	return is_short<T> ? __expf(x) : expf(x);
}

template <typename T> static __device__ inline float top_of(const struct held<T> &row)
{
	float top = -INFINITY;
	for (int g = 0; g < held<T>::G; g++)
		for (int k = 0; k < held<T>::V; k++)
			top = larger(top, row.v[g][k]);
	return top;
}

/* The sum of exponentials, which stay in the row; of logarithms what they are of does. */
template <typename T>
static __device__ inline float exps_of(struct held<T> &row, int log_of, float top)
{
	float sum = 0;
	for (int g = 0; g < held<T>::G; g++)
		for (int k = 0; k < held<T>::V; k++) {
			float x = row.v[g][k] - top, e = exp_for<T>(x);
			sum += e;
			row.v[g][k] = log_of ? x : e;
		}
	return sum;
}

/* As many rows in a block as it is high. */
template <typename T>
__device__ void softmax_held(uint32_t rows, uint32_t n, int log_of, T *out, const T *in)
{
	constexpr int V = held<T>::V;
	/* All of a block stay until its last row: they meet in over_block(). */
	for (uint32_t at = blockIdx.x * blockDim.y; at < rows; at += gridDim.x * blockDim.y) {
		uint32_t row = at + threadIdx.y, groups = row < rows ? n / V : 0;
		struct held<T> x;
		hold(x, in + (size_t)row * n, groups, -INFINITY);
		float sum = exps_of(x, log_of, over_block(top_of(x), larger));
		sum = over_block(sum, plus);
		float less = log_of ? logf(sum) : 0, by = log_of ? 1 : 1 / sum;
		for (int g = 0; g < held<T>::G; g++) {
			uint32_t i = g * blockDim.x + threadIdx.x;
			group<T, V> y;
			for (int k = 0; k < V; k++)
				y.v[k] = narrow<T>((x.v[g][k] - less) * by);
			if (i < groups)
				store_group<T, V>(out + (size_t)row * n + i * V, y);
		}
	}
}

template <typename T>
__device__ void softmax_warps(uint32_t rows, uint32_t n, int log_of, T *out, const T *in)
{
	uint32_t lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
	for (uint32_t row = blockIdx.x * warps + threadIdx.x / WARP; row < rows;
		row += gridDim.x * warps) {
		const T *x = in + (size_t)row * n;
		T *o = out + (size_t)row * n;
		float v[HELD], top = -INFINITY, sum = 0;
		for (uint32_t k = 0; k < HELD; k++) {
			uint32_t i = k * WARP + lane;
			v[k] = i < n ? widen(x[i]) : -INFINITY;
			top = larger(top, v[k]);
		}
		top = over_warp(top, larger);
		for (uint32_t k = 0; k < HELD; k++)
			sum += k * WARP + lane < n ? expf(v[k] - top) : 0;
		sum = over_warp(sum, plus);
		for (uint32_t k = 0; k < HELD; k++)
			if (k * WARP + lane < n)
				o[k * WARP + lane] = narrow<T>(result(log_of, v[k], top, sum));
	}
}

template <typename T>
__device__ void softmax_blocks(uint32_t rows, uint32_t n, int log_of, T *out, const T *in)
{
	for (uint32_t row = blockIdx.x; row < rows; row += gridDim.x) {
		const T *x = in + (size_t)row * n;
		T *o = out + (size_t)row * n;
		float top = -INFINITY, sum = 0;
		for (uint32_t i = threadIdx.x; i < n; i += blockDim.x)
			top = larger(top, widen(x[i]));
		top = over_block(top, larger);
		for (uint32_t i = threadIdx.x; i < n; i += blockDim.x)
			sum += expf(widen(x[i]) - top);
		sum = over_block(sum, plus);
		for (uint32_t i = threadIdx.x; i < n; i += blockDim.x)
			o[i] = narrow<T>(result(log_of, widen(x[i]), top, sum));
	}
}

template <typename T>
__device__ void softmax_columns(
	uint32_t slices, uint32_t n, int log_of, T *out, const T *in, struct gpu_div inner)
{
	for (int64_t s = thread_index(); s < slices; s += thread_stride()) {
		uint32_t outer = quotient((uint32_t)s, inner);
		size_t at = (size_t)outer * n * inner.d + ((uint32_t)s - outer * inner.d);
		float top = -INFINITY, sum = 0;
		for (uint32_t i = 0; i < n; i++)
			top = larger(top, widen(in[at + (size_t)i * inner.d]));
		for (uint32_t i = 0; i < n; i++)
			sum += expf(widen(in[at + (size_t)i * inner.d]) - top);
		for (uint32_t i = 0; i < n; i++) {
			size_t k = at + (size_t)i * inner.d;
			out[k] = narrow<T>(result(log_of, widen(in[k]), top, sum));
		}
	}
}

#define SOFTMAX(T, name) \
	KERNEL(softmax_held_##name, \
		(uint32_t rows, uint32_t n, int32_t log_of, T *out, const T *in)) \
	{ \
		softmax_held(rows, n, log_of, out, in); \
	} \
	KERNEL(softmax_warps_##name, \
		(uint32_t rows, uint32_t n, int32_t log_of, T *out, const T *in)) \
	{ \
		softmax_warps(rows, n, log_of, out, in); \
	} \
	KERNEL(softmax_blocks_##name, \
		(uint32_t rows, uint32_t n, int32_t log_of, T *out, const T *in)) \
	{ \
		softmax_blocks(rows, n, log_of, out, in); \
	} \
	KERNEL(softmax_columns_##name, \
		(uint32_t slices, uint32_t n, int32_t log_of, T *out, const T *in, \
			struct gpu_div inner)) \
	{ \
		softmax_columns(slices, n, log_of, out, in, inner); \
	}
SOFTMAX(float, f32)
SOFTMAX(half, f16)
SOFTMAX(bfloat, bf16)
