/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbits.cu -- weights of 2, 4 or 8 bits: products of few rows with them, and as floats
 */
#include "exec/gpu/rows.cuh"

/* Word w of column j as floats; numbers behind the column's end are 0. */
template <typename T> struct numbers {
	const struct gpu_nbits &s;
	const struct gpu_nbits_at &at;
	const struct gpu_complaint &f;

	__device__ float zero(uint32_t j, uint32_t b) const
	{
		if (!at.zeros)
			return (float)(1 << (s.bits - 1));
		if (!s.zero_bytes)
			return widen(((const T *)at.zeros)[(int64_t)j * s.blocks + b]);
		uint32_t bit = b * s.bits;
		uint8_t byte = ((const uint8_t *)at.zeros)[(int64_t)j * s.zero_bytes + bit / 8];
		return (float)(byte >> bit % 8 & ((1 << s.bits) - 1));
	}

	__device__ float scale(uint32_t j, uint32_t b) const
	{
		return widen(((const T *)at.scales)[(int64_t)j * s.blocks + b]);
	}

	/* Calls use(i, k, number k) for all of them, that are at `i` in the word. */
	template <typename F> __device__ void each(uint32_t j, uint32_t w, F use) const
	{
		uint32_t word = at.numbers[(int64_t)j * s.words + w], first = w * s.per,
			 b = quotient(first, s.block);
		float z = zero(j, b), by = scale(j, b);
		for (uint32_t i = 0; i < s.per && first + i < s.k; i++, word >>= s.bits) {
			if (at.block_of) {
				int32_t own = at.block_of[first + i];
				if (own < 0 || own >= (int32_t)s.blocks) {
					complain(f, own);
					own = 0;
				}
				z = zero(j, own);
				by = scale(j, own);
			}
			use(first + i, ((float)(word & ((1 << s.bits) - 1)) - z) * by);
		}
	}
};

/* A warp takes a column, with all rows. */
template <typename T>
__device__ void nbits_dot(const struct gpu_nbits &s, const struct gpu_nbits_at &at, T *out,
	const T *in, const struct gpu_complaint &f)
{
	numbers<T> of = { s, at, f };
	uint32_t lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
	for (uint32_t j = blockIdx.x * warps + threadIdx.x / WARP; j < s.n;
		j += gridDim.x * warps) {
		float sum[GPU_NBITS_ROWS] = { 0 };
		for (uint32_t w = lane; w < s.words; w += WARP)
			of.each(j, w, [&](uint32_t k, float v) {
				for (uint32_t r = 0; r < GPU_NBITS_ROWS; r++)
					if (r < s.rows)
						sum[r] += v * widen(in[(int64_t)r * s.k + k]);
			});
		for (uint32_t r = 0; r < GPU_NBITS_ROWS; r++) {
			float all = over_warp(sum[r], plus);
			if (lane == 0 && r < s.rows)
				out[(int64_t)r * s.n + j] = narrow<T>(
					all + (at.bias ? widen(((const T *)at.bias)[j]) : 0));
		}
	}
}

/* Columns one behind the other. */
template <typename T>
__device__ void nbits_unpack(const struct gpu_nbits &s, const struct gpu_nbits_at &at, T *out,
	const struct gpu_complaint &f)
{
	numbers<T> of = { s, at, f };
	for (int64_t i = thread_index(); i < (int64_t)s.n * s.words; i += thread_stride()) {
		uint32_t j = (uint32_t)(i / s.words), w = (uint32_t)(i % s.words);
		of.each(j, w,
			[&](uint32_t k, float v) { out[(int64_t)j * s.k + k] = narrow<T>(v); });
	}
}

#define NBITS(T, name) \
	KERNEL(nbits_dot_##name, \
		(struct gpu_nbits s, struct gpu_nbits_at at, T *out, const T *in, \
			struct gpu_complaint f)) \
	{ \
		nbits_dot(s, at, out, in, f); \
	} \
	KERNEL(nbits_unpack_##name, \
		(struct gpu_nbits s, struct gpu_nbits_at at, T *out, struct gpu_complaint f)) \
	{ \
		nbits_unpack(s, at, out, f); \
	}
NBITS(float, f32)
NBITS(half, f16)
NBITS(bfloat, bf16)
