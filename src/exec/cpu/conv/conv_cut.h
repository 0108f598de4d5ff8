/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conv_cut.h -- a convolution of one image cut into parts that threads compute side by side
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * By channels where they come in blocks: such a part is one run of memory in the result, in the
 * weights and in the bias. By rows where the library works on channels last: a part is then an
 * image of its own, with fewer rows, and a row of one pixel where the kernel is one.
 *
 * Threads: that of prepare. Memory: none.
 */
#pragma once

#include "exec/cpu/onednn/onednn.h"

enum conv_axis { CUT_CHANNELS, CUT_ROWS };

struct conv_cut {
	enum conv_axis axis;
	int64_t parts;
	int64_t grain; /* channels that stay together */
};

/* The same convolution with its rows along axis 0, so that they can be cut. */
void conv_cut_stand_up(struct onednn_conv *c);

/* How many parts: ns is what all images take. block: channels of one in memory. */
struct conv_cut conv_cut_choose(const struct prep *p, const struct onednn_conv *c,
	enum conv_axis axis, int64_t block, int64_t images, double ns);

struct conv_part {
	struct onednn_conv c;
	int64_t src_channel, dst_channel, src_row, dst_row; /* where it begins in the whole */
	int64_t src_plane, dst_plane; /* pixels of the whole image where rows are cut; else 0 */
};
struct conv_part conv_cut_part(
	const struct conv_cut *cut, const struct onednn_conv *whole, int64_t i);

/* Does one op do for both? */
bool conv_part_is_like(const struct conv_part *a, const struct conv_part *b);
