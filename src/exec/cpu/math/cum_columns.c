/* SPDX-License-Identifier: Apache-2.0 */
/* CumSum and CumProd of slices side by side: float in double. Compiled once per instruction set. */
#include "exec/cpu/math/along_axis.h"

#include "exec/cpu/types.h"
#include "exec/cpu/vec_isa.h"

#define CUM(name, T, A, START, OP) \
	static void name##_##T(const struct axis_state *s, const struct kernel_args *a, \
		int64_t at, int64_t item, int64_t n) \
	{ \
		A sum[CUM_COLUMNS]; \
		bool exclusive = s->exclusive; \
		(void)item; \
		for (int64_t k = 0; k < n; k++) \
			sum[k] = START; \
		for (int64_t i = 0; i < s->v.n; i++) { \
			int64_t row = at + (s->reverse ? s->v.n - 1 - i : i) * s->v.inner; \
			const T *restrict x = (const T *)a->in[0].data + row; \
			T *restrict o = (T *)a->out[0].data + row; \
			/* Two loops: a choice within is no vector's. */ \
			if (exclusive) { \
				IVDEP for (int64_t k = 0; k < n; k++) { \
					o[k] = (T)sum[k]; \
					sum[k] = sum[k] OP (A)x[k]; \
				} \
				continue; \
			} \
			IVDEP for (int64_t k = 0; k < n; k++) { \
				sum[k] = sum[k] OP (A)x[k]; \
				o[k] = (T)sum[k]; \
			} \
		} \
	}
CUM_SUMS(CUM)

#define ROW(id, T, U, fn) [DTYPE_##id] = fn##_##T,
const struct cum_columns VEC_NAME(cum_columns) = { { FOR_WIDE(ROW, cum_sum) },
	{ FOR_WIDE(ROW, cum_prod) } };
