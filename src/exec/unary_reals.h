/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unary_reals.h -- the list of float functions: UNARY(id, type, expression in x)
 *
 * Included wherever the list is needed, with REAL the type and F(name) the function of that
 * type. alpha and beta are the operator's attributes. Written for NaN: it must come out, where the
 * operator's formula does not say otherwise (ThresholdedRelu).
 */
UNARY(ABS, REAL, F(fabs)(x))
UNARY(ACOS, REAL, F(acos)(x))
UNARY(ACOSH, REAL, F(acosh)(x))
UNARY(ASIN, REAL, F(asin)(x))
UNARY(ASINH, REAL, F(asinh)(x))
UNARY(ATAN, REAL, F(atan)(x))
UNARY(ATANH, REAL, F(atanh)(x))
UNARY(CEIL, REAL, F(ceil)(x))
UNARY(COS, REAL, F(cos)(x))
UNARY(COSH, REAL, F(cosh)(x))
UNARY(ERF, REAL, F(erf)(x))
UNARY(EXP, REAL, F(exp)(x))
UNARY(FLOOR, REAL, F(floor)(x))
UNARY(LOG, REAL, F(log)(x))
UNARY(NEG, REAL, -x)
UNARY(RECIPROCAL, REAL, 1 / x)
UNARY(ROUND, REAL, F(rint)(x))
UNARY(SIGN, REAL, x > 0 ? 1 : x < 0 ? -1 : x)
UNARY(SIN, REAL, F(sin)(x))
UNARY(SINH, REAL, F(sinh)(x))
UNARY(SQRT, REAL, F(sqrt)(x))
UNARY(TAN, REAL, F(tan)(x))

UNARY(AFFINE, REAL, alpha * x + beta)
UNARY(CELU, REAL, x > 0 ? x : alpha * F(expm1)(x / alpha))
UNARY(CLIP, REAL, x < alpha ? alpha : x > beta ? beta : x)
UNARY(ELU, REAL, x > 0 ? x : alpha * F(expm1)(x))
UNARY(GELU, REAL, F(gelu)(x))
UNARY(GELU_TANH, REAL,
	(REAL)0.5 * x *
		(1 + F(tanh)((REAL)0.79788456080286535588 * (x + (REAL)0.044715 * x * x * x))))
UNARY(HARD_SIGMOID, REAL, F(unit)(alpha * x + beta))
UNARY(HARD_SWISH, REAL, x * F(unit)(x * (REAL)(1.0 / 6) + (REAL)0.5))
UNARY(LEAKY_RELU, REAL, x < 0 ? alpha * x : x)
UNARY(MISH, REAL, x * F(tanh)(F(softplus)(x)))
UNARY(RELU, REAL, x < 0 ? 0 : x)
UNARY(SCALED_TANH, REAL, alpha * F(tanh)(beta * x))
UNARY(SELU, REAL, beta * (x > 0 ? x : alpha * F(expm1)(x)))
UNARY(SIGMOID, REAL, F(sigmoid)(x))
UNARY(SOFTPLUS, REAL, F(softplus)(x))
UNARY(SOFTSIGN, REAL, x / (1 + F(fabs)(x)))
UNARY(SWISH, REAL, x * F(sigmoid)(alpha * x))
UNARY(TANH, REAL, F(tanh)(x))
UNARY(THRESHOLDED_RELU, REAL, x > alpha ? x : 0)
#undef UNARY
