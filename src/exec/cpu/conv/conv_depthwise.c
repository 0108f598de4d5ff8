/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv and FusedConv of volumes, depthwise: each channel by itself. Images are the library's.
 *
 * DESIGN. A block of channels is one vector, so a tap of a block is one multiplication. A row of
 * the result is summed some neighbouring pixels at a time, in registers; those whose windows leave
 * the row are summed one by one. Windows never leave planes and rows: taps there are left out. A
 * volume that comes plain is brought into blocks in scratch, block by block.
 *
 * A unit of work is a block of channels of one volume. Compiled once per instruction set; ISA is
 * avx2 or avx512.
 */
#include "exec/cpu/vec_isa.h"
#include "exec/cpu/conv/window.h"
#include "exec/cpu/math/unary.h"
#include "exec/cpu/ncopy.h"

#define PIXELS 12 /* summed side by side: sums, a weight and what is read fit into the registers */
#define FLOPS_PER_NS 40.0

struct depthwise_state {
	struct window w; /* with blocks for channels */
	struct activation_loop act;
	bool plain;	      /* X comes so */
	struct ncopy block;   /* of X then */
	int64_t inner, outer; /* pixels of a row whose windows are whole: [inner, outer) */
	vec weights[];	      /* by block and tap */
};

/* Taps of a row of the result: planes and rows that lie in X. */
struct row_taps {
	struct reach d, h;
	const vec *x, *weights; /* of a block */
};

/* Adds to n sums of neighbours, the first of which is pixel o, the taps [from, to) of each row. */
static inline __attribute__((always_inline)) void add_taps(const struct window *w,
	const struct row_taps *r, vec *sum, int n, int64_t o, int64_t from, int64_t to)
{
	const struct conv_geometry *g = &w->g;
	int64_t step = g->stride[AXIS_W], first = window_at(w, AXIS_W, o, 0);
	for (int64_t kd = r->d.from; kd < r->d.to; kd++)
		for (int64_t kh = r->h.from; kh < r->h.to; kh++) {
			int64_t plane = r->d.start + kd * g->dilation[AXIS_D];
			int64_t row = plane * g->in[AXIS_H] + r->h.start + kh * g->dilation[AXIS_H];
			const vec *x = r->x + row * g->in[AXIS_W] + first;
			const vec *weight =
				r->weights + (kd * g->kernel[AXIS_H] + kh) * g->kernel[AXIS_W];
			for (int64_t kw = from; kw < to; kw++) {
				const vec *tap = x + kw * g->dilation[AXIS_W];
				UNROLL for (int j = 0; j < n; j++)
					sum[j] += weight[kw] * tap[j * step];
			}
		}
}

/* A row of the result, but for what is added and the activation. */
static void sum_row(const struct depthwise_state *s, const struct row_taps *r, vec bias, vec *y)
{
	const struct window *w = &s->w;
	VEC_ARRAY sum[PIXELS];
	for (int64_t o = 0; o < w->g.out[AXIS_W];) {
		int n = o >= s->inner && o + PIXELS <= s->outer ? PIXELS : 1;
		UNROLL for (int j = 0; j < PIXELS; j++)
			sum[j] = bias;
		if (n == PIXELS) {
			add_taps(w, r, sum, PIXELS, o, 0, w->g.kernel[AXIS_W]);
		} else {
			struct reach c = window_reach(w, false, AXIS_W, o);
			add_taps(w, r, sum, 1, o, c.from, c.to);
		}
		for (int j = 0; j < n; j++)
			y[o + j] = sum[j];
		o += n;
	}
}

static void sum_block(
	const struct kernel_args *a, const struct depthwise_state *s, int64_t at, const vec *x)
{
	const struct window *w = &s->w;
	int64_t width = w->g.out[AXIS_W], rows = w->g.out[AXIS_D] * w->g.out[AXIS_H],
		block = at % w->c_out;
	vec bias = args_has_in(a, 2) ? ((const vec *)a->in[2].data)[block] : vec_all(0);
	for (int64_t row = 0; row < rows; row++) {
		vec *y = (vec *)a->out[0].data + (at * rows + row) * width;
		struct row_taps r = { .x = x, .weights = s->weights + block * window_taps(w),
			.d = window_reach(w, false, AXIS_D, row / w->g.out[AXIS_H]),
			.h = window_reach(w, false, AXIS_H, row % w->g.out[AXIS_H]) };
		sum_row(s, &r, bias, y);
		const vec *z = NULL;
		if (args_has_in(a, 3))
			z = (const vec *)a->in[3].data + (at * rows + row) * width;
		for (int64_t o = 0; z && o < width; o++)
			y[o] += z[o];
		if (s->act.fn)
			s->act.fn(y, y, width * VEC_FLOATS, s->act.param);
	}
}

