/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv and FusedConv as sums over taps, on conv_vec.h
 *
 * DESIGN
 *
 * The source is read where it lies, in any layout; only where windows reach beyond it are the
 * rows that a unit needs copied with zeros around them. Where windows are single pixels side
 * by side, the image is one long row, cut as suits the cache.
 *
 * Sums that are long go piece by piece, so that a piece of a panel of weights stays in the
 * nearest cache while the pixels of a unit pass it; between pieces they rest in the result.
 *
 * A unit of work is some rows of one image times a slice of the panels.
 */
#include "exec/cpu/nn/conv_job.h"

#define FLOPS_PER_NS 200.0
#define SRC_BYTES (256 << 10) /* of the source that a unit reads, so that it stays near */
#define SRC_BYTES_MAX (1 << 20)
#define DEPTH_MAX 1024 /* terms of a piece of a sum */
#define COPY_BYTES_MAX 1e8 /* of padded rows below one row; wider ones are left to others */

struct tiles_state {
	struct conv_job j;
	bool padded;	     /* a unit copies what it reads */
	int64_t rows, width; /* of the result; where it is one row: the pieces it is cut in */
	int64_t unit_rows, row_units, slices;
	int64_t row_floats, plane_floats; /* of the source or of its copy */
	int64_t taps, piece_taps;
	const float *packed;
	int64_t tap[];
};

/* -- run -------------------------------------------------------------------------------------- */

struct unit {
	const float *src; /* what window 0 of row 0 of the unit begins with */
	float *dst;	  /* the image's */
	const float *sum;
	int64_t row[2], panel[2]; /* from, to */
};

/* Rows of the source below the windows of the unit's rows, zeros where there are none. */
static void copy_padded(
	const struct tiles_state *s, const float *image, int64_t first_row, float *to)
{
	const struct conv_job *j = &s->j;
	int64_t run = j->src_run, rows = s->plane_floats / s->row_floats;
	int64_t left = j->pad[1], width = min_i64(j->in[1], s->row_floats / run - left);
	for (int64_t c = 0; c < j->ic / run; c++, image += j->in[0] * j->in[1] * run)
		for (int64_t i = 0; i < rows; i++, to += s->row_floats) {
			int64_t y = first_row * j->stride[0] - j->pad[0] + i;
			memset(to, 0, (size_t)s->row_floats * sizeof(float));
			if (y >= 0 && y < j->in[0])
				memcpy(to + left * run, image + y * j->in[1] * run,
					(size_t)(width * run) * sizeof(float));
		}
}

/* A piece of the sums of one panel, for all rows. */
static void run_panel(const struct tiles_state *s, const struct unit *u, int64_t panel, int64_t tap)
{
	const struct conv_job *j = &s->j;
	int64_t area = j->out[0] * j->out[1], channel = panel * job_panel(j);
	int64_t width = job_panel_width(j, panel), depth = s->taps * j->src_run;
	struct conv_tile t = {.src_pixel = j->stride[1] * j->src_run,
		.tap = s->tap + tap,
		.taps = min_i64(s->piece_taps, s->taps - tap),
		.run = j->src_run,
		.weights = s->packed + job_weight_at(j, depth, channel, tap * j->src_run),
		.bias = j->bias + channel,
		.dst_pixel = j->block,
		.dst_block = area * j->block,
		.block = j->block,
		.blocks = (int)((j->oc - channel) / j->block),
		.more = tap > 0,
		.act = j->act};
	job_fetch_ahead(
		j, &t, t.weights + t.taps * t.run * width, u->row[1] - u->row[0], s->width, width);
	t.last = tap + t.taps == s->taps;
	t.act.param = j->loop.param;
	for (int64_t row = u->row[0]; row < u->row[1]; row++) {
		int64_t at = channel * area + row * s->width * j->block;
		t.src = u->src + (row - u->row[0]) * j->stride[0] * s->row_floats;
		t.dst = u->dst + at;
		t.sum = u->sum ? u->sum + at : NULL;
		job_tiles(j, &t, min_i64(s->width, area - row * s->width),
			(int)(width / j->vec->floats));
	}
}

