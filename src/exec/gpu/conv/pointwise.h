/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pointwise.h -- a convolution of single places and few channels of short floats, by a kernel of
 * ours
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Channels are last; it has bias, addend and activation in itself.
 *
 * Threads: as in gpu.h. Memory: as other kernels.
 */
#pragma once

#include "exec/gpu/conv/conv_plan.h"

/* UNIMPLEMENTED: it is another convolution. */
MUST_CHECK enum err_code pointwise_prepare(
	struct prep *p, const struct conv_spec *s, struct kernel *ret, struct err *err);
