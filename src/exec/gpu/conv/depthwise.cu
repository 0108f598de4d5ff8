/* SPDX-License-Identifier: Apache-2.0 */
/*
 * depthwise.cu -- convolutions of each channel by itself, channels first or last
 *
 * Memory is what such a convolution waits for. In the usual windows, channels last, a thread makes
 * a strip of results beside each other of one group of channels: what it reads is asked for a row
 * at a time and kept in registers, and rows that the threads of a block share come from its
 * multiprocessor's cache. In any others a thread makes a few results below each other.
 */
#include "exec/gpu/conv/activate.cuh"

template <typename T, int V>
__device__ void depthwise(const struct gpu_depthwise &s, T *out, const T *in, const T *weights,
	const T *bias, const T *z)
{
	int32_t taps = s.kernel[0] * s.kernel[1];
	for (int64_t i = thread_index(); i < s.count; i += thread_stride()) {
		uint32_t rest = quotient((uint32_t)i, s.inner),
			 lane = (uint32_t)i - rest * s.inner.d;
		uint32_t strip = quotient(rest, s.columns), plane = quotient(strip, s.strips);
		int32_t x = (int32_t)(rest - strip * s.columns.d);
		int32_t top = (int32_t)(strip - plane * s.strips.d) * GPU_DEPTHWISE_ROWS;
		uint32_t c = s.last ? lane * V : plane - quotient(plane, s.channels) * s.channels.d;
		int64_t row = (int64_t)s.inner.d * V; /* elements of a place */
		float sum[GPU_DEPTHWISE_ROWS][V];
		for (int r = 0; r < GPU_DEPTHWISE_ROWS; r++)
			for (int k = 0; k < V; k++)
				sum[r][k] = bias ? widen(bias[c + k]) : 0;
		for (int32_t tap = 0; tap < taps; tap++) {
			int32_t ky = tap / s.kernel[1], kx = tap - ky * s.kernel[1];
			int32_t from_x = x * s.stride[1] + kx * s.dilation[1] - s.pad[1];
			if (from_x < 0 || from_x >= s.in[1])
				continue;
			group<T, V> w =
				load_group<T, V>(weights + (s.last ? (int64_t)tap * row + c
								   : (int64_t)c * taps + tap),
					true);
			for (int r = 0; r < GPU_DEPTHWISE_ROWS; r++) {
				int32_t from_y =
					(top + r) * s.stride[0] + ky * s.dilation[0] - s.pad[0];
				if (from_y < 0 || from_y >= s.in[0])
					continue;
				int64_t at = ((int64_t)plane * s.in[0] + from_y) * s.in[1] + from_x;
				group<T, V> v = load_group<T, V>(in + at * row + lane * V, true);
				for (int k = 0; k < V; k++)
					sum[r][k] += widen(v.v[k]) * widen(w.v[k]);
			}
		}
#pragma unroll
		for (int r = 0; r < GPU_DEPTHWISE_ROWS; r++) {
			if (top + r >= s.rows)
				continue;
			int64_t at = (((int64_t)plane * s.rows + top + r) * s.columns.d + x) * row +
				     lane * V;
			group<T, V> y = {}, more = {};
			if (z)
				more = load_group<T, V>(z + at, true);
			for (int k = 0; k < V; k++)
				y.v[k] = narrow<T>(
					activate(s.act, sum[r][k] + (z ? widen(more.v[k]) : 0)));
			store_group<T, V>(out + at, y);
		}
	}
}

#define DEPTHWISE(T, name, V) \
	KERNEL(depthwise_##name, \
		(struct gpu_depthwise s, T *out, const T *in, const T *w, const T *bias, \
			const T *z)) \
	{ \
		depthwise<T, V>(s, out, in, w, bias, z); \
	}
FLOAT_GROUPS(DEPTHWISE)

/* -- tiles ------------------------------------------------------------------------------------- */

static __device__ inline int32_t between(int32_t v, int32_t n)
{
	return v < 0 ? 0 : v < n ? v : n - 1;
}

/* The sums of N windows of K by K, of one group of channels: the first one's place in the image,
   which lies at from. */
