/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DeformConv of float images as products
 *
 * DESIGN. For some output points all that their taps read is gathered in columns, packed as
 * the product wants them (gemm.h): a panel's points at a time, for a tap of the channels that share
 * its offsets. Where the four pixels around a point lie, and what each counts, is worked out once
 * for all of these channels; pixels beside the image are their neighbours within it, and count
 * nothing. A unit of work is a block of points of one image. Compiled once per instruction set.
 */
#include "base/checked.h"
#include "exec/cpu/matmul/gemm.h"
#include "exec/cpu/types.h"
#include "exec/cpu/vec_isa.h"
#include "exec/infer/conv_geometry.h"

#define FLOPS_PER_NS 40.0
#define GATHER_NS 2.0 /* a point of a channel */
/* Floats that the columns of a block should have. */
#define COLUMNS_WANTED (1 << 17)
#define POINTS_MAX 64 /* of a panel */
#define CORNERS 4

struct deform_state {
	struct conv_geometry g;
	const struct gemm *gemm;
	int64_t c_in, c_out, per_in, per_out; /* of a group */
	int64_t offset_groups, image, points, taps;
	int64_t block, blocks; /* points of a block, of an image */
	size_t group_floats, gemm_at; /* of a group's columns; in the scratch, behind all of them */
};

struct corners {
	int32_t at[CORNERS][POINTS_MAX], inside[POINTS_MAX];
	float weight[CORNERS][POINTS_MAX];
};

/* Pixels around v along an axis, and the second one's weight; 0: it is beside all of them. */
static int32_t around(double v, int64_t size, int32_t at[2], float weight[2])
{
	if (!(v > -1 && v < (double)size))
		return at[0] = at[1] = 0;
	int32_t low = (int32_t)(v + 1) - 1, last = (int32_t)size - 1;
	float part = (float)(v - low);
	weight[0] = low >= 0 ? 1 - part : 0;
	weight[1] = low < last ? part : 0;
	at[0] = low >= 0 ? low : 0;
	at[1] = low < last ? low + 1 : last;
	return 1;
}

/* Of n points of a tap of the channels of an offset group, from `first` on. */
static void find_corners(const struct kernel_args *a, const struct deform_state *s, int64_t image,
	int64_t group, int64_t tap, int64_t first, int n, struct corners *ret)
{
	const struct conv_geometry *g = &s->g;
	int64_t plane = (image * s->offset_groups + group) * s->taps + tap;
	const float *offset = (const float *)a->in[2].data + plane * 2 * s->points;
	const float *mask =
		args_has_in(a, 4) ? (const float *)a->in[4].data + plane * s->points : NULL;
	int64_t top = tap / g->kernel[1] * g->dilation[0] - g->pad_begin[0];
	int64_t left = tap % g->kernel[1] * g->dilation[1] - g->pad_begin[1];
	int64_t p = first, row = p / g->out[1], column = p % g->out[1];
	for (int j = 0; j < n; j++) {
		float part = mask ? mask[p] : 1, wy[2] = { 0 }, wx[2] = { 0 };
		int32_t y[2], x[2];
		double v = (double)(top + row * g->stride[0]) + (double)offset[p];
		double u = (double)(left + column * g->stride[1]) + (double)offset[s->points + p];
		ret->inside[j] = around(v, g->in[0], y, wy) & around(u, g->in[1], x, wx);
		for (int k = 0; k < CORNERS; k++) {
			ret->at[k][j] = y[k / 2] * (int32_t)g->in[1] + x[k % 2];
			ret->weight[k][j] = part * wy[k / 2] * wx[k % 2];
		}
		if (p + 1 == s->points) /* what a panel has beyond is not asked for */
			continue;
		p++;
		column = column + 1 == g->out[1] ? 0 : column + 1;
		row += column == 0;
	}
}

static void gather(const struct corners *c, const float *restrict x, float *restrict to, int n)
{
	IVDEP for (int j = 0; j < n; j++) {
		float sum = c->weight[0][j] * x[c->at[0][j]] + c->weight[1][j] * x[c->at[1][j]] +
			    c->weight[2][j] * x[c->at[2][j]] + c->weight[3][j] * x[c->at[3][j]];
		to[j] = c->inside[j] ? sum : 0;
	}
}

