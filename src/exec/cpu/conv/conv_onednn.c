/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv, FusedConv and ConvTranspose on oneDNN, in blocked layouts
 *
 * DESIGN
 *
 * The library's fast code wants channels in blocks of a vector, so inside it is blocked
 * wherever the library can; what comes or goes plain is reordered in scratch, image by image. The
 * result stays blocked, for the next step to take, wherever its channels fill the blocks.
 *
 * A unit of work is a part of one image (conv_cut.h). Parts of a shape share the library's
 * primitives; and as those are of one image, plans for all batch sizes share the packed weights.
 *
 * NOT DONE: parts of rows in blocked layouts, which would need strides that the library's code
 * does not take.
 */
#include "exec/cpu/conv/conv_onednn.h"

#include "base/checked.h"
#include "exec/cpu/cpu.h"

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
	struct onednn_args x = { .src = src, .weights = p->weights, .dst = dst,
		.scratch = scratch };
	if (s->bias)
		x.bias = (const float *)a->in[2].data + p->bias_at;
	if (p->block_src) {
		x.src = scratch + s->scratch_src;
		onednn_run(p->block_src,
			&(struct onednn_args){ .src = src, .dst = scratch + s->scratch_src,
				.scratch = scratch });
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

/* In a tensor's layout, as the convolution has them. */
static struct onednn_image in_tensor(
	const struct onednn_image *i, enum layout layout, int64_t plane)
{
	bool bf16 = layout_is_bf16(layout);
	return (struct onednn_image){ i->c, i->h, i->w, bf16 ? LAYOUT_NCHW16C : layout, bf16, plane,
		i->d };
}

/* From a tensor to what the convolution takes, or back; NULL where they are the same, as all
   layouts of one pixel are. */
static enum err_code reorder(struct conv_maker *m, const struct onednn_image *from,
	const struct onednn_image *to, struct onednn_op **ret)
{
	bool pixel =
		onednn_image_pixels(to) == 1 && to->c % m->block == 0 && !from->plane && !to->plane;
	bool same = from->layout == to->layout || pixel;
	return same && from->bf16 == to->bf16 ? ERR_OK
					      : onednn_reorder(m->p, from, to, ret, m->err);
}

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t op_scratch(const struct onednn_op *op)
{
	return op ? onednn_scratch_bytes(op) : 0;
}

/* Few channels have no blocked code either; there is code for channels last, and plain code, a
   matrix product, whose first run makes code for 25 ms. Volumes have a product of ours
   (conv_columns.c). */
static enum err_code make_conv(struct conv_maker *m, struct onednn_conv *c, struct onednn_op **ret)
{
	enum err_code rc = onednn_conv(m->p, c, ret, m->err);
	bool other = !c->src.bf16 && !m->nhwc && !c->src.d && c->dst.layout != LAYOUT_PLAIN;
	enum layout next = conv_onednn_has_nhwc(c) ? LAYOUT_NHWC : LAYOUT_PLAIN;
	for (; other && rc == ERR_UNIMPLEMENTED; next = LAYOUT_PLAIN) {
		other = next != LAYOUT_PLAIN;
		c->src.layout = c->dst.layout = next;
		rc = onednn_conv(m->p, c, ret, m->err);
	}
	return rc;
}

static enum layout sum_layout(const struct conv_maker *m)
{
	return m->c.sum ? m->p->in[3].layout : m->dst_layout;
}

static enum err_code make_ops(struct conv_maker *m, struct conv_part *from, struct part *p)
{
	struct onednn_conv *c = &from->c;
	TRY(make_conv(m, c, &p->conv));
	const struct onednn_image src = in_tensor(&c->src, m->src_layout, from->src_plane),
				  dst = in_tensor(&c->dst, m->dst_layout, from->dst_plane),
				  sum = in_tensor(&c->dst, sum_layout(m), from->dst_plane);
	TRY(reorder(m, &src, &c->src, &p->block_src));
	if (c->sum)
		TRY(reorder(m, &sum, &c->dst, &p->block_sum));
	return reorder(m, &c->dst, &dst, &p->plain_dst);
}

/* The ops are those of an earlier part of the same shape, if there is one. The weights are one
   run in ONNX's form, too (the transposed form is not cut). */
static enum err_code make_part(struct conv_maker *m, struct conv_state *s, int64_t i)
{
	struct conv_part *from = &m->part[i];
	struct part *p = &s->part[i];
	const struct onednn_image src = in_tensor(&m->c.src, m->src_layout, 0),
				  dst = in_tensor(&m->c.dst, m->dst_layout, 0),
				  sum = in_tensor(&m->c.dst, sum_layout(m), 0);
	const struct tensor *w = &m->p->in[1];
	*from = conv_cut_part(&m->cut, &m->c, i);
	int64_t like = 0;
	while (like < i && !conv_part_is_like(&m->part[like], from))
		like++;
	if (like < i) {
		*p = s->part[like];
		from->c = m->part[like].c; /* with the layouts that the library took */
	} else {
		TRY(make_ops(m, from, p));
	}
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
static void place_scratch(struct conv_maker *m, struct conv_state *s)
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

static enum err_code make_parts(struct conv_maker *m, struct conv_state *s)
{
	s->parts = m->cut.parts;
	m->part = ARENA_ARRAY(m->p->tmp, struct conv_part, (size_t)s->parts);
	if (!m->part)
		return err_oom(m->err);
	for (int64_t i = 0; i < s->parts; i++)
		TRY(make_part(m, s, i));
	place_scratch(m, s);
	return ERR_OK;
}

static void fill_kernel(struct conv_maker *m, struct conv_state *s)
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

static enum err_code prepare(struct conv_maker *m, const struct conv_geometry *g)
{
	TRY(conv_onednn_ask(m, g));
	size_t bytes = sizeof(struct conv_state) + (size_t)m->cut.parts * sizeof(struct part);
	struct conv_state *s = prep_alloc(m->p, bytes);
	if (!s)
		return err_oom(m->err);
	TRY(make_parts(m, s));
	fill_kernel(m, s);
	return ERR_OK;
}

static enum err_code prepare_conv(struct conv_maker *m)
{
	const struct prep *p = m->p;
	const struct node *n = p->node;
	struct conv_geometry g;
	m->c.act = (struct onednn_act){ (enum activation)node_int(n, "activation", ACT_NONE),
		node_float(n, "alpha", 0), node_float(n, "beta", 0) };
	TRY(conv_geometry(n, &p->in[0].shape, &p->in[1].shape, &g, m->err));
	return prepare(m, &g);
}

enum err_code prepare_conv_onednn(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_conv(&(struct conv_maker){ .p = p, .ret = ret, .err = err });
}

enum err_code prepare_conv_bf16(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_conv(&(struct conv_maker){ .p = p, .ret = ret, .err = err, .bf16 = true });
}

/* Any number of channels runs at full width; what comes blocked or plain is reordered. */
enum err_code prepare_conv_nhwc(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_conv(&(struct conv_maker){ .p = p, .ret = ret, .err = err, .nhwc = true });
}

enum err_code prepare_conv_transpose_onednn(struct prep *p, struct kernel *ret, struct err *err)
{
	struct conv_maker m = { .p = p, .ret = ret, .err = err, .c.transposed = true };
	struct conv_geometry g;
	TRY(conv_transpose_geometry(p->node, &p->in[0].shape, &p->in[1].shape, &g, err));
	return prepare(&m, &g);
}
