/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unary.cuh -- functions of one float, by the expressions that all backends have
 *
 * Which function it is is a parameter: all threads take the same way through the switch.
 */
#pragma once

#include "exec/gpu/params.h"

#define REAL float
#define F(name) name##f

enum {
#define UNARY(id, type, expr) UNARY_##id,
#include "exec/unary_reals.h"
};

static __device__ inline float unitf(float x)
{
	return x < 0 ? 0 : x > 1 ? 1 : x;
}

static __device__ inline float softplusf(float x)
{
	return (x < 0 ? 0 : x) + log1pf(expf(-fabsf(x)));
}

static __device__ inline float sigmoidf(float x)
{
	return 1 / (1 + expf(-x));
}

static __device__ inline float geluf(float x)
{
	return 0.5f * x * erfcf(x * -0.70710678118654752440f);
}

static __device__ float apply(const struct gpu_call &c, float x)
{
	float alpha = c.alpha, beta = c.beta;
	switch (c.fn) {
#define UNARY(id, type, expr) \
	case UNARY_##id: return expr;
#include "exec/unary_reals.h"
	}
	return x;
}

/* -- where a short float is rounded from the result: fewer digits, at a fraction of the work --- */

static __device__ inline float sigmoid_short(float x)
{
	return __fdividef(1, 1 + __expf(-x));
}

/* x * (1 - q(x)), q(x) being the share of a normal distribution beyond x. It is a polynomial of
   1 / (1 + 0.36 a) times exp(-a^2 / 2) within 1.2e-5 of itself for a up to 13.5, so that the tail
   of negative x is as exact as the rest; beyond 32 it is 0. */
static __device__ inline float gelu_short(float x)
{
	float a = fminf(fabsf(x), 32), u = __fdividef(1, 1 + 0.36f * a), q = -9.89979055e-2f;
	q = q * u + 2.55661499e-1f;
	q = q * u + 3.38541898e-2f;
	q = q * u + 1.69277513e-1f;
	q = q * u + 1.40000089e-1f;
	q = q * u + 2.01039851e-4f;
	return (x < 0 ? 0 : x) - a * (q * __expf(-0.5f * a * a));
}

static __device__ inline float apply_short(const struct gpu_call &c, float x)
{
	switch (c.fn) {
	case UNARY_EXP:
		return __expf(x);
	case UNARY_GELU:
		return gelu_short(x);
	case UNARY_GELU_TANH: /* (1 + tanh(z)) / 2 is sigmoid(2 z) */
		return x * sigmoid_short(1.59576912160573071176f * (x + 0.044715f * x * x * x));
	case UNARY_SIGMOID:
		return sigmoid_short(x);
	case UNARY_SWISH:
		return x * sigmoid_short(c.alpha * x);
	}
	return apply(c, x);
}
