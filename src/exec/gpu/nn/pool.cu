/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.cu -- MaxPool and AveragePool, channels first or last
 *
 * Channels last go 16 bytes at a time where they divide into such groups.
 */
#include "exec/gpu/kernels.cuh"

/* Taps [from, to) of a window that begins at `start` lie in the image. */
struct reach {
	int32_t start, from, to, counted;
};

static __device__ inline struct reach reach_of(const struct gpu_pool &p, int axis, uint32_t o)
{
	struct reach r;
	int32_t dilation = p.dilation[axis];
	r.start = (int32_t)o * p.stride[axis] - p.pad[axis];
	r.from = r.start >= 0 ? 0 : (-r.start + dilation - 1) / dilation;
	r.to = r.start >= p.in[axis] ? 0 : (p.in[axis] - 1 - r.start) / dilation + 1;
	r.to = min(r.to, p.kernel[axis]);
	r.to = max(r.to, r.from);
	r.counted = r.to - r.from;
	if (p.count_pad)
		r.counted = r.start >= p.end[axis] ? 0
						   : min((p.end[axis] - 1 - r.start) / dilation + 1,
							     p.kernel[axis]);
	return r;
}

/* What a window on padding alone has. */
template <typename T> static __device__ inline T lowest() { return -INFINITY; }
template <> __device__ inline int8_t lowest<int8_t>() { return INT8_MIN; }
template <> __device__ inline uint8_t lowest<uint8_t>() { return 0; }

template <typename T, int V, bool MAX>
__device__ void pool(const struct gpu_pool &p, T *out, const T *in)
{
	using C = compute<T>;
	for (int64_t i = thread_index(); i < p.count; i += thread_stride()) {
		uint32_t rest = quotient((uint32_t)i, p.inner),
			 lane = (uint32_t)i - rest * p.inner.d;
		struct reach r[GPU_SPATIAL];
		for (int a = GPU_SPATIAL - 1; a >= 0; a--) {
			uint32_t q = quotient(rest, p.out[a]);
			r[a] = reach_of(p, a, rest - q * p.out[a].d);
			rest = q;
		}
		C acc[V];
		bool any = false;
		for (int k = 0; k < V; k++)
			acc[k] = 0;
		for (int32_t d = r[0].from; d < r[0].to; d++)
			for (int32_t h = r[1].from; h < r[1].to; h++)
				for (int32_t w = r[2].from; w < r[2].to; w++) {
					int64_t at = (((int64_t)rest * p.in[0] + r[0].start +
							      d * p.dilation[0]) *
								     p.in[1] +
							     r[1].start + h * p.dilation[1]) *
							     p.in[2] +
						     r[2].start + w * p.dilation[2];
					group<T, V> g = load_group<T, V>(
						in + (at * p.inner.d + lane) * V, true);
					for (int k = 0; k < V; k++) {
						C x = widen(g.v[k]);
						bool better = !any || x > acc[k] ||
							      (x != x && acc[k] == acc[k]);
						acc[k] = !MAX ? acc[k] + x : better ? x : acc[k];
					}
					any = true;
				}
		int32_t counted = r[0].counted * r[1].counted * r[2].counted;
		group<T, V> g;
		for (int k = 0; k < V; k++) {
			if (MAX && !any)
				acc[k] = lowest<C>();
			if (!MAX)
				acc[k] = counted ? acc[k] / (C)counted : 0;
			g.v[k] = narrow<T>(acc[k]);
		}
		store_group<T, V>(out + i * V, g);
	}
}

/* Square windows of images, K on a side: all taps are asked for before the first one
   is looked at. */
template <typename T, int V, int K>
__device__ void max_square(const struct gpu_pool &p, T *out, const T *in)
{
	using C = compute<T>;
	for (int64_t i = thread_index(); i < p.count; i += thread_stride()) {
		uint32_t place = quotient((uint32_t)i, p.inner),
			 lane = (uint32_t)i - place * p.inner.d;
		uint32_t line = quotient(place, p.out[2]), image = quotient(line, p.out[1]);
		int32_t top = (int32_t)(line - image * p.out[1].d) * p.stride[1] - p.pad[1];
		int32_t left = (int32_t)(place - line * p.out[2].d) * p.stride[2] - p.pad[2];
		const T *x = in + ((int64_t)image * p.in[1] * p.in[2] * p.inner.d + lane) * V;
		group<T, V> tap[K * K], y;
		uint32_t there = 0;
		for (int t = 0; t < K * K; t++) {
			int32_t h = top + t / K, w = left + t % K;
			if (h < 0 || h >= p.in[1] || w < 0 || w >= p.in[2])
				continue;
			there |= 1u << t;
			tap[t] = load_group<T, V>(
				x + (h * p.in[2] + w) * (int32_t)p.inner.d * V, true);
		}
		for (int k = 0; k < V; k++) {
			C most = lowest<C>();
			for (int t = 0; t < K * K; t++) {
				C v = there >> t & 1 ? widen(tap[t].v[k]) : lowest<C>();
				most = v > most || v != v ? v : most;
			}
			y.v[k] = narrow<T>(most);
		}
		store_group<T, V>(out + i * V, y);
	}
}

#define POOL(T, name, V) \
	KERNEL(max_pool_##name, (struct gpu_pool p, T *out, const T *in)) \
	{ \
		pool<T, 1, true>(p, out, in); \
	} \
	KERNEL(max_pool_##name##_wide, (struct gpu_pool p, T *out, const T *in)) \
	{ \
		pool<T, V, true>(p, out, in); \
	} \
	KERNEL(max_pool_##name##_wide_2, (struct gpu_pool p, T *out, const T *in)) \
	{ \
		max_square<T, V, 2>(p, out, in); \
	} \
	KERNEL(max_pool_##name##_wide_3, (struct gpu_pool p, T *out, const T *in)) \
	{ \
		max_square<T, V, 3>(p, out, in); \
	}
#define AVERAGE(T, name, V) \
	KERNEL(average_pool_##name, (struct gpu_pool p, T *out, const T *in)) \
	{ \
		pool<T, 1, false>(p, out, in); \
	} \
	KERNEL(average_pool_##name##_wide, (struct gpu_pool p, T *out, const T *in)) \
	{ \
		pool<T, V, false>(p, out, in); \
	}
POOL(float, f32, 4)
POOL(half, f16, 8)
POOL(bfloat, bf16, 8)
POOL(int8_t, i8, 16)
POOL(uint8_t, u8, 16)
AVERAGE(float, f32, 4)
AVERAGE(half, f16, 8)
AVERAGE(bfloat, bf16, 8)
