/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbits_geometry.h -- how the weights of MatMulNBits and the tables of GatherBlockQuantized lie
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
	int input; /* with the numbers; scales and zero points come behind it */
};

/* By the node's attributes. The message does not name the node. */
MUST_CHECK enum err_code
nbits_geometry(const struct node *n, struct nbits_geometry *ret, struct err *err);

/* Tables of any rank, whose numbers stand in a row of codes from the lowest bit of the first
   byte on (uint8), or one in each element (int4, uint4). Those of a block, along an axis, share
   a scale. Zero points lie as the scales do; of uint8 each row of them begins with a byte. */
struct blocks_geometry {
	struct shape numbers, scales; /* of the table in numbers; what the scales have to be */
	int gather_axis;
	int bits, held_bits; /* of a number; of what holds it in memory */
	int64_t block;
	int64_t along, blocks, after; /* numbers and blocks along the axis, numbers behind it */
	int64_t zero_row, zero_room; /* zero points in a row; codes that its bytes have room for */
};

/* data: its type and shape, of which no dimension may be unknown. */
MUST_CHECK enum err_code blocks_geometry(const struct node *n, const struct tensor *data,
	struct blocks_geometry *ret, struct err *err);
