/* SPDX-License-Identifier: Apache-2.0 */
/*
 * product.h -- one batch of matrix products by cuBLASLt
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...   product_prepare()
 * Life of a request: ... -> plan -> [KERNELS] -> ...    product_run()
 *
 * d = epilogue(alpha * op(a) op(b) + beta * c), every matrix by rows; cuBLASLt's are by
 * columns, so it is given the transposed product. The algorithm is the fastest of those
 * that the library proposes, timed once per machine where that is allowed.
 *
 * Ownership: the plan's arena frees what prepare made.
 * Threads:   as in gpu.h. Memory: run allocates nothing.
 */
#pragma once

#include "exec/gpu/gpu.h"

/* Every address that the planner gives out is a multiple of it. */
#define PRODUCT_ALIGN_MAX 64

/* Rows of `ld` elements; `step` elements from one of the batch to the next, 0: all are one.
   align: bytes, a power of two that divides every address a run will bring. */
struct product_matrix {
	int64_t ld, step;
	uint32_t align;
	bool transposed; /* of a and b: it lies as its transpose */
};

enum { PRODUCT_A, PRODUCT_B, PRODUCT_C, PRODUCT_D, PRODUCT_MATRICES };

struct product_spec {
	int64_t m, n, k, batch;
	struct product_matrix matrix[PRODUCT_MATRICES];
	/* Of all of them and of the bias: F32, F16 or BF16; I8: of a and b, c and d being I32. Of
	   I8 the library wants b transposed, n, k and every ld a multiple of 4, no epilogue, alpha
	   1 and beta 0. */
	enum dtype dtype;
	float alpha, beta; /* beta 0: c is not read; its place is then d's */
	uint32_t epilogue; /* bits of cublasLtEpilogue_t; 0: none */
	const void *bias;  /* on the device, n elements, where the epilogue has one */
};

struct product {
	cublasLtHandle_t blas;
	cublasLtMatmulDesc_t desc;
	cublasLtMatrixLayout_t layout[PRODUCT_MATRICES]; /* a, b, c, d as in the spec */
	cublasLtMatmulAlgo_t algo;
	size_t workspace_bytes;
	float alpha, beta;
	bool whole; /* integers */
};

/* UNIMPLEMENTED: the library has no algorithm for it. Adds to ret_scratch what run wants. */
MUST_CHECK enum err_code product_prepare(struct prep *p, const struct product_spec *s,
	struct product *ret, size_t *ret_scratch_bytes, struct err *err);

/* Where the matrices of one call lie; c may be NULL where beta is 0. */
struct product_at {
	const void *a, *b, *c;
	void *d;
	void *workspace; /* a multiple of PRODUCT_WORKSPACE_ALIGN */
};
#define PRODUCT_WORKSPACE_ALIGN 256

/* Enqueues it on the run's stream. */
void product_run(
	const struct product *pr, const struct kernel_args *args, const struct product_at *at);

/* The run's scratch, as a workspace. */
static inline void *product_workspace(const struct kernel_args *args)
{
	uintptr_t at = (uintptr_t)args->scratch;
	return (void *)((at + PRODUCT_WORKSPACE_ALIGN - 1) &
		~(uintptr_t)(PRODUCT_WORKSPACE_ALIGN - 1));
}

/* -- between product.c and product_choice.c ---------------------------------------------------- */

cublasStatus_t product_enqueue(
	const struct product *pr, const struct product_at *at, CUstream stream);

/* Sets algo and workspace_bytes. */
MUST_CHECK enum err_code product_choose(
	struct prep *p, const struct product_spec *s, struct product *pr, struct err *err);

static inline enum dtype product_dtype(const struct product_spec *s, int matrix)
{
	return s->dtype == DTYPE_I8 && matrix >= PRODUCT_C ? DTYPE_I32 : s->dtype;
}

/* How the numbers are multiplied and summed. */
cublasComputeType_t product_compute_type(const struct prep *p, enum dtype dtype);
