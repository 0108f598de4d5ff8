/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.h -- go through broadcast operands, run by run
 *
 * The output is dense and walked in order. A run is the longest stretch in which each
 * operand either moves on element by element (step 1) or stays (step 0); dimensions are
 * merged beforehand, so that runs are long and there is no division inside.
 *
 * Threads: a struct walk is read only after walk_init(); an iterator is its caller's.
 * Memory:  none.
 */
#pragma once

#include "exec/cpu/cpu.h"

#define WALK_OPERANDS 3

struct walk {
	int rank, operands;
	int64_t run, count;
	int64_t dim[RANK_MAX];
	int64_t stride[WALK_OPERANDS][RANK_MAX]; /* in elements */
	int64_t step[WALK_OPERANDS];             /* within a run: 0 or 1 */
};

struct walk_iter {
	const struct walk *w;
	int64_t at, end; /* output elements */
	int64_t n;       /* of this run, from at */
	int64_t off[WALK_OPERANDS]; /* of this run's first element, in elements */
	int64_t index[RANK_MAX], row[WALK_OPERANDS], col;
};

void walk_init(struct walk *w, const struct shape *out, int operands,
	const struct shape *const operand[]);

/* Output elements [from, to). Then walk_next() until false. */
void walk_begin(struct walk_iter *it, const struct walk *w, int64_t from, int64_t to);
bool walk_next(struct walk_iter *it);
