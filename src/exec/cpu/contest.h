/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contest.h -- rows of kernels.def run against each other, on inputs that are made up
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Threads: that of prepare. Memory: p->trial's, which is reset at the end.
 */
#pragma once

#include "exec/cpu/cpu.h"

/* Of rows that can do p's step, *ret_winner: the fastest whose result agrees with the last
   one's, which is the one to be trusted. p has a trial's arenas. */
MUST_CHECK enum err_code contest_hold(const struct prep *p, const struct cpu_row *const *row, int n,
	int *ret_winner, struct err *err);

/* Can inputs be made up, and outputs be compared? */
bool contest_is_possible(const struct prep *p);

/* Do p's weights come from memory rather than caches when the model is run? */
bool contest_is_cold(const struct prep *p);
