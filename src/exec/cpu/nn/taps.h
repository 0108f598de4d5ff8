/* SPDX-License-Identifier: Apache-2.0 */
/*
 * taps.h -- points between pixels as weighted pixels: GridSample, DeformConv
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/cpu/cpu.h"

#define TAP_OUTSIDE (-1)

struct tap {
	int64_t at; /* in the image, or TAP_OUTSIDE, which counts as zero */
	double weight;
};

/* Each of n taps becomes `per` of them, one for each of the next axis, which has this size;
   from the back, as that makes room. */
static inline void
taps_multiply(struct tap *tap, int64_t n, const struct tap *axis, int per, int64_t size)
{
	for (int64_t t = n - 1; t >= 0; t--) {
		struct tap outer = tap[t];
		for (int k = per - 1; k >= 0; k--) {
			bool outside = outer.at == TAP_OUTSIDE || axis[k].at == TAP_OUTSIDE;
			int64_t at = outside ? TAP_OUTSIDE : outer.at * size + axis[k].at;
			tap[t * per + k] = (struct tap){ at, outer.weight * axis[k].weight };
		}
	}
}
