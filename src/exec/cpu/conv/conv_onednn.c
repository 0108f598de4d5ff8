/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv, FusedConv and ConvTranspose on oneDNN, in blocked layouts
 *
 * DESIGN
 *
 * The library's fast code wants channels in blocks of a vector, so inside it is blocked
 * wherever the library can; what comes or goes plain is reordered in scratch, image by image. The result
 * stays blocked, for the next step to take, wherever its channels fill the blocks.
 *
 * A unit of work is a part of one image (conv_cut.h). Parts of a shape share the library's
 * primitives; and as those are of one image, plans for all batch sizes share the packed weights.
 *
 * NOT DONE: parts of rows in blocked layouts, which would need strides that the library's code
 * does not take.
 */
#include "exec/infer/conv_geometry.h"
#include "exec/cpu/cpu.h"
#include "exec/cpu/conv/conv_cut.h"
#include "exec/cpu/conv/conv_job.h"

#include "base/checked.h"

#define FLOPS_PER_NS 80.0
#define NHWC_LEAST_NS 8000.0 /* of a step: code takes most of a millisecond to make, and saves a tenth of the step */
/* Channels that the library's first-layer code reads from a plain image. */
#define PLAIN_IC_MAX 3

struct part {
	struct onednn_op *conv;
	struct onednn_op *block_src, *block_sum, *plain_dst; /* NULL: no such reorder */
	const void *weights;
	size_t src_at, dst_at, sum_at; /* bytes, where its tensors' parts begin in an image */
	size_t dst_bytes;              /* where it lies in one piece */
	int64_t bias_at;
};

struct conv_state {
	int64_t parts;
	size_t src_image, dst_image, sum_image; /* bytes as they lie in the tensors */
	bool bias, sum;
	size_t scratch_src, scratch_dst; /* where in the scratch */
	struct part part[];
};

static void run_unit(const struct kernel_args *a, const struct conv_state *s, int64_t image,
	const struct part *p)
{
	const char *src = (const char *)a->in[0].data + (size_t)image * s->src_image + p->src_at;
	size_t dst_at = (size_t)image * s->dst_image;
	char *dst = (char *)a->out[0].data + dst_at + p->dst_at, *scratch = a->scratch;
	size_t sum_at = (size_t)image * s->sum_image + p->sum_at;
	const char *sum = s->sum ? (const char *)a->in[3].data + sum_at : NULL;
	struct onednn_args x = { .src = src, .weights = p->weights, .dst = dst, .scratch = scratch };
	if (s->bias)
		x.bias = (const float *)a->in[2].data + p->bias_at;
	if (p->block_src) {
		x.src = scratch + s->scratch_src;
		onednn_run(p->block_src,
			&(struct onednn_args){ .src = src, .dst = scratch + s->scratch_src, .scratch = scratch });
	}
	if (p->plain_dst)
		x.dst = scratch + s->scratch_dst;
	if (p->block_sum)
		onednn_run(p->block_sum,
			&(struct onednn_args){ .src = sum, .dst = x.dst, .scratch = scratch });
	else if (sum && sum != x.dst)
		memcpy(x.dst, sum, p->dst_bytes);
	onednn_run(p->conv, &x);
	if (p->plain_dst)
		onednn_run(p->plain_dst,
			&(struct onednn_args){ .src = x.dst, .dst = dst, .scratch = scratch });
}

static void run_conv(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct conv_state *s = a->state;
	for (int64_t u = begin; u < end; u++)
		run_unit(a, s, u / s->parts, &s->part[u % s->parts]);
}

/* -- prepare ---------------------------------------------------------------------------------- */

struct maker {
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

/* Rank 3 is rank 4 with one row. Of volumes there are floats in blocks only. */
static bool read_geometry(struct maker *m, const struct conv_geometry *g)
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
	c->dst = (struct onednn_image){ y->shape.dim[1], g->spatial < 2 ? 1 : g->out[g->spatial - 2],
		g->out[g->spatial - 1], m->blocked, false, 0, volume ? g->out[0] : 0 };
	m->images = x->shape.dim[0];
	return tensor_count(x) > 0 && tensor_count(y) > 0;
}

static bool is_depthwise(const struct onednn_conv *c)
{
	return c->group > 1 && c->group == c->src.c && c->group == c->dst.c;
}

