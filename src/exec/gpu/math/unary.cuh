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
