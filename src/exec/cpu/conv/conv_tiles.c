/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv and FusedConv as sums over taps, on conv_vec.h
 *
 * DESIGN
 *
 * The source is read where it lies, in any layout; only where windows reach beyond it are the
 * rows that a unit needs copied (conv_tiles_copy.c) with zeros around them. Where windows are
 * single pixels side by side, the image is one long row, cut as suits the cache.
 *
 * Products of bfloat16 take a copy of slots, made unit by unit while it is near, if the source is
 * of floats. Then single pixels need not be side by side: the copy has only those that are read.
 * Where channels are apart a slot is of two pixels that one row of a window has side by side; where
 * windows begin at every other pixel the copy needs each pixel in one slot only.
 *
 * The last slot of a row of a window of odd width is half beside the window, where it meets a
 * weight of zero. That is nothing, unless there stands an infinity or no number: a unit that has
 * such pixels makes a second copy, of slots with an empty second half, and takes those last slots
 * from there.
 *
 * Sums that are long go piece by piece, so that a piece of a panel of weights stays in the
 * nearest cache while the pixels of a unit pass it; between pieces they rest in the result.
 *
 * A unit of work is some rows of one image times a slice of the panels.
 */
#include "exec/cpu/conv/conv_tiles.h"

#define FLOPS_PER_NS 200.0
#define SRC_BYTES (256 << 10) /* of the source that a unit reads, so that it stays near */
#define SRC_BYTES_MAX (1 << 20)
#define DEPTH_MAX 1024 /* slots of a piece of a sum */
#define COPY_BYTES_MAX 1e8 /* of padded rows below one row; wider ones are left to others */

/* -- run -------------------------------------------------------------------------------------- */

struct unit {
	const struct taps *taps;
	const float *src; /* what window 0 of row 0 of the unit begins with */
	float *dst;	  /* the image's */
	const float *sum;
	int64_t row[2], panel[2]; /* from, to */
};

/* A piece of the sums of one panel, for all rows. */
static void run_panel(const struct tiles_state *s, const struct unit *u, int64_t panel, int64_t tap)
{
	const struct conv_job *j = &s->j;
	const struct taps *taps = u->taps;
	int64_t area = j->out[0] * j->out[1], channel = panel * job_panel(j);
	int64_t width = job_panel_width(j, panel), depth = taps->n * taps->run;
	struct conv_tile t = {.src_pixel = s->pixel,
		.tap = taps->at + tap,
		.taps = min_i64(taps->piece, taps->n - tap),
		.run = taps->run,
		.weights = s->packed + job_weight_at(j, depth, channel, tap * taps->run),
		.bias = j->bias + channel,
		.slots = j->dst_slots,
		.dst_pixel = job_dst_at(j, j->block),
		.dst_block = job_dst_at(j, area * j->block),
		.block = j->block,
		.blocks = (int)((j->oc - channel) / j->block),
		.more = tap > 0,
		.act = j->act};
	/* The same piece of the next panel, or the first panel's next one. */
	int64_t next = panel + 1 < u->panel[1]
			       ? job_weight_at(j, depth, channel + job_panel(j), tap * taps->run)
			       : job_weight_at(j, depth, u->panel[0] * job_panel(j),
					 (tap + t.taps) * taps->run);
	job_fetch_ahead(j, &t, s->packed + next, u->row[1] - u->row[0], s->width, width);
	t.last = tap + t.taps == taps->n;
	t.act.param = j->loop.param;
	for (int64_t row = u->row[0]; row < u->row[1]; row++) {
		int64_t at = job_dst_at(j, channel * area + row * s->width * j->block);
		t.src = u->src + (row - u->row[0]) * j->stride[0] * s->row_slots;
		t.dst = u->dst + at;
		t.sum = u->sum ? u->sum + at : NULL;
		job_tiles(j, &t, min_i64(s->width, area - row * s->width),
			(int)(width / j->vec->floats));
	}
}

static void run_unit(const struct kernel_args *a, const struct tiles_state *s, int64_t index)
{
	const struct conv_job *j = &s->j;
	struct job_unit i = job_unit_of(index, s->row_units, s->slices, job_panels(j));
	struct unit u = {.taps = &s->taps, .panel = {i.panel[0], i.panel[1]}};
	int64_t area = j->out[0] * j->out[1], at = job_dst_at(j, i.image * j->oc * area);
	deal_out(s->rows, s->row_units, i.part, &u.row[0], &u.row[1]);
	u.src = (const float *)a->in[0].data + job_src_at(j, i.image * j->ic * j->in[0] * j->in[1]);
	u.dst = (float *)a->out[0].data + at;
	if (j->sum)
		u.sum = (const float *)a->in[3].data + at;
	if (!s->copied) {
		u.src += u.row[0] * j->stride[0] * s->row_slots;
	} else if (s->flat) {
		int64_t first = u.row[0] * s->width;
		tiles_copy_flat(s, u.src, first, min_i64(s->width, area - first), a->scratch);
	} else {
		tiles_copy_padded(s, u.src, u.row[0], a->scratch);
		u.taps = tiles_choose_taps(s, a->scratch);
	}
	if (s->copied)
		u.src = a->scratch;
	for (int64_t tap = 0; tap < u.taps->n; tap += u.taps->piece)
		for (int64_t panel = u.panel[0]; panel < u.panel[1]; panel++)
			run_panel(s, &u, panel, tap);
}