/* Where channels of different groups would share a block the library has no blocked code. */
static bool groups_fit(const struct maker *m)
{
	const struct onednn_conv *c = &m->c;
	return c->group == 1 || is_depthwise(c) ||
	       (c->src.c / c->group % m->block == 0 && c->dst.c / c->group % m->block == 0);
}

/* One channel is innermost as it is; and of a long signal the library would write code for
   every place that a window can have. */
static bool has_nhwc(const struct onednn_conv *c)
{
	return c->src.c > 1;
}

static bool choose_layouts(struct maker *m)
{
	struct prep *p = m->p;
	struct onednn_conv *c = &m->c;
	bool images = p->in[0].shape.rank >= 4, pixel = onednn_image_pixels(&c->dst) == 1;
	m->src_layout = p->in[0].layout;
	if (m->src_layout == LAYOUT_NHWC || (m->nhwc && !has_nhwc(c)))
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
	c->dst.bf16 = m->bf16 && m->dst_layout == LAYOUT_NCHW16C && c->dst.layout == LAYOUT_NCHW16C &&
		      (c->sum ? layout_is_bf16(p->in[3].layout) : p->bf16_wanted);
	if (c->dst.bf16)
		m->dst_layout = LAYOUT_NCHW16C_BF16;
	return !c->sum || p->in[3].layout == LAYOUT_PLAIN || p->in[3].layout == m->dst_layout ||
	       layout_is_bf16(p->in[3].layout);
}

/* A part of channels is one run of memory only where no block is cut. */
static bool is_in_runs(const struct maker *m, int64_t grain)
{
	const struct onednn_conv *c = &m->c;
	int64_t src_grain = c->group > 1 ? grain * c->src.c / c->dst.c : 0;
	return grain % layout_block(m->dst_layout) == 0 && src_grain % layout_block(m->src_layout) == 0;
}

static void choose_cut(struct maker *m)
{
	struct onednn_conv *c = &m->c;
	double flops = 2.0 * (double)(c->dst.c * onednn_image_pixels(&c->dst)) *
		       (double)(c->src.c / c->group * c->kernel[0] * c->kernel[1] * c->kernel[2]);
	m->ns = (double)m->images * flops / FLOPS_PER_NS;
	/* Each part of rows reads all weights, each part of channels the whole source. */
	int64_t pixels = c->src.c * onednn_image_pixels(&c->src) + c->dst.c * onednn_image_pixels(&c->dst);
	enum conv_axis axis = m->nhwc && tensor_count(&m->p->in[1]) < pixels ? CUT_ROWS : CUT_CHANNELS;
	if (axis == CUT_ROWS)
		conv_cut_stand_up(c);
	int64_t block = max_i64(m->block, layout_block(m->dst_layout));
	m->cut = conv_cut_choose(m->p, c, axis, block, m->images, m->ns);
	if (axis == CUT_CHANNELS && !is_in_runs(m, m->cut.grain))
		m->cut.parts = 1;
}

/* In a tensor's layout, as the convolution has them. */
static struct onednn_image in_tensor(const struct onednn_image *i, enum layout layout, int64_t plane)
{
	bool bf16 = layout_is_bf16(layout);
	return (struct onednn_image){ i->c, i->h, i->w, bf16 ? LAYOUT_NCHW16C : layout, bf16, plane, i->d };
}

/* From a tensor to what the convolution takes, or back; NULL where they are the same, as all
   layouts of one pixel are. */
static enum err_code reorder(struct maker *m, const struct onednn_image *from,
	const struct onednn_image *to, struct onednn_op **ret)
{
	bool pixel = onednn_image_pixels(to) == 1 && to->c % m->block == 0 && !from->plane && !to->plane;
	bool same = from->layout == to->layout || pixel;
	return same && from->bf16 == to->bf16 ? ERR_OK : onednn_reorder(m->p, from, to, ret, m->err);
}

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t op_scratch(const struct onednn_op *op)
{
	return op ? onednn_scratch_bytes(op) : 0;
}

/* Few channels have no blocked code either; there is code for channels last, and plain code, a matrix
   product, whose first run makes code for 25 ms. Volumes have a product of ours (conv_columns.c). */
