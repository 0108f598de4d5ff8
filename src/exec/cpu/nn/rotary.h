/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rotary.h -- pairs of a vector's elements turned by the angles of its position
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/cpu/cpu.h"

struct rotary {
	int64_t size, half; /* elements of a vector; pairs of them that are turned */
	bool interleaved;   /* neighbours are pairs, else first and second half */
};

/* cos and sin of one position. out may be x. */
void rotary_row(
	const struct rotary *r, float *out, const float *x, const float *cos, const float *sin);
