/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of reduce.h for every element type. Compiled once per instruction set. */
#include "exec/cpu/math/reduce.h"

#include <math.h>
#include <string.h>
#include "exec/cpu/vec_isa.h"

/* -- floats ---------------------------------------------------------------------------------- */

#define ABS_OF(x) fabs(x)
#define MEAN_OF_NONE NAN
#define IS_NAN(x) ((x) != (x))
#define FROM_REAL(x) (x)

#define E float
#define A double
#define N(name) step_##name##_f32
#define LOWEST -INFINITY
#define HIGHEST INFINITY
#include "exec/cpu/math/reduce_t.h"

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
