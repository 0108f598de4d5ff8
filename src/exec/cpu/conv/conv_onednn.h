/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conv_onednn.h -- a convolution on oneDNN while it is prepared: shared by conv_onednn.c, where the
 * design is, and conv_onednn_ask.c only
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Threads: that of prepare. Memory: the plan's, but for the parts.
 */
#pragma once

#include "exec/cpu/conv/conv_cut.h"
#include "exec/infer/conv_geometry.h"

struct conv_maker {
	struct prep *p;
	struct kernel *ret;
	struct err *err;
	struct onednn_conv c; /* of an image */
	struct conv_cut cut;
	struct conv_part *part; /* as the library gets them; in p->tmp */
	enum layout blocked;
	int64_t block, images;
	bool full;       /* channels fill the widest blocks */
	bool bf16;       /* of rounded sources and weights */
	bool nhwc;       /* channels last inside, whatever the tensors are */
	enum layout src_layout, dst_layout; /* of the tensors */
	double ns;                          /* rough, of the whole step */
};

/* Fills in what the convolution is, its layouts and its cut, or refuses. p, ret, err, the kind of
   convolution and what is wanted inside are set. */
MUST_CHECK enum err_code conv_onednn_ask(struct conv_maker *m, const struct conv_geometry *g);

/* One channel is innermost as it is; and of a long signal the library would write code for
   every place that a window can have. */
bool conv_onednn_has_nhwc(const struct onednn_conv *c);
