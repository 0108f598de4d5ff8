/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quantize.cu -- QuantizeLinear and DequantizeLinear, with one scale or one for each channel;
 * DynamicQuantizeLinear
 */
#include "exec/gpu/math/functions.cuh"
#include "exec/gpu/rows.cuh"

static __device__ inline uint32_t channel_of(uint32_t i, struct gpu_div inner, struct gpu_div n)
{
	uint32_t row = quotient(i, inner);
	return row - quotient(row, n) * n.d;
}

template <typename T, typename Q>
__device__ void quantize(uint32_t count, struct gpu_div inner, struct gpu_div n, float low,
	float high, Q *out, const T *in, const T *scale, const Q *zero)
{
	for (int64_t i = thread_index(); i < count; i += thread_stride()) {
		uint32_t c = channel_of((uint32_t)i, inner, n);
		out[i] = quantized<T, Q>(
			widen(in[i]), widen(scale[c]), zero ? (float)zero[c] : 0, low, high);
	}
}

template <typename Q, typename T>
__device__ void dequantize(uint32_t count, struct gpu_div inner, struct gpu_div n, T *out,
	const Q *in, const T *scale, const Q *zero)
{
	for (int64_t i = thread_index(); i < count; i += thread_stride()) {
		uint32_t c = channel_of((uint32_t)i, inner, n);
		out[i] = dequantized<T>(in[i], zero ? zero[c] : (Q)0, widen(scale[c]));
	}
}

/* -- DynamicQuantizeLinear --------------------------------------------------------------------- */

static __device__ inline float least(float a, float b) { return a < b ? a : b; }
static __device__ inline float most(float a, float b) { return a > b ? a : b; }

/* Of what a block saw, and 0: [least, most]. What is no number is neither. */
KERNEL(dynamic_range, (uint32_t count, float *out, const float *in))
{
	float low = 0, high = 0;
	for (int64_t i = thread_index(); i < count; i += thread_stride()) {
		low = least(in[i], low);
		high = most(in[i], high);
	}
	low = over_block(low, least);
	high = over_block(high, most);
	if (threadIdx.x == 0) {
		out[2 * blockIdx.x] = low;
		out[2 * blockIdx.x + 1] = high;
	}
}

/* range: of `blocks` blocks, no more than there are threads here. */
KERNEL(dynamic_quantize,
	(uint32_t count, uint32_t blocks, const float *range, uint8_t *out, float *scale_out,
		uint8_t *zero_out, const float *in))
{
	bool own = threadIdx.x < blocks;
	float low = over_block(own ? range[2 * threadIdx.x] : 0, least);
	float high = over_block(own ? range[2 * threadIdx.x + 1] : 0, most);
	float scale = (high - low) / 255;
	scale = scale > 0 ? scale : 1; /* all zeros */
	float zero = rintf(0 - low / scale);
	for (int64_t i = thread_index(); i < count; i += thread_stride())
		out[i] = quantized<float, uint8_t>(in[i], scale, zero, 0, 255);
	if (thread_index() != 0)
		return;
	if (scale_out)
		*scale_out = scale;
	if (zero_out)
		*zero_out = (uint8_t)(zero >= 255 ? 255 : zero > 0 ? zero : 0);
}

#define QUANTIZE(T, t, Q, q) \
	KERNEL(quantize_##t##_##q, \
		(uint32_t count, struct gpu_div inner, struct gpu_div n, float low, float high, \
			Q *out, const T *in, const T *scale, const Q *zero)) \
	{ \
		quantize(count, inner, n, low, high, out, in, scale, zero); \
	}
#define DEQUANTIZE(T, t, Q, q) \
	KERNEL(dequantize_##q##_##t, \
		(uint32_t count, struct gpu_div inner, struct gpu_div n, T *out, const Q *in, \
			const T *scale, const Q *zero)) \
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
