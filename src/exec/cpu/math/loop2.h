/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop2.h -- the shape of every loop of two operands: three plain loops, each of which
 * the compiler vectorises, over an expression of a and b
 */
#pragma once

#include "exec/cpu/math/binary.h"
#include "exec/cpu/types.h"

/* Both steps are 0 for a run of one only. */
#define LOOP2(name, TO, TA, TB, expr) \
	static void name(const struct kernel_args *args, void *out, const void *pa, \
		const void *pb, int64_t n, int64_t a_step, int64_t b_step) \
	{ \
		TO *o = out; \
		const TA *x = pa; \
		const TB *y = pb; \
		(void)args; \
		if (a_step && b_step) { \
			IVDEP for (int64_t i = 0; i < n; i++) { \
				TA a = x[i]; \
				TB b = y[i]; \
				(void)a, (void)b; \
				o[i] = (TO)(expr); \
			} \
		} else if (a_step) { \
			TB b = *y; \
			IVDEP for (int64_t i = 0; i < n; i++) { \
				TA a = x[i]; \
				(void)a, (void)b; \
				o[i] = (TO)(expr); \
			} \
		} else { \
			TA a = *x; \
			IVDEP for (int64_t i = 0; i < n; i++) { \
				TB b = y[i]; \
				(void)a, (void)b; \
				o[i] = (TO)(expr); \
			} \
		} \
	}
