/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select.cu -- comparisons, logic, and Where
 */
#include "exec/gpu/math/functions.cuh"

template <typename T>
__device__ void compare2(const struct gpu_walk &w, int fn, uint8_t *out, const T *a, const T *b)
{
	for (int64_t i = thread_index(); i < w.count; i += thread_stride()) {
		uint32_t at[2];
		walk_to<2>(w, (uint32_t)i, at);
		out[i] = holds(fn, widen(a[at[0]]), widen(b[at[1]]));
	}
}

#define COMPARE(T, name) \
	KERNEL(compare_##name, \
		(struct gpu_walk w, int32_t fn, uint8_t *out, const T *a, const T *b)) \
	{ \
		compare2(w, fn, out, a, b); \
	}
COMPARE(float, f32)
COMPARE(half, f16)
COMPARE(bfloat, bf16)
COMPARE(int32_t, i32)
COMPARE(int64_t, i64)
COMPARE(uint8_t, u8) /* bools too */

template <typename T, int V>
__device__ void where3(const struct gpu_walk &w, T *out, const uint8_t *c, const T *x, const T *y)
{
	for (int64_t i = thread_index(); i < w.count; i += thread_stride()) {
		uint32_t at[3];
		walk_to<3>(w, (uint32_t)i, at);
		group<uint8_t, V> which = load_group<uint8_t, V>(c + at[0], w.dense & 1);
		group<T, V> a = load_group<T, V>(x + at[1], w.dense & 2),
			    b = load_group<T, V>(y + at[2], w.dense & 4);
		for (int k = 0; k < V; k++)
			a.v[k] = which.v[k] ? a.v[k] : b.v[k];
		store_group<T, V>(out + i * V, a);
	}
}

#define WHERE(T, name, V) \
	KERNEL(where_##name, \
		(struct gpu_walk w, T *out, const uint8_t *c, const T *x, const T *y)) \
	{ \
		where3<T, V>(w, out, c, x, y); \
	}
WHERE(uint8_t, 1, 1)
WHERE(uint16_t, 2, 1)
WHERE(uint32_t, 4, 1)
WHERE(uint64_t, 8, 1)
WHERE(uint8_t, 1_wide, 16)
WHERE(uint16_t, 2_wide, 8)
WHERE(uint32_t, 4_wide, 4)
WHERE(uint64_t, 8_wide, 2)
