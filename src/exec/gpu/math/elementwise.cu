/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elementwise.cu -- operators of one, two and three operands, broadcast
 *
 * Memory is what such kernels wait for. A group of 16 bytes is one access where all operands
 * allow it.
 */
#include "exec/gpu/math/functions.cuh"

/* -- one operand ------------------------------------------------------------------------------- */

template <typename T, int V>
__device__ inline void map1(uint32_t count, const struct gpu_call &c, T *out, const T *in)
{
	for (int64_t i = thread_index(); i < count; i += thread_stride()) {
		group<T, V> g = load_group<T, V>(in + i * V, true);
		for (int k = 0; k < V; k++)
			g.v[k] = narrow<T>(apply_for<T>(c, widen(g.v[k])));
		store_group<T, V>(out + i * V, g);
	}
}

#define MAP1(T, name) \
	KERNEL(map1_##name, (uint32_t n, struct gpu_call c, T *out, const T *in)) \
	{ \
		map1<T, 1>(n, c, out, in); \
	} \
	KERNEL(map1_##name##_wide, (uint32_t n, struct gpu_call c, T *out, const T *in)) \
	{ \
		map1<T, wide_of<T>>(n, c, out, in); \
	}
MAP1(float, f32)
MAP1(half, f16)
MAP1(bfloat, bf16)
MAP1(int32_t, i32)
MAP1(int64_t, i64)

/* Which function it is is known: nothing is looked up for an element. */
#define MAP1_OWN(id, T, name, V) \
	KERNEL(map1_##name##_##id, (uint32_t n, struct gpu_call c, T *out, const T *in)) \
	{ \
		map1<T, V>(n, gpu_call{ UNARY_##id, c.alpha, c.beta }, out, in); \
	}
#define MAP1_OWNS(T, name, V) GPU_OWN_FUNCTIONS(MAP1_OWN, T, name, V)
FLOAT_GROUPS(MAP1_OWNS)

KERNEL(map1_not, (uint32_t n, uint8_t *out, const uint8_t *in))
{
	for (int64_t i = thread_index(); i < n; i += thread_stride())
		out[i] = !in[i];
}

/* -- two operands ------------------------------------------------------------------------------ */

template <typename T, int V>
__device__ void map2(const struct gpu_walk &w, const struct gpu_call &c, T *out, const T *a,
	const T *b, const struct gpu_complaint &f)
{
	for (int64_t i = thread_index(); i < w.count; i += thread_stride()) {
		uint32_t at[2];
		walk_to<2>(w, (uint32_t)i, at);
		group<T, V> x = load_group<T, V>(a + at[0], w.dense & 1),
			    y = load_group<T, V>(b + at[1], w.dense & 2);
		for (int k = 0; k < V; k++)
			x.v[k] = narrow<T>(apply2(c, f, widen(x.v[k]), widen(y.v[k])));
		store_group<T, V>(out + i * V, x);
	}
}

#define MAP2(T, name, V) \
	KERNEL(map2_##name, \
		(struct gpu_walk w, struct gpu_call c, T *out, const T *a, const T *b, \
			struct gpu_complaint f)) \
	{ \
		map2<T, V>(w, c, out, a, b, f); \
	}
FLOAT_GROUPS(MAP2)
MAP2(int32_t, i32, 1)
MAP2(int64_t, i64, 1)
MAP2(int32_t, i32_wide, 4)
MAP2(int64_t, i64_wide, 2)
