/* SPDX-License-Identifier: Apache-2.0 */
/*
 * binary.h -- the list of functions of two operands: BINARY(id, expression in a and b)
 *
 * T is the operands' type, or float for the short ones; U the same without sign; r(x) is x as T.
 * zero(b) complains where an integer is 0. Of floats alone: those with an F.
 */
#ifndef BINARY_F
#define BINARY_F BINARY
#define BINARY_I BINARY
#define BINARY_F_OWN
#endif
BINARY(ADD, (T)((U)a + (U)b))
BINARY(SUB, (T)((U)a - (U)b))
BINARY(MUL, (T)((U)a * (U)b))
BINARY(MAX, a > b || a != a ? a : b)
BINARY(MIN, a < b || a != a ? a : b)
BINARY_F(DIV, a / b)
BINARY_F(PRELU, a < 0 ? a * b : a)
BINARY_F(POW, powf(a, b))
BINARY_F(FMOD, fmodf(a, b))
BINARY_F(SCALED_SUM, (a + b) * alpha)
/* -1 apart: the lowest number has no positive counterpart. */
BINARY_I(DIV_INT, zero(b) ? 0 : b == (T)-1 && (T)-1 < 0 ? (T)(0 - (U)a) : a / b)
BINARY_I(FMOD_INT, zero(b) || (b == (T)-1 && (T)-1 < 0) ? 0 : a % b)
BINARY_I(MOD_INT, zero(b) || (b == (T)-1 && (T)-1 < 0)
			  ? 0
			  : a % b + (a % b != 0 && (a % b < 0) != (b < 0) ? b : 0))
BINARY_I(AND, a & b)
BINARY_I(OR, a | b)
BINARY_I(XOR, a ^ b)
#ifdef BINARY_F_OWN
#undef BINARY_F
#undef BINARY_I
#undef BINARY_F_OWN
#endif
#undef BINARY
