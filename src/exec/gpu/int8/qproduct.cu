/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qproduct.cu -- around products of 8-bit numbers: rows for the library, which multiplies signed
 * ones, and what becomes of its sums; averages of 8-bit numbers
 *
 * Floats are multiplied and added one by one, as on the host: results are equal.
 */
#include "exec/gpu/rows.cuh"

/* -- rows -------------------------------------------------------------------------------------- */

static __device__ inline int32_t signed_byte(uint8_t v, int32_t flip)
{
	return (int8_t)(v ^ flip);
}

/* Number kk of the window at a place; image: where it begins. */
static __device__ inline int32_t seen(const struct gpu_qrows &s, const uint8_t *image, uint32_t kk,
	int32_t top, int32_t left, int32_t outside)
{
	uint32_t tap = quotient(kk, s.channels), c = kk - tap * s.channels.d;
	uint32_t ky = quotient(tap, s.width), kx = tap - ky * s.width.d;
	int32_t y = top + (int32_t)ky * s.dilation[0], x = left + (int32_t)kx * s.dilation[1];
	if (y < 0 || y >= s.in[0] || x < 0 || x >= s.in[1])
		return outside;
	return signed_byte(image[c * s.step[1] + y * s.step[2] + x * s.step[3]], s.flip);
}

KERNEL(qproduct_rows, (struct gpu_qrows s, uint32_t *out, const uint8_t *in, const uint8_t *zero))
{
	int32_t outside = zero ? signed_byte(*zero, s.flip) : s.zero;
	for (int64_t i = thread_index(); i < s.count; i += thread_stride()) {
		uint32_t row = quotient((uint32_t)i, s.words),
			 first = ((uint32_t)i - row * s.words.d) * 4;
		uint32_t line = quotient(row, s.columns), image = quotient(line, s.lines);
		int32_t left = (int32_t)(row - line * s.columns.d) * s.stride[1] - s.pad[1];
		int32_t top = (int32_t)(line - image * s.lines.d) * s.stride[0] - s.pad[0];
		uint32_t word = 0;
		for (uint32_t k = 0; k < 4 && first + k < s.k; k++)
			word |= (uint32_t)(uint8_t)seen(
					s, in + image * s.step[0], first + k, top, left, outside)
				<< 8 * k;
		out[i] = word;
	}
}

/* What each row comes to: a warp's. */
KERNEL(qproduct_sums, (uint32_t rows, uint32_t words, int32_t *out, const uint32_t *in))
{
	uint32_t lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
	for (uint32_t row = blockIdx.x * warps + threadIdx.x / WARP; row < rows;
		row += gridDim.x * warps) {
		int32_t sum = 0;
		for (uint32_t i = lane; i < words; i += WARP)
			for (uint32_t word = in[(size_t)row * words + i], k = 0; k < 4;
				k++, word >>= 8)
				sum += (int8_t)word;
		sum = over_warp(sum, [](int32_t a, int32_t b) { return a + b; });
		if (lane == 0)
			out[row] = sum;
	}
}

/* -- results ----------------------------------------------------------------------------------- */

static __device__ inline float within(float v, float low, float high)
{
	return fminf(fmaxf(v, low), high);
}

/* As requant_one(). */
static __device__ inline uint8_t requantized(
	const struct gpu_qfinish &f, int32_t sum, float factor, const uint8_t *z)
{
	float v = __fmul_rn((float)sum, factor);
	if (z && f.mid_factor != 0)
		v = __fmul_rn(rintf(within(v, f.mid_low, f.mid_high)), f.mid_factor);
	if (z)
		v = __fadd_rn(v, __fmul_rn((float)((*z ^ f.z_flip) - f.z_zero), f.z_factor));
	return (uint8_t)((int32_t)rintf(within(v, f.low, f.high)) + f.y_zero);
}

/* The sum of (x - its zero) * (w - its zero), from those of x * w, x and w. It wraps. */
static __device__ inline int32_t centred(
	const struct gpu_qfinish &f, const struct gpu_qfinish_at &at, uint32_t row, uint32_t j)
{
	uint32_t x_zero = (uint32_t)(at.x_zero ? signed_byte(*at.x_zero, f.x_flip) : f.x_zero);
	uint32_t sum =
		(uint32_t)at.sums[(size_t)row * f.sums + j] - x_zero * (uint32_t)at.weight_sums[j];
	if (at.row_sums) {
		uint32_t w_zero = (uint32_t)signed_byte(
			at.w_zero ? at.w_zero[f.many_zeros ? j : 0] : 0, f.w_flip);
		sum += w_zero * ((uint32_t)f.k * x_zero - (uint32_t)at.row_sums[row]);
	}
	return (int32_t)(sum + (at.bias ? (uint32_t)at.bias[j] : 0));
}

KERNEL(qproduct_finish, (struct gpu_qfinish f, struct gpu_qfinish_at at))
{
	for (int64_t i = thread_index(); i < f.count; i += thread_stride()) {
		uint32_t row = quotient((uint32_t)i, f.n), j = (uint32_t)i - row * f.n.d;
		uint32_t image = quotient(row, f.places), place = row - image * f.places.d;
		int32_t sum = centred(f, at, row, j);
		int64_t to = image * f.out[0] + j * f.out[1] + place * f.out[2];
		if (!at.factor) {
			static_cast<int32_t *>(at.out)[to] = sum;
			continue;
		}
		const uint8_t *z =
			at.z ? at.z + (image * f.z[0] + j * f.z[1] + place * f.z[2]) : nullptr;
		static_cast<uint8_t *>(at.out)[to] = requantized(f, sum, at.factor[j], z);
	}
}

/* -- averages ---------------------------------------------------------------------------------- */

KERNEL(qproduct_average, (struct gpu_qpool s, uint8_t *out, const uint8_t *in))
{
	for (uint32_t i = blockIdx.x; i < s.count; i += gridDim.x) {
		uint32_t image = quotient(i, s.channels), c = i - image * s.channels.d;
		const uint8_t *x = in + (s.last ? (size_t)image * s.channels.d * s.pixels + c
						: (size_t)i * s.pixels);
		int32_t sum = 0;
		for (uint32_t k = threadIdx.x; k < s.pixels; k += blockDim.x)
			sum += signed_byte(x[(size_t)k * s.step], s.finish.x_flip) -
			       s.finish.x_zero;
		sum = over_block(sum, [](int32_t a, int32_t b) { return a + b; });
		if (threadIdx.x == 0)
			out[i] = requantized(s.finish, sum, s.factor, nullptr);
	}
}
