/* SPDX-License-Identifier: Apache-2.0 */
/*
 * depthwise.cu -- convolutions of each channel by itself, channels first or last
 *
 * A thread makes a few results below each other, so that a weight is read once for all of them;
 * channels last go 16 bytes at a time where they divide into such groups. Memory is what such
 * a convolution waits for: what several threads read comes from the cache.
 */
#include "exec/gpu/kernels.cuh"
#include "exec/gpu/math/unary.cuh"

template <typename T, int V>
__device__ void depthwise(const struct gpu_depthwise &s, T *out, const T *in, const T *weights, const T *bias, const T *z)
{
	int32_t taps = s.kernel[0] * s.kernel[1];
	for (int64_t i = thread_index(); i < s.count; i += thread_stride()) {
		uint32_t rest = quotient((uint32_t)i, s.inner), lane = (uint32_t)i - rest * s.inner.d;
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
			group<T, V> w = load_group<T, V>(weights + (s.last ? (int64_t)tap * row + c : (int64_t)c * taps + tap), true);
			for (int r = 0; r < GPU_DEPTHWISE_ROWS; r++) {
				int32_t from_y = (top + r) * s.stride[0] + ky * s.dilation[0] - s.pad[0];
				if (from_y < 0 || from_y >= s.in[0])
					continue;
				int64_t at = ((int64_t)plane * s.in[0] + from_y) * s.in[1] + from_x;
				group<T, V> v = load_group<T, V>(in + at * row + lane * V, true);
				for (int k = 0; k < V; k++)
					sum[r][k] += widen(v.v[k]) * widen(w.v[k]);
			}
		}
		for (int r = 0; r < GPU_DEPTHWISE_ROWS && top + r < s.rows; r++) {
			int64_t at = (((int64_t)plane * s.rows + top + r) * s.columns.d + x) * row + lane * V;
			group<T, V> y = {}, more = {};
			if (z)
				more = load_group<T, V>(z + at, true);
			for (int k = 0; k < V; k++)
				y.v[k] = narrow<T>(apply(s.call, sum[r][k] + (z ? widen(more.v[k]) : 0)));
			store_group<T, V>(out + at, y);
		}
	}
}

#define DEPTHWISE(T, name, V) \
	KERNEL(depthwise_##name, (struct gpu_depthwise s, T *out, const T *in, const T *w, const T *bias, const T *z)) \
	{ \
		depthwise<T, V>(s, out, in, w, bias, z); \
	}
FLOAT_GROUPS(DEPTHWISE)
