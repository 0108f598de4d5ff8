/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_profile.h -- signetctl run --profile: where a run's time goes, step by step
 *
 * Ownership: all in the arena given. Threads: one.
 */
#pragma once

#include <stdio.h>
#include "base/arena.h"
#include "exec/run/program.h"

struct profile_row;

struct run_profile {
	struct profile profile; /* for run_opts */
	struct arena *arena;
	struct profile_row *row; /* in the order of the first run */
	int n, cap;
	int next; /* the row expected: runs repeat themselves */
	bool out_of_memory;
};

void run_profile_init(struct run_profile *p, struct arena *arena);

/* A run has ended: its times count. */
void run_profile_ran(struct run_profile *p);

/* Forgets times, keeps rows: what came so far was warming up. */
void run_profile_restart(struct run_profile *p);

/* A line for each step, the longest first, then one for each operator: the mean of the runs, and
   beside it, as a run that was held up raises the mean, what it took in the shortest (an operator:
   its steps' together). */
MUST_CHECK enum err_code run_profile_print(
	const struct run_profile *p, int64_t runs, FILE *to, struct err *err);
