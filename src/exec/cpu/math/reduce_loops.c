/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of reduce.h for every element type. Compiled once per instruction set. */
#include "exec/cpu/math/reduce.h"

#include <math.h>
#include <string.h>
#include "exec/cpu/math/vec_sums.h"

/* -- floats ---------------------------------------------------------------------------------- */

#define ABS_OF(x) fabs(x)
#define MEAN_OF_NONE NAN
#define IS_NAN(x) ((x) != (x))
#define FROM_REAL(x) (x)

/* Further down. */
#define FLOAT_ROWS(op) \
	static void float_##op##_rows( \
		void *accumulators, const void *elements, int64_t n, int64_t width);
FLOAT_ROWS(sum)
FLOAT_ROWS(l1)
FLOAT_ROWS(square)
FLOAT_ROWS(max)
FLOAT_ROWS(min)
#undef FLOAT_ROWS

#define E float
#define A double
#define N(name) step_##name##_f32
#define ROWS(op, road) float_##op##_rows
#define LOWEST -INFINITY
#define HIGHEST INFINITY
#include "exec/cpu/math/reduce_t.h"
#undef ROWS
#define ROWS(op, road) N(op##_##road)

#define E double
#define A double
#define N(name) step_##name##_f64
#define LOWEST -INFINITY
#define HIGHEST INFINITY
#include "exec/cpu/math/reduce_t.h"

#undef ABS_OF
#undef MEAN_OF_NONE
#undef IS_NAN
#undef FROM_REAL

/* -- rows of floats: by vectors, their ends too ---------------------------------------------- */

typedef double vec_double __attribute__((vector_size(VEC_FLOATS / 2 * sizeof(double))));

static inline double sum_of_doubles(vec_double v)
{
#ifdef __AVX512F__
	return _mm512_reduce_add_pd((__m512d)v);
#else
	double lane[VEC_FLOATS / 2];
	memcpy(lane, &v, sizeof(lane));
	for (int half = VEC_FLOATS / 4; half > 0; half /= 2)
		for (int i = 0; i < half; i++)
			lane[i] += lane[i + half];
	return lane[0];
#endif
}

#define HALF (VEC_FLOATS / 2)

static inline __attribute__((always_inline)) vec_double doubles(half_vec v, enum reduce_step step)
{
	vec_double d = __builtin_convertvector(v, vec_double);
	if (step == REDUCE_L1)
		for (int i = 0; i < HALF; i++)
			d[i] = fabs(d[i]);
	return step == REDUCE_SQUARE ? d * d : d;
}

static inline __attribute__((always_inline)) double
row_sum(const float *x, int64_t n, enum reduce_step step)
{
	vec_double sums[4] = { 0 };
	int64_t k = 0;
	for (; k + 4 * HALF <= n; k += 4 * HALF)
		UNROLL for (int i = 0; i < 4; i++)
			sums[i] += doubles(*(const half_vec *)(x + k + i * HALF), step);
	for (; k < n; k += HALF) {
		vec v = vec_load_first(x + k, min_i64(n - k, HALF), vec_all(0));
		half_vec low;
		memcpy(&low, &v, sizeof(low));
		sums[0] += doubles(low, step);
	}
	return sum_of_doubles((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

#define FLOAT_ROWS(op, join, row, kind, shortest) \
	static void float_##op##_rows(void *accumulators, const void *elements, int64_t n, \
		int64_t width) \
	{ \
		double *acc = accumulators; \
		const float *v = elements; \
		if (width < shortest) { \
			step_##op##_rows_f32(accumulators, elements, n, width); \
			return; \
		} \
		for (int64_t i = 0; i < n; i++) { \
			double x = (double)row(v + i * width, width, kind); \
			step_##join##_f64(acc + i, &x, 1); \
		} \
	}
FLOAT_ROWS(sum, sum, row_sum, REDUCE_SUM, VEC_FLOATS)
FLOAT_ROWS(l1, sum, row_sum, REDUCE_L1, VEC_FLOATS)
FLOAT_ROWS(square, sum, row_sum, REDUCE_SQUARE, VEC_FLOATS)
FLOAT_ROWS(max, max, most_of, false, 3)
FLOAT_ROWS(min, min, most_of, true, 3)

/* -- integers, whose sums wrap (-fwrapv) ----------------------------------------------------- */

#define MEAN_OF_NONE 0
#define IS_NAN(x) false
#define FROM_REAL(x) reduce_whole(x)

#define ABS_OF(x) ((x) < 0 ? -(x) : (x))

#define E int64_t
#define A int64_t
#define N(name) step_##name##_i64
#define LOWEST INT64_MIN
#define HIGHEST INT64_MAX
#include "exec/cpu/math/reduce_t.h"

#define E int32_t
#define A int64_t
#define N(name) step_##name##_i32
#define LOWEST INT32_MIN
#define HIGHEST INT32_MAX
#include "exec/cpu/math/reduce_t.h"

#define E int8_t
#define A int64_t
#define N(name) step_##name##_i8
#define LOWEST INT8_MIN
#define HIGHEST INT8_MAX
#include "exec/cpu/math/reduce_t.h"

#undef ABS_OF
#define ABS_OF(x) (x)

#define E uint64_t
#define A uint64_t
#define N(name) step_##name##_u64
#define LOWEST 0
#define HIGHEST UINT64_MAX
#include "exec/cpu/math/reduce_t.h"

#define E uint32_t
#define A uint64_t
#define N(name) step_##name##_u32
#define LOWEST 0
#define HIGHEST UINT32_MAX
#include "exec/cpu/math/reduce_t.h"

#define E uint8_t
#define A uint64_t
#define N(name) step_##name##_u8
#define LOWEST 0
#define HIGHEST UINT8_MAX
#include "exec/cpu/math/reduce_t.h"

/* Max is or, min is and. */
#define E uint8_t
#define A uint64_t
#define N(name) step_##name##_bool
#define LOWEST 0
#define HIGHEST 1
#include "exec/cpu/math/reduce_t.h"

const struct reduce_loops *const VEC_NAME(reduce_loops)[DTYPE_COUNT_] = {
	[DTYPE_F32] = &step_loops_f32,
	[DTYPE_F64] = &step_loops_f64,
	[DTYPE_I64] = &step_loops_i64,
	[DTYPE_I32] = &step_loops_i32,
	[DTYPE_I8] = &step_loops_i8,
	[DTYPE_U64] = &step_loops_u64,
	[DTYPE_U32] = &step_loops_u32,
	[DTYPE_U8] = &step_loops_u8,
	[DTYPE_BOOL] = &step_loops_bool,
};
