/* SPDX-License-Identifier: Apache-2.0 */
/*
 * by_rows.h -- may the rows of a batch be run a few at a time, and how many fit the caches?
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Ownership: none. Threads: any, one per graph. Memory: while it looks.
 */
#pragma once

#include "exec/graph.h"

/* Rows of a part; 0: all rows at once, since nothing says that a row is made from the same row of
   the inputs alone, or it would not pay. g is inferred, and has been through the passes. */
MUST_CHECK enum err_code by_rows_part(const struct graph *g, int64_t *ret, struct err *err);
