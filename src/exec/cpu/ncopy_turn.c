/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A square of 4-byte elements, rows for columns, in registers: what ncopy.c's tiles are made of.
 * Compiled once per instruction set; ISA is avx2 or avx512.
 */
#include "exec/cpu/ncopy.h"
#include "exec/cpu/vec_isa.h"

/* Of rows a and b, `step` apart: what they become is taken from a's lanes, and then b's. */
#define UPPER(j, step) ((j) & (step) ? VEC_FLOATS + (j) - (step) : (j))
#define LOWER(j, step) ((j) & (step) ? VEC_FLOATS + (j) : (j) + (step))
#define LANES4(X, j, step) X(j, step), X((j) + 1, step), X((j) + 2, step), X((j) + 3, step)
#define LANES8(X, j, step) LANES4(X, j, step), LANES4(X, (j) + 4, step)
#if VEC_FLOATS == 16
#define LANES(X, step) LANES8(X, 0, step), LANES8(X, 8, step)
#else
#define LANES(X, step) LANES8(X, 0, step)
#endif

#define SWAP(row, step) \
	UNROLL for (int i = 0; i < VEC_FLOATS; i++) \
		if (!(i & (step))) { \
			vec a = row[i], b = row[i + (step)]; \
			row[i] = __builtin_shufflevector(a, b, LANES(UPPER, step)); \
			row[i + (step)] = __builtin_shufflevector(a, b, LANES(LOWER, step)); \
		}

void VEC_NAME(ncopy_turn)(char *to, const char *from, int64_t to_row, int64_t from_row)
{
	VEC_ARRAY row[VEC_FLOATS];
	UNROLL for (int i = 0; i < VEC_FLOATS; i++)
		row[i] = *(const vec *)(from + i * from_row);
	SWAP(row, 1)
	SWAP(row, 2)
	SWAP(row, 4)
#if VEC_FLOATS == 16
	SWAP(row, 8)
#endif
	UNROLL for (int i = 0; i < VEC_FLOATS; i++)
		*(vec *)(to + i * to_row) = row[i];
}
