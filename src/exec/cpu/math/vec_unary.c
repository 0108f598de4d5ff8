/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The float functions of unary_reals.h on vec_math.h, compiled once per instruction set:
 * ISA is base, avx2 or avx512.
 */
#include "exec/cpu/math/unary.h"

#include <math.h>
#include "exec/cpu/types.h"
#include "exec/cpu/math/vec_math.h"

#ifndef ISA
#define ISA base
#endif
#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)

VEC float vec_unit(float x)
{
	return x < 0 ? 0 : x > 1 ? 1 : x;
}

VEC float vec_softplus(float x)
{
	return (x < 0 ? 0 : x) + vec_log1p_unit(vec_exp(-vec_abs(x)));
}

/* What the processor has an instruction for, and what only C's library does well. */
#define vec_fabs vec_abs
#define vec_ceil ceilf
#define vec_floor floorf
#define vec_rint rintf
#define vec_sqrt sqrtf
#define vec_acosh acoshf
#define vec_asinh asinhf
#define vec_atanh atanhf
#define vec_cosh coshf
#define vec_sinh sinhf

#define F(name) vec_##name
#define UNARY(id, T, expr) \
	static void loop_##id(void *out, const void *in, int64_t n, const double *param) \
	{ \
		T alpha = (T)param[0], beta = (T)param[1]; \
		T *o = out; \
		const T *v = in; \
		(void)alpha, (void)beta; \
		IVDEP for (int64_t i = 0; i < n; i++) { \
			T x = v[i]; \
			o[i] = (expr); \
		} \
	}
#define REAL float
#include "exec/unary_reals.h"

/* -- angles: those that are too large for vec_math.h are given to C's library, one by one ----- */

#define ANGLES 256

/* By way of the bits, whose maximum is found by vectors. NaN is far, too. */
static bool angles_far(const float *x, int64_t n)
{
	int32_t most = 0;
	for (int64_t i = 0; i < n; i++) {
		int32_t bits = (int32_t)float_bits(vec_abs(x[i]));
		most = bits > most ? bits : most;
	}
	return most > (int32_t)float_bits(VEC_TRIG_MAX);
}

static inline __attribute__((always_inline)) void
angles(float *out, const float *x, int64_t n, unary_fn near, float (*far)(float))
{
	float y[ANGLES];
	for (int64_t at = 0; at < n; at += ANGLES) {
		int64_t block = min_i64(ANGLES, n - at);
		if (!angles_far(x + at, block)) {
			near(out + at, x + at, block, (double[2]){ 0 });
			continue;
		}
		near(y, x + at, block, (double[2]){ 0 });
		for (int64_t i = 0; i < block; i++)
			out[at + i] = vec_abs(x[at + i]) > VEC_TRIG_MAX ? far(x[at + i]) : y[i];
	}
}

#define ANGLE(id, far) \
	static void angles_##id(void *out, const void *in, int64_t n, const double *param) \
	{ \
		(void)param; \
		angles(out, in, n, loop_##id, far); \
	}
ANGLE(COS, cosf)
ANGLE(SIN, sinf)
ANGLE(TAN, tanf)
#define loop_COS angles_COS
#define loop_SIN angles_SIN
#define loop_TAN angles_TAN

const unary_fn GLUE(unary_f32_, ISA)[UNARY_COUNT_] = {
#define UNARY(id, type, expr) [UNARY_##id] = loop_##id,
#include "exec/unary_reals.h"
};
