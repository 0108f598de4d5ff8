/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reduce.h -- the steps that reductions are made of, by element type and instruction set
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/cpu/cpu.h"

#define REDUCE_LANES 16 /* of a row */

enum reduce_step { REDUCE_SUM, REDUCE_L1, REDUCE_SQUARE, REDUCE_PROD, REDUCE_MAX, REDUCE_MIN,
	REDUCE_STEP_COUNT_ };
enum reduce_finish { FINISH_NONE, FINISH_MEAN, FINISH_ROOT, FINISH_LOG };

typedef void (*step_fn)(void *acc, const void *x, int64_t n);
typedef void (*rows_fn)(void *acc, const void *x, int64_t n, int64_t width);

struct reduce_loops {
	step_fn step[REDUCE_STEP_COUNT_]; /* n accumulators, n elements */
	rows_fn rows[REDUCE_STEP_COUNT_]; /* n accumulators, width elements each */
	void (*fill)(enum reduce_step step, void *acc, int64_t n);
	void (*finish)(
		enum reduce_finish how, void *out, const void *acc, int64_t n, int64_t count);
};

/* Towards zero; what no integer is (the log of 0) is the least one. */
static inline int64_t reduce_whole(double x)
{
	return x >= 0x1p63 ? INT64_MAX : x > -0x1p63 ? (int64_t)x : INT64_MIN;
}

/* By element type; NULL: none. */
extern const struct reduce_loops *const reduce_loops_base[DTYPE_COUNT_];
#ifdef __x86_64__
extern const struct reduce_loops *const reduce_loops_avx2[DTYPE_COUNT_];
extern const struct reduce_loops *const reduce_loops_avx512[DTYPE_COUNT_];
#endif
