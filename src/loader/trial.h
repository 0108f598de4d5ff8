/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial.h -- runs before the first request: made-up inputs, and looking at what comes out
 *
 * Life of a version: ... -> compile -> [WARM] -> publish -> ...
 *
 * Ownership: inputs and outputs lie in the arena given.
 * Threads:   the loading thread; runs on it alone (warmup.c says why).
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
};

/* NULL: inputs can be made up; else why not. *ret_guessed: dimensions other than the rows
   are open, so that the sizes are guesses. */
const char *sample_obstacle(const struct signature *s, bool *ret_guessed);

/* s->n_in tensors. The same spec gives the same numbers. */
MUST_CHECK enum err_code sample_make(const struct signature *s, const struct sample_spec *spec,
	struct arena *arena, struct tensor **ret, struct err *err);

/* Row `row` of every input as inputs of one row; borrows the data. */
MUST_CHECK enum err_code sample_row(const struct signature *s, const struct tensor *in, int64_t row,
	struct arena *arena, struct tensor **ret, struct err *err);

/* Runs on every lane of the program's device, so that none has to be made ready later. */
MUST_CHECK enum err_code trial_warm_lanes(const struct signature *s, const struct tensor *in,
	struct arena *arena, struct err *err);

/* Runs; s->n_out outputs and the time that it took. */
MUST_CHECK enum err_code trial_run(const struct signature *s, const struct tensor *in,
	struct arena *arena, struct tensor **ret_out, int64_t *ret_ns, struct err *err);

/* INTERNAL, naming output and element: NaN or infinity where numbers are expected. */
MUST_CHECK enum err_code
trial_check_finite(const struct signature *s, const struct tensor *out, struct err *err);

/* Tolerance by which two computations of one thing may differ; see trial.c. */
struct tolerance {
	double rtol, atol;
};
struct tolerance tolerance_of(enum dtype dtype);

/* Are count elements of a, from element from, those of b? Else *ret_at is the first that
   is not. NaN equals NaN. Tensors of one type. */
bool trial_equal(const struct tensor *a, int64_t from, const struct tensor *b, int64_t count,
	struct tolerance tol, int64_t *ret_at);
