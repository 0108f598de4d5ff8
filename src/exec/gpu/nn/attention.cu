/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attention.cu -- scores to weights, in place: a block of threads per query
 */
#include <math.h>
#include "exec/gpu/kernels.cuh"

#define WARPS (GPU_ATTENTION_THREADS / 32)

struct larger {
	static __device__ inline float of(float a, float b) { return a > b || isnan(a) ? a : b; }
};
struct summed {
	static __device__ inline float of(float a, float b) { return a + b; }
};

/* What all threads of the block have, put together; in each of them. */
template <typename Op> static __device__ float over_block(float v)
{
	__shared__ float part[WARPS];
	for (int by = 16; by > 0; by /= 2)
		v = Op::of(v, __shfl_xor_sync(~0u, v, by));
	if (threadIdx.x % 32 == 0)
		part[threadIdx.x / 32] = v;
	__syncthreads();
	v = part[0];
	for (int i = 1; i < WARPS; i++)
		v = Op::of(v, part[i]);
	__syncthreads();
	return v;
}

static __device__ inline float masked(
	const struct gpu_attention &s, float x, const void *mask, int64_t at)
{
	if (s.softcap > 0)
		x = s.softcap * tanhf(x / s.softcap);
	if (s.mask == GPU_MASK_BOOL)
		return ((const uint8_t *)mask)[at] ? x : -INFINITY;
	return s.mask == GPU_MASK_ADDED ? x + ((const float *)mask)[at] : x;
}

/* A query that sees nothing has weights that are no numbers, as the formula says. */
KERNEL(attention_weights_f32, (struct gpu_attention s, float *scores, const void *mask))
{
	int64_t row = blockIdx.x, q = row % s.q_len, head = row / s.q_len % s.heads,
		batch = row / s.q_len / s.heads;
	float *x = scores + row * s.keys, top = -INFINITY, sum = 0;
	int64_t at = batch * s.mask_stride[0] + head * s.mask_stride[1] + q * s.mask_stride[2];
	int32_t seen = s.causal && q + 1 < s.seen ? (int32_t)q + 1 : s.seen;
	for (int32_t k = threadIdx.x; k < seen; k += GPU_ATTENTION_THREADS) {
		x[k] = masked(s, x[k], mask, at + k);
		top = larger::of(x[k], top);
	}
	top = over_block<larger>(top);
	for (int32_t k = threadIdx.x; k < seen; k += GPU_ATTENTION_THREADS) {
		x[k] = expf(x[k] - top);
		sum += x[k];
	}
	sum = over_block<summed>(sum);
	for (int32_t k = threadIdx.x; k < s.keys; k += GPU_ATTENTION_THREADS)
		x[k] = k < seen ? x[k] / sum : top == -INFINITY ? NAN : 0;
}
