/* SPDX-License-Identifier: Apache-2.0 */
/*
 * along_axis.h -- slices along one axis, one by one or side by side
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/cpu/cpu.h"

#define AXIS_COLUMNS 256 /* slices side by side */
/* The same where results are as large: rows in pieces of a page are slow to come. */
#define CUM_COLUMNS 1024

struct axis_state;
typedef void (*slice_fn)(
	const struct axis_state *s, const struct kernel_args *a, int64_t at, int64_t item);
/* n neighbouring slices; item: of the first one. */
typedef void (*columns_fn)(const struct axis_state *s, const struct kernel_args *a, int64_t at,
	int64_t item, int64_t n);

/* Where the largest of n is, or the least: the first of equals, or the last. The first NaN wins, as
   in numpy. */
typedef int64_t (*arg_row_fn)(const void *x, int64_t n, bool max, bool last);

struct axis_state {
	struct split split;
	struct axis_view v;
	bool want_max, last, exclusive, reverse;
	int64_t width;  /* slices side by side in a block */
	int64_t blocks; /* per outer index */
	slice_fn fn;
	columns_fn columns;
	arg_row_fn row; /* of dense slices */
	int64_t bytes;  /* of an element */
	double one;     /* as the element's type, for Hardmax */
};

/* X(name, element, accumulator, start, operator) for sums and products so far: integers wrap. */
#define CUM_OF(X, T, A) X(cum_sum, T, A, 0, +) X(cum_prod, T, A, 1, *)
#define CUM_SUMS(X) \
	CUM_OF(X, float, double) \
	CUM_OF(X, double, double) \
	CUM_OF(X, int32_t, uint32_t) \
	CUM_OF(X, int64_t, uint64_t) \
	CUM_OF(X, uint32_t, uint32_t) \
	CUM_OF(X, uint64_t, uint64_t)

/* Sums and products so far of neighbouring slices, by element type and instruction
   set; NULL: none. */
struct cum_columns {
	columns_fn sum[DTYPE_COUNT_], prod[DTYPE_COUNT_];
};
extern const struct cum_columns cum_columns_base;
#ifdef __x86_64__
extern const struct cum_columns cum_columns_avx2, cum_columns_avx512;
#endif

/* By element type and instruction set; NULL: none. */
extern const arg_row_fn arg_row_base[DTYPE_COUNT_];
#ifdef __x86_64__
extern const arg_row_fn arg_row_avx2[DTYPE_COUNT_], arg_row_avx512[DTYPE_COUNT_];
#endif