static void run_depthwise(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct depthwise_state *s = a->state;
	for (int64_t at = begin; at < end; at++) {
		const vec *x = (const vec *)a->in[0].data + at * window_image(&s->w);
		if (s->plain) {
			ncopy_run(&s->block, a->scratch, x, 0, s->block.items);
			x = a->scratch;
		}
		sum_block(a, s, at, x);
	}
}

/* -- prepare ---------------------------------------------------------------------------------- */

static void pack_weights(struct depthwise_state *s, const float *weights)
{
	int64_t taps = window_taps(&s->w);
	for (int64_t c = 0; c < s->w.c_out * VEC_FLOATS; c++)
		for (int64_t k = 0; k < taps; k++)
			((float *)(s->weights + c / VEC_FLOATS * taps + k))[c % VEC_FLOATS] =
				weights[c * taps + k];
}

static void find_inner(struct depthwise_state *s)
{
	const struct conv_geometry *g = &s->w.g;
	int64_t first, last, unused;
	window_span(window_at(&s->w, AXIS_W, 0, 0), g->stride[AXIS_W], g->in[AXIS_W],
		g->out[AXIS_W], &first, &unused);
	window_span(window_at(&s->w, AXIS_W, 0, g->kernel[AXIS_W] - 1), g->stride[AXIS_W],
		g->in[AXIS_W], g->out[AXIS_W], &unused, &last);
	s->inner = first;
	s->outer = last;
}

/* Volumes in blocks, and what is added too. */
static bool suits(const struct prep *p, const struct conv_geometry *g)
{
	int64_t channels = p->in[0].shape.dim[1];
	enum layout x = p->in[0].layout;
	bool fits = g->spatial == AXES && g->group == channels &&
		    p->out[0].shape.dim[1] == channels && channels % VEC_FLOATS == 0;
	return fits && p->in[1].data && p->in[1].dtype == DTYPE_F32 &&
	       (x == LAYOUT_PLAIN || x == VEC_LAYOUT) &&
	       (!prep_has_in(p, 3) || p->in[3].layout == VEC_LAYOUT);
}

enum err_code VEC_NAME(prepare_conv_depthwise)(struct prep *p, struct kernel *ret, struct err *err)
{
	struct conv_geometry g;
	TRY(conv_geometry(p->node, &p->in[0].shape, &p->in[1].shape, &g, err));
	if (!suits(p, &g))
		return prep_refuse(
			err, "no depthwise convolution of volumes whose channels fill blocks");
	int64_t taps = tensor_count(&p->in[1]) / VEC_FLOATS;
	struct depthwise_state *s =
		kernel_state(p, ret, sizeof(*s) + (size_t)taps * sizeof(s->weights[0]));
	if (!s)
		return err_oom(err);
	TRY(window_init(&s->w, &g, &p->in[0].shape, &p->out[0].shape, err));
	s->w.c_in = s->w.c_out = s->w.c_in / VEC_FLOATS;
	pack_weights(s, p->in[1].data);
	find_inner(s);
	if (p->node->op == OP_FUSED_CONV)
		activation_find(p->node, DTYPE_F32, &s->act);
	int64_t image = window_image(&s->w), points = g.out[0] * g.out[1] * g.out[2];
	s->plain = p->in[0].layout == LAYOUT_PLAIN;
	ncopy_init(&s->block, 2, (int64_t[]){ image, VEC_FLOATS }, (int64_t[]){ 1, image },
		(int64_t[]){ VEC_FLOATS, 1 }, sizeof(float));
	ret->scratch_bytes = s->plain ? (size_t)image * sizeof(vec) : 0;
	ret->run = run_depthwise;
	ret->out_layout = VEC_LAYOUT;
	ret->units = points ? s->w.n * s->w.c_out : 0;
	double flops = (double)(window_taps(&s->w) * points) * 2 * VEC_FLOATS;
	ret->unit_cost_ns = (int64_t)(flops / FLOPS_PER_NS) + 1;
	ret->unread = 1u << 1;
	return ERR_OK;
}
