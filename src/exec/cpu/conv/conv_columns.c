/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv and FusedConv as products: of volumes, and of what the library has no code for
 *
 * DESIGN
 *
 * All that a block of output points reads is gathered in columns: a row for each channel and
 * tap, a column for each point. Weights times columns are the block, and bias, what is added
 * and the activation come with the product. A block is whole rows of the output, so that what
 * a tap reads of one is a run of the input, and its columns stay in the cache.
 *
 * NOT DONE: depthwise convolutions, whose products would be of one row.
 */
#include "base/checked.h"
#include "exec/cpu/math/unary.h"
#include "exec/cpu/matmul/gemm.h"
#include "exec/cpu/conv/window.h"

#include <string.h>

#define FLOPS_PER_NS 60.0
/* Floats that the columns of a block should have, and may have at most. */
#define COLUMNS_WANTED (1 << 17)
#define COLUMNS_MAX (1 << 24)
/* Below so many output channels of a group, gathering costs more than it saves. */
#define CHANNELS_MIN 4

struct columns_state {
	struct window w;
	struct activation_loop act;
	const struct gemm *gemm;
	int64_t per_in, per_out; /* channels of a group */
	int64_t depth;           /* rows of the columns: channels of a group times taps */
	int64_t rows, row_blocks, rows_per_block; /* of the output of one channel */
	size_t packed_at, gemm_at;                /* in the scratch, behind the columns */
};

/* What tap kw reads of a row of the input for a row of the output. */
static void gather_row(const struct window *w, float *to, const float *x, int64_t kw)
{
	int64_t from, end, n = w->g.out[AXIS_W], stride = w->g.stride[AXIS_W];
	int64_t start = window_at(w, AXIS_W, 0, kw);
	window_span(start, stride, w->g.in[AXIS_W], n, &from, &end);
	end = max_i64(end, from);
	memset(to, 0, (size_t)from * sizeof(*to));
	if (stride == 1)
		memcpy(to + from, x + start + from, (size_t)(end - from) * sizeof(*to));
	else
		for (int64_t o = from; o < end; o++)
			to[o] = x[start + o * stride];
	memset(to + end, 0, (size_t)(n - end) * sizeof(*to));
}

/* A row of the columns: one channel and tap, for output rows [first, first + rows). */
static void gather_tap(
	const struct window *w, float *to, const float *x, int64_t tap, int64_t first, int64_t rows)
{
	const int64_t *in = w->g.in, *k = w->g.kernel;
	int64_t kw = tap % k[AXIS_W], kh = tap / k[AXIS_W] % k[AXIS_H];
	int64_t kd = tap / k[AXIS_W] / k[AXIS_H], width = w->g.out[AXIS_W];
	for (int64_t r = first; r < first + rows; r++, to += width) {
		int64_t h = window_at(w, AXIS_H, r % w->g.out[AXIS_H], kh);
		int64_t d = window_at(w, AXIS_D, r / w->g.out[AXIS_H], kd);
		if (d < 0 || d >= in[AXIS_D] || h < 0 || h >= in[AXIS_H])
			memset(to, 0, (size_t)width * sizeof(*to));
		else
			gather_row(w, to, x + (d * in[AXIS_H] + h) * in[AXIS_W], kw);
	}
}

static void gather(const struct columns_state *s, float *columns, const float *x, int64_t first,
	int64_t rows)
{
	const struct window *w = &s->w;
	int64_t taps = window_taps(w), points = rows * w->g.out[AXIS_W];
	for (int64_t i = 0; i < s->depth; i++)
		gather_tap(w, columns + i * points, x + i / taps * window_image(w), i % taps, first,
			rows);
}

