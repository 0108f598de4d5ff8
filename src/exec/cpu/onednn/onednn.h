/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onednn.h -- oneDNN's convolutions and reorders as ops of ours
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...   onednn_conv(), onednn_pack()
 * Life of a request: ... -> plan -> [KERNELS] -> ...    onednn_run()
 *
 * This folder alone knows the library, in its forms 2.x and 3.x (onednn_compat.h). Everything
 * is of a single image and runs on the calling thread alone: who has several images or
 * threads calls several times.
 *
 * Ownership: an op belongs to the plan it was prepared for; packed weights to the version.
 * Threads:   onednn_run() of one op from any number at once.
 * Memory:    the first run at a new level of concurrency makes one more set of handles
 *            (see onednn.c); after that ours allocates nothing.
 */
#pragma once

#include "exec/attrs.h"
#include "exec/kernel.h"

struct onednn_op;

/* An image, or a volume, whose planes are images. Channels rounded up to the block: what is beyond
   the last one is zero. */
struct onednn_image {
	int64_t c, h, w;
	enum layout layout; /* any */
	bool bf16;          /* else float; of a source: its weights are packed so, too */
	int64_t plane; /* a stretch of rows lies in an image of so many pixels; 0: it is whole */
	int64_t d;     /* planes of a volume; 0: an image */
};

struct onednn_act {
	enum activation kind;
	float alpha, beta;
};

struct onednn_conv {
	bool transposed;
	bool bias;
	bool sum; /* dst holds what is added before the activation */
	struct onednn_image src, dst;
	int64_t group;
	int64_t kernel[3], stride[3], dilation[3], pad_begin[3]; /* along h, w and, of volumes, d */
	struct onednn_act act;
};

/* "2.6.3" */
const char *onednn_version(void);

/* UNIMPLEMENTED: the library has only its reference code for this. */
MUST_CHECK enum err_code onednn_conv(struct prep *p, const struct onednn_conv *c,
	struct onednn_op **ret, struct err *err);

/* The same image in another layout, or of the other type; either may be a stretch of rows. */
MUST_CHECK enum err_code onednn_reorder(struct prep *p, const struct onednn_image *from,
	const struct onednn_image *to, struct onednn_op **ret, struct err *err);

/* ONNX's plain weights in the form that the op wants, from the version's packs. weights
   must live as long as the version. */
MUST_CHECK enum err_code onednn_pack(struct prep *p, const struct onednn_op *op,
	const float *weights, const void **ret, struct err *err);

struct onednn_args {
	const void *src, *weights, *bias;
	void *dst;
	void *scratch; /* onednn_scratch_bytes(), 64-byte aligned */
};
void onednn_run(struct onednn_op *op, const struct onednn_args *a);

size_t onednn_scratch_bytes(const struct onednn_op *op);
/* Of a whole image; and where in it a channel, the first of its block, and a row begin. */
int64_t onednn_image_pixels(const struct onednn_image *i);
size_t onednn_image_bytes(const struct onednn_image *i);
size_t onednn_image_at(const struct onednn_image *i, int64_t channel, int64_t row);

/* The library's name for the code it chose. */
const char *onednn_impl(const struct onednn_op *op);
