/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbits_geometry.h -- how the weights of MatMulNBits lie
 *
 * Life of a version: ... -> load [INFER] -> compile [PREPARE] -> ...
 *
 * Column j of the k x n weights is `blocks` blocks, one behind the other, of `blob` bytes,
 * in which numbers of `bits` bits stand from the lowest bit of the first byte on. Number q of
 * block b means (q - zero[j][b]) * scale[j][b]. The last block is filled up.
 *
 * Ownership, memory: none. Threads: any.
 */
#pragma once

#include "exec/graph.h"

struct nbits_geometry {
	int bits; /* 2, 4 or 8 */
	int64_t k, n;
	int64_t block, blocks, blob; /* numbers of a block, blocks of a column, bytes of a block */
	int64_t zero_bytes;          /* of a column's zero points, if they are packed too */
};

/* By the node's attributes. The message does not name the node. */
MUST_CHECK enum err_code
nbits_geometry(const struct node *n, struct nbits_geometry *ret, struct err *err);
