/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passes.h -- rewrites of a graph, graph -> graph, by the table in passes.def
 *
 * Each pass is one function that looks for its pattern and rewrites what it finds,
 * keeping the graph's meaning; it marks nodes dead and adds new ones, and the runner
 * compacts and re-infers. The table is run in order until nothing changes, at most
 * PASS_ROUNDS_MAX times.
 */
#pragma once

#include "exec/backend.h"

#define PASS_ROUNDS_MAX 10

struct pass_ctx {
	struct graph *graph;
	const struct backend *backend; /* for constant folding */
	int32_t *uses; /* readers of each value, kept current by the helpers below */
	int changes;
};

typedef enum err_code (*pass_fn)(struct pass_ctx *c, struct err *err);

struct passes_opts {
	const struct backend *backend;
	bool exact_only; /* leave out passes that may change rounding */
	/* (optional) after each pass that changed something */
	void (*on_pass)(void *ctx, const char *pass, const struct graph *g);
	void *ctx;
};

/* Subgraphs too. The graph passes graph_check() and infer_graph() before and after. */
MUST_CHECK enum err_code passes_run(struct graph *g, const struct passes_opts *opts, struct err *err);

/* The table's names, NULL terminated. */
const char *const *passes_names(void);
