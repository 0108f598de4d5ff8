/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relayout.h -- an operand in another layout, in a kernel's scratch
 *
 * Life of a request: ... -> plan -> [KERNELS] -> ...
 *
 * Threads: as in gpu.h. Memory: none; where the scratch lies is the kernel's.
 */
#pragma once

#include "exec/gpu/move/copy.h"

struct relayout {
	bool needed; /* else it lies right as it comes */
	struct gpu_copy copy;
	size_t at; /* in the scratch */
};

/* t as layout `to` has it, at *scratch_bytes, which grows by what it takes. */
MUST_CHECK enum err_code relayout_prepare(struct prep *p, const struct tensor *t, enum layout to,
	struct relayout *ret, size_t *scratch_bytes, struct err *err);

/* Enqueues the copy of what lies at mem, and returns where it lies now. */
void *relayout_run(const struct relayout *r, const struct kernel_args *a, char *scratch, void *mem);