static void run_unit(const struct kernel_args *a, const struct tiles_state *s, int64_t index)
{
	const struct conv_job *j = &s->j;
	struct unit u = {.sum = NULL};
	int64_t slice = index % s->slices, rows = index / s->slices % s->row_units;
	int64_t image = index / s->slices / s->row_units, area = j->out[0] * j->out[1];
	deal_out(job_panels(j), s->slices, slice, &u.panel[0], &u.panel[1]);
	deal_out(s->rows, s->row_units, rows, &u.row[0], &u.row[1]);
	u.src = (const float *)a->in[0].data + image * j->ic * j->in[0] * j->in[1];
	u.dst = (float *)a->out[0].data + image * j->oc * area;
	if (j->sum)
		u.sum = (const float *)a->in[3].data + image * j->oc * area;
	if (s->padded) {
		copy_padded(s, u.src, u.row[0], a->scratch);
		u.src = a->scratch;
	} else {
		u.src += u.row[0] * j->stride[0] * s->row_floats;
	}
	for (int64_t tap = 0; tap < s->taps; tap += s->piece_taps)
		for (int64_t panel = u.panel[0]; panel < u.panel[1]; panel++)
			run_panel(s, &u, panel, tap);
}

static void run_tiles(const struct kernel_args *a, int64_t begin, int64_t end)
{
	for (int64_t i = begin; i < end; i++)
		run_unit(a, a->state, i);
}

/* -- prepare ------------------------------------------------------------------------------------ */

/* From the first row of the first of n windows to behind the last row of the last one. */
static int64_t reach(const struct conv_job *j, int axis, int64_t n)
{
	return (n - 1) * j->stride[axis] + (j->kernel[axis] - 1) * j->dilation[axis] + 1;
}

/* Windows of single pixels side by side: the image is one row, cut in pieces. */
static bool is_flat(const struct conv_job *j)
{
	bool flat = true;
	for (int i = 0; i < 2; i++)
		flat &= j->kernel[i] == 1 && j->stride[i] == 1 && j->pad[i] == 0 &&
			j->in[i] == j->out[i];
	return flat;
}

static void cut_flat(const struct prep *p, struct tiles_state *s)
{
	const struct conv_job *j = &s->j;
	int64_t pixel = j->ic * (int64_t)sizeof(float), area = j->out[0] * j->out[1];
	int64_t width = max_i64(SRC_BYTES / pixel, 2 * j->vec->pixels);
	s->rows = job_units(p, (area + width - 1) / width);
	s->width = (area + s->rows - 1) / s->rows;
	s->row_units = s->rows = (area + s->width - 1) / s->width;
	s->unit_rows = 1;
	s->row_floats = s->width * j->src_run;
	s->plane_floats = area * j->src_run;
}

/* Of the source that a unit reads: what stays near, or as much as there are weights, which go
   by once for each unit. */
static int64_t source_bytes(const struct conv_job *j)
{
	int64_t weights = j->oc * j->ic * j->kernel[0] * j->kernel[1] * (int64_t)sizeof(float);
	return max_i64(SRC_BYTES, min_i64(weights, SRC_BYTES_MAX));
}

static bool cut_rows(const struct prep *p, struct tiles_state *s)
{
	const struct conv_job *j = &s->j;
	for (int i = 0; i < 2; i++)
		s->padded |= j->pad[i] > 0 || reach(j, i, j->out[i]) > j->in[i];
	int64_t pixel = j->ic * (int64_t)sizeof(float);
	int64_t width = s->padded ? max_i64(reach(j, 1, j->out[1]), j->pad[1] + 1) : j->in[1];
	if ((double)pixel * (double)width * (double)reach(j, 0, 1) > COPY_BYTES_MAX)
		return false;
	s->rows = j->out[0];
	s->width = j->out[1];
	int64_t most = max_i64(source_bytes(j) / (pixel * width * j->stride[0]), 1);
	most = min_i64(most, s->rows);
	s->row_units = min_i64(job_units(p, (s->rows + most - 1) / most), s->rows);
	s->unit_rows = (s->rows + s->row_units - 1) / s->row_units;
	s->row_floats = width * j->src_run;
	s->plane_floats = s->row_floats * (s->padded ? reach(j, 0, s->unit_rows) : j->in[0]);
	return true;
}