static void run_tiles(const struct kernel_args *a, int64_t begin, int64_t end)
{
	for (int64_t i = begin; i < end; i++)
		run_unit(a, a->state, i);
}

/* -- prepare ----------------------------------------------------------------------------------- */

/* From the first row of the first of n windows to behind the last row of the last one. */
static int64_t reach(const struct conv_job *j, int axis, int64_t n)
{
	return (n - 1) * j->stride[axis] + (j->kernel[axis] - 1) * j->dilation[axis] + 1;
}

/* Rows of single pixels with others between that are shorter than a tile: side by side they take
   fewer tiles, and each of them reads all weights. */
static bool has_gaps(const struct conv_job *j)
{
	return j->kernel[0] * j->kernel[1] == 1 && j->stride[1] > 1 && j->out[1] < j->vec->pixels;
}

/* Windows of single pixels, side by side or copied so: the image is one row, cut in pieces. */
static bool is_flat(const struct tiles_state *s)
{
	const struct conv_job *j = &s->j;
	bool flat = j->beside == 1;
	for (int i = 0; i < 2; i++)
		flat &= j->kernel[i] == 1 && j->pad[i] == 0 && reach(j, i, j->out[i]) <= j->in[i] &&
			(s->copied || (j->stride[i] == 1 && j->in[i] == j->out[i]));
	return flat;
}

/* Of one pixel, all channels. */
static int64_t source_pixel_bytes(const struct conv_job *j)
{
	return j->ic / j->src_run * job_run(j) * (int64_t)sizeof(float);
}

static void cut_flat(const struct prep *p, struct tiles_state *s)
{
	const struct conv_job *j = &s->j;
	int64_t area = j->out[0] * j->out[1];
	int64_t width = max_i64(SRC_BYTES / source_pixel_bytes(j), 2 * j->vec->pixels);
	s->rows = job_units(p, (area + width - 1) / width);
	s->width = (area + s->rows - 1) / s->rows;
	s->row_units = s->rows = (area + s->width - 1) / s->width;
	s->unit_rows = 1;
	s->pixel = job_run(j);
	s->row_slots = s->width * s->pixel;
	s->plane_slots = s->copied ? s->row_slots : area * s->pixel;
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
		s->copied |= j->pad[i] > 0 || reach(j, i, j->out[i]) > j->in[i];
	int64_t pixel = source_pixel_bytes(j);
	int64_t width = s->copied ? max_i64(reach(j, 1, j->out[1]), j->pad[1] + 1) : j->in[1];
	width += tiles_is_paired(j); /* the last window's last slot */
	if ((double)pixel * (double)width * (double)reach(j, 0, 1) > COPY_BYTES_MAX)
		return false;
	s->rows = j->out[0];
	s->width = j->out[1];
	int64_t most = max_i64(source_bytes(j) / (pixel * width * j->stride[0]), 1);
	most = min_i64(most, s->rows);
	s->row_units = min_i64(job_units(p, (s->rows + most - 1) / most), s->rows);
	s->unit_rows = (s->rows + s->row_units - 1) / s->row_units;
	s->pixel = tiles_run_of(j, j->stride[1]);
	s->row_slots = tiles_run_of(j, width);
	s->plane_slots = s->row_slots * (s->copied ? reach(j, 0, s->unit_rows) : j->in[0]);
	return true;
}

static void place_taps(struct tiles_state *s)
{
	const struct conv_job *j = &s->j;
	int64_t n = 0;
	for (int64_t c = 0; c < j->ic / j->src_run; c++)
		for (int64_t y = 0; y < j->kernel[0]; y++)
			for (int64_t x = 0; x < j->kernel[1]; x += tiles_tap_pixels(j))
				s->tap[n++] = c * s->plane_slots +
					      y * j->dilation[0] * s->row_slots +
					      x * j->dilation[1] * job_run(j);
	/* What is rounded is no place for a sum to rest in. */
	int64_t most = j->dst_slots ? n : max_i64(DEPTH_MAX / tiles_tap_run(j), 1),
		pieces = (n + most - 1) / most;
	s->taps = (struct taps){ s->tap, n, (n + pieces - 1) / pieces, tiles_tap_run(j) };
}

