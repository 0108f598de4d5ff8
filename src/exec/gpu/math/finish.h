/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finish.h -- addends and an activation that are put on a result of a library, in place
 *
 * Life of a request: ... -> plan -> [KERNELS] -> ...
 *
 * A library's kernel takes what it can into itself; the rest is one kernel of ours behind it.
 *
 * Threads: as in gpu.h. Memory: none.
 */
#pragma once

#include "exec/gpu/gpu.h"
#include "exec/gpu/params.h"

/* y = call(y + scale[0] * add0 + scale[1] * add1) over y's elements in order; an addend's strides
   in elements, 0 where it broadcasts. */
struct gpu_finish {
	int64_t count;
	int32_t rank;
	struct gpu_call call; /* GPU_NO_CALL: none */
	float scale[2];
	int64_t dim[GPU_RANK_MAX], stride[2][GPU_RANK_MAX];
};

struct finish {
	struct gpu_launch launch; /* fn NULL: nothing is left to do */
	struct gpu_finish f;
	struct gpu_walk walk; /* of y with both addends */
	int add[2]; /* inputs of the node; -1: none */
};

/* Output 0 as one row of elements, to which nothing is added; the node's activation is applied. */
void finish_init(struct finish *f, const struct prep *p);

/* Chooses the kernel when all is set: call, rank, dim, add with stride and scale. */
MUST_CHECK enum err_code finish_prepare(struct finish *f, struct prep *p, struct err *err);

void finish_run(const struct finish *f, const struct kernel_args *a);
/* The addends lie there, not where the node brings them. */
void finish_run_with(const struct finish *f, const struct kernel_args *a, const void *const add[2]);
