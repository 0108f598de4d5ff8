/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compiled.h -- kernels that are made for a version's nodes
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Equal texts are one kernel of the version. Machine code is kept for the next start (keep.h).
 *
 * Ownership: the version's packs own the modules.
 * Threads:   as in gpu.h.
 */
#pragma once

#include "exec/gpu/gpu.h"

/* The kernel of that name in the text. INTERNAL: it does not compile. */
MUST_CHECK enum err_code compiled_kernel(
	struct prep *p, const char *name, struct slice text, CUfunction *ret, struct err *err);
