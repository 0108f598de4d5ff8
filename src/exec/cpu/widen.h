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