static enum err_code make_conv(struct maker *m, struct onednn_conv *c, struct onednn_op **ret)
{
	enum err_code rc = onednn_conv(m->p, c, ret, m->err);
	bool other = !c->src.bf16 && !m->nhwc && !c->src.d && c->dst.layout != LAYOUT_PLAIN;
	enum layout next = has_nhwc(c) ? LAYOUT_NHWC : LAYOUT_PLAIN;
	for (; other && rc == ERR_UNIMPLEMENTED; next = LAYOUT_PLAIN) {
		other = next != LAYOUT_PLAIN;
		c->src.layout = c->dst.layout = next;
		rc = onednn_conv(m->p, c, ret, m->err);
	}
	return rc;
}

static enum layout sum_layout(const struct maker *m)
{
	return m->c.sum ? m->p->in[3].layout : m->dst_layout;
}

static enum err_code make_ops(struct maker *m, struct conv_part *from, struct part *p)
{
	struct onednn_conv *c = &from->c;
	enum err_code rc = make_conv(m, c, &p->conv);
	const struct onednn_image src = in_tensor(&c->src, m->src_layout, from->src_plane),
				  dst = in_tensor(&c->dst, m->dst_layout, from->dst_plane),
				  sum = in_tensor(&c->dst, sum_layout(m), from->dst_plane);
	if (rc == ERR_OK)
		rc = reorder(m, &src, &c->src, &p->block_src);
	if (rc == ERR_OK && c->sum)
		rc = reorder(m, &sum, &c->dst, &p->block_sum);
	if (rc == ERR_OK)
		rc = reorder(m, &c->dst, &dst, &p->plain_dst);
	return rc;
}

/* The ops are those of an earlier part of the same shape, if there is one. The weights are one
   run in ONNX's form, too (the transposed form is not cut). */
static enum err_code make_part(struct maker *m, struct conv_state *s, int64_t i)
{
	struct conv_part *from = &m->part[i];
	struct part *p = &s->part[i];
	const struct onednn_image src = in_tensor(&m->c.src, m->src_layout, 0),
				  dst = in_tensor(&m->c.dst, m->dst_layout, 0),
				  sum = in_tensor(&m->c.dst, sum_layout(m), 0);
	const struct tensor *w = &m->p->in[1];
	*from = conv_cut_part(&m->cut, &m->c, i);
	enum err_code rc = ERR_UNIMPLEMENTED;
	for (int64_t k = 0; k < i && rc != ERR_OK; k++)
		if (conv_part_is_like(&m->part[k], from)) {
			*p = s->part[k];
			from->c = m->part[k].c; /* with the layouts that the library took */
			rc = ERR_OK;
		}
	if (rc != ERR_OK)
		rc = make_ops(m, from, p);
	if (rc != ERR_OK)
		return rc;
	p->src_at = onednn_image_at(&src, from->src_channel, from->src_row);
	p->dst_at = onednn_image_at(&dst, from->dst_channel, from->dst_row);
	p->dst_bytes = onednn_image_bytes(&from->c.dst);
	p->sum_at = onednn_image_at(&sum, from->dst_channel, from->dst_row);
	p->bias_at = from->dst_channel;
	int64_t per_channel = tensor_count(w) / m->c.dst.c;
	return onednn_pack(m->p, p->conv, (const float *)w->data + from->dst_channel * per_channel,
		&p->weights, m->err);
}

/* What the ops need for themselves comes first, one after the other uses it. */
static void place_scratch(struct maker *m, struct conv_state *s)
{
	size_t ops = 0, src = 0, dst = 0;
	for (int64_t i = 0; i < s->parts; i++) {
		const struct part *p = &s->part[i];
		const struct onednn_conv *c = &m->part[i].c;
		ops = max_size(ops, max_size(op_scratch(p->conv), op_scratch(p->block_src)));
		ops = max_size(ops, max_size(op_scratch(p->block_sum), op_scratch(p->plain_dst)));
		src = max_size(src, p->block_src ? onednn_image_bytes(&c->src) : 0);
		dst = max_size(dst, p->plain_dst ? onednn_image_bytes(&c->dst) : 0);
	}
	s->scratch_src = round_up(ops, ARENA_ALIGN_TENSOR);
	s->scratch_dst = s->scratch_src + round_up(src, ARENA_ALIGN_TENSOR);
	m->ret->scratch_bytes = s->scratch_dst + round_up(dst, ARENA_ALIGN_TENSOR);
}

