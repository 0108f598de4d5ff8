/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.h -- broadcast operands, and launches, as kernels of the device want them
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/axis.h"
#include "exec/gpu/gpu.h"
#include "exec/gpu/params.h"

/* Strides of t's dimensions in elements, as its layout has them. */
void gpu_strides(const struct tensor *t, int64_t *ret);

/* Division by n of numbers below 2^31. 0, and what is beyond them, is as 1: nothing is divided
   then. */
struct gpu_div gpu_div(int64_t n);

/* A walk while it is made, 64 bits wide. Dimensions are added outermost first: those of one are
   left out, and one that all operands go on evenly into lets the one before it grow. n is the
   operands'. */
struct gpu_draft {
	int rank, n;
	int64_t dim[RANK_MAX], stride[GPU_OPERANDS_MAX][RANK_MAX];
};
void gpu_draft_add(struct gpu_draft *w, int64_t dim, const int64_t *stride);
MUST_CHECK bool gpu_walk_of(
	struct gpu_walk *w, const struct gpu_draft *all, int wide, bool *ret_wide);

/* in[k] broadcast to out, in the order of out's memory. wide: try groups of that many elements;
   *ret_wide says whether it can be. false: more elements, or dimensions, than
   kernels count. */
MUST_CHECK bool gpu_walk_init(struct gpu_walk *w, const struct tensor *out, int n,
	const struct tensor *const in[], int wide, bool *ret_wide);

/* The layout of an elementwise result: that of the operands which have its shape. */
enum layout gpu_common_layout(const struct prep *p);

/* A kernel by name over `items` of work for a thread each, in blocks of `block` threads that
   go on with further ones. */
MUST_CHECK enum err_code gpu_launch_over(const struct prep *p, const char *name, int64_t items,
	int block, struct gpu_launch *ret, struct err *err);

struct gpu_launch gpu_launch_of(const struct prep *p, CUfunction fn, int64_t items, int block);

/* The threads that hold a row of n elements among them (rows.cuh); 0: no kernel does. */
unsigned gpu_held_threads(enum dtype dtype, uint32_t n);
/* A kernel by name over rows so held, several in a block where a warp holds one and
   there are many. */
MUST_CHECK enum err_code gpu_launch_held(const struct prep *p, const char *name, uint32_t rows,
	unsigned threads, struct gpu_launch *ret, struct err *err);

/* "f32" ... of names; NULL: no kernel has such elements. */
const char *gpu_type_name(enum dtype dtype);

static inline struct gpu_complaint gpu_complaint(const struct kernel_args *a, enum fault_code code)
{
	return (struct gpu_complaint){ a->device->fault, a->device->step, code };
}
