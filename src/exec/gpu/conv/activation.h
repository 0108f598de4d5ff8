/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activation.h -- a fused convolution's activation, as our kernels take it
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/gpu/gpu.h"
#include "exec/gpu/params.h"

struct gpu_activation activation_of(const struct node *n);