static enum err_code make_parts(struct maker *m, struct conv_state *s)
{
	s->parts = m->cut.parts;
	m->part = ARENA_ARRAY(m->p->tmp, struct conv_part, (size_t)s->parts);
	enum err_code rc = m->part ? ERR_OK : err_oom(m->err);
	for (int64_t i = 0; i < s->parts && rc == ERR_OK; i++)
		rc = make_part(m, s, i);
	if (rc == ERR_OK)
		place_scratch(m, s);
	return rc;
}

static void fill_kernel(struct maker *m, struct conv_state *s)
{
	const struct onednn_conv *c = &m->c;
	const struct onednn_image src = in_tensor(&c->src, m->src_layout, 0),
				  dst = in_tensor(&c->dst, m->dst_layout, 0),
				  sum = in_tensor(&c->dst, sum_layout(m), 0);
	s->src_image = onednn_image_bytes(&src);
	s->dst_image = onednn_image_bytes(&dst);
	s->sum_image = onednn_image_bytes(&sum);
	s->bias = c->bias;
	s->sum = c->sum;
	struct kernel *k = m->ret;
	k->run = run_conv;
	k->packed = k->unread = 1u << 1;
	k->state = s;
	k->units = m->images * s->parts;
	k->unit_cost_ns = (int64_t)(m->ns / (double)k->units) + 1;
	k->out_layout = m->dst_layout;
	if (c->sum && !s->part[0].block_sum && !s->part[0].plain_dst) {
		k->inplace = true;
		k->inplace_in = 3;
	}
}

/* By 16 where processor and channels allow it. Eight channels in blocks of 8 are half as fast
   as sixteen, but several times as fast as plain ones. */
static void choose_block(struct maker *m)
{
	const struct prep *p = m->p;
	int64_t in = p->in[0].shape.dim[1], out = p->out[0].shape.dim[1];
	bool first = in <= PLAIN_IC_MAX, eight = (first || in % 8 == 0) && out % 8 == 0,
	     sixteen = (first || in % 16 == 0) && out % 16 == 0;
	m->blocked = cpu_features() & CPU_AVX512 && (sixteen || !eight) ? LAYOUT_NCHW16C : LAYOUT_NCHW8C;
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

/* To make code takes a rival longer than contests run: not for short steps, and not where channels come
   in blocks and fill them, where channels last are hardly ever quicker, and by little. */
static bool is_worth_asking(const struct maker *m)
{
	bool rival = m->nhwc && m->p->trial;
	return !rival || (m->ns >= NHWC_LEAST_NS && !(m->full && m->src_layout == m->blocked));
}

static enum err_code prepare(struct maker *m, const struct conv_geometry *g)
{
	struct prep *p = m->p;
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
	struct conv_state *s = prep_alloc(p, sizeof(*s) + (size_t)m->cut.parts * sizeof(s->part[0]));
	if (!s)
		return err_oom(m->err);
	enum err_code rc = make_parts(m, s);
	if (rc == ERR_OK)
		fill_kernel(m, s);
	return rc;
}

static enum err_code prepare_conv(struct maker *m)
{
	const struct prep *p = m->p;
	const struct node *n = p->node;
	struct conv_geometry g;
	m->c.act = (struct onednn_act){ (enum activation)node_int(n, "activation", ACT_NONE),
		node_float(n, "alpha", 0), node_float(n, "beta", 0) };
	enum err_code rc = conv_geometry(n, &p->in[0].shape, &p->in[1].shape, &g, m->err);
	return rc == ERR_OK ? prepare(m, &g) : rc;
}

enum err_code prepare_conv_onednn(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_conv(&(struct maker){ .p = p, .ret = ret, .err = err });
}

enum err_code prepare_conv_bf16(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_conv(&(struct maker){ .p = p, .ret = ret, .err = err, .bf16 = true });
}

/* Any number of channels runs at full width; what comes blocked or plain is reordered. */
enum err_code prepare_conv_nhwc(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_conv(&(struct maker){ .p = p, .ret = ret, .err = err, .nhwc = true });
}

enum err_code prepare_conv_transpose_onednn(struct prep *p, struct kernel *ret, struct err *err)
{
	struct maker m = { .p = p, .ret = ret, .err = err, .c.transposed = true };
	struct conv_geometry g;
	enum err_code rc = conv_transpose_geometry(p->node, &p->in[0].shape, &p->in[1].shape, &g, err);
	return rc == ERR_OK ? prepare(&m, &g) : rc;
}
