/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fused_product.h -- a product with an activation in its kernel, by cuDNN
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * cuBLASLt's kernels apply few functions; Gelu as it is defined, by erf, is none of them. cuDNN
 * compiles a kernel for the whole graph, whose product may be slower: matmul.c has both timed.
 *
 * Ownership: the version's packs own the plans; equal products share one.
 * Threads:   as in gpu.h.
 */
#pragma once

#include "exec/attrs.h"
#include "exec/gpu/gpu.h"

/* y = act(a b + bias): a is [m, k] by rows, b [k, n] by strides, of which one is 1. Everything that
   a plan depends on; no padding, since it is a key. */
struct fused_product_spec {
	const struct backend *backend; /* NULL in keys that outlive the process */
	int64_t m, n, k, a_row, b_row, b_col;
	int32_t dtype, act; /* enum activation */
	int32_t bias;       /* there is one, n numbers */
	float alpha, beta;  /* of the activation */
	int32_t unused;
};

/* Inputs 0 and 1 are a and b; bias lies on the device. UNIMPLEMENTED: the library has nothing for
   it. */
MUST_CHECK enum err_code fused_product_prepare(struct prep *p, const struct fused_product_spec *s,
	const void *bias, struct kernel *ret, struct err *err);
