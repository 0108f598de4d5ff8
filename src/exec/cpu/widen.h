/* SPDX-License-Identifier: Apache-2.0 */
/*
 * widen.h -- float16 and bfloat16 by way of float32
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/cpu/cpu.h"

/* Arrays of half or bfloat to float and back, rounded to nearest even. */
void widen_array(float *dst, const uint16_t *src, int64_t n, enum dtype src_dtype);
void narrow_array(uint16_t *dst, const float *src, int64_t n, enum dtype dst_dtype);

/* One instruction set's: of half, of bfloat. */
struct half_loops {
	void (*widen[2])(float *dst, const uint16_t *src, int64_t n);
	void (*narrow[2])(uint16_t *dst, const float *src, int64_t n);
};
extern const struct half_loops half_loops_base;
#ifdef __x86_64__
extern const struct half_loops half_loops_avx2, half_loops_avx512;
#endif
