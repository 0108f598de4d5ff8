/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vec_math.h -- float functions without branches or calls, so that loops over them vectorise
 *
 * DESIGN. Each is a polynomial on a reduced argument, fitted for this tree (least maximum
 * relative error by reweighted least squares), with selects where an argument needs another
 * formula. Bounds, against the correctly rounded result, over all finite arguments, as
 * tests/unit/cpu/test_vec_math.c measures them:
 *
 *   exp 2 ulp, expm1 3 ulp, log 2 ulp, tanh 3 ulp, erf 3 ulp,
 *   erfc 2e-6 relative (x^2 is rounded before exp), log1p of [0,1] 3 ulp,
 *   gelu 8e-6 relative (likewise)
 *   sin, cos, tan 1 ulp up to VEC_TRIG_MAX (0.50 measured, 0.501 tan), asin 3 ulp (2.35), acos 2
 *   ulp (1.12), atan 2 ulp (1.37), pow 0.6 ulp (0.534); fmod is exact
 *
 * Infinities, NaN, zeros and subnormal arguments and results are as in C's functions.
 * sin, cos, tan and pow, whose arguments are reduced by more than a float holds, are in double
 * within.
 */
#pragma once

#include <stdint.h>
#include <string.h>
#include "exec/half.h"

#define VEC static inline __attribute__((always_inline))

/* 2^n, n in [-126,127]. */
VEC float vec_pow2(int32_t n)
{
	return bits_float((uint32_t)(n + 127) << 23);
}

/* x = n ln2 + r with |r| <= ln2 / 2; the sum with 1.5 * 2^23 leaves the integer in the
   low bits. */
