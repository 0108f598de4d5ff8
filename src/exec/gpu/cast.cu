/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cast.cu -- elements as another type
 *
 * A kernel for each source; the destination is a parameter, the same for all threads. Floats
 * beyond an integer's range are cut to that of int32, or of int64 for int64, and wrapped for the
 * narrow ones, as the host does; NaN is the least one.
 */
#include "exec/gpu/kernels.cuh"

static __device__ inline int32_t cut32(float x)
{
	return x >= 2147483648.0f ? INT32_MAX : x >= -2147483648.0f ? (int32_t)x : INT32_MIN;
}

static __device__ inline int64_t cut64(float x)
{
	return x >= 9223372036854775808.0f    ? INT64_MAX
	       : x >= -9223372036854775808.0f ? (int64_t)x
					      : INT64_MIN;
}

template <typename T> static __device__ inline int64_t whole32(T x) { return (int64_t)x; }
static __device__ inline int64_t whole32(float x) { return cut32(x); }
template <typename T> static __device__ inline int64_t whole64(T x) { return (int64_t)x; }
static __device__ inline int64_t whole64(float x) { return cut64(x); }

template <typename TO, typename X> struct cast_to {
	static __device__ inline TO of(X x) { return (TO)whole32(x); }
};
template <typename X> struct cast_to<int64_t, X> {
	static __device__ inline int64_t of(X x) { return whole64(x); }
};
template <typename X> struct cast_to<bool, X> {
	static __device__ inline bool of(X x) { return x != 0; }
};
template <typename X> struct cast_to<float, X> {
	static __device__ inline float of(X x) { return (float)x; }
};
template <typename X> struct cast_to<half, X> {
	static __device__ inline half of(X x) { return narrow<half>((float)x); }
};
template <typename X> struct cast_to<bfloat, X> {
	static __device__ inline bfloat of(X x) { return narrow<bfloat>((float)x); }
};

template <typename TO, typename T, int V>
static __device__ void cast_group(void *out, int64_t i, const group<T, V> &g)
{
	group<TO, V> to;
	for (int k = 0; k < V; k++)
		to.v[k] = cast_to<TO, decltype(widen(g.v[k]))>::of(widen(g.v[k]));
	store_group<TO, V>(static_cast<TO *>(out) + i * V, to);
}

template <typename T, int V> __device__ void cast(uint32_t count, int to, void *out, const T *in)
{
	for (int64_t i = thread_index(); i < count; i += thread_stride()) {
		group<T, V> g = load_group<T, V>(in + i * V, true);
		switch (to) {
		case GPU_F32:
			cast_group<float>(out, i, g);
			break;
		case GPU_F16:
			cast_group<half>(out, i, g);
			break;
		case GPU_BF16:
			cast_group<bfloat>(out, i, g);
			break;
		case GPU_I64:
			cast_group<int64_t>(out, i, g);
			break;
		case GPU_I32:
			cast_group<int32_t>(out, i, g);
			break;
		case GPU_I8:
			cast_group<int8_t>(out, i, g);
			break;
		case GPU_U8:
			cast_group<uint8_t>(out, i, g);
			break;
		case GPU_BOOL:
			cast_group<bool>(out, i, g);
			break;
		}
	}
}

#define CAST(T, name) \
	KERNEL(cast_##name, (uint32_t n, int32_t to, void *out, const T *in)) \
	{ \
		cast<T, 1>(n, to, out, in); \
	} \
	KERNEL(cast_##name##_wide, (uint32_t n, int32_t to, void *out, const T *in)) \
	{ \
		cast<T, 4>(n, to, out, in); \
	}
CAST(float, f32)
CAST(half, f16)
CAST(bfloat, bf16)
CAST(int64_t, i64)
CAST(int32_t, i32)
CAST(int8_t, i8)
CAST(uint8_t, u8) /* bools too */