static void place_taps(struct tiles_state *s)
{
	const struct conv_job *j = &s->j;
	int64_t n = 0;
	for (int64_t c = 0; c < j->ic / j->src_run; c++)
		for (int64_t y = 0; y < j->kernel[0]; y++)
			for (int64_t x = 0; x < j->kernel[1]; x++)
				s->tap[n++] = c * s->plane_floats +
					      y * j->dilation[0] * s->row_floats +
					      x * j->dilation[1] * j->src_run;
	s->taps = n;
	int64_t most = max_i64(DEPTH_MAX / j->src_run, 1), pieces = (n + most - 1) / most;
	s->piece_taps = (n + pieces - 1) / pieces;
}

/* Without holes: it is compared byte by byte. */
struct pack_key {
	const void *source;
	int64_t oc, ic, kernel[2], run, panel, floats;
};

/* In the order of taps, channel by channel of a panel next to each other. */
static void pack_panel(const struct conv_job *j, int64_t panel, float *w)
{
	int64_t area = j->kernel[0] * j->kernel[1], depth = j->ic * area, run = j->src_run;
	int64_t first = panel * job_panel(j), width = job_panel_width(j, panel);
	int64_t n = min_i64(width, j->oc - first);
	const float *from = j->weights + first * depth;
	for (int64_t c = 0; c < j->ic; c++)
		for (int64_t k = 0; k < area; k++) {
			float *to = w + ((c / run * area + k) * run + c % run) * width;
			for (int64_t o = 0; o < n; o++)
				to[o] = from[o * depth + c * area + k];
		}
}

static void pack(void *to, void *ctx)
{
	const struct conv_job *j = ctx;
	int64_t depth = j->ic * j->kernel[0] * j->kernel[1];
	memset(to, 0, (size_t)(job_floats(j) * depth) * sizeof(float));
	for (int64_t panel = 0; panel < job_panels(j); panel++)
		pack_panel(j, panel, (float *)to + panel * job_panel(j) * depth);
}

static enum err_code pack_weights(struct prep *p, struct tiles_state *s, struct err *err)
{
	struct conv_job *j = &s->j;
	const struct pack_key key = { j->weights, j->oc, j->ic, { j->kernel[0], j->kernel[1] },
		j->src_run, job_panel(j), j->vec->floats };
	const void *packed;
	size_t bytes = (size_t)(job_floats(j) * s->taps * j->src_run) * sizeof(float);
	TRY(packs_get(p->packs, &key, sizeof(key), bytes, pack, j, &packed, err));
	s->packed = packed;
	return ERR_OK;
}

static void cut_units(const struct prep *p, struct tiles_state *s, struct kernel *ret)
{
	const struct conv_job *j = &s->j;
	double ns = 2.0 * (double)(j->images * j->oc * j->out[0] * j->out[1]) *
		    (double)(s->taps * j->src_run) / FLOPS_PER_NS;
	s->slices = job_slices(p, j, j->images * s->row_units, ns);
	ret->units = j->images * s->row_units * s->slices;
	ret->unit_cost_ns = (int64_t)(ns / (double)ret->units) + 1;
}

enum err_code prepare_conv_tiles(struct prep *p, struct kernel *ret, struct err *err)
{
	struct conv_job j;
	TRY(conv_job_init(p, &j, err));
	int64_t taps = j.ic / j.src_run * j.kernel[0] * j.kernel[1];
	struct tiles_state *s = kernel_state(p, ret, sizeof(*s) + (size_t)taps * sizeof(s->tap[0]));
	if (!s)
		return err_oom(err);
	s->j = j;
	if (is_flat(&j))
		cut_flat(p, s);
	else if (!cut_rows(p, s))
		return prep_refuse(err, "rows too wide to be copied");
	place_taps(s);
	TRY(pack_weights(p, s, err));
	cut_units(p, s, ret);
	ret->packed = ret->unread = 1u << 1;
	ret->run = run_tiles;
	if (s->padded)
		ret->scratch_bytes = (size_t)(j.ic / j.src_run * s->plane_floats) * sizeof(float);
	ret->out_layout = j.out_layout;
	/* Sums of several pieces overwrite the result before it is added. */
	ret->inplace = j.sum && s->piece_taps >= s->taps;
	ret->inplace_in = 3;
	return ERR_OK;
}
