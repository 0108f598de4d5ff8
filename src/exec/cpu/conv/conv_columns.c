/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv and FusedConv as products: of what the library has no code for, as volumes in groups
 *
 * DESIGN
 *
 * All that a block of output points reads is gathered in columns: a row for each channel and
 * tap, a column for each point. Weights times columns are the block, and bias, what is added
 * and the activation come with the product. A block is whole rows of the output, so that what
 * a tap reads of one is a run of the input. It has some hundreds of points: the product packs the
 * weights anew for each.
 *
 * NOT DONE: depthwise convolutions, whose products would be of one row.
 */
#include "base/checked.h"
#include "exec/cpu/math/unary.h"
#include "exec/cpu/matmul/gemm.h"
#include "exec/cpu/conv/window.h"

#include <assert.h>
#include <string.h>

#define FLOPS_PER_NS 60.0
/* Floats that the columns of a block should have, and may have at most. */
#define COLUMNS_WANTED (1 << 20)
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
	size_t gemm_at;                           /* in the scratch, behind the columns */
};

/* What tap kw reads of a row of the input for n points of a row of the output, from `point` on. */
static void gather_points(
	const struct window *w, float *to, const float *x, int64_t kw, int64_t point, int64_t n)
{
	int64_t from, end, stride = w->g.stride[AXIS_W], start = window_at(w, AXIS_W, point, kw);
	if (stride == 1) { /* without two divisions */
		from = min_i64(max_i64(-start, 0), n);
		end = min_i64(w->g.in[AXIS_W] - start, n);
	} else {
		window_span(start, stride, w->g.in[AXIS_W], n, &from, &end);
	}
	end = max_i64(end, from);
	for (int64_t o = 0; o < from; o++)
		to[o] = 0;
	if (stride == 1)
		memcpy(to + from, x + start + from, (size_t)(end - from) * sizeof(*to));
	else
		for (int64_t o = from; o < end; o++)
			to[o] = x[start + o * stride];
	for (int64_t o = end; o < n; o++)
		to[o] = 0;
}

/* Neighbours in a row of the output that are neighbours in a panel of columns. */
struct piece {
	int64_t d, h, point, n; /* d, h: of the input, tap 0 */
	int64_t at;             /* in the panel */
};

#define PIECES_MAX 64 /* columns of a panel, at most */

/* n points of a channel's output, from `point` on. */
static int list_pieces(const struct window *w, int64_t point, int64_t n, struct piece *ret)
{
	int64_t width = w->g.out[AXIS_W];
	int pieces = 0;
	for (int64_t at = 0; at < n; at += ret[pieces++].n) {
		int64_t row = (point + at) / width, o = (point + at) % width;
		ret[pieces] = (struct piece){ .d = window_at(w, AXIS_D, row / w->g.out[AXIS_H], 0),
			.h = window_at(w, AXIS_H, row % w->g.out[AXIS_H], 0), .point = o,
			.n = min_i64(width - o, n - at), .at = at };
	}
	return pieces;
}

/* What one channel's taps of (kd, kh) read for a piece, tap after tap `cols` floats on. */
static void gather_piece(const struct window *w, const struct piece *p, float *to, const float *x,
	int64_t cols, int64_t kd, int64_t kh)
{
	int64_t d = p->d + kd * w->g.dilation[AXIS_D], h = p->h + kh * w->g.dilation[AXIS_H];
	bool inside = d >= 0 && d < w->g.in[AXIS_D] && h >= 0 && h < w->g.in[AXIS_H];
	int64_t row = (d * w->g.in[AXIS_H] + h) * w->g.in[AXIS_W];
	for (int64_t kw = 0; kw < w->g.kernel[AXIS_W]; kw++, to += cols)
		if (inside)
			gather_points(w, to + p->at, x + row, kw, p->point, p->n);
		else
			memset(to + p->at, 0, (size_t)p->n * sizeof(*to));
}

