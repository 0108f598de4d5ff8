/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the largest of a dense row is, or the least: of a long row it is found first, in lanes, and
 * then looked for. Compiled once per instruction set.
 */
#include "exec/cpu/math/along_axis.h"

#include <string.h>
#include "exec/cpu/vec_isa.h"

#define INLINE static inline __attribute__((always_inline))

#define INTO(T, best, x, n, max) \
	for (int i = 0; i < (n); i++) { \
		T b = (best)[i], v = (x)[i]; \
		(best)[i] = ((max) ? b > v : b < v) || b != b ? b : v; \
	}

/* T, and an integer as large. max and last are known to the compiler, so that loops have no
   branches. */
#define ARG_ROW(T, I) \
	INLINE int64_t scan_##T(const T *x, int64_t n, bool max, bool last) \
	{ \
		T best = x[0]; \
		int64_t found = 0; \
		for (int64_t i = 1; i < n; i++) { \
			T v = x[i]; \
			bool stays = max ? (last ? v < best : v <= best) \
					 : (last ? v > best : v >= best); \
			stays |= best != best; \
			best = stays ? best : v; \
			found = stays ? found : i; \
		} \
		return found; \
	} \
	/* To meet an element twice does no harm. */ \
	INLINE T most_##T(const T *x, int64_t n, bool max) \
	{ \
		enum { WIDTH = 64 / sizeof(T) }; \
		T best[WIDTH]; \
		memcpy(best, x, sizeof(best)); \
		for (int64_t k = WIDTH; k + WIDTH < n; k += WIDTH) \
			INTO(T, best, x + k, WIDTH, max) \
		INTO(T, best, x + n - WIDTH, WIDTH, max) \
		UNROLL for (int half = WIDTH / 2; half; half /= 2) \
			INTO(T, best, best + half, half, max) \
		return best[0]; \
	} \
	INLINE int64_t find_##T(const T *x, int64_t n, bool max, bool last) \
	{ \
		enum { WIDTH = 64 / sizeof(T) }; \
		if (n < 2 * WIDTH) \
			return scan_##T(x, n, max, last); \
		T most = most_##T(x, n, max); \
		if (most != most) /* the first NaN, which scan finds */ \
			return scan_##T(x, n, max, last); \
		for (int64_t i = 0;; i += WIDTH) { \
			int64_t at = last ? max_i64(n - WIDTH - i, 0) : min_i64(i, n - WIDTH); \
			I any = 0; \
			for (int k = 0; k < WIDTH; k++) \
				any |= x[at + k] == most; \
			for (int k = 0; any; k++) { \
				int64_t here = at + (last ? WIDTH - 1 - k : k); \
				if (x[here] == most) \
					return here; \
			} \
		} \
	} \
	static int64_t arg_row_##T(const void *x, int64_t n, bool max, bool last) \
	{ \
		if (max) \
			return last ? find_##T(x, n, true, true) : find_##T(x, n, true, false); \
		return last ? find_##T(x, n, false, true) : find_##T(x, n, false, false); \
	}
ARG_ROW(int8_t, int8_t)
ARG_ROW(int16_t, int16_t)
ARG_ROW(int32_t, int32_t)
ARG_ROW(int64_t, int64_t)
ARG_ROW(uint8_t, int8_t)
ARG_ROW(uint16_t, int16_t)
ARG_ROW(uint32_t, int32_t)
ARG_ROW(uint64_t, int64_t)
ARG_ROW(float, int32_t)
ARG_ROW(double, int64_t)

const arg_row_fn VEC_NAME(arg_row)[DTYPE_COUNT_] = {
	[DTYPE_I8] = arg_row_int8_t, [DTYPE_I16] = arg_row_int16_t, [DTYPE_I32] = arg_row_int32_t,
	[DTYPE_I64] = arg_row_int64_t, [DTYPE_U8] = arg_row_uint8_t, [DTYPE_U16] = arg_row_uint16_t,
	[DTYPE_U32] = arg_row_uint32_t, [DTYPE_U64] = arg_row_uint64_t,
	[DTYPE_F32] = arg_row_float, [DTYPE_F64] = arg_row_double,
};
