/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cast.cu -- elements as another type
 *
 * A kernel for each source; the destination is a parameter, the same for all threads.
 */
#include "exec/gpu/math/functions.cuh"

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
