/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.c -- steps that copy a whole tensor: between layouts, and where the planner makes no view
 *
 * A layout is strides of six dimensions, so that going from one to another is an ncopy; but where
 * one of both is rounded.
 */
#include "exec/cpu/ncopy.h"

#include "exec/half.h"

struct copy_state {
	struct split split;
	struct ncopy copy;
};

static void run_copy(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct copy_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	ncopy_run(&s->copy, a->out[0].data, a->in[0].data, from, to);
}

/* Of an image; of all planes of a volume, which lie one behind the other. */
static int64_t rows_of(const struct shape *s)
{
	return shape_count_range(s, 2, s->rank - 1);
}

/* Strides of N, C by 16, C by 8, C, H, W in a layout. */
static void layout_strides(const struct shape *s, enum layout layout, int64_t *ret)
{
	int64_t c = s->dim[1], h = rows_of(s), w = s->dim[s->rank - 1], b = layout_block(layout);
	bool last = layout == LAYOUT_NHWC;
	int64_t pixel = last ? c : b, block = last ? b : h * w * b;
	ret[0] = c * h * w;
	ret[1] = last ? 16 : 16 / b * block;
	ret[2] = b == 16 ? 8 : last ? 8 : 8 / b * block;
	ret[3] = last || b > 1 ? 1 : h * w;
	ret[4] = w * pixel;
	ret[5] = pixel;
}

static void init_reorder(struct ncopy *c, const struct tensor *in, const struct tensor *out)
{
	const struct shape *s = &in->shape;
	int64_t src[6], dst[6];
	layout_strides(s, in->layout, src);
	layout_strides(s, out->layout, dst);
	int64_t b = max_i64(layout_block(in->layout), layout_block(out->layout));
	/* C in steps of the larger block: sizes of the three channel dimensions. */
	int64_t by16 = b == 16 ? s->dim[1] / 16 : 1, by8 = b == 16 ? 2 : b == 8 ? s->dim[1] / 8 : 1;
	int64_t by1 = b > 1 ? 8 : s->dim[1];
	int64_t dim[6] = { s->dim[0], by16, by8, by1, rows_of(s), s->dim[s->rank - 1] };
	/* The box is walked in the destination's order. */
	static const int order[LAYOUT_COUNT_][6] = {
		[LAYOUT_PLAIN] = { 0, 1, 2, 3, 4, 5 },
		[LAYOUT_NCHW8C] = { 0, 1, 2, 4, 5, 3 },
		[LAYOUT_NCHW16C] = { 0, 1, 4, 5, 2, 3 },
		[LAYOUT_NHWC] = { 0, 4, 5, 1, 2, 3 },
	};
	int64_t odim[6], osrc[6], odst[6];
	for (int i = 0; i < 6; i++) {
		int from = order[out->layout][i];
		odim[i] = dim[from];
		osrc[i] = src[from];
		odst[i] = dst[from];
	}
	ncopy_init(c, 6, odim, osrc, odst, dtype_bytes(in->dtype));
}

/* -- to and from the layout that rounds, block by block -------------------------------------- */

#define BLOCK 16

struct round_state {
	struct split split; /* of rows of a block */
	bool from, to; /* which of both is rounded */
	int64_t blocks, height, width;
	int64_t src[6], dst[6]; /* layout_strides() */
};

/* Where channel c of a block lies, beginning with the block. */
static int64_t in_block(const int64_t *stride, int64_t c)
{
	return c / 8 * stride[2] + c % 8 * stride[3];
}

static void round_row(const struct round_state *s, const char *from, char *to)
{
	for (int64_t x = 0; x < s->width; x++)
		for (int64_t c = 0; c < BLOCK; c++) {
			int64_t src = x * s->src[5] + in_block(s->src, c);
			int64_t dst = x * s->dst[5] + in_block(s->dst, c);
			float v = s->from ? bfloat_to_float(((const uint16_t *)from)[src])
					  : ((const float *)from)[src];
			if (s->to)
				((uint16_t *)to)[dst] = float_to_bfloat(v);
			else
				((float *)to)[dst] = v;
		}
}

static void run_round(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct round_state *s = a->state;
	size_t src_bytes = s->from ? sizeof(uint16_t) : sizeof(float);
	size_t dst_bytes = s->to ? sizeof(uint16_t) : sizeof(float);
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++) {
		int64_t y = i % s->height, block = i / s->height % s->blocks,
			image = i / s->height / s->blocks;
		int64_t src = image * s->src[0] + block * s->src[1] + y * s->src[4];
		int64_t dst = image * s->dst[0] + block * s->dst[1] + y * s->dst[4];
		round_row(s, (const char *)a->in[0].data + (size_t)src * src_bytes,
			(char *)a->out[0].data + (size_t)dst * dst_bytes);
	}
}

static enum err_code prepare_round(struct prep *p, struct kernel *ret, struct err *err)
{
	struct round_state *s = kernel_state(p, ret, sizeof(*s));
	const struct shape *x = &p->in[0].shape;
	if (!s)
		return err_oom(err);
	s->from = layout_is_bf16(p->in[0].layout);
	s->to = layout_is_bf16(p->out[0].layout);
	s->blocks = x->dim[1] / BLOCK;
	s->height = rows_of(x);
	s->width = x->dim[x->rank - 1];
	layout_strides(x, p->in[0].layout, s->src);
	layout_strides(x, p->out[0].layout, s->dst);
	s->split =
		split_work(p, ret, x->dim[0] * s->blocks * s->height, (double)(s->width * BLOCK));
	ret->run = run_round;
	ret->name = "copy";
	ret->out_layout = p->out[0].layout;
	return ERR_OK;
}

enum err_code prepare_copy(struct prep *p, struct kernel *ret, struct err *err)
{
	if (layout_is_bf16(p->in[0].layout) || layout_is_bf16(p->out[0].layout))
		return prepare_round(p, ret, err);
	struct copy_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	const struct tensor *in = &p->in[0], *out = &p->out[0];
	if (in->layout == out->layout) {
		int64_t n = tensor_count(in), one = 1;
		ncopy_init(&s->copy, 1, &n, &one, &one, dtype_bytes(in->dtype));
	} else {
		init_reorder(&s->copy, in, out);
	}
	s->split = split_work(p, ret, s->copy.items, ncopy_item_ns(&s->copy));
	ret->run = run_copy;
	ret->name = "copy";
	ret->out_layout = out->layout;
	return ERR_OK;
}

/* Reshape and its like, where the planner cannot make them a view. */
enum err_code prepare_view(struct prep *p, struct kernel *ret, struct err *err)
{
	if (!shape_is_static(&p->out[0].shape))
		return prep_refuse(err, "sequences and optionals are passed on");
	struct copy_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	int64_t n = tensor_count(&p->in[0]), one = 1;
	ncopy_init(&s->copy, 1, &n, &one, &one, dtype_bytes(p->in[0].dtype));
	s->split = split_work(p, ret, s->copy.items, ncopy_item_ns(&s->copy));
	ret->run = run_copy;
	return ERR_OK;
}
