/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_vec.h -- what a pool's window does with one more vector
 *
 * For files that are compiled once per instruction set. Threads: any. Memory: none.
 */
#pragma once

#include "exec/cpu/vec_isa.h"

/* NaN wins, as in the reference. */
static inline vec max_step(vec best, vec x)
{
#ifdef __AVX512F__
	/* The instruction gives its second operand where one is NaN. */
	__mmask16 odd = _mm512_cmp_ps_mask((__m512)x, (__m512)x, _CMP_UNORD_Q);
	return (vec)_mm512_mask_mov_ps(_mm512_max_ps((__m512)x, (__m512)best), odd, (__m512)x);
#else
	return vec_select((x > best) | (x != x), x, best);
#endif
}

static inline vec sum_step(vec sum, vec x)
{
	return sum + x;
}
