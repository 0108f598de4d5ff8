/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h -- If, Loop, Scan, SequenceMap: nodes whose bodies are programs
 *
 * Inside exec only. A body's program belongs to the program of the graph around it.
 *
 * Threads: control_run() from any; the rest as program_new() and program_free().
 */
#pragma once

#include "exec/run/program.h"

/* Makes the programs of all bodies of p's graph; frees them. */
MUST_CHECK enum err_code control_new(struct program *p, struct err *err);
void control_free(struct program *p);

/* Runs one control node. in and out are the node's, with data; results go to the arena. */
MUST_CHECK enum err_code control_run(struct program *p, const struct node *n,
	const struct tensor *in, struct tensor *out, const struct run_opts *opts, struct err *err);
