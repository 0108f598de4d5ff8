/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move_geometry.h -- Slice, Pad and lists of axes as plain numbers
 *
 * Life of a version: ... -> load [INFER] -> compile [PREPARE] -> ...
 *
 * Negative indices, clamping, defaults and duplicates are dealt with here, for infer and
 * for the kernels alike. The messages do not name the node.
 *
 * Ownership, memory: none. Threads: any.
 */
#pragma once

#include "exec/graph.h"

/* Element k of output axis i is element start + k * step of input axis i. |step| is at
   most 2^48, so that no product with a real size overflows. */
struct slice_geometry {
	int rank;
	int64_t start[RANK_MAX], step[RANK_MAX];
	int64_t count[RANK_MAX]; /* the output's dimension: as conv_geometry's out */
};

/* x: of known rank. axes and steps may be NULL (all, and 1); the lists are integer
   tensors of rank 1 with as many entries as starts. */
MUST_CHECK enum err_code slice_geometry(const struct shape *x, const struct tensor *starts,
	const struct tensor *ends, const struct tensor *axes, const struct tensor *steps,
	struct slice_geometry *ret, struct err *err);

/* What Pad adds before and after each axis; negative: takes away. */
struct pad_geometry {
	int rank;
	int64_t begin[RANK_MAX], end[RANK_MAX];
	int64_t out[RANK_MAX]; /* as conv_geometry's */
};

/* axes may be NULL: all of them. */
MUST_CHECK enum err_code pad_geometry(const struct shape *x, const struct tensor *pads,
	const struct tensor *axes, struct pad_geometry *ret, struct err *err);

/* CenterCropPad as a Pad: `shape` has a size for each axis of the attribute "axes", or for
   all of them. */
MUST_CHECK enum err_code center_geometry(const struct node *n, const struct shape *x,
	const struct tensor *shape, struct pad_geometry *ret, struct err *err);

/* DepthToSpace or SpaceToDepth: x of rank 4, seen with six dimensions, which are permuted so. */
struct block_geometry {
	struct shape view;
	const int *perm;
};
struct block_geometry block_geometry(const struct node *n, const struct shape *x);

/* A list of distinct axes of a tensor of this rank as bits. */
MUST_CHECK enum err_code
axes_mask(const struct tensor *axes, int rank, uint32_t *ret_mask, struct err *err);

/* The reduced axes of a Reduce* node as bits: what its second input says (NULL: absent;
   then all, or none with noop_with_empty_axes). */
MUST_CHECK enum err_code reduce_axes(const struct node *n, const struct tensor *axes, int rank,
	uint32_t *ret_mask, struct err *err);

/* Which dimensions [*ret_from, *ret_to) a Shape node tells of a tensor of this rank. */
void shape_span(const struct node *n, int rank, int *ret_from, int *ret_to);

/* Sizes of Split's outputs along an axis of size `total`: from the list, or as equal as
   can be, the last one smaller. total may be unknown: then so are the sizes without a
   list. ret_sizes has n_out entries. */
MUST_CHECK enum err_code split_sizes(const struct tensor *split, int n_out, int64_t total,
	int64_t *ret_sizes, struct err *err);
