/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op_library.h -- operators of others, from libraries that implement signet/op.h
 *
 * Life of a version: watch -> [LOAD] -> check -> compile -> ...
 *
 * A library's operators become rows behind those of ops.def (op_register()), so that readers,
 * inference and the planner know no difference; backends ask op_library_prepare() for rows
 * where op_is_custom(). Libraries stay until the process ends.
 *
 * Threads: op_library_load() before any model is read, by one thread; the rest any.
 */
#pragma once

#include "exec/kernel.h"

/* The operator's own file name, not a search: path is absolute or relative to here. It must be a
   regular file that only root and we may write. Messages name the library. */
MUST_CHECK enum err_code op_library_load(const char *path, struct err *err);

static inline bool op_is_custom(enum op_id op)
{
	return op >= OP_COUNT_;
}

/* Of a custom operator: as a row of kernels.def. */
MUST_CHECK enum err_code op_library_prepare(struct prep *p, struct kernel *ret, struct err *err);
