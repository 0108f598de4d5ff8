/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial.h -- rows of kernels.def that can do the same step, timed against each other
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Threads: that of prepare. Memory: gone at the end.
 */
#pragma once

#include "exec/cpu/cpu.h"

#define TRIAL_ROWS_MAX 9

/* Of rows that have accepted the node, which to take: the fastest of those whose result
   agrees with the last one's, which is the one to be trusted. What was found before for
   the same shapes is taken without timing; where p is settled, also what was found for
   other sizes, and nothing is timed. Without p->choices, or where the inputs are of
   types that are not made up here, the last one. */
MUST_CHECK enum err_code trial_choose(
	const struct prep *p, const struct cpu_row *const *row, int n, int *ret, struct err *err);
