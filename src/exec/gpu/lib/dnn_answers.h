/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnn_answers.h -- one plan of cuDNN's for all that ask the same
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * A refusal is remembered too: finding out that there is no engine can take seconds. Both are,
 * with the plan's engine, in the process's choices, over restarts.
 *
 * Ownership: the version's packs own plans and refusals.
 * Threads:   as in gpu.h.
 */
#pragma once

#include "exec/gpu/lib/dnn.h"
#include "exec/gpu/gpu.h"

/* key: everything that the graph depends on, without padding, and besides the backend, which it
   begins with, no addresses. */
struct dnn_question {
	const void *key;
	size_t key_bytes;
	void (*describe)(struct dnn_graph *g, const void *key);
	struct dnn_limits limits;
	int most; /* engines that may be made and timed; 0: as many as is usual */
};

/* UNIMPLEMENTED: the library has nothing for it. */
MUST_CHECK enum err_code dnn_plan_for(
	struct prep *p, const struct dnn_question *q, struct dnn_plan **ret, struct err *err);
