/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generate.cu -- Range, OneHot, Trilu
 */
#include "exec/gpu/kernels.cuh"

/* As the host does: float by way of double. */
template <typename T, typename U>
__device__ void range(uint32_t count, T *out, const T *start, const T *delta)
{
	for (int64_t i = thread_index(); i < count; i += thread_stride())
		out[i] = (T)((U)*start + (U)i * (U)*delta);
}

#define RANGE(T, U, name) \
	KERNEL(range_##name, (uint32_t n, T *out, const T *start, const T *delta)) \
	{ \
		range<T, U>(n, out, start, delta); \
	}
RANGE(float, double, f32)
RANGE(int32_t, uint32_t, i32)
RANGE(int64_t, uint64_t, i64)

/* An element is hot where the index of its row is its place on the axis. */
template <typename T, typename I>
__device__ void one_hot(uint32_t count, struct gpu_div inner, struct gpu_div n, T *out,
	const I *indices, const T *values)
{
	for (int64_t i = thread_index(); i < count; i += thread_stride()) {
		uint32_t row = quotient((uint32_t)i, inner), outer = quotient(row, n);
		int64_t place = row - outer * n.d;
		auto index = widen(indices[(int64_t)outer * inner.d + (uint32_t)i - row * inner.d]);
		/* Out of range, or no number: hot nowhere. */
		bool inside = index >= -(float)n.d && index < (float)n.d;
		int64_t at = inside ? (int64_t)index : 0;
		out[i] = values[inside && (at < 0 ? at + n.d : at) == place];
	}
}

#define ONE_HOT(I, index, T, size) \
	KERNEL(one_hot_##index##_##size, \
		(uint32_t count, struct gpu_div inner, struct gpu_div n, T *out, const I *indices, \
			const T *values)) \
	{ \
		one_hot(count, inner, n, out, indices, values); \
	}
#define ONE_HOT_SIZES(I, index) \
	ONE_HOT(I, index, uint8_t, 1) \
	ONE_HOT(I, index, uint16_t, 2) \
	ONE_HOT(I, index, uint32_t, 4) \
	ONE_HOT(I, index, uint64_t, 8)
ONE_HOT_SIZES(float, f32)
ONE_HOT_SIZES(half, f16)
ONE_HOT_SIZES(bfloat, bf16)
ONE_HOT_SIZES(int32_t, i32)
ONE_HOT_SIZES(int64_t, i64)

/* keep: elements on the other side of diagonal k are 0. */
template <typename T>
__device__ void trilu(uint32_t count, struct gpu_div cols, struct gpu_div rows, int upper,
	int64_t k, T *out, const T *in)
{
	for (int64_t i = thread_index(); i < count; i += thread_stride()) {
		uint32_t line = quotient((uint32_t)i, cols), col = (uint32_t)i - line * cols.d;
		int64_t row = line - quotient(line, rows) * rows.d;
		bool kept = upper ? col >= row + k : col <= row + k;
		T v = in[i];
		if (!kept)
			memset(&v, 0, sizeof(v));
		out[i] = v;
	}
}

#define TRILU(T, size) \
	KERNEL(trilu_##size, \
		(uint32_t n, struct gpu_div cols, struct gpu_div rows, int32_t upper, int64_t k, \
			T *out, const T *in)) \
	{ \
		trilu(n, cols, rows, upper, k, out, in); \
	}
TRILU(uint8_t, 1)
TRILU(uint16_t, 2)
TRILU(uint32_t, 4)
TRILU(uint64_t, 8)
