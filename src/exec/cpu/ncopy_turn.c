/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Squares of elements, rows for columns, in registers: what ncopy.c's tiles are made of. And
 * loops between rows and interleaved elements, which the compiler turns into shuffles of vectors
 * when it knows how many there are. Compiled once per instruction set; ISA is avx2 or avx512.
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

/* Elements lie anywhere: what is four bytes here may be four elements at an odd place. */
typedef float lanes_4
	__attribute__((vector_size(VEC_FLOATS * sizeof(float)), aligned(1), may_alias));

static void turn_4(char *to, const char *from, int64_t to_row, int64_t from_row)
{
	VEC_ARRAY row[VEC_FLOATS];
	UNROLL for (int i = 0; i < VEC_FLOATS; i++)
		row[i] = *(const lanes_4 *)(from + i * from_row);
	SWAP(row, 1)
	SWAP(row, 2)
	SWAP(row, 4)
#if VEC_FLOATS == 16
	SWAP(row, 8)
#endif
	UNROLL for (int i = 0; i < VEC_FLOATS; i++)
		*(lanes_4 *)(to + i * to_row) = row[i];
}

/* Shorter elements, 16 bytes of them: what the first half of the rows and the second have at the
   same place comes side by side, again and again until all that a column had is in one row. */
#define SIDE_1 16
#define SIDE_2 8
#define LOW_1 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_1 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define LOW_2 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_2 4, 12, 5, 13, 6, 14, 7, 15
typedef uint8_t lanes_1 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint16_t lanes_2 __attribute__((vector_size(16), aligned(1), may_alias));

#define TURN(N) \
	static void turn_##N(char *to, const char *from, int64_t to_row, int64_t from_row) \
	{ \
		lanes_##N row[SIDE_##N], next[SIDE_##N]; \
		UNROLL for (int i = 0; i < SIDE_##N; i++) \
			row[i] = *(const lanes_##N *)(from + i * from_row); \
		UNROLL for (int step = 1; step < SIDE_##N; step *= 2) { \
			UNROLL for (int i = 0; i < SIDE_##N / 2; i++) { \
				lanes_##N a = row[i], b = row[i + SIDE_##N / 2]; \
				next[2 * i] = __builtin_shufflevector(a, b, LOW_##N); \
				next[2 * i + 1] = __builtin_shufflevector(a, b, HIGH_##N); \
			} \
			memcpy(row, next, sizeof(row)); \
		} \
		UNROLL for (int i = 0; i < SIDE_##N; i++) \
			*(lanes_##N *)(to + i * to_row) = row[i]; \
	}
TURN(1)
TURN(2)

ncopy_turn_fn VEC_NAME(ncopy_turn_of)(size_t elem, int64_t *side)
{
	*side = elem == 1 ? SIDE_1 : elem == 2 ? SIDE_2 : VEC_FLOATS;
	return elem == 1 ? turn_1 : elem == 2 ? turn_2 : elem == sizeof(float) ? turn_4 : NULL;
}

typedef uint8_t element_1;
typedef uint16_t element_2 __attribute__((aligned(1), may_alias));
typedef uint32_t element_4 __attribute__((aligned(1), may_alias));

#define DEAL(N, FEW) \
	static void split_##N##_##FEW( \
		char *restrict to, const char *restrict from, int64_t n, int64_t row) \
	{ \
		for (int64_t i = 0; i < n; i++) \
			UNROLL for (int k = 0; k < FEW; k++) \
				((element_##N *)(to + k * row))[i] = \
					((const element_##N *)from)[i * FEW + k]; \
	} \
	static void join_##N##_##FEW( \
		char *restrict to, const char *restrict from, int64_t n, int64_t row) \
	{ \
		for (int64_t i = 0; i < n; i++) \
			UNROLL for (int k = 0; k < FEW; k++) \
				((element_##N *)to)[i * FEW + k] = \
					((const element_##N *)(from + k * row))[i]; \
	}
#define EACH(X) X(1, 2) X(1, 3) X(1, 4) X(2, 2) X(2, 3) X(2, 4) X(4, 2) X(4, 3) X(4, 4)
EACH(DEAL)

ncopy_deal_fn VEC_NAME(ncopy_deal_of)(size_t elem, int64_t few, bool joins)
{
#define IF(N, FEW) \
	if (elem == N && few == FEW) \
		return joins ? join_##N##_##FEW : split_##N##_##FEW;
	EACH(IF)
#undef IF
	return NULL;
}
