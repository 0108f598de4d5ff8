/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passes.h -- rewrites of a graph, graph -> graph, by the table in passes.def
 *
 * Life of a version: watch -> load -> check -> [PASSES] -> compile -> warm -> publish -> ...
 *
 * Each pass is one function (pass.h) that looks for its pattern and rewrites what it finds,
 * keeping the graph's meaning and the names of its inputs and outputs. The runner drops
 * what nobody reads any more, sorts and infers again. The table is run in order until
 * nothing changes, at most PASS_ROUNDS_MAX times; bodies of control flow too.
 *
 * Ownership: new constants are the graph's arena's; old ones are never written to.
 * Threads:   one at a time per graph.
 */
#pragma once

#include "exec/backend.h"

#define PASS_ROUNDS_MAX 10

struct passes_opts {
	const struct backend *backend; /* for constant folding; NULL: none */
	bool exact_only; /* leave out passes that may change rounding */
	/* The graph has been through the others; only what the device wants is left. */
	bool compiled;
	/* DTYPE_F16 or DTYPE_BF16: compute float32 in it; DTYPE_UNDEFINED: no. */
	enum dtype lower_to;
	/* (optional) after each pass that changed something */
	void (*on_pass)(void *ctx, const char *pass, const struct graph *g);
	void *ctx;
};

/* The options for a backend and a precision. */
struct passes_opts passes_opts_for(const struct backend *backend, enum precision precision);

/* The graph passes graph_check() and infer_graph() before and after. */
MUST_CHECK enum err_code passes_run(
	struct graph *g, const struct passes_opts *opts, struct err *err);

/* The table's names, NULL terminated. */
const char *const *passes_names(void);
