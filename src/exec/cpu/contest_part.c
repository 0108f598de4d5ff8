/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/contest_part.h"

#include "exec/infer/conv_geometry.h"

#define IMAGES_BYTES ((size_t)2 << 20) /* of inputs and outputs: more than a core has of caches */
#define PRODUCTS 2e7    /* of numbers, for each thread: about half a millisecond of them */
#define LANES 16        /* channels of the result are computed so many at once, be there fewer */
/* As often each weight is used, so that bringing it does not count: from memory, from caches. */
#define PIXELS_COLD 784
#define PIXELS_WARM 128
#define ROWS_WHOLE 12    /* rows are a multiple of it: no tile of 2, 4 or 6 hangs over */
#define EXTENTS_LEAST 3  /* windows below each other: most of them lie within the image */
/* So many that what is done once for all of them, to the input, is little beside them. */
#define CHANNELS_ENOUGH 128

/* -- images --------------------------------------------------------------------------------- */

static bool is_batch(const struct tensor *t, int64_t images)
{
	return !t->data && t->shape.rank == 4 && t->shape.dim[0] == images;
}

/* Each thread must get one. */
static int64_t images_of(const struct prep *p, int64_t all)
{
	if (all <= 1 || !is_batch(&p->out[0], all))
		return all;
	size_t bytes = tensor_bytes(&p->out[0]);
	for (int i = 0; i < p->n_in; i++)
		bytes +=
			prep_has_in(p, i) && is_batch(&p->in[i], all) ? tensor_bytes(&p->in[i]) : 0;
	int64_t few = (int64_t)(IMAGES_BYTES / (bytes / (size_t)all + 1));
	return min_i64(all, max_i64(few, max_i64(p->threads, 1)));
}

/* -- a convolution ----------------------------------------------------------------------------- */

/* Of constant weights and bias, with another image added or none. */
static bool is_plain_conv(const struct prep *p)
{
	if ((p->node->op != OP_CONV && p->node->op != OP_FUSED_CONV) || p->in[0].shape.rank != 4)
		return false;
	for (int i = 1; i < p->n_in; i++) {
		const struct tensor *t = &p->in[i];
		if (prep_has_in(p, i) &&
			(i < 3 ? !t->data : t->data || !shape_equal(&t->shape, &p->out[0].shape)))
			return false;
	}
	return true;
}

/* -- its channels ---------------------------------------------------------------------------- */

/* The first ones of the output: their weights are the first of all. Where channels do not fill
   vectors that counts, so all of them run. */
static void cut_channels(const struct prep *p, struct contest_part *c)
{
	int64_t enough = CHANNELS_ENOUGH * max_i64(p->threads, 1);
	int64_t all = p->in[1].shape.dim[0];
	if (node_int(p->node, "group", 1) == 1 && all % LANES == 0 && all > enough)
		c->channels = enough;
}

/* -- its rows -------------------------------------------------------------------------------- */

static int64_t rows_enough(const struct prep *p, const struct conv_geometry *g,
	const struct contest_part *c, bool cold)
{
	int64_t width = max_i64(g->out[1], 1), threads = max_i64(p->threads, 1);
	const struct shape *w = &p->in[1].shape;
	int64_t channels = c->channels ? c->channels : w->dim[0];
	double full = (double)((channels + LANES - 1) / LANES * LANES);
	double row = full * (double)shape_count_range(w, 1, w->rank) * (double)width;
	double most = (double)g->out[0];
	double rows = PRODUCTS * (double)threads / (row + 1) + 1;
	int64_t enough = (int64_t)(rows < most ? rows : most);
	enough = max_i64(enough, (cold ? PIXELS_COLD : PIXELS_WARM) / width);
	enough = max_i64(enough, EXTENTS_LEAST * conv_extent(g, 0) / g->stride[0]);
	return (enough + ROWS_WHOLE - 1) / ROWS_WHOLE * ROWS_WHOLE;
}

/* Fewer rows of the input, and what comes of them. */
static void cut_rows(const struct prep *p, bool cold, struct contest_part *c)
{
	struct conv_geometry g, less;
	struct shape x = p->in[0].shape;
	struct err ignored;
	if (conv_geometry(p->node, &x, &p->in[1].shape, &g, &ignored) != ERR_OK)
		return;
	int64_t rows = rows_enough(p, &g, c, cold);
	x.dim[2] = (rows - 1) * g.stride[0] + conv_extent(&g, 0) - g.pad_begin[0] - g.pad_end[0];
	if (rows >= g.out[0] || x.dim[2] <= 0 || x.dim[2] >= g.in[0] ||
		conv_geometry(p->node, &x, &p->in[1].shape, &less, &ignored) != ERR_OK)
		return;
	c->in_rows = x.dim[2];
	c->out_rows = less.out[0];
}

/* -- all ------------------------------------------------------------------------------------- */

struct contest_part contest_part_of(const struct prep *p, bool cold)
{
	int64_t all = p->out[0].shape.rank > 0 ? p->out[0].shape.dim[0] : 1;
	struct contest_part c = { .all = all, .images = images_of(p, all) };
	if (is_plain_conv(p)) {
		cut_channels(p, &c);
		cut_rows(p, cold, &c);
	}
	return c;
}

static struct tensor part_of(
	const struct contest_part *c, const struct tensor *t, int64_t rows, int64_t channels)
{
	struct tensor few = *t;
	if (t->data || t->shape.rank < 0) {
		if (channels)
			few.shape.dim[0] = channels; /* of weights and bias */
		return few;
	}
	if (is_batch(t, c->all))
		few.shape.dim[0] = c->images;
	if (channels)
		few.shape.dim[1] = channels;
	if (rows)
		few.shape.dim[2] = rows;
	return few;
}

struct tensor contest_part_in(const struct contest_part *c, const struct prep *p, int i)
{
	return i == 0 ? part_of(c, &p->in[i], c->in_rows, 0)
		      : part_of(c, &p->in[i], c->out_rows, c->channels);
}

struct tensor contest_part_out(const struct contest_part *c, const struct prep *p)
{
	return part_of(c, &p->out[0], c->out_rows, c->channels);
}
