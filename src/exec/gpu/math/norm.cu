/* SPDX-License-Identifier: Apache-2.0 */
/*
 * norm.cu -- normalizations: of rows (Layer, RMS), of groups of channels (Group, Instance), by
 * given numbers (Batch), and over neighbouring channels (LRN)
 *
 * Rows of whole groups are read once: a warp, or a block, holds one in registers, and comes from
 * there to its mean, to what it varies around that, and to the result. Others are a block's, in
 * three passes.
 */
#include "exec/gpu/rows.cuh"

template <typename T>
__device__ void norm_rows(const struct gpu_norm &p, T *out, const T *in, const T *scale,
	const T *bias, float *mean_out, float *inverse_out)
{
	for (uint32_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
		const T *x = in + (size_t)row * p.n;
		T *o = out + (size_t)row * p.n;
		uint32_t first = (row - quotient(row, p.groups) * p.groups.d) * p.per;
		float mean = 0, square = 0;
		for (uint32_t i = threadIdx.x; i < p.n && !p.rms; i += blockDim.x)
			mean += widen(x[i]);
		mean = over_block(mean, plus) / (float)p.n;
		for (uint32_t i = threadIdx.x; i < p.n; i += blockDim.x) {
			float d = widen(x[i]) - mean;
			square += d * d;
		}
		float inverse = 1 / sqrtf(over_block(square, plus) / (float)p.n + p.epsilon);
		for (uint32_t i = threadIdx.x; i < p.n; i += blockDim.x) {
			uint32_t k = first + quotient(i, p.inner);
			float y =
				(widen(x[i]) - mean) * inverse * widen(scale[p.one_scale ? 0 : k]);
			o[i] = narrow<T>(y + (bias ? widen(bias[p.one_bias ? 0 : k]) : 0));
		}
		if (threadIdx.x == 0 && mean_out)
			mean_out[row] = mean;
		if (threadIdx.x == 0 && inverse_out)
			inverse_out[row] = inverse;
	}
}

template <typename T> static __device__ inline float sum_of(const struct held<T> &row)
{
	float sum = 0;
	for (int g = 0; g < held<T>::G; g++)
		for (int k = 0; k < held<T>::V; k++)
			sum += row.v[g][k];
	return sum;
}

/* Squares of how far the row's values lie from its mean. */
template <typename T>
static __device__ inline float squares_around(
	const struct held<T> &row, float mean, uint32_t groups)
{
	float sum = 0;
	for (int g = 0; g < held<T>::G; g++)
		for (int k = 0; k < held<T>::V && g * blockDim.x + threadIdx.x < groups; k++)
			sum += (row.v[g][k] - mean) * (row.v[g][k] - mean);
	return sum;
}

template <typename T>
static __device__ inline void put_normalized(const struct gpu_norm &p, const struct held<T> &row,
	float mean, float inverse, uint32_t groups, T *out, const T *scale, const T *bias)
{
	constexpr int V = held<T>::V;
	for (int g = 0; g < held<T>::G; g++) {
		uint32_t i = g * blockDim.x + threadIdx.x;
		if (i >= groups)
			break;
		group<T, V> by = load_group<T, V>(scale + (p.one_scale ? 0 : i * V), !p.one_scale),
			    add = {}, y;
		if (bias)
			add = load_group<T, V>(bias + (p.one_bias ? 0 : i * V), !p.one_bias);
		for (int k = 0; k < V; k++)
			y.v[k] = narrow<T>(
				(row.v[g][k] - mean) * inverse * widen(by.v[k]) + widen(add.v[k]));
		store_group<T, V>(out + i * V, y);
	}
}

/* As many rows in a block as it is high; each column has numbers of its own, or all have one. */
template <typename T>
__device__ void norm_held(const struct gpu_norm &p, T *out, const T *in, const T *scale,
	const T *bias, float *mean_out, float *inverse_out)
{
	/* All of a block stay until its last row: they meet in over_block(). */
	for (uint32_t at = blockIdx.x * blockDim.y; at < p.rows; at += gridDim.x * blockDim.y) {
		uint32_t row = at + threadIdx.y, groups = row < p.rows ? p.n / wide_of<T> : 0;
		struct held<T> x;
		hold(x, in + (size_t)row * p.n, groups, 0);
		float mean = p.rms ? 0 : over_block(sum_of(x), plus) / (float)p.n;
		float square = over_block(squares_around(x, mean, groups), plus);
		float inverse = 1 / sqrtf(square / (float)p.n + p.epsilon);
		put_normalized(p, x, mean, inverse, groups, out + (size_t)row * p.n, scale, bias);
		if (groups && threadIdx.x == 0 && mean_out)
			mean_out[row] = mean;
		if (groups && threadIdx.x == 0 && inverse_out)
			inverse_out[row] = inverse;
	}
}

template <typename T>
__device__ void batch_norm(uint32_t count, struct gpu_div inner, struct gpu_div channels,
	float epsilon, T *out, const T *in, const T *scale, const T *bias, const T *mean,
	const T *variance)
{
	for (int64_t i = thread_index(); i < count; i += thread_stride()) {
		uint32_t row = quotient((uint32_t)i, inner),
			 c = row - quotient(row, channels) * channels.d;
		float by = widen(scale[c]) / sqrtf(widen(variance[c]) + epsilon);
		out[i] = narrow<T>((widen(in[i]) - widen(mean[c])) * by + widen(bias[c]));
	}
}

/* Channels [c - before, c + after] count. */
template <typename T>
__device__ void lrn(uint32_t count, struct gpu_div inner, struct gpu_div channels, int before,
	int after, float bias, float alpha, float beta, T *out, const T *in)
{
	for (int64_t i = thread_index(); i < count; i += thread_stride()) {
		uint32_t row = quotient((uint32_t)i, inner);
		int c = (int)(row - quotient(row, channels) * channels.d);
		float sum = 0;
		for (int k = max(c - before, 0); k <= min(c + after, (int)channels.d - 1); k++) {
			float v = widen(in[i + (int64_t)(k - c) * inner.d]);
			sum += v * v;
		}
		out[i] = narrow<T>(widen(in[i]) / powf(bias + alpha * sum, beta));
	}
}

#define NORM(T, name) \
	KERNEL(norm_rows_##name, \
		(struct gpu_norm p, T *out, const T *in, const T *scale, const T *bias, \
			float *mean_out, float *inverse_out)) \
	{ \
		norm_rows(p, out, in, scale, bias, mean_out, inverse_out); \
	} \
	KERNEL(norm_held_##name, \
		(struct gpu_norm p, T *out, const T *in, const T *scale, const T *bias, \
			float *mean_out, float *inverse_out)) \
	{ \
		norm_held(p, out, in, scale, bias, mean_out, inverse_out); \
	} \
	KERNEL(batch_norm_##name, \
		(uint32_t n, struct gpu_div inner, struct gpu_div channels, float epsilon, T *out, \
			const T *in, const T *scale, const T *bias, const T *mean, \
			const T *variance)) \
	{ \
		batch_norm(n, inner, channels, epsilon, out, in, scale, bias, mean, variance); \
	} \
	KERNEL(lrn_##name, \
		(uint32_t n, struct gpu_div inner, struct gpu_div channels, int32_t before, \
			int32_t after, float bias, float alpha, float beta, T *out, const T *in)) \
	{ \
		lrn(n, inner, channels, before, after, bias, alpha, beta, out, in); \
	}
NORM(float, f32)
NORM(half, f16)
NORM(bfloat, bf16)
