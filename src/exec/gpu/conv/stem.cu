/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stem.cu -- convolutions of few channels: what reads the image itself
 *
 * DESIGN
 *
 * A block makes tiles of 16 by 16 results of 32 or 64 channels on tensor cores, one after the
 * other, with the filters kept in shared memory. What a tile reads is gathered there as pixels of
 * four channels, however the image lies. So a row of a window is one run of numbers, of which
 * a product takes four pixels, 16 numbers, at a time: nothing is copied out for each window.
 *
 * Filters come in the order in which lanes take them (filters.h).
 */
#include "exec/gpu/conv/products.cuh"

#define SIDE GPU_STEM_SIDE
#define ROWS 2   /* of results, of a warp */
#define AT_ONCE 4 /* pixels that a thread asks for before it stores them */

/* -- the patch ------------------------------------------------------------------------------- */

template <typename T>
static __device__ inline group<T, 4> pixel(
	const struct gpu_stem &s, const T *image, int32_t y, int32_t x)
{
	group<T, 4> v = {};
	if ((uint32_t)y < (uint32_t)s.in[0] && (uint32_t)x < (uint32_t)s.in[1])
#pragma unroll
		for (int c = 0; c < 4; c++)
			if (c < s.channels)
				v.v[c] = image[c * s.step[1] + y * s.step[2] + x * s.step[3]];
	return v;
}

template <typename T>
static __device__ void gather(
	const struct gpu_stem &s, const T *image, int32_t top, int32_t left, group<T, 4> *patch)
{
	for (uint32_t first = threadIdx.x; first < s.pixels; first += AT_ONCE * blockDim.x) {
		group<T, 4> v[AT_ONCE];
#pragma unroll
		for (int k = 0; k < AT_ONCE; k++) {
			uint32_t i = first + k * blockDim.x, row = quotient(i, s.width);
			v[k] = {};
			if (i < s.pixels)
				v[k] = pixel(s, image, top + (int32_t)row,
					left + (int32_t)(i - row * s.width.d));
		}
#pragma unroll
		for (int k = 0; k < AT_ONCE; k++)
			if (first + k * blockDim.x < s.pixels)
				patch[first + k * blockDim.x] = v[k];
	}
}

/* -- products --------------------------------------------------------------------------------- */

/* Sixteen results beside each other, four pixels of their windows; at: the first one's first pixel,
   in words, of which a pixel has two. Pixels behind the window count nothing, whatever they are. */
static __device__ inline void load_windows(
	const uint32_t *at, int32_t stride, bool near, bool far, uint32_t (&a)[4])
{
	int32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4, down = 8 * stride * 2;
	at += g * stride * 2 + t;
	a[0] = near ? at[0] : 0;
	a[1] = near ? at[down] : 0;
	a[2] = far ? at[4] : 0;
	a[3] = far ? at[down + 4] : 0;
}

template <typename T, int GROUPS>
static __device__ inline void multiply(const struct gpu_stem &s, const uint32_t *patch,
	const uint4 *filters, sums (&sum)[ROWS][GROUPS])
{
	int32_t top = (int32_t)(threadIdx.x / 32) * ROWS * s.stride[0], width = (int32_t)s.width.d;
	int32_t pixel = threadIdx.x % 4 / 2; /* of the four, that this lane sees first */
	filters += threadIdx.x % 32;
	for (int32_t ky = 0; ky < s.kernel[0]; ky++)
		for (int32_t kx = 0; kx < s.kernel[1]; kx += 4, filters += GROUPS * 2 * 32) {
			uint32_t a[ROWS][4];
#pragma unroll
			for (int r = 0; r < ROWS; r++)
				load_windows(
					patch + ((top + r * s.stride[0] + ky) * width + kx) * 2,
					s.stride[1], kx + pixel < s.kernel[1],
					kx + pixel + 2 < s.kernel[1], a[r]);
#pragma unroll
			for (int k = 0; k < GROUPS; k++) {
				uint4 low = filters[k * 2 * 32], high = filters[(k * 2 + 1) * 32];
#pragma unroll
				for (int r = 0; r < ROWS; r++)
					multiply_add<T>(sum[r][k], a[r], low, high);
			}
		}
}

template <typename T, int GROUPS>
static __device__ void stem(
	const struct gpu_stem &s, T *out, const T *in, const uint4 *filters, const T *bias)
{
	DYNAMIC_SHARED(uint4, shared);
	uint32_t n_filters = s.steps * GROUPS * 2 * 32;
	group<T, 4> *patch = reinterpret_cast<group<T, 4> *>(shared + n_filters);
	int32_t g = threadIdx.x % 32 / 4,
		first = (int32_t)blockIdx.y * GROUPS * 32 + (int32_t)threadIdx.x % 4 * 8;
	for (uint32_t i = threadIdx.x; i < n_filters; i += blockDim.x)
		shared[i] = filters[blockIdx.y * n_filters + i];
	for (uint32_t tile = blockIdx.x; tile < s.tiles; tile += gridDim.x) {
		uint32_t rest = quotient(tile, s.columns), image = quotient(rest, s.rows);
		int32_t x = (int32_t)(tile - rest * s.columns.d) * SIDE,
			y = (int32_t)(rest - image * s.rows.d) * SIDE;
		__syncthreads(); /* the patch is not read any more */
		gather(s, in + (int64_t)image * s.step[0], y * s.stride[0] - s.pad[0],
			x * s.stride[1] - s.pad[1], patch);
		__syncthreads();
		sums sum[ROWS][GROUPS];
#pragma unroll
		for (int k = 0; k < GROUPS; k++) {
			group<T, 8> b = {};
			if (bias && first + k * 32 < s.k)
				b = load_group<T, 8>(bias + first + k * 32, true);
#pragma unroll
			for (int r = 0; r < ROWS; r++)
				begin_sums(sum[r][k], b);
		}
		multiply<T, GROUPS>(s, reinterpret_cast<const uint32_t *>(patch), shared, sum);
#pragma unroll
		for (int i = 0; i < ROWS * 2; i++) {
			int32_t row = y + (int32_t)(threadIdx.x / 32) * ROWS + i / 2,
				column = x + g + i % 2 * 8;
			if (row >= s.out[0] || column >= s.out[1])
				continue;
			T *to = out +
				(((int64_t)image * s.out[0] + row) * s.out[1] + column) * s.k +
				first;
#pragma unroll
			for (int k = 0; k < GROUPS; k++)
				if (first + k * 32 < s.k)
					store_sums<T>(
						to + k * 32, sum[i / 2][k], i % 2, s.act, nullptr);
		}
	}
}

#define STEM(T, name, GROUPS) \
	KERNEL(stem_##name##_##GROUPS, \
		(struct gpu_stem s, T *out, const T *in, const uint4 *filters, const T *bias)) \
	{ \
		stem<T, GROUPS>(s, out, in, filters, bias); \
	}
STEM(half, f16, 1)
STEM(half, f16, 2)
STEM(bfloat, bf16, 1)
STEM(bfloat, bf16, 2)
