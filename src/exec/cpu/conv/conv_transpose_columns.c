/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ConvTranspose as products: of few channels, of groups, of volumes
 *
 * DESIGN
 *
 * The way of conv_columns.c backwards: weights times the pixels of some rows of the source are
 * columns, a row for each channel of the result and tap, which are then added where the taps
 * put them. Columns of a block of rows stay in the second cache. A unit of work is some channels
 * of the result of one image, which nobody else writes.
 */
#include "base/checked.h"
#include "exec/cpu/conv/columns_add.h"
#include "exec/cpu/matmul/gemm.h"

#include <string.h>

#define FLOPS_PER_NS 30.0
/* Floats that the columns of a block should have, and may have at most. */
#define COLUMNS_WANTED (1 << 17)
#define COLUMNS_MAX (1 << 24)
/* Rows of columns that make a product worth packing its pixels. */
#define ROWS_WANTED 128

struct columns_state {
	struct window w;
	const struct gemm *gemm;
	columns_add_fn add;
	struct columns_axis axis[AXES];
	int64_t per_in, per_out; /* channels of a group */
	int64_t taps;
	int64_t channels, channel_blocks; /* of a unit; units of a group */
	int64_t rows_per_block;		  /* of the source */
	int64_t run;			  /* channels of a pixel that lie together */
	size_t packed_at, columns_at, planes_at, gemm_at; /* in the scratch, behind the rows */
};

/* What a unit makes. */
struct part {
	const float *x, *weights;
	float *y;
	int64_t channels;
	float *rows, *packed, *columns, *planes, *gemm;
};

/* -- columns ---------------------------------------------------------------------------------- */

/* Rows of the source, channel by channel, with zeros behind each row. */
static void
take_rows(const struct columns_state *s, const struct part *p, int64_t first, int64_t rows)
{
	int64_t width = s->w.g.in[AXIS_W], pitch = columns_pitch(&s->w);
	int64_t image = window_image(&s->w);
	float *to = p->rows;
	for (int64_t c = 0; c < s->per_in; c++)
		for (int64_t r = first; r < first + rows; r++, to += pitch) {
			const float *x = p->x + c / s->run * s->run * image + r * width * s->run +
					 c % s->run;
			if (s->run == 1)
				memcpy(to, x, (size_t)width * sizeof(*to));
			else
				for (int64_t i = 0; i < width; i++)
					to[i] = x[i * s->run];
			memset(to + width, 0, (size_t)(pitch - width) * sizeof(*to));
		}
}

static void
make_columns(const struct columns_state *s, const struct part *p, int64_t first, int64_t rows)
{
	int64_t n = rows * columns_pitch(&s->w);
	take_rows(s, p, first, rows);
	s->gemm->pack(p->packed, p->rows, n, 1, s->per_in, n);
	s->gemm->run(&(struct gemm_job){
		.m = p->channels * s->taps,
		.n = n,
		.k = s->per_in,
		.a = p->weights,
		.a_row = 1,
		.a_k = s->per_out * s->taps,
		.b = p->packed,
		.c = p->columns,
		.c_row = n,
		.alpha = 1,
		.scratch = p->gemm,
	});
}

/* -- run -------------------------------------------------------------------------------------- */

static void fill(float *y, int64_t channels, int64_t points, const float *bias)
{
	for (int64_t c = 0; c < channels; c++)
		for (int64_t i = 0; i < points; i++)
			y[c * points + i] = bias ? bias[c] : 0;
}

static void run_unit(const struct kernel_args *a, const struct columns_state *s, int64_t unit)
{
	const struct window *w = &s->w;
	int64_t points = w->g.out[AXIS_D] * w->g.out[AXIS_H] * w->g.out[AXIS_W];
	int64_t channel = unit % s->channel_blocks * s->channels, group = unit / s->channel_blocks;
	int64_t of_image = group % w->g.group, to = of_image * s->per_out + channel;
	char *scratch = a->scratch;
	struct part p = {
		.x = (const float *)a->in[0].data + group * s->per_in * window_image(w),
		.weights = (const float *)a->in[1].data +
			   (of_image * s->per_in * s->per_out + channel) * s->taps,
		.y = (float *)a->out[0].data + (group * s->per_out + channel) * points,
		.channels = min_i64(s->channels, s->per_out - channel),
		.rows = a->scratch,
		.packed = (float *)(scratch + s->packed_at),
		.columns = (float *)(scratch + s->columns_at),
		.planes = (float *)(scratch + s->planes_at),
		.gemm = (float *)(scratch + s->gemm_at),
	};
	fill(p.y, p.channels, points,
		args_has_in(a, 2) ? (const float *)a->in[2].data + to : NULL);
	int64_t height = w->g.in[AXIS_H];
	for (int64_t d = 0; d < w->g.in[AXIS_D]; d++)
		for (int64_t row = 0; row < height; row += s->rows_per_block) {
			int64_t rows = min_i64(s->rows_per_block, height - row);
			make_columns(s, &p, d * height + row, rows);
			s->add(&(struct columns_add){ .w = w,
				.axis = { s->axis[AXIS_D], s->axis[AXIS_H], s->axis[AXIS_W] },
				.channels = p.channels, .depth = d, .row = row, .rows = rows,
				.x = p.columns, .y = p.y, .planes = p.planes });
		}
}