template <typename T, int V, int K, int STRIDE, int N>
static __device__ inline void strip_sums(const struct gpu_depthwise_tiles &s, const T *from,
	const T *weights, int32_t top, int32_t left, float (&sum)[N][V])
{
	constexpr int span = (N - 1) * STRIDE + K; /* columns that it reads */
#pragma unroll
	for (int ky = 0; ky < K; ky++) {
		bool inside = (uint32_t)(top + ky) < (uint32_t)s.in[0];
		const T *row = from + (int64_t)between(top + ky, s.in[0]) * s.in[1] * s.channels;
		group<T, V> v[span], w[K];
#pragma unroll
		for (int x = 0; x < span; x++)
			v[x] = load_inside<T, V>(row + between(left + x, s.in[1]) * s.channels,
				inside && (uint32_t)(left + x) < (uint32_t)s.in[1]);
#pragma unroll
		for (int kx = 0; kx < K; kx++)
			w[kx] = load_group<T, V>(weights + (ky * K + kx) * s.channels, true);
#pragma unroll
		for (int kx = 0; kx < K; kx++)
#pragma unroll
			for (int n = 0; n < N; n++)
#pragma unroll
				for (int k = 0; k < V; k++)
					sum[n][k] +=
						widen(v[n * STRIDE + kx].v[k]) * widen(w[kx].v[k]);
	}
}

template <typename T, int V, int K, int STRIDE, int N>
static __device__ void depthwise_tiles(const struct gpu_depthwise_tiles &s, T *out, const T *in,
	const T *weights, const T *bias, const T *z)
{
	for (uint32_t tile = blockIdx.x; tile < s.count; tile += gridDim.x) {
		uint32_t column = quotient(tile, s.across), row = quotient(column, s.columns),
			 image = quotient(row, s.rows);
		int32_t c = (int32_t)((tile - column * s.across.d) * blockDim.x + threadIdx.x) * V;
		int32_t x = (int32_t)((column - row * s.columns.d) * blockDim.y + threadIdx.y) * N;
		int32_t y = (int32_t)((row - image * s.rows.d) * blockDim.z + threadIdx.z);
		if (c >= s.channels || x >= s.out[1] || y >= s.out[0])
			continue;
		int32_t top = y * STRIDE - s.pad[0], left = x * STRIDE - s.pad[1];
		int64_t from = (int64_t)image * s.in[0] * s.in[1] * s.channels + c;
		int64_t to = (((int64_t)image * s.out[0] + y) * s.out[1] + x) * s.channels + c;
		float sum[N][V];
		group<T, V> first = {};
		if (bias)
			first = load_group<T, V>(bias + c, true);
#pragma unroll
		for (int n = 0; n < N; n++)
			for (int k = 0; k < V; k++)
				sum[n][k] = widen(first.v[k]);
		strip_sums<T, V, K, STRIDE, N>(s, in + from, weights + c, top, left, sum);
#pragma unroll
		for (int n = 0; n < N; n++) {
			if (x + n >= s.out[1])
				continue;
			group<T, V> r, more = {};
			if (z)
				more = load_group<T, V>(z + to + (int64_t)n * s.channels, true);
#pragma unroll
			for (int k = 0; k < V; k++)
				r.v[k] = narrow<T>(activate(s.act, sum[n][k] + widen(more.v[k])));
			store_group<T, V>(out + to + (int64_t)n * s.channels, r);
		}
	}
}

#define TILES(T, name, K, STRIDE, N) \
	KERNEL(depthwise_##name##_##K##_##STRIDE##_##N, \
		(struct gpu_depthwise_tiles s, T *out, const T *in, const T *w, const T *bias, \
			const T *z)) \
	{ \
		depthwise_tiles<T, wide_of<T>, K, STRIDE, N>(s, out, in, w, bias, z); \
	}
/* As depthwise.c's long_strip() says, and single windows. */
#define TILES_OF(T, name) \
	TILES(T, name, 3, 1, 4) TILES(T, name, 3, 1, 1) \
	TILES(T, name, 3, 2, 2) TILES(T, name, 3, 2, 1) \
	TILES(T, name, 5, 1, 2) TILES(T, name, 5, 1, 1) \
	TILES(T, name, 5, 2, 2) TILES(T, name, 5, 2, 1)
TILES_OF(float, f32)
TILES_OF(half, f16)
TILES_OF(bfloat, bf16)
