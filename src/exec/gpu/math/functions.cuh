/* SPDX-License-Identifier: Apache-2.0 */
/*
 * functions.cuh -- what operators make of one element of each operand
 *
 * The static kernels apply them to an operator's elements, generated ones (fused_source.c) to
 * those of a row of operators. Which function of a list it is is a parameter: all threads take
 * the same way through the switch, and where it is a constant there is none.
 */
#pragma once

#include "exec/gpu/kernels.cuh"
#include "exec/gpu/math/unary.cuh"

/* What is left of a value that is stored as T. */
template <typename T> static __device__ inline compute<T> rounded(compute<T> v)
{
	return widen(narrow<T>(v));
}

/* -- one operand ------------------------------------------------------------------------------- */

/* Integers have four of them. */
template <typename T> static __device__ T apply(const struct gpu_call &c, T x)
{
	switch (c.fn) {
	case UNARY_ABS:
		return x < 0 ? -x : x;
	case UNARY_NEG:
		return -x;
	case UNARY_SIGN:
		return (x > 0) - (x < 0);
	case UNARY_RELU:
		return x > 0 ? x : 0;
	}
	return x;
}

/* Where the result is stored as T. */
template <typename T>
static __device__ inline compute<T> apply_for(const struct gpu_call &c, compute<T> x)
{
	if constexpr (is_short<T>)
		return apply_short(c, x);
	else
		return apply(c, x);
}

/* Of crossed bounds the upper one wins. */
static __device__ inline float clip(float x, float low, float high)
{
	return apply(gpu_call{ UNARY_CLIP, fminf(low, high), high }, x);
}
static __device__ inline float clip_below(float x, float low) { return x < low ? low : x; }
static __device__ inline float clip_above(float x, float high) { return x > high ? high : x; }

/* -- two operands ------------------------------------------------------------------------------ */

/* Has the operand a value that its type's operator forbids? */
template <typename T> static __device__ inline bool is_zero(const struct gpu_complaint &f, T b)
{
	if (b == 0)
		complain(f, 0);
	return b == 0;
}

static __device__ inline float apply2(
	const struct gpu_call &c, const struct gpu_complaint &, float a, float b)
{
	using T = float;
	using U = float;
	float alpha = c.alpha;
	switch (c.fn) {
#define BINARY(id, expr) \
	case GPU_##id: \
		return expr;
#define BINARY_F(id, expr) BINARY(id, expr)
#define BINARY_I(id, expr)
#include "exec/gpu/math/binary.h"
#undef BINARY_F
#undef BINARY_I
	}
	return 0;
}

template <typename T> struct unsigned_of;
template <> struct unsigned_of<int32_t> {
	using type = uint32_t;
};
template <> struct unsigned_of<int64_t> {
	using type = uint64_t;
};

template <typename T>
static __device__ T apply2(const struct gpu_call &c, const struct gpu_complaint &f, T a, T b)
{
	using U = typename unsigned_of<T>::type;
#define zero(v) is_zero(f, v)
	switch (c.fn) {
#define BINARY(id, expr) \
	case GPU_##id: \
		return expr;
#define BINARY_F(id, expr)
#define BINARY_I(id, expr) BINARY(id, expr)
#include "exec/gpu/math/binary.h"
#undef BINARY_F
#undef BINARY_I
	}
#undef zero
	return 0;
}

/* Bools are 0 or 1. IsNaN compares its operand with itself. */
template <typename T> static __device__ inline bool holds(int fn, T a, T b)
{
	switch (fn) {
	case GPU_EQUAL:
		return a == b;
	case GPU_GREATER:
		return a > b;
	case GPU_GREATER_OR_EQUAL:
		return a >= b;
	case GPU_LESS:
		return a < b;
	case GPU_LESS_OR_EQUAL:
		return a <= b;
	case GPU_BOTH:
		return a && b;
	case GPU_EITHER:
		return a || b;
	case GPU_ONE_OF:
		return !a != !b;
	case GPU_DIFFER:
		return a != a;
	}
	return false;
}

/* -- quantized --------------------------------------------------------------------------------- */

/* The quotient has the scale's precision, T; it is rounded to even, and NaN is the lowest. */
template <typename T, typename Q>
static __device__ inline Q quantized(float x, float scale, float zero, float low, float high)
{
	float v = rintf(rounded<T>(x / scale)) + zero;
	return (Q)(int32_t)(v >= high ? high : v > low ? v : low);
}

template <typename T, typename Q> static __device__ inline T dequantized(Q x, Q zero, float scale)
{
	return narrow<T>((float)(((double)x - (double)zero) * (double)scale));
}

/* -- as another type --------------------------------------------------------------------------- */

/* Floats beyond an integer's range are cut to that of int32, or of int64 for int64, and wrapped
   for the narrow ones, as the host does; NaN is the least one. */
static __device__ inline int32_t cut32(float x)
{
	return x >= 2147483648.0f ? 2147483647 : x >= -2147483648.0f ? (int32_t)x : -2147483647 - 1;
}

static __device__ inline int64_t cut64(float x)
{
	return x >= 9223372036854775808.0f    ? 9223372036854775807
	       : x >= -9223372036854775808.0f ? (int64_t)x
					      : -9223372036854775807 - 1;
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

/* The float that rounds to a shorter type as the value itself does. Of an integer that has more
   bits than a float the last one says whether any of those left out was set. */
template <typename X> static __device__ inline float to_be_rounded(X x) { return (float)x; }
static __device__ inline float to_be_rounded(int64_t x)
{
	uint64_t bits = x < 0 ? 0 - (uint64_t)x : (uint64_t)x, lost = 0;
	int shift = 0;
	for (; bits >> 24; bits >>= 1, shift++)
		lost |= bits & 1;
	float f = (float)(bits | lost) * (float)((uint64_t)1 << shift);
	return x < 0 ? -f : f;
}
static __device__ inline float to_be_rounded(int32_t x) { return to_be_rounded((int64_t)x); }

template <typename X> struct cast_to<half, X> {
	static __device__ inline half of(X x) { return narrow<half>(to_be_rounded(x)); }
};
template <typename X> struct cast_to<bfloat, X> {
	static __device__ inline bfloat of(X x) { return narrow<bfloat>(to_be_rounded(x)); }
};
