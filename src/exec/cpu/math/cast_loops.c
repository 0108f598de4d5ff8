/* SPDX-License-Identifier: Apache-2.0 */
/* Casts between C's own types, each pair with its loop. Compiled once per instruction set. */
#include "exec/cpu/math/cast.h"

#include "exec/cpu/types.h"
#include "exec/cpu/vec_isa.h"

static inline int32_t cut_i32(double x)
{
	return x >= 0x1p31 ? INT32_MAX : x > -0x1p31 - 1 ? (int32_t)x : INT32_MIN;
}

/* Floats stay floats, of which a vector holds twice as many. */
static inline int32_t cut_i32_float(float x)
{
	return x >= 0x1p31f ? INT32_MAX : x >= -0x1p31f ? (int32_t)x : INT32_MIN;
}
#define CUT_I32(x) _Generic((x), float: cut_i32_float, double: cut_i32)(x)

#define TO float
#define N(name) name##_f32
#define FROM_INTEGER(x) ((float)(x))
#define FROM_REAL(x) ((float)(x))
#include "exec/cpu/math/cast_t.h"

#define TO double
#define N(name) name##_f64
#define FROM_INTEGER(x) ((double)(x))
#define FROM_REAL(x) ((double)(x))
#include "exec/cpu/math/cast_t.h"

#define TO uint8_t
#define N(name) name##_bool
#define FROM_INTEGER(x) ((x) != 0)
#define FROM_REAL(x) ((x) != 0)
#include "exec/cpu/math/cast_t.h"

#define FROM_INTEGER(x) ((TO)(x))
#define TO int8_t
#define N(name) name##_i8
#define FROM_REAL(x) ((int8_t)CUT_I32(x))
#include "exec/cpu/math/cast_t.h"

#define FROM_INTEGER(x) ((TO)(x))
#define TO int16_t
#define N(name) name##_i16
#define FROM_REAL(x) ((int16_t)CUT_I32(x))
#include "exec/cpu/math/cast_t.h"

#define FROM_INTEGER(x) ((TO)(x))
#define TO int32_t
#define N(name) name##_i32
#define FROM_REAL(x) CUT_I32(x)
#include "exec/cpu/math/cast_t.h"

#define FROM_INTEGER(x) ((TO)(x))
#define TO int64_t
#define N(name) name##_i64
#define FROM_REAL(x) cast_cut_i64((double)(x))
#include "exec/cpu/math/cast_t.h"

#define FROM_INTEGER(x) ((TO)(x))
#define TO uint8_t
#define N(name) name##_u8
#define FROM_REAL(x) ((uint8_t)CUT_I32(x))
#include "exec/cpu/math/cast_t.h"

#define FROM_INTEGER(x) ((TO)(x))
#define TO uint16_t
#define N(name) name##_u16
#define FROM_REAL(x) ((uint16_t)CUT_I32(x))
#include "exec/cpu/math/cast_t.h"

#define FROM_INTEGER(x) ((TO)(x))
#define TO uint32_t
#define N(name) name##_u32
#define FROM_REAL(x) ((uint32_t)cast_cut_i64((double)(x)))
#include "exec/cpu/math/cast_t.h"

#define FROM_INTEGER(x) ((TO)(x))
#define TO uint64_t
#define N(name) name##_u64
#define FROM_REAL(x) cast_cut_u64((double)(x))
#include "exec/cpu/math/cast_t.h"

const cast_fn *const VEC_NAME(cast_loops)[DTYPE_COUNT_] = {
	[DTYPE_F32] = from_f32, [DTYPE_F64] = from_f64, [DTYPE_BOOL] = from_bool,
	[DTYPE_I8] = from_i8, [DTYPE_I16] = from_i16, [DTYPE_I32] = from_i32,
	[DTYPE_I64] = from_i64, [DTYPE_U8] = from_u8, [DTYPE_U16] = from_u16,
	[DTYPE_U32] = from_u32, [DTYPE_U64] = from_u64,
};
