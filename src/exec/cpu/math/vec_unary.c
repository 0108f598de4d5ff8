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
#define vec_acos acosf
#define vec_acosh acoshf
#define vec_asin asinf
#define vec_asinh asinhf
#define vec_atan atanf
#define vec_atanh atanhf
#define vec_cos cosf
#define vec_cosh coshf
#define vec_sin sinf
#define vec_sinh sinhf
#define vec_tan tanf

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

const unary_fn GLUE(unary_f32_, ISA)[UNARY_COUNT_] = {
#define UNARY(id, type, expr) [UNARY_##id] = loop_##id,
#include "exec/unary_reals.h"
};