VEC float vec_reduce(float x, int32_t *ret_n)
{
	float shifted = x * 0x1.715476p+0f + 0x1.8p23f;
	float n = shifted - 0x1.8p23f;
	*ret_n = (int32_t)(float_bits(shifted) - 0x4b400000u);
	return (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
}

/* exp(r) - 1 - r for |r| <= ln2 / 2. */
VEC float vec_exp_tail(float r)
{
	float p = 1.3813142e-3f;
	p = p * r + 8.36942e-3f;
	p = p * r + 4.1668456e-2f;
	p = p * r + 1.6666515e-1f;
	p = p * r + 4.9999994e-1f;
	return p * r * r;
}

VEC float vec_exp(float x)
{
	/* Beyond these the result is 0 or infinity; n stays within two steps of scaling. */
	float c = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x;
	int32_t n;
	float r = vec_reduce(c, &n);
	float y = 1.0f + (r + vec_exp_tail(r));
	int32_t half = n >> 1;
	return x != x ? x : y * vec_pow2(half) * vec_pow2(n - half);
}

/* For x <= 0: what would be no normal number is 0, and half the work of vec_exp(). */
VEC float vec_exp_below(float x)
{
	float c = x < -87.0f ? -87.0f : x;
	int32_t n;
	float r = vec_reduce(c, &n);
	float y = (1.0f + (r + vec_exp_tail(r))) * vec_pow2(n);
	return x < -87.0f ? 0.0f : y;
}

VEC float vec_expm1(float x)
{
	float c = x < -20.0f ? -20.0f : x > 89.0f ? 89.0f : x;
	int32_t n;
	float r = vec_reduce(c, &n);
	float y = r + vec_exp_tail(r);
	int32_t half = n >> 1;
	float s = vec_pow2(half), t = vec_pow2(n - half);
	/* 2^n (1 + y) - 1, with the large parts taken together first. */
	float m = n == 0 ? y : n > 60 ? (1.0f + y) * s * t : (s * t - 1.0f) + y * (s * t);
	return x != x || x == 0 ? x : m;
}

/* log(1 + f) for 1 + f in [sqrt(1/2), sqrt(2)]. */
VEC float vec_log_core(float f)
{
	float p = 6.746614e-2f;
	p = p * f - 1.1675664e-1f;
	p = p * f + 1.1888181e-1f;
	p = p * f - 1.2405589e-1f;
	p = p * f + 1.421955e-1f;
	p = p * f - 1.6667996e-1f;
	p = p * f + 2.0002119e-1f;
	p = p * f - 2.500001e-1f;
	p = p * f + 3.3333313e-1f;
	float ff = f * f;
	return f - (0.5f * ff - p * f * ff);
}

VEC float vec_log(float x)
{
	/* Subnormals are scaled into the normal range first. */
	float small = x < 0x1p-126f ? 1.0f : 0.0f;
	float v = small != 0 ? x * 0x1p24f : x;
	uint32_t u = float_bits(v) - 0x3f3504f3u; /* of sqrt(1/2) */
	int32_t n = (int32_t)u >> 23;
	float m = bits_float((u & 0x7fffff) + 0x3f3504f3u);
	float e = (float)n - small * 24.0f;
	float y = e * 0x1.62e4p-1f + (vec_log_core(m - 1.0f) + e * 0x1.7f7d1cp-20f);
	float special = x == 0 ? -__builtin_inff() : x < 0 ? __builtin_nanf("") : x;
	return x > 0 && x < __builtin_inff() ? y : special;
}

/* log(1 + x) for x in [0,1]: 1 + x rounds, and what it lost is put back. */
VEC float vec_log1p_unit(float x)
{
	float u = 1.0f + x;
	float lost = x - (u - 1.0f);
	return vec_log(u) + lost / u;
}

VEC float vec_abs(float x)
{
	return bits_float(float_bits(x) & 0x7fffffff);
}

VEC float vec_sign_of(float magnitude, float x)
{
	return bits_float((float_bits(magnitude) & 0x7fffffff) | (float_bits(x) & 0x80000000u));
}

/* (exp(2a) - 1) / (exp(2a) + 1); from 10 on that is 1. */
VEC float vec_tanh(float x)
{
	float a = vec_abs(x), c = a > 10.0f ? 10.0f : a;
	int32_t n;
	float r = vec_reduce(2.0f * c, &n), s = vec_pow2(n);
	float m = (s - 1.0f) + s * (r + vec_exp_tail(r));
	return vec_sign_of(m / (m + 2.0f), x);
}

/* 1 / (1 + exp(-x)); what would be no normal number is 0. */
VEC float vec_sigmoid(float x)
{
	float c = x < -87.0f ? -87.0f : x > 87.0f ? 87.0f : x;
	int32_t n;
	float r = vec_reduce(-c, &n);
	float y = (1.0f + (r + vec_exp_tail(r))) * vec_pow2(n);
	return x < -87.0f ? 0.0f : 1.0f / (1.0f + y);
}

/* erfc(a) for a >= 0.8, times 1 where a is smaller. */
VEC float vec_erfc_large(float a)
{
	float t = 1.0f / (1.0f + 0.4f * a);
	float p = 6.669785e-2f;
	p = p * t - 2.4623139e-1f;
	p = p * t + 2.7194312e-1f;
	p = p * t - 9.740762e-2f;
	p = p * t + 1.9072865e-1f;
	p = p * t + 1.521021e-1f;
	p = p * t + 2.1124543e-1f;
	p = p * t + 2.2524512e-1f;
	p = p * t + 2.2570528e-1f;
	p = p * t - 8.8005834e-7f;
	return vec_exp(-a * a) * p;
}

/* erf(a) for 0 <= a <= 0.85. */
VEC float vec_erf_small(float a)
{
	float z = a * a;
	float p = 8.836263e-5f;
	p = p * z - 8.244293e-4f;
	p = p * z + 5.2092993e-3f;
	p = p * z - 2.6862482e-2f;
	p = p * z + 1.1283747e-1f;
	p = p * z - 3.7612638e-1f;
	p = p * z + 1.1283792f;
	return a * p;
}

/* From 0.8 on 1 less the exponential of a polynomial; from 3.95 on that is 1. */
VEC float vec_erf(float x)
{
	float a = vec_abs(x), b = a > 3.95f ? 3.95f : a;
	float p = 2.0869939e-4f;
	p = p * b - 3.1648909e-3f;
	p = p * b + 2.2697378e-2f;
	p = p * b - 1.0487639e-1f;
	p = p * b - 6.3614213e-1f;
	p = p * b - 1.1282713f;
	p = p * b - 5.6847559e-5f;
	float large = 1.0f - vec_exp_below(p);
	return x != x ? x : vec_sign_of(a < 0.8f ? vec_erf_small(a) : large, x);
}

/* x times the part of the normal distribution below x: max(x, 0) less |x| times the part
   beyond |x|, which is exp(-x^2 / 2) times a polynomial of t. */
VEC float vec_gelu(float x)
{
	float a = vec_abs(x), t = 1.0f / (1.0f + 0.3f * a);
	float p = 3.5423949e-2f;
	p = p * t - 1.5615928e-1f;
	p = p * t + 2.0455812e-1f;
	p = p * t - 5.203515e-2f;
	p = p * t + 1.2769231e-1f;
	p = p * t + 1.001758e-1f;
	p = p * t + 1.2071216e-1f;
	p = p * t + 1.19632006e-1f;
	float beyond = vec_exp_below(-0.5f * a * a) * (p * t);
	return (x < 0 ? 0 : x) - (a > 20.0f ? 20.0f : a) * beyond;
}

VEC float vec_erfc(float x)
{
	float a = vec_abs(x);
	float tail = vec_erfc_large(a > 12.0f ? 12.0f : a);
	float y = x < 0 ? 2.0f - tail : tail;
	return x != x ? x : a < 0.8f ? 1.0f - vec_sign_of(vec_erf_small(a), x) : y;
}

/* -- angles -------------------------------------------------------------------------------- */

VEC uint64_t vec_double_bits(double x)
{
	uint64_t u;
	memcpy(&u, &x, sizeof(u));
	return u;
}

VEC double vec_bits_double(uint64_t u)
{
	double x;
	memcpy(&x, &u, sizeof(x));
	return x;
}

/* The integer nearest to x, |x| < 2^51, in the low bits of what is returned:
   as for vec_reduce(). */
#define VEC_ROUNDER 0x1.8p52

/* Up to here pi is subtracted often enough for 1 ulp: n below takes 20 bits, and n times
   the upper 33 bits of pi is no more than a double holds. */
#define VEC_TRIG_MAX 0x1p21f

/* sin(x - n pi) where that is within [-pi/2, pi/2]. */
VEC double vec_sin_less(double x, double n)
{
	double r = (x - n * 0x1.921fb544p1) - n * 0x1.0b4611a626331p-33;
	double z = r * r;
	double p = -2.3908172359716006e-08;
	p = p * z + 2.7526562133862646e-06;
	p = p * z - 1.9840893092487775e-04;
	p = p * z + 8.333331316585896e-03;
	p = p * z - 1.666666663158799e-01;
	return r * (1 + z * p);
}

/* sin and cos are those of x - n pi, or of x - (n + 1/2) pi, with the sign of (-1)^n. */
VEC double vec_sin_double(double x)
{
	double shifted = x * 0x1.45f306dc9c883p-2 + VEC_ROUNDER;
	double y = vec_sin_less(x, shifted - VEC_ROUNDER);
	return vec_bits_double(vec_double_bits(y) ^ vec_double_bits(shifted) << 63);
}

VEC double vec_cos_double(double x)
{
	double shifted = (x * 0x1.45f306dc9c883p-2 - 0.5) + VEC_ROUNDER;
	double y = -vec_sin_less(x, (shifted - VEC_ROUNDER) + 0.5);
	return vec_bits_double(vec_double_bits(y) ^ vec_double_bits(shifted) << 63);
}

VEC float vec_sin(float x)
{
	return (float)vec_sin_double((double)x);
}

VEC float vec_cos(float x)
{
	return (float)vec_cos_double((double)x);
}

VEC float vec_tan(float x)
{
	return (float)(vec_sin_double((double)x) / vec_cos_double((double)x));
}

/* asin(a) / a - 1 for a^2 = z, z in [0, 1/4]. */
VEC float vec_asin_tail(float z)
{
	float p = 4.2218547e-2f;
	p = p * z + 2.4147612e-2f;
	p = p * z + 4.5477096e-2f;
	p = p * z + 7.4952416e-2f;
	p = p * z + 1.6666754e-1f;
	return p * z;
}

/* asin(a) for a <= 1/2; beyond it is pi/2 less twice asin(sqrt((1 - a) / 2)). Larger arguments are
   NaN by way of the root. */
VEC float vec_asin(float x)
{
	float a = vec_abs(x), half = 0.5f - 0.5f * a;
	float v = a > 0.5f ? __builtin_sqrtf(half) : a;
	float y = v + v * vec_asin_tail(a > 0.5f ? half : a * a);
	return vec_sign_of(a > 0.5f ? 0x1.921fb6p0f - (2.0f * y + 0x1.777a5cp-25f) : y, x);
}

VEC float vec_acos(float x)
{
	float a = vec_abs(x), half = 0.5f - 0.5f * a;
	float v = a > 0.5f ? __builtin_sqrtf(half) : x;
	float y = v + v * vec_asin_tail(a > 0.5f ? half : a * a);
	float beyond = x < 0 ? 0x1.921fb6p1f - (2.0f * y + 0x1.777a5cp-24f) : 2.0f * y;
	return a > 0.5f ? beyond : 0x1.921fb6p0f - (y + 0x1.777a5cp-25f);
}

/* atan(a) for a <= 1; beyond it is pi/2 less atan(1 / a). */
VEC float vec_atan(float x)
{
	float a = vec_abs(x), v = a > 1.0f ? 1.0f / a : a, z = v * v;
	float p = -1.8271847e-3f;
	p = p * z + 1.1064315e-2f;
	p = p * z - 3.1455469e-2f;
	p = p * z + 5.823432e-2f;
	p = p * z - 8.419446e-2f;
	p = p * z + 1.0957572e-1f;
	p = p * z - 1.4265245e-1f;
	p = p * z + 1.9998639e-1f;
	p = p * z - 3.3333302e-1f;
	float y = v + v * (p * z);
	return vec_sign_of(a > 1.0f ? 0x1.921fb6p0f - (y + 0x1.777a5cp-25f) : y, x);
}

/* -- powers ---------------------------------------------------------------------------------- */

/* log2(a), a a float that is not negative, to 2^-37 of it: 2 s + 2 s^3 (1/3 + ...) over ln 2, s =
   (m - 1) / (m + 1). */
VEC double vec_log2(double a)
{
	uint64_t u = vec_double_bits(a) - 0x3fe6a09e00000000u; /* of sqrt(1/2) */
	double m = vec_bits_double((u & 0xfffffffffffffu) + 0x3fe6a09e00000000u);
	/* The exponent, signed 12 bits, as a double: below the bits of 2^52. */
	double e = vec_bits_double((u >> 52 ^ 0x800) | 0x4330000000000000u) - (0x1p52 + 0x800);
	double s = (m - 1) / (m + 1), z = s * s;
	double p = 0.1179178583996109;
	p = p * z + 0.14268619076075875;
	p = p * z + 0.200001681112749;
	p = p * z + 0.3333333282063701;
	double y = e + (s + s * (p * z)) * 0x1.71547652b82fep1;
	double special = a == 0 ? -__builtin_inf() : a;
	return a > 0 && a < __builtin_inf() ? y : special;
}

/* 2^x as a float has it; NaN stays. */
VEC double vec_exp2(double x)
{
	double c = x < -160 ? -160 : x > 140 ? 140 : x;
	double shifted = c + VEC_ROUNDER, r = c - (shifted - VEC_ROUNDER);
	double p = 1.5475876026323568e-04;
	p = p * r + 1.3400248777335625e-03;
	p = p * r + 9.6180055029353e-03;
	p = p * r + 5.5503278603484585e-02;
	p = p * r + 2.4022651331499967e-01;
	p = p * r + 6.931472061996763e-01;
	return (1 + p * r) * vec_bits_double((vec_double_bits(shifted) + 1023) << 52);
}

/* C's pow(x, y). A negative base has a power where y is whole, negative if it is odd; from 2^53 on
   all are even. */
VEC float vec_pow(float x, double y)
{
	double v = (double)x, a = v < 0 ? -v : v;
	double large = y < 0 ? -y : y, c = large > 0x1p53 ? 0x1p53 : large;
	double rest = c - 2 * ((c * 0.5 + 0x1p52) - 0x1p52); /* 0: even, 1 or -1: odd */
	rest *= rest;
	double m = vec_exp2(y * vec_log2(a));
	m = a == 1 ? 1 : m;
	m = y == 0 ? 1 : m;
	double one =
		vec_bits_double((vec_double_bits(v) & 0x8000000000000000u) | 0x3ff0000000000000u);
	double sign = v < 0 ? __builtin_nan("") : 1;
	sign = a == __builtin_inf() ? 1 : sign;
	sign = rest == 0 ? 1 : sign;
	sign = rest == 1 ? one : sign;
	return (float)(m * sign);
}

/* C's fmod(x, y), which needs no rounding where the quotient is below 2^28 and y
   finite; else NaN. */
VEC float vec_fmod_near(float x, float y)
{
	double a = (double)vec_abs(x), b = (double)vec_abs(y), q = a / b;
	double r = a - ((q + 0x1p52) - 0x1p52) * b;
	r = r < 0 ? r + b : r;
	return (q < 0x1p28) & (b < __builtin_inf()) ? vec_sign_of((float)r, x) : __builtin_nanf("");
}
