/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qproduct_bands.h -- convolutions of images, and matrix products, as jobs of qproduct.h
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...   qbands_conv(), qbands_pack()
 * Life of a request: ... -> plan -> [KERNELS] -> ...    qbands_job()
 *
 * A unit of work is a band of output rows of one image; a matrix is an image of as many rows
 * with one pixel each.
 *
 * Ownership: all of it is the plan's, packed weights the version's. Threads: prepare's; jobs any.
 */
#pragma once

#include "exec/cpu/int8/qproduct_weights.h"

/* Bytes from one image, row, pixel, channel to the next. */
struct qstrides {
	int64_t n, h, w, c;
};
struct qstrides qstrides_of(const struct tensor *image, bool nhwc);

/* Input 0 of a node, and where its windows lie. */
struct qbands {
	qproduct_fn run;
	const struct qproduct *product;
	const void *weights;
	int64_t images, channels, c; /* of the result; of the input that are side by side */
	int64_t jobs, job_channels, job_c; /* groups, or blocks of them */
	size_t job_bytes; /* of weights */
	int64_t planes, plane; /* of them; bytes from one to the next, copied */
	int64_t in[2], out[2], stride[2], dilation[2], pad[2], extent[2];
	struct qstrides x;
	uint8_t flip; /* 0x80 for int8 */
	bool copy, nhwc, apart;
	int64_t pitch; /* bytes of a row of the input, copied or not */
	int64_t bands, band; /* of an image; rows of each */
	int64_t runs, slots, *run_at;
	int32_t *column; /* of a channel: the sum of its weights less their zero points */
	int32_t *w_zero; /* of flipped numbers, qbands_room() of them; NULL: all are zero */
	const void *ones; /* with w_zero: packed weights of one channel, which sum up windows */
	size_t scratch_windows;
};

/* UNIMPLEMENTED: one of the inputs `mask` is there, but a run tells what it is. */
MUST_CHECK enum err_code qbands_known(const struct prep *p, uint32_t mask, struct err *err);

/* From a node's first two inputs. UNIMPLEMENTED: no images, or nothing to do. */
MUST_CHECK enum err_code qbands_conv(
	const struct prep *p, struct qbands *ret, struct qweights *w, struct err *err);
/* Input 1 is a matrix, trans: of a row per column of the result. */
MUST_CHECK enum err_code qbands_matmul(const struct prep *p, bool trans, struct qbands *ret,
	struct qweights *w, struct err *err);

/* Packs the weights, cuts the work and says so: units, and scratch for what jobs need. zero: the
   input that has the weights' zero points, one or one per channel, if it is there. */
MUST_CHECK enum err_code qbands_pack(struct prep *p, struct kernel *ret, struct qbands *b,
	struct qweights *w, int zero, struct err *err);

/* Of a list with an element per channel: jobs read a panel's from any channel on. */
static inline int64_t qbands_room(int64_t channels)
{
	return channels + QPRODUCT_PANEL;
}

struct qband {
	int64_t image, row, rows;
	int64_t at; /* in the result: elements before it */
};
struct qband qbands_band(const struct qbands *b, int64_t unit);

/* What comes before the sums, of the first job; x_zero, of flipped numbers, is what windows find
   outside. */
struct qproduct_job qbands_job(const struct qbands *b, const struct kernel_args *a,
	const struct qband *band, int32_t x_zero);
/* All jobs, of which j is the first. */
void qbands_run(const struct qbands *b, const struct kernel_args *a, struct qproduct_job j);

/* Some pixels, channels side by side. */
void qbands_copy_pixels(uint8_t *to, const uint8_t *from, const struct qstrides *s, int64_t pixels,
	int64_t channels, uint8_t flip);
