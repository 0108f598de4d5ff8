/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unary.h -- functions of one operand, by operator, type and instruction set
 *
 * The expressions of exec/unary_reals.h are compiled with C's functions for the
 * reference (unary.c) and with vec_math.h for speed (vec_unary.c, once per instruction set).
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/cpu/cpu.h"
#include "exec/unary.h"

/* alpha, beta. out may be in. */
typedef void (*unary_fn)(void *out, const void *in, int64_t n, const double *param);

/* The best loop of this machine; F32 or F64. */
unary_fn unary_best(enum unary_id id, enum dtype dtype);

/* The function and parameters of a fused operator's activation (attrs.h). false: none. */
struct activation_loop {
	unary_fn fn;
	double param[2];
};
bool activation_find(const struct node *n, enum dtype dtype, struct activation_loop *ret);

extern const unary_fn unary_f32_base[UNARY_COUNT_];
#ifdef __x86_64__
extern const unary_fn unary_f32_avx2[UNARY_COUNT_];
extern const unary_fn unary_f32_avx512[UNARY_COUNT_];
#endif
