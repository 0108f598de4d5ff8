/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_read.h -- a model's file, of whichever kind, as a graph
 *
 * Life of a version: watch -> [LOAD] -> check -> compile -> ...
 *
 * Ownership: all in the arena. Threads: one, and conf's pool.
 */
#pragma once

#include "loader/version.h"

struct model {
	struct graph *graph;
	const struct metadata_prop *prop;
	int n_prop;
	const char *platform; /* as the protocols name it; static */
	bool compiled;	      /* its passes are done */
};

/* By the name: model.signet is a native file, anything else ONNX. packs get what a native
   file has packed. FAILED_PRECONDITION: it was compiled for another precision than conf's. */
MUST_CHECK enum err_code model_read(int dirfd, const char *file, const struct version_conf *conf,
	struct packs *packs, struct arena *arena, struct model *ret, struct err *err);
