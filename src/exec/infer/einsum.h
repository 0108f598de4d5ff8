/* SPDX-License-Identifier: Apache-2.0 */
/*
 * einsum.h -- Einsum's equation as numbered labels
 *
 * Life of a version: ... -> load [INFER] -> compile [PREPARE] -> ...
 *
 * Every letter, and every dimension under an ellipsis, is a label: a dimension that is
 * walked once. in[i][k] is the label of dimension k of input i, out[k] that of the output;
 * labels that the output lacks are summed over. A label that stands twice in one input
 * walks its diagonal. A dimension of size 1 may stand for any size (broadcasting), but only
 * under an ellipsis.
 *
 * Ownership, memory: none. Threads: any.
 */
#pragma once

#include "exec/shape.h"
#include "base/slice.h"

#define EINSUM_IN_MAX 16
#define EINSUM_LABELS_MAX (52 + RANK_MAX)

struct einsum {
	int n_in, out_rank, n_labels;
	int n_spread; /* the first labels, which stand under the ellipsis */
	int rank[EINSUM_IN_MAX];
	int8_t in[EINSUM_IN_MAX][RANK_MAX];
	int8_t out[RANK_MAX];
	int64_t size[EINSUM_LABELS_MAX]; /* as dimensions are: symbol and unknown too */
};

/* Shapes have known ranks. The message does not name the node. */
MUST_CHECK enum err_code einsum_parse(struct slice equation, const struct shape *const *in,
	int n_in, struct einsum *ret, struct err *err);