static void run_unit(const struct kernel_args *a, const struct columns_state *s, int64_t unit)
{
	const struct window *w = &s->w;
	int64_t first = unit % s->row_blocks * s->rows_per_block, width = w->g.out[AXIS_W];
	int64_t group = unit / s->row_blocks; /* of all images */
	int64_t rows = min_i64(s->rows_per_block, s->rows - first), points = rows * width;
	int64_t channel = group % w->g.group * s->per_out;
	int64_t at = group * s->per_out * s->rows * width + first * width;
	float *columns = a->scratch, *packed = (float *)((char *)a->scratch + s->packed_at);
	gather(s, columns, (const float *)a->in[0].data + group * s->per_in * window_image(w), first,
		rows);
	s->gemm->pack(packed, columns, points, 1, s->depth, points);
	struct gemm_job j = {
		.m = s->per_out,
		.n = points,
		.k = s->depth,
		.a = (const float *)a->in[1].data + channel * s->depth,
		.a_row = s->depth,
		.a_k = 1,
		.b = packed,
		.c = (float *)a->out[0].data + at,
		.c_row = s->rows * width,
		.alpha = 1,
		.beta = 1,
		.act = s->act.fn,
		.act_param = s->act.param,
		.scratch = (float *)((char *)a->scratch + s->gemm_at),
	};
	if (args_has_in(a, 2)) {
		j.add[0] = (const float *)a->in[2].data + channel;
		j.add_row[0] = 1;
	}
	if (args_has_in(a, 3)) {
		j.add[1] = (const float *)a->in[3].data + at;
		j.add_row[1] = j.c_row;
		j.add_col[1] = 1;
	}
	s->gemm->run(&j);
}

static void run_conv_columns(const struct kernel_args *a, int64_t begin, int64_t end)
{
	for (int64_t unit = begin; unit < end; unit++)
		run_unit(a, a->state, unit);
}

/* -- prepare ---------------------------------------------------------------------------------- */

static void place_scratch(struct columns_state *s, struct kernel *ret)
{
	int64_t points = s->rows_per_block * s->w.g.out[AXIS_W];
	size_t columns = (size_t)(s->depth * points) * sizeof(float);
	size_t packed = (size_t)gemm_packed_floats(s->gemm, s->depth, points) * sizeof(float);
	s->packed_at = round_up(columns, ARENA_ALIGN_TENSOR);
	s->gemm_at = s->packed_at + round_up(packed, ARENA_ALIGN_TENSOR);
	ret->scratch_bytes = s->gemm_at + gemm_scratch_bytes(s->gemm, s->per_out, s->depth);
}

/* False: a row's columns are too many, or there are none. */
static bool cut_blocks(struct columns_state *s)
{
	const struct window *w = &s->w;
	int64_t width = w->g.out[AXIS_W];
	s->per_in = w->c_in / w->g.group;
	s->per_out = w->c_out / w->g.group;
	s->rows = w->g.out[AXIS_D] * w->g.out[AXIS_H];
	if (s->per_out < CHANNELS_MIN || s->rows == 0 || width == 0 || w->n == 0 || s->per_in == 0)
		return false;
	if (s->per_in > COLUMNS_MAX / window_taps(w) || s->per_in * window_taps(w) > COLUMNS_MAX / width)
		return false;
	s->depth = s->per_in * window_taps(w);
	s->rows_per_block = min_i64(max_i64(COLUMNS_WANTED / (s->depth * width), 1), s->rows);
	s->row_blocks = (s->rows + s->rows_per_block - 1) / s->rows_per_block;
	return true;
}

enum err_code prepare_conv_columns(struct prep *p, struct kernel *ret, struct err *err)
{
	struct conv_geometry g;
	TRY(conv_geometry(p->node, &p->in[0].shape, &p->in[1].shape, &g, err));
	struct columns_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	TRY(window_init(&s->w, &g, &p->in[0].shape, &p->out[0].shape, err));
	if (!cut_blocks(s))
		return prep_refuse(err, "few output channels, or too many inputs of a row");
	if (p->node->op == OP_FUSED_CONV)
		activation_find(p->node, DTYPE_F32, &s->act);
	s->gemm = gemm_best();
	place_scratch(s, ret);
	ret->run = run_conv_columns;
	ret->units = s->w.n * s->w.g.group * s->row_blocks;
	double flops = 2.0 * (double)(s->depth * s->rows_per_block) *
		       (double)(s->w.g.out[AXIS_W] * s->per_out);
	ret->unit_cost_ns = (int64_t)(flops / FLOPS_PER_NS) + 1;
	return ERR_OK;
}
