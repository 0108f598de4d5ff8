/* SPDX-License-Identifier: Apache-2.0 */
/*
 * functions.h -- which function of functions.cuh a node asks for
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/graph.h"
#include "exec/gpu/params.h"

/* Of operands of that type; GPU_BINARY_COUNT: none. */
enum gpu_binary gpu_binary_of(const struct node *n, enum dtype dtype);
enum gpu_compare gpu_compare_of(enum op_id op);
/* How the names of kernels end that are made for gpu_call.fn; "": there are none. */
const char *gpu_own_suffix(int32_t fn);
