/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_run.h -- runs a small graph on the CPU with made-up inputs, for comparing a graph
 * with what became of it
 *
 * Inputs depend on their place and the seed alone: floats in [-2, 2), int64 in [0, 16),
 * bools; a dimension that is no number is 2. What fails aborts the test.
 */
#pragma once

#include "exec/backend.h"

#define MODEL_RUN_OUTPUTS_MAX 8

struct model_results {
	int n;
	struct tensor t[MODEL_RUN_OUTPUTS_MAX];
};

/* The results lie in the arena. */
struct model_results model_run(const struct graph *g, uint32_t seed, struct arena *arena);

/* The same on another backend, after some runs with other inputs. */
struct model_results model_run_on(
	const struct backend *backend, const struct graph *g, uint32_t seed, struct arena *arena);

/* The first element of a that is further from b's than atol + rtol * the largest of b's;
   -1: all are near; types and shapes must be equal, else 0. */
int64_t model_first_difference(
	const struct tensor *a, const struct tensor *b, double rtol, double atol);
