/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.h -- a graph of models.h as a program, its last outputs, and what they must be
 *
 * Ownership: takes the graph; done() frees all. What fails fails the test.
 */
#pragma once

#include "exec/run/program.h"

#define RUNNER_OUTPUTS_MAX 8

struct runner {
	struct graph *g;
	struct packs *packs;
	struct arena *arena; /* of the runs, and of the outputs */
	struct program *p;
	struct tensor out[RUNNER_OUTPUTS_MAX];
	struct err err;
};

/* Checked and inferred, without passes. plans_max 0: the default. */
struct runner given_program(struct graph *g, int plans_max);
struct runner given_program_on(const struct backend *backend, struct graph *g, int plans_max);
/* Whose weights may go once they are packed. */
struct runner given_forgetful_program(struct graph *g);
void done(struct runner *r);

MUST_CHECK enum err_code run(struct runner *r, const struct tensor *in);
void run_ok(struct runner *r, const struct tensor *in);

struct tensor floats(float *v, struct shape s);
/* A sequence of n tensors. */
struct tensor sequence(struct tensor *item, int64_t n);

void expect(const struct tensor *t, struct shape s, const float *v);
