/* SPDX-License-Identifier: Apache-2.0 */
/*
 * depthwise.h -- a convolution of each channel by itself, by a kernel of ours
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * It has bias, addend and activation in itself, and works in the layout that its input has.
 *
 * Threads: as in gpu.h. Memory: as other kernels.
 */
#pragma once

#include "exec/gpu/conv/conv_plan.h"

/* UNIMPLEMENTED: it is another convolution. */
MUST_CHECK enum err_code depthwise_prepare(
	struct prep *p, const struct conv_spec *s, struct kernel *ret, struct err *err);
