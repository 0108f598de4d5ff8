/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbits.h -- columns of weights of few bits: as floats, and in products with a row
 *
 * Life of a request: ... -> plan -> [KERNELS] -> ...
 *
 * Threads: any; all state is the caller's. Memory: none.
 */
#pragma once

#include "exec/cpu/cpu.h"
#include "exec/infer/nbits_geometry.h"

/* A run of blocks of one column. zero and scale are per block. */
struct nbits_column {
	const struct nbits_geometry *g;
	int64_t blocks;
	const uint8_t *q;
	const float *zero, *scale;
};

/* One instruction set's. */
struct nbits_loop {
	int bytes; /* a block must have a multiple of these for dot() */
	/* All its numbers, the last block's filling too. */
	void (*unpack)(const struct nbits_column *c, float *to);
	/* The sum of a whole column times a row that nbits_deal() has dealt. */
	float (*dot)(const struct nbits_column *c, const float *dealt);
};

extern const struct nbits_loop nbits_base;
#ifdef __x86_64__
extern const struct nbits_loop nbits_avx2, nbits_avx512;
#endif

/* Numbers of a row as dot() wants it. */
static inline int64_t nbits_dealt(const struct nbits_geometry *g)
{
	return g->blocks * g->block;
}

/* The best loop whose vectors fill blocks of so many bytes; NULL: none. */
const struct nbits_loop *nbits_best_dot(int64_t blob);

/* Blocks [from, to) of column j of the weights at g->input. Zero points are floats, or bits that
   go into room; or room has the middle of the range in it, from nbits_default_zeros(). */
struct nbits_column nbits_column_of(const struct kernel_args *a, const struct nbits_geometry *g,
	int64_t j, int64_t from, int64_t to, float *room);
void nbits_default_zeros(const struct nbits_geometry *g, float *room);

/* A row as as many rows as a byte has numbers: the first of each byte, the second of each, so
   that neither weights nor row have to be shuffled. Zeros behind it. */
void nbits_deal(const struct nbits_geometry *g, const float *row, float *to);
