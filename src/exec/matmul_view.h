/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_view.h -- MatMul, Gemm and FusedMatMul as one product, for the kernels of all backends
 *
 * alpha * A B + beta * add[0] + add[1], then the node's activation: matrices along the last
 * two dimensions, one product per index of the ones before, every operand by strides.
 *
 * Threads: read only after matmul_view(). Memory: none.
 */
#pragma once

#include "exec/kernel.h"

/* A view of an operand along the output's leading dimensions (batch, row) and columns. */
struct operand {
	int in; /* -1: absent */
	int64_t lead[RANK_MAX], col;
};

struct matmul_view {
	struct shape out; /* batch..., M, N, with ones where ONNX drops a dimension */
	int64_t k, a_k, b_k;
	struct operand a, b, add[2];
	double alpha, beta; /* of the product, of add[0] */
};

MUST_CHECK enum err_code matmul_view(
	const struct prep *p, struct matmul_view *ret, struct err *err);

/* Makes rows of batch dimensions wherever all operands allow: one B then serves more rows. */
void matmul_view_merge(struct matmul_view *v);

/* Where the operand begins at an index of the first n dimensions. */
static inline int64_t operand_offset(const struct operand *v, const int64_t *index, int n)
{
	int64_t at = 0;
	for (int i = 0; i < n; i++)
		at += index[i] * v->lead[i];
	return at;
}

/* The index along the first n dimensions of place number `at` of them: a batch, or a row. */
static inline void operand_index(const struct shape *out, int n, int64_t at, int64_t *ret)
{
	for (int i = n - 1; i >= 0; i--) {
		ret[i] = at % out->dim[i];
		at /= out->dim[i];
	}
}