/* One panel: all channels and taps of n points. */
static void gather_panel(
	const struct columns_state *s, float *to, const float *x, int64_t point, int64_t n)
{
	const struct window *w = &s->w;
	struct piece piece[PIECES_MAX];
	int64_t cols = s->gemm->cols;
	int pieces = list_pieces(w, point, n, piece);
	if (n < cols)
		memset(to, 0, (size_t)(s->depth * cols) * sizeof(*to));
	for (int64_t c = 0; c < s->per_in; c++, x += window_image(w))
		for (int64_t kd = 0; kd < w->g.kernel[AXIS_D]; kd++)
			for (int64_t kh = 0; kh < w->g.kernel[AXIS_H];
				kh++, to += w->g.kernel[AXIS_W] * cols)
				for (int i = 0; i < pieces; i++)
					gather_piece(w, &piece[i], to, x, cols, kd, kh);
}

static void gather(const struct columns_state *s, float *packed, const float *x, int64_t first,
	int64_t rows)
{
	int64_t width = s->w.g.out[AXIS_W], points = rows * width, cols = s->gemm->cols;
	for (int64_t j = 0; j < points; j += cols, packed += s->depth * cols)
		gather_panel(s, packed, x, first * width + j, min_i64(cols, points - j));
}

static void run_unit(const struct kernel_args *a, const struct columns_state *s, int64_t unit)
{
	const struct window *w = &s->w;
	int64_t first = unit % s->row_blocks * s->rows_per_block, width = w->g.out[AXIS_W];
	int64_t group = unit / s->row_blocks; /* of all images */
	int64_t rows = min_i64(s->rows_per_block, s->rows - first), points = rows * width;
	int64_t channel = group % w->g.group * s->per_out;
	int64_t at = group * s->per_out * s->rows * width + first * width;
	float *packed = a->scratch;
	gather(s, packed, (const float *)a->in[0].data + group * s->per_in * window_image(w), first,
		rows);
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
	size_t packed = (size_t)gemm_packed_floats(s->gemm, s->depth, points) * sizeof(float);
	s->gemm_at = round_up(packed, ARENA_ALIGN_TENSOR);
	ret->scratch_bytes = s->gemm_at + gemm_scratch_bytes(s->gemm, s->per_out, s->depth);
}

/* False: a row's columns are too many, or there are none. */
static bool cut_blocks(const struct prep *p, struct columns_state *s)
{
	const struct window *w = &s->w;
	int64_t width = w->g.out[AXIS_W];
	s->per_in = w->c_in / w->g.group;
	s->per_out = w->c_out / w->g.group;
	s->rows = w->g.out[AXIS_D] * w->g.out[AXIS_H];
	if (s->per_out < CHANNELS_MIN || s->rows == 0 || width == 0 || w->n == 0 || s->per_in == 0)
		return false;
	if (s->per_in > COLUMNS_MAX / window_taps(w) ||
		s->per_in * window_taps(w) > COLUMNS_MAX / width)
		return false;
	s->depth = s->per_in * window_taps(w);
	s->rows_per_block = min_i64(max_i64(COLUMNS_WANTED / (s->depth * width), 1), s->rows);
	int64_t per_thread = s->rows * w->n * w->g.group / max_i64(p->threads, 1);
	s->rows_per_block = min_i64(s->rows_per_block, max_i64(per_thread, 1));
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
	if (!cut_blocks(p, s))
		return prep_refuse(err, "few output channels, or too many inputs of a row");
	if (p->node->op == OP_FUSED_CONV)
		activation_find(p->node, DTYPE_F32, &s->act);
	s->gemm = gemm_best();
	assert(s->gemm->cols <= PIECES_MAX && s->gemm->per_slot == 1);
	place_scratch(s, ret);
	ret->run = run_conv_columns;
	ret->units = s->w.n * s->w.g.group * s->row_blocks;
	double flops = 2.0 * (double)(s->depth * s->rows_per_block) *
		       (double)(s->w.g.out[AXIS_W] * s->per_out);
	ret->unit_cost_ns = (int64_t)(flops / FLOPS_PER_NS) + 1;
	return ERR_OK;
}
