/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conv_onednn_ask.c -- which layouts and which parts of a convolution oneDNN is asked for
 */
#include "exec/cpu/conv/conv_onednn.h"

#include "exec/cpu/conv/conv_job.h"

#define FLOPS_PER_NS 80.0
/* Of a step: code takes most of a millisecond to make, and saves a tenth of the step. */
#define NHWC_LEAST_NS 8000.0
/* Channels that the library's first-layer code reads from a plain image. */
#define PLAIN_IC_MAX 3

/* Rank 3 is rank 4 with one row. Of volumes there are floats in blocks only. */
static bool read_geometry(struct conv_maker *m, const struct conv_geometry *g)
{
	const struct tensor *x = &m->p->in[0], *y = &m->p->out[0];
	bool volume = g->spatial == 3;
	if (g->spatial < 1 || g->spatial > 3 || (volume && (m->nhwc || m->bf16)))
		return false;
	struct onednn_conv *c = &m->c;
	for (int i = 0; i < 3; i++) { /* h, w, d */
		int from = i == 2 ? (volume ? 0 : -1) : i - (2 - g->spatial);
		c->kernel[i] = from < 0 ? 1 : g->kernel[from];
		c->stride[i] = from < 0 ? 1 : g->stride[from];
		c->dilation[i] = from < 0 ? 1 : g->dilation[from];
		c->pad_begin[i] = from < 0 ? 0 : g->pad_begin[from];
	}
	c->group = g->group;
	c->src = (struct onednn_image){ x->shape.dim[1], g->spatial < 2 ? 1 : g->in[g->spatial - 2],
		g->in[g->spatial - 1], m->blocked, m->bf16, 0, volume ? g->in[0] : 0 };
	c->dst =
		(struct onednn_image){ y->shape.dim[1], g->spatial < 2 ? 1 : g->out[g->spatial - 2],
			g->out[g->spatial - 1], m->blocked, false, 0, volume ? g->out[0] : 0 };
	m->images = x->shape.dim[0];
	return tensor_count(x) > 0 && tensor_count(y) > 0;
}

static bool is_depthwise(const struct onednn_conv *c)
{
	return c->group > 1 && c->group == c->src.c && c->group == c->dst.c;
}

/* Where channels of different groups would share a block the library has no blocked code. */
static bool groups_fit(const struct conv_maker *m)
{
	const struct onednn_conv *c = &m->c;
	return c->group == 1 || is_depthwise(c) ||
	       (c->src.c / c->group % m->block == 0 && c->dst.c / c->group % m->block == 0);
}

bool conv_onednn_has_nhwc(const struct onednn_conv *c)
{
	return c->src.c > 1;
}

static bool choose_layouts(struct conv_maker *m)
{
	struct prep *p = m->p;
	struct onednn_conv *c = &m->c;
	bool images = p->in[0].shape.rank >= 4, pixel = onednn_image_pixels(&c->dst) == 1;
	m->src_layout = p->in[0].layout;
	if (m->src_layout == LAYOUT_NHWC || (m->nhwc && !conv_onednn_has_nhwc(c)))
		return false;
	bool first = m->src_layout == LAYOUT_PLAIN && c->src.c <= PLAIN_IC_MAX && c->group == 1;
	if (first && !c->transposed)
		c->src.layout = LAYOUT_PLAIN;
	if (!groups_fit(m) && c->src.d) /* nor fast code for plain ones */
		return false;
	if (!groups_fit(m))
		c->src.layout = c->dst.layout = LAYOUT_PLAIN;
	if (m->nhwc)
		c->src.layout = c->dst.layout = LAYOUT_NHWC;
	/* One pixel is the same in both layouts, and plain suits whoever comes next. */
	m->dst_layout = images && !pixel ? conv_layout(c->dst.c) : LAYOUT_PLAIN;
	c->dst.bf16 = m->bf16 && m->dst_layout == LAYOUT_NCHW16C &&
		      c->dst.layout == LAYOUT_NCHW16C &&
		      (c->sum ? layout_is_bf16(p->in[3].layout) : p->bf16_wanted);
	if (c->dst.bf16)
		m->dst_layout = LAYOUT_NCHW16C_BF16;
	return !c->sum || p->in[3].layout == LAYOUT_PLAIN || p->in[3].layout == m->dst_layout ||
	       layout_is_bf16(p->in[3].layout);
}

