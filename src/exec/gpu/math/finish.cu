/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finish.cu -- what a library does not do to a product or a convolution: addends that
 * broadcast, and an activation, in place
 */
#include "exec/gpu/kernels.cuh"
#include "exec/gpu/math/unary.cuh"

/* Without addends: groups of 16 bytes, then what is left of them. */
template <typename T> __device__ void finish_call(const struct gpu_finish &f, T *y)
{
	constexpr int V = wide_of<T>;
	int64_t groups = f.count / V;
	for (int64_t i = thread_index(); i < groups; i += thread_stride()) {
		group<T, V> g = load_group<T, V>(y + i * V, true);
		for (int k = 0; k < V; k++)
			g.v[k] = narrow<T>(apply(f.call, widen(g.v[k])));
		store_group<T, V>(y + i * V, g);
	}
	for (int64_t i = groups * V + thread_index(); i < f.count; i += thread_stride())
		y[i] = narrow<T>(apply(f.call, widen(y[i])));
}

template <typename T>
__device__ void finish(const struct gpu_finish &f, T *y, const T *add0, const T *add1)
{
	if (!add0 && !add1)
		return finish_call(f, y);
	for (int64_t i = thread_index(); i < f.count; i += thread_stride()) {
		int64_t rest = i, at[2] = { 0, 0 };
		for (int d = f.rank - 1; d >= 0; d--) {
			int64_t index = rest % f.dim[d];
			rest /= f.dim[d];
			at[0] += index * f.stride[0][d];
			at[1] += index * f.stride[1][d];
		}
		float x = widen(y[i]);
		x += add0 ? f.scale[0] * widen(add0[at[0]]) : 0;
		x += add1 ? f.scale[1] * widen(add1[at[1]]) : 0;
		y[i] = narrow<T>(apply(f.call, x));
	}
}

#define FINISH(type, T) \
	KERNEL(finish_##type, (struct gpu_finish f, T *y, const T *add0, const T *add1)) \
	{ \
		finish(f, y, add0, add1); \
	}
FINISH(f32, float)
FINISH(f16, half)
FINISH(bf16, bfloat)
