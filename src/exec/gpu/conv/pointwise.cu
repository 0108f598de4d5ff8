/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pointwise.cu -- convolutions of single places and few channels, channels last
 *
 * They wait for memory: what a place has of channels is read once, 16 bytes at a time, straight
 * into the registers from which products take it, and filters lie in shared memory. In which order
 * a product goes through the channels does not matter, so a lane's eight beside each other are its
 * depths of two steps (pointwise.c packs the filters so).
 */
#include "exec/gpu/conv/products.cuh"

#define CHUNK 32 /* channels, of two steps */

/* A warp makes 16 * ROWS places, of CHUNKS chunks of channels. */
template <typename T, int CHUNKS, int ROWS>
static __device__ inline void load_places(
	const struct gpu_pointwise &s, const T *in, uint32_t first, uint4 (&a)[ROWS * 2][CHUNKS])
{
	uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
	for (int r = 0; r < ROWS * 2; r++) {
		uint32_t place = first + r * 8 + g;
		const T *row = in + (int64_t)(place < s.places ? place : s.places - 1) * s.channels;
#pragma unroll
		for (int c = 0; c < CHUNKS; c++) {
			int32_t at = c * CHUNK + (int32_t)t * 8;
			group<T, 8> v = load_inside<T, 8>(
				row + (at < s.channels ? at : 0), at < s.channels);
			memcpy(&a[r][c], &v, sizeof(v));
		}
	}
}

template <typename T, int CHUNKS, int ROWS>
static __device__ void pointwise(const struct gpu_pointwise &s, T *out, const T *in,
	const uint4 *filters, const T *bias, const T *z)
{
	DYNAMIC_SHARED(uint4, shared);
	uint32_t n_filters = s.groups * CHUNKS * 2 * 64, warps = blockDim.x / 32,
		 lane = threadIdx.x % 32;
	for (uint32_t i = threadIdx.x; i < n_filters; i += blockDim.x)
		shared[i] = filters[i];
	__syncthreads();
	uint32_t step = gridDim.x * warps * 16 * ROWS;
	for (uint32_t first = (blockIdx.x * warps + threadIdx.x / 32) * 16 * ROWS; first < s.places;
		first += step) {
		uint4 a[ROWS * 2][CHUNKS];
		load_places<T, CHUNKS, ROWS>(s, in, first, a);
		const uint4 *at = shared + lane;
#pragma unroll 1
		for (uint32_t k = 0; k < s.groups; k++) {
			int32_t channel = (int32_t)(k * 32 + lane % 4 * 8);
			sums sum[ROWS];
			group<T, 8> b = {};
			if (bias && channel < s.k)
				b = load_group<T, 8>(bias + channel, true);
#pragma unroll
			for (int r = 0; r < ROWS; r++)
				begin_sums(sum[r], b);
#pragma unroll
			for (int c = 0; c < CHUNKS; c++)
#pragma unroll
				for (int half_of = 0; half_of < 2; half_of++, at += 64)
#pragma unroll
					for (int r = 0; r < ROWS; r++) {
						const uint4 &up = a[r * 2][c],
							    &down = a[r * 2 + 1][c];
						const uint32_t words[4] = { half_of ? up.z : up.x,
							half_of ? down.z : down.x,
							half_of ? up.w : up.y,
							half_of ? down.w : down.y };
						multiply_add<T>(sum[r], words, at[0], at[32]);
					}
#pragma unroll
			for (int r = 0; r < ROWS * 2; r++) {
				uint32_t place = first + r * 8 + lane / 4;
				int64_t to = (int64_t)place * s.k + channel;
				if (place < s.places && channel < s.k)
					store_sums<T>(out + to, sum[r / 2], r % 2, s.act,
						z ? z + to : nullptr);
			}
		}
	}
}

#define POINTWISE(T, name, CHUNKS, ROWS) \
	KERNEL(pointwise_##name##_##CHUNKS, \
		(struct gpu_pointwise s, T *out, const T *in, const uint4 *filters, const T *bias, \
			const T *z)) \
	{ \
		pointwise<T, CHUNKS, ROWS>(s, out, in, filters, bias, z); \
	}
/* As many rows as pointwise.c's rows_of() says. */
#define POINTWISE_OF(T, name) \
	POINTWISE(T, name, 1, 2) POINTWISE(T, name, 2, 2) POINTWISE(T, name, 3, 2) \
	POINTWISE(T, name, 4, 1) POINTWISE(T, name, 5, 1) POINTWISE(T, name, 6, 1)
POINTWISE_OF(half, f16)
POINTWISE_OF(bfloat, bf16)
