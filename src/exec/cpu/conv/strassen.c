/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of pixels for Strassen's products (conv_strassen.c)
 *
 * Compiled once per instruction set; ISA is avx2 or avx512.
 */
#include "exec/cpu/conv/conv_vec.h"
#include "exec/cpu/vec_isa.h"

static void add(const struct strassen_pairs *p)
{
	const int64_t next = p->to_next;
	const float *low = p->first, *high = low + p->to_high;
	float *to = p->to;
	for (int64_t i = 0; i < p->n;
		i++, low += 2 * VEC_FLOATS, high += 2 * VEC_FLOATS, to += VEC_FLOATS) {
		vec a11 = *(const vec *)low, a21 = *(const vec *)(low + VEC_FLOATS);
		vec a12 = *(const vec *)high, a22 = *(const vec *)(high + VEC_FLOATS);
		vec s1 = a21 + a22, s2 = s1 - a11;
		*(vec *)to = s2;
		*(vec *)(to + next) = a11 - a21;
		*(vec *)(to + 2 * next) = s1;
		*(vec *)(to + 3 * next) = a12 - s2;
	}
}

const struct strassen_vec VEC_NAME(strassen_vec) = {
	.add = add,
};
