/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature_build.h -- from graph, configuration and metadata to signatures with programs
 *
 * Life of a version: ... -> check -> [DECLARE] -> passes -> [COMPILE] -> warm -> ...
 *
 * Declared before the passes, since a signature may give out a value that is no output of
 * the graph, and passes keep only outputs; compiled after them.
 *
 * Configuration goes before metadata (signature_metadata.h), both go before the graph's own
 * interface if they name serving_default.
 *
 * Threads: the loading thread. Memory: the version's arena.
 */
#pragma once

#include "loader/version.h"

#define SIGNATURES_MAX 64

/* Reads conf and v->prop; sets v->sig and v->n_sig, adds outputs to v->graph, which has
   been through infer_graph(). INVALID_ARGUMENT: a value that the graph does not have, an
   input that is none, a name twice. */
MUST_CHECK enum err_code
signatures_declare(struct version *v, const struct version_conf *conf, struct err *err);

/* Gives every signature its program. INVALID_ARGUMENT: outputs that need an input which
   the signature does not list. */
MUST_CHECK enum err_code
signatures_compile(struct version *v, const struct version_conf *conf, struct err *err);
