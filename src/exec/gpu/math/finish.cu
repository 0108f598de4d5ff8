/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finish.cu -- what a library does not do to a product or a convolution, in place: addends that
 * broadcast, and an activation. An activation alone is a kernel of elementwise.cu.
 */
#include "exec/gpu/math/functions.cuh"

/* y = call(y + scale0 * add0 + scale1 * add1); the walk has two operands. */
template <typename T, int V>
__device__ inline void finish(const struct gpu_walk &w, const struct gpu_call &c, float scale0,
	float scale1, T *y, const T *add0, const T *add1)
{
	for (int64_t i = thread_index(); i < w.count; i += thread_stride()) {
		uint32_t at[2];
		walk_to<2>(w, (uint32_t)i, at);
		group<T, V> g = load_group<T, V>(y + i * V, true), a = {}, b = {};
		if (add0)
			a = load_group<T, V>(add0 + at[0], w.dense & 1);
		if (add1)
			b = load_group<T, V>(add1 + at[1], w.dense & 2);
		for (int k = 0; k < V; k++) {
			float x = widen(g.v[k]) + scale0 * widen(a.v[k]) + scale1 * widen(b.v[k]);
			g.v[k] = narrow<T>(apply_for<T>(c, x));
		}
		store_group<T, V>(y + i * V, g);
	}
}

#define FINISH(name, T, V, fn) \
	KERNEL(finish_##name, \
		(struct gpu_walk w, struct gpu_call c, float scale0, float scale1, T *y, \
			const T *add0, const T *add1)) \
	{ \
		finish<T, V>(w, gpu_call{ fn, c.alpha, c.beta }, scale0, scale1, y, add0, add1); \
	}
#define FINISH_OWN(id, T, name, V) FINISH(name##_##id, T, V, UNARY_##id)
#define FINISH_ALL(T, name, V) \
	FINISH(name, T, V, GPU_NO_CALL) \
	GPU_OWN_FUNCTIONS(FINISH_OWN, T, name, V)
FLOAT_GROUPS(FINISH_ALL)
