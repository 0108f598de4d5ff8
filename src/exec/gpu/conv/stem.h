/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stem.h -- a convolution of at most four channels of short floats, by a kernel of ours
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * It reads the image as it lies, and writes channels last, with bias and activation.
 *
 * Threads: as in gpu.h. Memory: as other kernels.
 */
#pragma once

#include "exec/gpu/conv/conv_plan.h"

/* UNIMPLEMENTED: it is another convolution. */
MUST_CHECK enum err_code stem_prepare(
	struct prep *p, const struct conv_spec *s, struct kernel *ret, struct err *err);
