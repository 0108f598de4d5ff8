/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quantize.cu -- QuantizeLinear and DequantizeLinear, with one scale or one for each channel
 */
#include "exec/gpu/math/functions.cuh"

static __device__ inline uint32_t channel_of(uint32_t i, struct gpu_div inner, struct gpu_div n)
{
	uint32_t row = quotient(i, inner);
	return row - quotient(row, n) * n.d;
}

template <typename T, typename Q>
__device__ void quantize(uint32_t count, struct gpu_div inner, struct gpu_div n, float low, float high,
	Q *out, const T *in, const T *scale, const Q *zero)
{
	for (int64_t i = thread_index(); i < count; i += thread_stride()) {
		uint32_t c = channel_of((uint32_t)i, inner, n);
		out[i] = quantized<T, Q>(widen(in[i]), widen(scale[c]), zero ? (float)zero[c] : 0, low, high);
	}
}

template <typename Q, typename T>
__device__ void dequantize(uint32_t count, struct gpu_div inner, struct gpu_div n, T *out, const Q *in,
	const T *scale, const Q *zero)
{
	for (int64_t i = thread_index(); i < count; i += thread_stride()) {
		uint32_t c = channel_of((uint32_t)i, inner, n);
		out[i] = dequantized<T>(in[i], zero ? zero[c] : (Q)0, widen(scale[c]));
	}
}

#define QUANTIZE(T, t, Q, q) \
	KERNEL(quantize_##t##_##q, (uint32_t count, struct gpu_div inner, struct gpu_div n, float low, \
					   float high, Q *out, const T *in, const T *scale, const Q *zero)) \
	{ \
		quantize(count, inner, n, low, high, out, in, scale, zero); \
	}
#define DEQUANTIZE(T, t, Q, q) \
	KERNEL(dequantize_##q##_##t, (uint32_t count, struct gpu_div inner, struct gpu_div n, T *out, \
					     const Q *in, const T *scale, const Q *zero)) \
	{ \
		dequantize(count, inner, n, out, in, scale, zero); \
	}
#define BOTH(T, t) \
	QUANTIZE(T, t, int8_t, i8) \
	QUANTIZE(T, t, uint8_t, u8) \
	DEQUANTIZE(T, t, int8_t, i8) \
	DEQUANTIZE(T, t, uint8_t, u8) \
	DEQUANTIZE(T, t, int32_t, i32)
BOTH(float, f32)
BOTH(half, f16)
BOTH(bfloat, bf16)
