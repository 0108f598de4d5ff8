/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/conv/conv_cut.h"

#include "exec/cpu/cpu.h"

/* From here on there are two parts for each thread, to even out what they lose to others. */
#define FINE_NS 400000.0

static void swap(int64_t *a, int64_t *b)
{
	int64_t was = *a;
	*a = *b;
	*b = was;
}

static void turn(struct onednn_conv *c)
{
	swap(&c->src.h, &c->src.w);
	swap(&c->dst.h, &c->dst.w);
	swap(&c->kernel[0], &c->kernel[1]);
	swap(&c->stride[0], &c->stride[1]);
	swap(&c->dilation[0], &c->dilation[1]);
	swap(&c->pad_begin[0], &c->pad_begin[1]);
}

/* A column lies in memory as a row does, and rows are what the library's code is fast on. */
static void lay_down(struct onednn_conv *c)
{
	if (c->src.w == 1 && c->dst.w == 1 && c->kernel[1] == 1)
		turn(c);
}

static bool is_pointwise(const struct onednn_conv *c)
{
	bool point = true;
	for (int i = 0; i < 2; i++)
		point &= c->kernel[i] == 1 && c->stride[i] == 1 && c->pad_begin[i] == 0;
	return point && c->src.h == c->dst.h && c->src.w == c->dst.w;
}

void conv_cut_stand_up(struct onednn_conv *c)
{
	if (is_pointwise(c)) {
		c->src.h = c->dst.h = c->src.h * c->src.w;
		c->src.w = c->dst.w = 1;
	} else if (c->src.h == 1 && c->dst.h == 1 && c->kernel[0] == 1) {
		turn(c);
	}
}

static bool is_depthwise(const struct onednn_conv *c)
{
	return c->group > 1 && c->group == c->src.c && c->group == c->dst.c;
}

/* Rows of the source that output row `row` reads: [*first, *end), maybe outside of the image. */
static void rows_read(const struct onednn_conv *c, int64_t row, int64_t *first, int64_t *end)
{
	*first = row * c->stride[0] - c->pad_begin[0];
	*end = *first + c->dilation[0] * (c->kernel[0] - 1) + 1;
}

/* Does every row read some of the image? With absurd padding a part might have none. */
static bool rows_can_be_cut(const struct onednn_conv *c)
{
	int64_t first, end, unused;
	rows_read(c, 0, &unused, &end);
	rows_read(c, c->dst.h - 1, &first, &unused);
	return end > 0 && first < c->src.h && !c->transposed;
}

static int64_t most_parts(
	const struct prep *p, const struct onednn_conv *c, const struct conv_cut *cut)
{
	if (cut->axis == CUT_ROWS)
		return rows_can_be_cut(c) ? c->dst.h : 1;
	/* The transposed form's weights have them apart. */
	if (c->transposed || c->dst.c % cut->grain)
		return 1;
	int64_t grains = c->dst.c / cut->grain;
	/* One block alone leaves half of the registers idle. */
	return c->group == 1 && grains >= 2 * p->threads ? grains / 2 : grains;
}

struct conv_cut conv_cut_choose(const struct prep *p, const struct onednn_conv *c,
	enum conv_axis axis, int64_t block, int64_t images, double ns)
{
	struct conv_cut cut = { .axis = axis, .parts = 1 };
	cut.grain = c->group == 1 || is_depthwise(c) ? block : c->dst.c / c->group;
	if (p->threads <= 1 || images % p->threads == 0 || ns < 2 * CUT_MIN_NS)
		return cut;
	int64_t most = min_i64(most_parts(p, c, &cut), (int64_t)(ns / CUT_MIN_NS));
	cut.parts = min_i64(ns < FINE_NS ? p->threads : 2 * p->threads, max_i64(most, 1));
	return cut;
}

static void cut_channels(const struct conv_cut *cut, int64_t i, struct conv_part *ret)
{
	struct onednn_conv *c = &ret->c;
	int64_t grains = c->dst.c / cut->grain, from = grains * i / cut->parts,
		to = grains * (i + 1) / cut->parts;
	ret->dst_channel = from * cut->grain;
	if (c->group > 1) { /* reads only what lies as far into the source */
		int64_t per_grain = c->src.c / grains;
		ret->src_channel = from * per_grain;
		c->src.c = (to - from) * per_grain;
		c->group = c->group * (to - from) / grains;
	}
	c->dst.c = (to - from) * cut->grain;
}

static void cut_rows(const struct conv_cut *cut, int64_t i, struct conv_part *ret)
{
	struct onednn_conv *c = &ret->c;
	int64_t from = c->dst.h * i / cut->parts, to = c->dst.h * (i + 1) / cut->parts;
	int64_t first, end, unused;
	rows_read(c, from, &first, &unused);
	rows_read(c, to - 1, &unused, &end);
	int64_t begin = max_i64(first, 0);
	ret->src_plane = c->src.h * c->src.w;
	ret->dst_plane = c->dst.h * c->dst.w;
	ret->src_row = begin;
	ret->dst_row = from;
	c->pad_begin[0] = begin - first;
	c->src.h = min_i64(end, c->src.h) - begin;
	c->dst.h = to - from;
}

struct conv_part conv_cut_part(
	const struct conv_cut *cut, const struct onednn_conv *whole, int64_t i)
{
	struct conv_part part = { .c = *whole };
	if (cut->parts > 1 && cut->axis == CUT_CHANNELS)
		cut_channels(cut, i, &part);
	else if (cut->parts > 1)
		cut_rows(cut, i, &part);
	lay_down(&part.c);
	return part;
}

bool conv_part_is_like(const struct conv_part *a, const struct conv_part *b)
{
	const struct onednn_conv *x = &a->c, *y = &b->c;
	return x->src.c == y->src.c && x->dst.c == y->dst.c && x->src.h == y->src.h &&
	       x->dst.h == y->dst.h && x->src.w == y->src.w && x->dst.w == y->dst.w &&
	       x->pad_begin[0] == y->pad_begin[0] && x->pad_begin[1] == y->pad_begin[1];
}
