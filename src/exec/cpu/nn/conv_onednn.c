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
 * A unit of work is one image times one slice of the output channels. In a blocked layout
 * such a slice is one run of memory in the result, in the weights and in the bias, so all
 * slices share one primitive; and as the primitive is of one image, plans for all batch
 * sizes share the packed weights.
 *
 * NOT DONE: slices of rows, which would need strides that the library's code does not take.
 */
#include "exec/infer/conv_geometry.h"
#include "exec/cpu/cpu.h"
#include "exec/cpu/nn/onednn.h"

#include "base/checked.h"

/* A step that takes less is not worth slicing by channels. */
#define SLICE_MIN_NS 200000.0
#define FLOPS_PER_NS 80.0
/* Channels that the library's first-layer code reads from a plain image. */
#define PLAIN_IC_MAX 3

struct conv_state {
	struct onednn_op *conv;
	struct onednn_op *block_src, *block_sum, *plain_dst; /* NULL: no such reorder */
	int64_t slices;
	size_t src_image, src_slice, dst_image, dst_slice; /* bytes as they lie in the tensors */
	int64_t bias_slice;                                /* elements */
	bool bias, sum;
	size_t scratch_src, scratch_dst; /* where in the scratch */
	const void *weights[]; /* per slice */
};

static void run_unit(const struct kernel_args *a, const struct conv_state *s, int64_t image,
	int64_t slice)
{
	const char *src = (const char *)a->in[0].data + (size_t)image * s->src_image +
			  (size_t)slice * s->src_slice;
	size_t dst_at = (size_t)image * s->dst_image + (size_t)slice * s->dst_slice;
	char *dst = (char *)a->out[0].data + dst_at, *scratch = a->scratch;
	const char *sum = s->sum ? (const char *)a->in[3].data + dst_at : NULL;
	struct onednn_args x = { .src = src, .weights = s->weights[slice], .dst = dst, .scratch = scratch };
	if (s->bias)
		x.bias = (const float *)a->in[2].data + slice * s->bias_slice;
	if (s->block_src) {
		x.src = scratch + s->scratch_src;
		onednn_run(s->block_src,
			&(struct onednn_args){ .src = src, .dst = scratch + s->scratch_src, .scratch = scratch });
	}
	if (s->plain_dst)
		x.dst = scratch + s->scratch_dst;
	if (s->block_sum)
		onednn_run(s->block_sum,
			&(struct onednn_args){ .src = sum, .dst = x.dst, .scratch = scratch });
	else if (sum && sum != x.dst)
		memcpy(x.dst, sum, s->dst_slice);
	onednn_run(s->conv, &x);
	if (s->plain_dst)
		onednn_run(s->plain_dst,
			&(struct onednn_args){ .src = x.dst, .dst = dst, .scratch = scratch });
}

static void run_conv(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct conv_state *s = a->state;
	for (int64_t u = begin; u < end; u++)
		run_unit(a, s, u / s->slices, u % s->slices);
}

/* -- prepare ---------------------------------------------------------------------------------- */

struct maker {
	struct prep *p;
	struct kernel *ret;
	struct err *err;
	struct onednn_conv c; /* of one slice, as the library gets it */
	enum layout blocked;
	int64_t block, images, slices;
	bool bf16;       /* of rounded sources and weights */
	bool nhwc;       /* channels last inside, whatever the tensors are */
	bool slices_src; /* a slice of the output reads only one of the input */
	enum layout src_layout, dst_layout; /* of the tensors */
	double ns;                          /* rough, of the whole step */
};

static void swap(int64_t *a, int64_t *b)
{
	int64_t was = *a;
	*a = *b;
	*b = was;
}

/* A column lies in memory as a row does, and rows are what the library's code is fast on. */
static void lay_down(struct onednn_conv *c)
{
	if (c->src.w != 1 || c->dst.w != 1 || c->kernel[1] != 1)
		return;
	swap(&c->src.h, &c->src.w);
	swap(&c->dst.h, &c->dst.w);
	swap(&c->kernel[0], &c->kernel[1]);
	swap(&c->stride[0], &c->stride[1]);
	swap(&c->dilation[0], &c->dilation[1]);
	swap(&c->pad_begin[0], &c->pad_begin[1]);
}

