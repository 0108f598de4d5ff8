/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qfinish.h -- what a quantized node does with its sums: factors, limits, zero points
 *
 * Memory: none. Threads: any.
 */
#pragma once

#include "exec/gpu/gpu.h"

/* Inputs of quantized nodes; those that leave the sums have zero points where others have
   factors. */
enum qproduct_input {
	Q_X,
	Q_W,
	Q_FACTOR,
	Q_BIAS,
	Q_Z,
	Q_W_ZERO,
	Q_INTEGER_X_ZERO = 2,
	Q_INTEGER_W_ZERO = 3
};

/* What makes a signed number of one of this type. */
static inline uint8_t qfinish_flip(enum dtype dtype)
{
	return dtype == DTYPE_U8 ? 0x80 : 0;
}

/* What the node's attributes and types say. */
struct gpu_qfinish qfinish_of(const struct prep *p);
