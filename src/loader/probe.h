/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h -- runs before the first request, and looking at what comes out
 *
 * Life of a version: ... -> compile -> [WARM] -> publish -> ...
 *
 * Ownership: outputs lie in the arena given.
 * Threads:   the loading thread; runs on it alone (warmup.c says why).
 */
#pragma once

#include "loader/version.h"

/* Runs on every lane of the program's device, so that none has to be made ready later. */
MUST_CHECK enum err_code probe_warm_lanes(const struct signature *s, const struct tensor *in,
	struct arena *arena, struct err *err);

/* Runs; s->n_out outputs and the time that it took. */
MUST_CHECK enum err_code probe_run(const struct signature *s, const struct tensor *in,
	struct arena *arena, struct tensor **ret_out, int64_t *ret_ns, struct err *err);

/* INTERNAL, naming output and element: NaN or infinity where numbers are expected. */
MUST_CHECK enum err_code
probe_check_finite(const struct signature *s, const struct tensor *out, struct err *err);

/* Tolerance by which two computations of one thing, by a program of that precision, may differ;
   see probe.c. */
struct tolerance {
	double rtol, atol;
};
struct tolerance tolerance_of(enum dtype dtype, enum precision precision);

/* Are count elements of a, from element from, those of b? Else *ret_at is the first that
   is not. NaN equals NaN. Tensors of one type. */
bool probe_equal(const struct tensor *a, int64_t from, const struct tensor *b, int64_t count,
	struct tolerance tol, int64_t *ret_at);