/* Rank 3 is rank 4 with one row. */
static bool read_geometry(struct maker *m, const struct conv_geometry *g)
{
	const struct tensor *x = &m->p->in[0], *y = &m->p->out[0];
	if (g->spatial < 1 || g->spatial > 2)
		return false;
	struct onednn_conv *c = &m->c;
	for (int i = 0; i < 2; i++) {
		int from = i - (2 - g->spatial);
		c->kernel[i] = from < 0 ? 1 : g->kernel[from];
		c->stride[i] = from < 0 ? 1 : g->stride[from];
		c->dilation[i] = from < 0 ? 1 : g->dilation[from];
		c->pad_begin[i] = from < 0 ? 0 : g->pad_begin[from];
	}
	c->group = g->group;
	c->src = (struct onednn_image){ x->shape.dim[1], g->spatial < 2 ? 1 : g->in[0],
		g->in[g->spatial - 1], m->blocked, m->bf16 };
	c->dst = (struct onednn_image){ y->shape.dim[1], g->spatial < 2 ? 1 : g->out[0],
		g->out[g->spatial - 1], m->blocked, false };
	m->images = x->shape.dim[0];
	lay_down(c);
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

static bool choose_layouts(struct maker *m)
{
	struct prep *p = m->p;
	struct onednn_conv *c = &m->c;
	bool images = p->in[0].shape.rank == 4, pixel = c->dst.h * c->dst.w == 1;
	m->src_layout = p->in[0].layout;
	if (m->src_layout != LAYOUT_PLAIN && m->src_layout != m->blocked)
		return false;
	bool first = m->src_layout == LAYOUT_PLAIN && c->src.c <= PLAIN_IC_MAX && c->group == 1;
	if (first && !c->transposed)
		c->src.layout = LAYOUT_PLAIN;
	if (!groups_fit(m))
		c->src.layout = c->dst.layout = LAYOUT_PLAIN;
	if (m->nhwc)
		c->src.layout = c->dst.layout = LAYOUT_NHWC;
	/* One pixel is the same in both layouts, and plain suits whoever comes next. */
	bool whole = c->dst.c % m->block == 0;
	m->dst_layout = images && whole && !pixel ? m->blocked : LAYOUT_PLAIN;
	return !c->sum || p->in[3].layout == LAYOUT_PLAIN || p->in[3].layout == m->dst_layout;
}

/* Channels that must stay together when the output is sliced. */
static int64_t slice_grain(const struct maker *m)
{
	const struct onednn_conv *c = &m->c;
	if (c->group == 1)
		return 2 * m->block; /* one block alone leaves half of the registers idle */
	return is_depthwise(c) ? m->block : c->dst.c / c->group;
}

/* As few slices as give every thread the same to do, if there is enough to do. */
static void choose_slices(struct maker *m)
{
	struct onednn_conv *c = &m->c;
	double flops = 2.0 * (double)(c->dst.c * c->dst.h * c->dst.w) *
		       (double)(c->src.c / c->group * c->kernel[0] * c->kernel[1]);
	m->ns = (double)m->images * flops / FLOPS_PER_NS;
	m->slices = 1;
	int64_t threads = m->p->threads, grain = slice_grain(m);
	if (threads <= 1 || m->ns < SLICE_MIN_NS || c->dst.c % grain || m->images % threads == 0)
		return;
	int64_t most = c->dst.c / grain;
	for (int64_t n = 1; n <= most && n <= 4 * threads; n++) {
		if (most % n)
			continue;
		m->slices = n;
		if (m->images * n % threads == 0)
			break;
	}
}

static void cut_slice(struct maker *m)
{
	struct onednn_conv *c = &m->c;
	c->dst.c /= m->slices;
	m->slices_src = c->group > 1;
	if (m->slices_src) {
		c->src.c /= m->slices;
		c->group /= m->slices;
	}
}

/* Floats in a tensor's layout, as the convolution has them. */
static struct onednn_image in_tensor(const struct onednn_image *i, enum layout layout)
{
	return (struct onednn_image){ i->c, i->h, i->w, layout, false };
}

/* From a tensor to what the convolution takes, or back; NULL where they are the same, as all
   layouts of one pixel are. */
static enum err_code reorder(struct maker *m, const struct onednn_image *from,
	const struct onednn_image *to, struct onednn_op **ret)
{
	bool same = from->layout == to->layout || (to->h * to->w == 1 && to->c % m->block == 0);
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

/* Few channels have no blocked code either; there is plain code (a matrix product). */
static enum err_code make_conv(struct maker *m, struct onednn_op **ret)
{
	struct onednn_conv *c = &m->c;
	enum err_code rc = onednn_conv(m->p, c, ret, m->err);
	if (rc != ERR_UNIMPLEMENTED || c->winograd || c->src.bf16 || m->nhwc || c->dst.layout == LAYOUT_PLAIN)
		return rc;
	c->src.layout = c->dst.layout = LAYOUT_PLAIN;
	return onednn_conv(m->p, c, ret, m->err);
}

static enum err_code make_ops(struct maker *m, struct conv_state *s)
{
	struct onednn_conv *c = &m->c;
	enum err_code rc = make_conv(m, &s->conv);
	const struct onednn_image src = in_tensor(&c->src, m->src_layout),
				  dst = in_tensor(&c->dst, m->dst_layout),
				  sum = in_tensor(&c->dst, c->sum ? m->p->in[3].layout : c->dst.layout);
	if (rc == ERR_OK)
		rc = reorder(m, &src, &c->src, &s->block_src);
	if (rc == ERR_OK)
		rc = reorder(m, &sum, &c->dst, &s->block_sum);
	if (rc == ERR_OK)
		rc = reorder(m, &c->dst, &dst, &s->plain_dst);
	if (rc != ERR_OK)
		return rc;
	/* What the ops need for themselves comes first, one after the other uses it. */
	size_t scratch = max_size(op_scratch(s->conv), op_scratch(s->block_src));
	scratch = max_size(scratch, max_size(op_scratch(s->block_sum), op_scratch(s->plain_dst)));
	s->scratch_src = round_up(scratch, ARENA_ALIGN_TENSOR);
	s->scratch_dst = s->scratch_src;
	if (s->block_src)
		s->scratch_dst += round_up(onednn_image_bytes(&c->src), ARENA_ALIGN_TENSOR);
	m->ret->scratch_bytes = s->scratch_dst;
	if (s->plain_dst)
		m->ret->scratch_bytes += round_up(onednn_image_bytes(&c->dst), ARENA_ALIGN_TENSOR);
	return ERR_OK;
}

/* The slices' weights: in ONNX's form, too, a slice is one run (the transposed form is
   sliced by groups only). */
static enum err_code pack_weights(struct maker *m, struct conv_state *s)
{
	const struct tensor *w = &m->p->in[1];
	int64_t per_slice = tensor_count(w) / m->slices;
	enum err_code rc = ERR_OK;
	for (int64_t i = 0; i < m->slices && rc == ERR_OK; i++)
		rc = onednn_pack(m->p, s->conv, (const float *)w->data + i * per_slice,
			&s->weights[i], m->err);
	return rc;
}

static void fill_kernel(struct maker *m, struct conv_state *s)
{
	struct onednn_conv *c = &m->c;
	s->slices = m->slices;
	const struct onednn_image src = in_tensor(&c->src, m->src_layout), dst = in_tensor(&c->dst, m->dst_layout);
	s->src_image = onednn_image_bytes(&src);
	if (m->slices_src) {
		s->src_slice = s->src_image;
		s->src_image *= (size_t)m->slices;
	}
	s->dst_slice = onednn_image_bytes(&dst);
	s->dst_image = s->dst_slice * (size_t)m->slices;
	s->bias = c->bias;
	s->bias_slice = c->dst.c;
	s->sum = c->sum;
	struct kernel *k = m->ret;
	k->run = run_conv;
	k->state = s;
	k->units = m->images * m->slices;
	k->unit_cost_ns = (int64_t)(m->ns / (double)k->units) + 1;
	k->out_layout = m->dst_layout;
	if (c->sum && !s->block_sum && !s->plain_dst) {
		k->inplace = true;
		k->inplace_in = 3;
	}
}

/* As the image comes; else by 16 where processor and channels allow it. Eight channels in
   blocks of 8 are half as fast as sixteen, but several times as fast as plain ones. */
static void choose_block(struct maker *m)
{
	const struct prep *p = m->p;
	int64_t in = p->in[0].shape.dim[1], out = p->out[0].shape.dim[1];
	bool first = in <= PLAIN_IC_MAX, eight = (first || in % 8 == 0) && out % 8 == 0,
	     sixteen = (first || in % 16 == 0) && out % 16 == 0;
	m->blocked = cpu_features() & CPU_AVX512 && (sixteen || !eight) ? LAYOUT_NCHW16C : LAYOUT_NCHW8C;
	if (p->in[0].layout == LAYOUT_NCHW8C)
		m->blocked = LAYOUT_NCHW8C;
	m->block = m->blocked == LAYOUT_NCHW16C ? 16 : 8;
}

static bool operands_fit(const struct prep *p)
{
	for (int i = 0; i < p->n_in; i++)
		if (prep_has_in(p, i) && p->in[i].dtype != DTYPE_F32)
			return false;
	return p->in[1].data;
}

/* 3.x has it for Arm alone, and does not tell packed forms of weights apart. */
static bool suits_winograd(const struct maker *m)
{
	const struct onednn_conv *c = &m->c;
	bool dense = c->group == 1 && c->src.c % m->block == 0 && c->dst.c % m->block == 0;
	for (int i = 0; i < 2; i++)
		dense &= c->kernel[i] == 3 && c->stride[i] == 1 && c->dilation[i] == 1;
	return dense && m->p->precision != PRECISION_EXACT && onednn_has_winograd();
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
	if (m->c.winograd && !suits_winograd(m))
		return prep_refuse(m->err, "no dense 3x3 convolution, or its rounding is not wanted");
	if (m->c.transposed || m->nhwc) /* slices of channels are not in one piece */
		m->slices = 1;
	else
		choose_slices(m);
	cut_slice(m);
	struct conv_state *s = prep_alloc(p, sizeof(*s) + (size_t)m->slices * sizeof(s->weights[0]));
	if (!s)
		return err_oom(m->err);
	enum err_code rc = make_ops(m, s);
	if (rc == ERR_OK)
		rc = pack_weights(m, s);
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

enum err_code prepare_conv_winograd(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_conv(&(struct maker){ .p = p, .ret = ret, .err = err, .c.winograd = true });
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