/* A part of channels is one run of memory only where no block is cut. */
static bool is_in_runs(const struct conv_maker *m, int64_t grain)
{
	const struct onednn_conv *c = &m->c;
	int64_t src_grain = c->group > 1 ? grain * c->src.c / c->dst.c : 0;
	return grain % layout_block(m->dst_layout) == 0 &&
	       src_grain % layout_block(m->src_layout) == 0;
}

static void choose_cut(struct conv_maker *m)
{
	struct onednn_conv *c = &m->c;
	double flops = 2.0 * (double)(c->dst.c * onednn_image_pixels(&c->dst)) *
		       (double)(c->src.c / c->group * c->kernel[0] * c->kernel[1] * c->kernel[2]);
	m->ns = (double)m->images * flops / FLOPS_PER_NS;
	/* Each part of rows reads all weights, each part of channels the whole source. */
	int64_t pixels =
		c->src.c * onednn_image_pixels(&c->src) + c->dst.c * onednn_image_pixels(&c->dst);
	enum conv_axis axis =
		m->nhwc && tensor_count(&m->p->in[1]) < pixels ? CUT_ROWS : CUT_CHANNELS;
	if (axis == CUT_ROWS)
		conv_cut_stand_up(c);
	int64_t block = max_i64(m->block, layout_block(m->dst_layout));
	m->cut = conv_cut_choose(m->p, c, axis, block, m->images, m->ns);
	if (axis == CUT_CHANNELS && !is_in_runs(m, m->cut.grain))
		m->cut.parts = 1;
}

/* By 16 where processor and channels allow it. Eight channels in blocks of 8 are half as fast
   as sixteen, but several times as fast as plain ones. */
static void choose_block(struct conv_maker *m)
{
	const struct prep *p = m->p;
	int64_t in = p->in[0].shape.dim[1], out = p->out[0].shape.dim[1];
	bool first = in <= PLAIN_IC_MAX, eight = (first || in % 8 == 0) && out % 8 == 0,
	     sixteen = (first || in % 16 == 0) && out % 16 == 0;
	m->blocked =
		cpu_features() & CPU_AVX512 && (sixteen || !eight) ? LAYOUT_NCHW16C : LAYOUT_NCHW8C;
	m->block = layout_block(m->blocked);
	m->full = m->blocked == LAYOUT_NCHW16C && sixteen;
}

static bool operands_fit(const struct prep *p)
{
	for (int i = 0; i < p->n_in; i++)
		if (prep_has_in(p, i) && p->in[i].dtype != DTYPE_F32)
			return false;
	return p->in[1].data;
}

/* To make code takes a rival longer than contests run: not for short steps, and not where channels
   come in blocks and fill them, where channels last are hardly ever quicker, and by little. */
static bool is_worth_asking(const struct conv_maker *m)
{
	bool rival = m->nhwc && m->p->trial;
	return !rival || (m->ns >= NHWC_LEAST_NS && !(m->full && m->src_layout == m->blocked));
}

enum err_code conv_onednn_ask(struct conv_maker *m, const struct conv_geometry *g)
{
	const struct prep *p = m->p;
	choose_block(m);
	m->c.bias = prep_has_in(p, 2);
	m->c.sum = prep_has_in(p, 3);
	if (!operands_fit(p) || !read_geometry(m, g) || !choose_layouts(m))
		return prep_refuse(m->err, "types, rank or layouts that oneDNN is not asked for");
	if (m->bf16 && p->precision != PRECISION_BF16)
		return prep_refuse(m->err, "bfloat16 is not wanted");
	choose_cut(m);
	if (!is_worth_asking(m))
		return prep_refuse(m->err, "making code for channels last is not worth it");
	return ERR_OK;
}