/* One panel of every group's columns. */
static void gather_panel(const struct kernel_args *a, const struct deform_state *s, int64_t image,
	int64_t first, float *panel)
{
	int64_t channels = s->c_in / s->offset_groups, cols = s->gemm->cols;
	const float *x = (const float *)a->in[0].data + image * s->c_in * s->image;
	struct corners corners;
	for (int64_t c = 0; c < s->c_in; c += channels)
		for (int64_t t = 0; t < s->taps; t++) {
			find_corners(a, s, image, c / channels, t, first, (int)cols, &corners);
			for (int64_t i = c; i < c + channels; i++)
				gather(&corners, x + i * s->image,
					panel + (size_t)(i / s->per_in) * s->group_floats +
						(i % s->per_in * s->taps + t) * cols, (int)cols);
		}
}

static void run_block(
	const struct kernel_args *a, const struct deform_state *s, int64_t image, int64_t first)
{
	int64_t n = min_i64(s->block, s->points - first), depth = s->per_in * s->taps;
	const float *weights = a->in[1].data;
	float *columns = a->scratch, *y = a->out[0].data;
	y += image * s->c_out * s->points;
	for (int64_t j = 0; j < n; j += s->gemm->cols)
		gather_panel(a, s, image, first + j, columns + j * depth);
	for (int64_t g = 0; g < s->g.group; g++) {
		int64_t channel = g * s->per_out;
		struct gemm_job job = { .m = s->per_out, .n = n, .k = depth,
			.a = weights + channel * depth, .a_row = depth, .a_k = 1,
			.b = columns + (size_t)g * s->group_floats,
			.c = y + channel * s->points + first, .c_row = s->points,
			.alpha = 1, .beta = 1,
			.scratch = (float *)((char *)a->scratch + s->gemm_at) };
		if (args_has_in(a, 3)) {
			job.add[0] = (const float *)a->in[3].data + channel;
			job.add_row[0] = 1;
		}
		s->gemm->run(&job);
	}
}

static void run_deform(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct deform_state *s = a->state;
	for (int64_t unit = begin; unit < end; unit++)
		run_block(a, s, unit / s->blocks, unit % s->blocks * s->block);
}

static void cut_blocks(const struct prep *p, struct deform_state *s, int64_t images)
{
	int64_t cols = s->gemm->cols, rows = s->c_in * s->taps;
	int64_t per_thread = (images * s->points + p->threads - 1) / max_i64(p->threads, 1);
	s->block = min_i64(max_i64(COLUMNS_WANTED / rows, 1), min_i64(per_thread, s->points));
	s->block = (s->block + cols - 1) / cols * cols;
	s->blocks = (s->points + s->block - 1) / s->block;
}

enum err_code VEC_NAME(prepare_deform_columns)(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape, *y = &p->out[0].shape;
	struct deform_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	TRY(conv_geometry(p->node, x, &p->in[1].shape, &s->g, err));
	s->image = shape_count_range(x, 2, x->rank);
	s->points = shape_count_range(y, 2, y->rank);
	if (s->g.spatial != 2 || s->image > INT32_MAX || tensor_count(&p->in[1]) == 0 ||
		tensor_count(&p->in[0]) == 0 || tensor_count(&p->out[0]) == 0)
		return prep_refuse(err, "no images, or too large ones");
	s->gemm = gemm_best();
	s->c_in = x->dim[1];
	s->c_out = y->dim[1];
	s->per_in = s->c_in / s->g.group;
	s->per_out = s->c_out / s->g.group;
	s->offset_groups = node_int(p->node, "offset_group", 1);
	s->taps = s->g.kernel[0] * s->g.kernel[1];
	cut_blocks(p, s, x->dim[0]);
	s->group_floats = (size_t)gemm_packed_floats(s->gemm, s->per_in * s->taps, s->block);
	s->gemm_at = round_up(
		(size_t)s->g.group * s->group_floats * sizeof(float), ARENA_ALIGN_TENSOR);
	ret->scratch_bytes =
		s->gemm_at + gemm_scratch_bytes(s->gemm, s->per_out, s->per_in * s->taps);
	ret->run = run_deform;
	ret->units = x->dim[0] * s->blocks;
	double points = (double)(s->block * s->taps) * (double)s->c_in;
	ret->unit_cost_ns =
		(int64_t)(points * (GATHER_NS + 2.0 * (double)s->per_out / FLOPS_PER_NS)) + 1;
	return ERR_OK;
}
