/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types.h -- element types of C for lists of loops, one per type
 *
 * X(dtype, C type, type to compute in): integers are computed unsigned, so that they wrap
 * as the specification's numpy does; float16 and bfloat16 have no loops (widen.c).
 */
#pragma once

#define FOR_SIGNED(X, ...) \
	X(I8, int8_t, uint32_t, ##__VA_ARGS__) \
	X(I16, int16_t, uint32_t, ##__VA_ARGS__) \
	X(I32, int32_t, uint32_t, ##__VA_ARGS__) \
	X(I64, int64_t, uint64_t, ##__VA_ARGS__)
#define FOR_UNSIGNED(X, ...) \
	X(U8, uint8_t, uint32_t, ##__VA_ARGS__) \
	X(U16, uint16_t, uint32_t, ##__VA_ARGS__) \
	X(U32, uint32_t, uint32_t, ##__VA_ARGS__) \
	X(U64, uint64_t, uint64_t, ##__VA_ARGS__)
#define FOR_INTS(X, ...) FOR_SIGNED(X, ##__VA_ARGS__) FOR_UNSIGNED(X, ##__VA_ARGS__)
#define FOR_REAL(X, ...) \
	X(F32, float, float, ##__VA_ARGS__) \
	X(F64, double, double, ##__VA_ARGS__)
#define FOR_NUM(X, ...) FOR_INTS(X, ##__VA_ARGS__) FOR_REAL(X, ##__VA_ARGS__)

/* The types that reductions, matrix products and Clip's kin share. */
#define FOR_WIDE(X, ...) \
	X(I32, int32_t, uint32_t, ##__VA_ARGS__) \
	X(I64, int64_t, uint64_t, ##__VA_ARGS__) \
	X(U32, uint32_t, uint32_t, ##__VA_ARGS__) \
	X(U64, uint64_t, uint64_t, ##__VA_ARGS__) \
	FOR_REAL(X, ##__VA_ARGS__)

/* Elementwise loops run in place: element i is read before it is written, and the
   compiler may rely on no other overlap. */
#ifdef __clang__
#define IVDEP _Pragma("clang loop vectorize(assume_safety)")
#else
#define IVDEP _Pragma("GCC ivdep")
#endif
