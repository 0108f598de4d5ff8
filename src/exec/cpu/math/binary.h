/* SPDX-License-Identifier: Apache-2.0 */
/*
 * binary.h -- loops of two operands over one run of a walk (walk.h)
 *
 * Steps are 0 (the operand stays) or 1. out may be a or b itself.
 */
#pragma once

#include "exec/cpu/cpu.h"

typedef void (*binary_fn)(const struct kernel_args *args, void *out, const void *a, const void *b,
	int64_t n, int64_t a_step, int64_t b_step);

/* Whose operator has two inputs of one type; NULL: not for this type. */
binary_fn binary_find(enum op_id op, enum dtype dtype);
/* C's fmod for integers too. */
binary_fn right_shift_find(enum dtype dtype); /* BitShift the other way */
binary_fn truncated_mod_find(enum dtype dtype);
binary_fn compare_find(enum op_id op, enum dtype dtype);

/* pow of a base type with exponents already as double. */
binary_fn power_find(enum dtype base);
/* Of float bases and one exponent that needs no pow; else NULL. */
binary_fn power_easy(const float *a, const double *b, int64_t n, int64_t a_step, int64_t b_step);

/* pow and fmod by vectors, of one instruction set each. */
#define BINARY_VEC(isa) \
	void pow_f32_##isa(const struct kernel_args *args, void *out, const void *a, \
		const void *b, int64_t n, int64_t a_step, int64_t b_step); \
	void fmod_f32_##isa(const struct kernel_args *args, void *out, const void *a, \
		const void *b, int64_t n, \
		int64_t a_step, int64_t b_step);
BINARY_VEC(base)
BINARY_VEC(avx2)
BINARY_VEC(avx512)
#undef BINARY_VEC