/* Slot by slot: the weights are in this order already. */
static void place_halved(struct tiles_state *s)
{
	const struct taps *t = &s->taps;
	int64_t *at = s->tap + t->n, n = t->n * t->run, row = tiles_row_taps(&s->j) * t->run;
	for (int64_t i = 0; i < n; i++)
		at[i] = s->tap[i / t->run] + i % t->run +
			(i % row == row - 1 ? tiles_copy_slots(s) : 0);
	s->halved = (struct taps){ at, n, t->piece * t->run, 1 };
}

/* Without holes: it is compared byte by byte. */
struct pack_key {
	const void *source;
	int64_t oc, ic, kernel[2], run, panel, floats, per_slot;
};

/* In the order of taps, channel by channel of a panel next to each other. */
static void pack_panel(const struct conv_job *j, int64_t panel, float *w)
{
	int64_t area = j->kernel[0] * j->kernel[1], depth = j->ic * area, run = j->src_run;
	int64_t first = panel * job_panel(j), width = job_panel_width(j, panel);
	int64_t n = min_i64(width, j->oc - first), pixels = tiles_tap_pixels(j);
	const float *from = j->weights + first * depth;
	for (int64_t c = 0; c < j->ic; c++)
		for (int64_t k = 0; k < area; k++) {
			int64_t tap = c / run * tiles_taps_of_run(j) +
				      k / j->kernel[1] * tiles_row_taps(j) +
				      k % j->kernel[1] / pixels;
			int64_t at = c % run * pixels + k % j->kernel[1] % pixels;
			float *to = w + (tap * tiles_tap_run(j) + at / j->vec->per_slot) * width;
			for (int64_t o = 0; o < n; o++)
				job_weight_put(j, to + o, at, from[o * depth + c * area + k]);
		}
}

static void pack(void *to, void *ctx)
{
	const struct conv_job *j = ctx;
	int64_t depth = j->ic / j->src_run * tiles_taps_of_run(j) * tiles_tap_run(j);
	memset(to, 0, (size_t)(job_floats(j) * depth) * sizeof(float));
	for (int64_t panel = 0; panel < job_panels(j); panel++)
		pack_panel(j, panel, (float *)to + panel * job_panel(j) * depth);
}

static enum err_code pack_weights(struct prep *p, struct tiles_state *s, struct err *err)
{
	struct conv_job *j = &s->j;
	const struct pack_key key = { j->weights, j->oc, j->ic, { j->kernel[0], j->kernel[1] },
		j->src_run, job_panel(j), j->vec->floats, j->vec->per_slot };
	const void *packed;
	size_t bytes = (size_t)(job_floats(j) * s->taps.n * s->taps.run) * sizeof(float);
	TRY(packs_get(p->packs, &key, sizeof(key), bytes, pack, j, &packed, err));
	s->packed = packed;
	return ERR_OK;
}

static void cut_units(const struct prep *p, struct tiles_state *s, struct kernel *ret)
{
	const struct conv_job *j = &s->j;
	double ns = 2.0 * (double)(j->images * j->oc * j->out[0] * j->out[1]) *
		    (double)(s->taps.n * s->taps.run) / FLOPS_PER_NS;
	s->slices = job_slices(p, j, j->images * s->row_units, ns);
	ret->units = j->images * s->row_units * s->slices;
	ret->unit_cost_ns = (int64_t)(ns / (double)ret->units) + 1;
}

static enum err_code prepare(struct prep *p, bool bf16, struct kernel *ret, struct err *err)
{
	struct conv_job j;
	TRY(conv_job_init(p, bf16, &j, err));
	bool half = tiles_ends_in_half(&j);
	int64_t taps =
		j.ic / j.src_run * tiles_taps_of_run(&j) * (half ? 1 + tiles_tap_run(&j) : 1);
	struct tiles_state *s = kernel_state(p, ret, sizeof(*s) + (size_t)taps * sizeof(s->tap[0]));
	if (!s)
		return err_oom(err);
	s->j = j;
	s->copied = (bf16 && !j.src_slots) || has_gaps(&j);
	s->flat = is_flat(s);
	if (s->flat)
		cut_flat(p, s);
	else if (!cut_rows(p, s))
		return prep_refuse(err, "rows too wide to be copied");
	place_taps(s);
	if (half)
		place_halved(s);
	TRY(pack_weights(p, s, err));
	cut_units(p, s, ret);
	ret->packed = ret->unread = 1u << 1;
	ret->run = run_tiles;
	if (s->copied)
		ret->scratch_bytes = (size_t)(tiles_copy_slots(s) * (half ? 2 : 1)) * sizeof(float);
	ret->out_layout = j.out_layout;
	/* Sums of several pieces overwrite the result before it is added. */
	ret->inplace = j.sum && s->taps.piece >= s->taps.n;
	ret->inplace_in = 3;
	return ERR_OK;
}

enum err_code prepare_conv_tiles(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare(p, false, ret, err);
}

enum err_code prepare_conv_tiles_bf16(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare(p, true, ret, err);
}
