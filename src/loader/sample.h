/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sample.h -- plausible inputs for a model that nobody has asked yet
 *
 * Life of a version: ... -> compile -> [WARM] -> publish -> ...
 *
 * Ownership: inputs lie in the arena given.
 * Threads:   the loading thread.
 */
#pragma once

#include "loader/version.h"

/* How inputs are made up. The kinds are tried in turn until one gives finite outputs:
   random ones that fit images and token numbers, ones for models whose integers index
   something small, and zeros. */
#define SAMPLE_KINDS 3
/* Sizes for dimensions that the signature leaves open; see sample.c. */
#define SAMPLE_SIZES 5

struct sample_spec {
	int64_t rows; /* dimension 0 of every input that leaves it open */
	int kind;     /* 0 .. SAMPLE_KINDS - 1 */
	int sizes;    /* 0 .. SAMPLE_SIZES - 1 */
	int64_t sum;  /* this symbol is twice as large as the others are; 0: none is */
};

/* NULL: inputs can be made up; else why not. *ret_guessed: dimensions other than the rows
   are open, so that the sizes are guesses. */
const char *sample_obstacle(const struct signature *s, bool *ret_guessed);

/* The n-th symbol among the inputs' dimensions, the rows aside; 0: there are not so many. */
int64_t sample_symbol(const struct signature *s, int n);

/* s->n_in tensors. The same spec gives the same numbers. */
MUST_CHECK enum err_code sample_make(const struct signature *s, const struct sample_spec *spec,
	struct arena *arena, struct tensor **ret, struct err *err);

/* Row `row` of every input as inputs of one row; borrows the data. */
MUST_CHECK enum err_code sample_row(const struct signature *s, const struct tensor *in, int64_t row,
	struct arena *arena, struct tensor **ret, struct err *err);