static void run_columns(const struct kernel_args *a, int64_t begin, int64_t end)
{
	for (int64_t unit = begin; unit < end; unit++)
		run_unit(a, a->state, unit);
}

/* -- prepare ---------------------------------------------------------------------------------- */

/* False: there is nothing to do, or a row's columns are too many. */
static bool cut_blocks(const struct prep *p, struct columns_state *s)
{
	const struct window *w = &s->w;
	s->per_in = w->c_in / w->g.group;
	s->per_out = w->c_out / w->g.group;
	s->taps = window_taps(w);
	if (tensor_count(&p->in[0]) == 0 || tensor_count(&p->out[0]) == 0 || s->taps == 0)
		return false;
	int64_t pitch = columns_pitch(w), strides = w->g.stride[AXIS_H] * w->g.stride[AXIS_W];
	if (pitch > COLUMNS_MAX || s->per_in > COLUMNS_MAX / pitch ||
		s->taps > COLUMNS_MAX / pitch || w->g.stride[AXIS_H] > COLUMNS_MAX ||
		w->g.stride[AXIS_W] > COLUMNS_MAX ||
		strides > COLUMNS_MAX / columns_plane(w, 1))
		return false;
	int64_t per_thread = w->n * w->c_out / max_i64(p->threads, 1);
	s->channels = min_i64(max_i64(ROWS_WANTED / s->taps, 1), max_i64(per_thread, 1));
	s->channels = min_i64(s->channels, s->per_out);
	s->channel_blocks = (s->per_out + s->channels - 1) / s->channels;
	s->rows_per_block = max_i64(COLUMNS_WANTED / (s->channels * s->taps * pitch), 1);
	s->rows_per_block = min_i64(s->rows_per_block, w->g.in[AXIS_H]);
	return true;
}

static size_t room(int64_t floats)
{
	return round_up((size_t)floats * sizeof(float), ARENA_ALIGN_TENSOR);
}

static void place_scratch(struct columns_state *s, struct kernel *ret)
{
	int64_t points = s->rows_per_block * columns_pitch(&s->w), rows = s->channels * s->taps;
	s->packed_at = room(s->per_in * points);
	s->columns_at = s->packed_at + room(gemm_packed_floats(s->gemm, s->per_in, points));
	s->planes_at = s->columns_at + room(rows * points);
	s->gemm_at = s->planes_at + room(columns_floats(&s->w, s->rows_per_block));
	ret->scratch_bytes = s->gemm_at + gemm_scratch_bytes(s->gemm, rows, s->per_in);
}

enum err_code prepare_conv_transpose_columns(struct prep *p, struct kernel *ret, struct err *err)
{
	struct conv_geometry g;
	TRY(conv_transpose_geometry(p->node, &p->in[0].shape, &p->in[1].shape, &g, err));
	struct columns_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	TRY(window_init(&s->w, &g, &p->in[0].shape, &p->out[0].shape, err));
	s->run = layout_block(p->in[0].layout);
	if (s->run == 1 && p->in[0].layout != LAYOUT_PLAIN)
		return prep_refuse(err, "neither plain nor in blocks");
	if (!cut_blocks(p, s) || s->per_in % s->run)
		return prep_refuse(err, "nothing to do, or rows that are too long to be kept");
	s->gemm = gemm_best();
	s->add = CPU_BEST(columns_add);
	for (int i = 0; i < AXES; i++)
		s->axis[i] = columns_axis(&s->w, i);
	place_scratch(s, ret);
	ret->run = run_columns;
	ret->units = s->w.n * s->w.g.group * s->channel_blocks;
	double flops = 2.0 * (double)(s->channels * s->taps) * (double)(s->per_in + 4) *
		       (double)window_image(&s->w);
	ret->unit_cost_ns = (int64_t)(flops / FLOPS_PER_NS) + 1;
	return ERR_OK;
}
