/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rotary.cu -- RotaryEmbedding
 */
#include "exec/gpu/nn/rotary.cuh"

template <typename T>
__device__ void rotary(const struct gpu_rotary &r, T *out, const T *in, const T *cosines,
	const T *sines, const int64_t *positions, const struct gpu_complaint &f)
{
	for (int64_t i = thread_index(); i < r.count; i += thread_stride()) {
		uint32_t head = quotient((uint32_t)i, r.size), k = (uint32_t)i - head * r.size.d;
		uint32_t rest = r.heads_inside ? quotient(head, r.heads) : head;
		uint32_t row = quotient(rest, r.tokens), token = rest - row * r.tokens.d;
		uint32_t outer = r.heads_inside ? row : quotient(row, r.heads);
		int64_t at = (int64_t)outer * r.tokens.d + token;
		at = positions ? positions[at] : at;
		if (at < 0 || at >= r.positions) {
			complain(f, at);
			continue;
		}
		out[i] = turned(in + (i - k), k, r.half, r.interleaved, cosines + at * r.half,
			sines + at * r.half);
	}
}

#define ROTARY(T, name) \
	KERNEL(rotary_##name, \
		(struct gpu_rotary r, T *out, const T *in, const T *cosines, const T *sines, \
			const int64_t *positions, struct gpu_complaint f)) \
	{ \
		rotary(r, out, in, cosines, sines, positions, f); \
	}
ROTARY(float, f32)
ROTARY(half, f16)
ROTARY(bfloat, bf16)
