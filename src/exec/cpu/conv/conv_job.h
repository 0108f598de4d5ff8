/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conv_job.h -- a convolution of images as our own kernels see it
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Ownership: all of it is the plan's. Threads: that of prepare.
 */
#pragma once

#include <string.h>
#include "exec/cpu/conv/conv_vec.h"
#include "exec/half.h"

struct conv_job {
	const struct conv_vec *vec;
	/* Asked for all tiles of a row before vec is. False: not done. NULL: there is none. */
	bool (*row)(const struct conv_tile *first, int64_t pixels, int vecs);
	const struct wino_vec *wino;
	int64_t images, ic, oc;
	int64_t in[2], out[2], kernel[2], stride[2], dilation[2], pad[2];
	int64_t src_run; /* channels of a pixel that lie together */
	/* Bfloat16 in the source, in the result and in what is added to it. */
	bool src_slots, dst_slots;
	/* Pixels in a slot: 2 where channels are apart, for they cannot share one. */
	int beside;
	int block;	 /* of the result */
	enum layout out_layout;
	const float *weights, *bias; /* bias: of as many channels as fill vectors */
	bool sum;
	struct activation_loop loop;
	struct conv_act act;
};

/* The layout in which a result of so many channels is left, whoever computes it. */
enum layout conv_layout(int64_t channels);

/* Of Conv and FusedConv, by products of floats or of bfloat16. UNIMPLEMENTED: not of images,
   groups, or operands that are not known or lie otherwise; bfloat16 is not wanted, or not there. */
MUST_CHECK enum err_code conv_job_init(
	struct prep *p, bool bf16, struct conv_job *ret, struct err *err);

/* The part of it that ConvTranspose has in common: images, channels, weights, vectors. */
MUST_CHECK enum err_code conv_job_operands(
	const struct prep *p, struct conv_job *ret, struct err *err);

/* Floats in the place of so many elements of the source, of the result. */
static inline int64_t job_src_at(const struct conv_job *j, int64_t elements)
{
	return j->src_slots ? elements / 2 : elements;
}

static inline int64_t job_dst_at(const struct conv_job *j, int64_t elements)
{
	return j->dst_slots ? elements / 2 : elements;
}

/* -- weights in panels of TILE_VECS vectors, the last one perhaps narrower -------------------- */

static inline int64_t job_floats(const struct conv_job *j)
{
	int64_t v = j->vec->floats;
	return (j->oc + v - 1) / v * v;
}

static inline int64_t job_panel(const struct conv_job *j)
{
	return TILE_VECS * j->vec->floats;
}

static inline int64_t job_panels(const struct conv_job *j)
{
	return (j->oc + job_panel(j) - 1) / job_panel(j);
}

/* Floats in a row of a panel. */
static inline int64_t job_panel_width(const struct conv_job *j, int64_t panel)
{
	return min_i64(job_panel(j), job_floats(j) - panel * job_panel(j));
}

/* Slots of a pixel that lie together. */
static inline int64_t job_run(const struct conv_job *j)
{
	return j->src_run * j->beside / j->vec->per_slot;
}

/* Where the slot of output channel o stands that is k-th of `depth` along the sum. */
static inline int64_t job_weight_at(const struct conv_job *j, int64_t depth, int64_t o, int64_t k)
{
	int64_t panel = o / job_panel(j);
	return panel * job_panel(j) * depth + k * job_panel_width(j, panel) + o % job_panel(j);
}

/* The k-th weight along the sum to its place in a slot. */
static inline void job_weight_put(const struct conv_job *j, float *slot, int64_t k, float w)
{
	if (j->vec->per_slot == 1) {
		*slot = w;
		return;
	}
	uint16_t half = float_to_bfloat(w);
	memcpy((char *)slot + k % 2 * (int64_t)sizeof(half), &half, sizeof(half));
}

/* -- work ------------------------------------------------------------------------------------ */

/* Item i of n gets [*from, *to) of total, as even as can be. */
static inline void deal_out(int64_t total, int64_t n, int64_t i, int64_t *from, int64_t *to)
{
	*from = total * i / n;
	*to = total * (i + 1) / n;
}

/* Unit `index` of all images: one part of an image, and a slice of the panels. */
struct job_unit {
	int64_t image, part, panel[2]; /* from, to */
};
static inline struct job_unit job_unit_of(
	int64_t index, int64_t parts, int64_t slices, int64_t panels)
{
	struct job_unit u = { .image = index / slices / parts, .part = index / slices % parts };
	deal_out(panels, slices, index % slices, &u.panel[0], &u.panel[1]);
	return u;
}

/* As many units, or a few more so that every thread gets as many as the others. */
int64_t job_units(const struct prep *p, int64_t units);

/* Into how many slices the panels go so that all threads have something to do. */
int64_t job_slices(const struct prep *p, const struct conv_job *j, int64_t units, double ns);

/* Tiles of one panel, rows times pixels, are to fetch the weights `next` bit by bit; width: of
   the panel. */
void job_fetch_ahead(const struct conv_job *j, struct conv_tile *t, const float *next, int64_t rows,
	int64_t pixels, int64_t width);

/* As many tiles as it takes for neighbouring pixels, of which t describes the first one; t->ahead
   moves on. */
void job_tiles(const struct conv_job *j, struct conv_tile *t, int64_t pixels, int vecs);
