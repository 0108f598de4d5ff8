/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv and FusedConv of 3x3 windows by Winograd's minimal filtering of rows, on conv_vec.h
 *
 * DESIGN
 *
 * For small images of many channels, where weights are most of what is read, and several threads
 * wait for the same memory. Filtering along both axes (conv_winograd.c) takes fewer products, but
 * brings 1.8 or 4 times as many weights as there are taps. Here it goes along rows of four pixels
 * alone, which takes half of the products; the three rows of a window are added up as sums. And
 * no more weights than taps are packed: the weights of the six kinds of points lie in pairs in
 * planes that three vectors span, so a tile makes them of two when it reads them:
 *
 *   E = (g0 + g2) / 3    O = g1 / 3    F = g0 / 6 + g2 2 / 3
 *   E - F/2    E + O    E - O    F + O    F - O    F - E/2
 *
 * The points of one kind lie as an image does, all rows of a unit behind each other, so that 7 rows
 * of 2 patches are one tile of 14.
 *
 * Where windows are two pixels apart, rows of either parity lie together.
 *
 * A unit of work is some rows of one image times a slice of the panels.
 */
#include "exec/cpu/conv/wino_weights.h"

#include <math.h>
#include "base/checked.h"

#define FLOPS_PER_NS 230.0
#define POINTS_BYTES (512 << 10) /* of a unit, so that they stay near */
#define WEIGHTS_MIN (512 << 10)	 /* bytes; fewer of them come from caches */
#define SIZE 4
#define TAPS 3
#define PLANES WINO_PLANES

struct rows_state {
	struct conv_job j;
	const struct wino_row_vec *vec;
	struct wino_axis axis;
	struct wino_span span;		  /* all of a row */
	int64_t blocks, depth;		  /* of the source: vectors, channels */
	int64_t unit_rows, parts, slices; /* of the result; of an image, of panels */
	int64_t parity_rows, src_rows;	  /* of points of a unit's source: of one parity, of all */
	int64_t src_at[WINO_KINDS_MAX], dst_at[WINO_KINDS_MAX]; /* where those of a kind begin */
	size_t scratch_dst, scratch_rest;
	const float *packed, *zeros;
	int64_t *at;   /* of the points of each patch of a row */
	int64_t tap[]; /* of each block, for each kind */
};

/* -- run -------------------------------------------------------------------------------------- */

struct unit {
	float *src, *dst, *rest;  /* points, sums of them, tiles of sums at rest */
	int64_t row[2], panel[2]; /* from, to */
};

static struct wino_row row_of(const struct rows_state *s, float *const *kind)
{
	return (struct wino_row){
		.half = s->axis.half, .patches = s->axis.patches, .at = s->at, .kind = kind};
}

/* Row i below the unit's windows of one block; outside of the image are zeros. */
static void make_row(
	const struct rows_state *s, const struct unit *u, const float *block, int64_t b, int64_t i)
{
	const struct conv_job *j = &s->j;
	int64_t v = j->vec->floats, stride = j->stride[0], y = u->row[0] * stride - j->pad[0] + i;
	int64_t to = b * s->src_rows + i % stride * s->parity_rows + i / stride;
	float *kind[WINO_KINDS_MAX];
	for (int k = 0; k < wino_kinds(s->axis.form); k++) {
		int64_t floats = s->span.count[k] * v;
		kind[k] = u->src + s->src_at[k] + to * floats;
		if (y < 0 || y >= j->in[0])
			memset(kind[k], 0, (size_t)floats * sizeof(float));
	}
	if (y < 0 || y >= j->in[0])
		return;
	struct wino_row r = row_of(s, kind);
	r.first = (float *)(uintptr_t)block + y * j->in[1] * v; /* read only */
	r.w = j->in[1];
	r.pad = j->pad[1];
	s->vec->points((int)stride, &r);
}

static void make_points(const struct rows_state *s, const struct unit *u, const float *image)
{
	const struct conv_job *j = &s->j;
	int64_t rows = (u->row[1] - u->row[0] - 1) * j->stride[0] + TAPS;
	for (int64_t b = 0; b < s->blocks; b++)
		for (int64_t i = 0; i < rows; i++)
			make_row(s, u, image + b * j->in[0] * j->in[1] * j->vec->floats, b, i);
}

/* Tiles of all kinds. */
static int64_t count_tiles(const struct rows_state *s, int64_t rows)
{
	int64_t n = 0, pixels = s->j.vec->pixels;
	for (int k = 0; k < wino_kinds(s->axis.form); k++)
		n += (rows * s->span.count[k] + pixels - 1) / pixels;
	return n;
}

/* What one row of windows adds to the sums of a panel. */
static void multiply_row(const struct rows_state *s, const struct unit *u, int64_t panel, int row,
	const float *weights)
{
	const struct conv_job *j = &s->j;
	int64_t v = j->vec->floats, width = job_panel_width(j, panel), rows = u->row[1] - u->row[0];
	int64_t first = row % j->stride[0] * s->parity_rows + row / j->stride[0];
	float *rest = u->rest;
	struct conv_tile t = {.src_pixel = v,
		.taps = s->blocks,
		.run = v,
		.bias = s->zeros,
		.dst_pixel = v,
		.block = (int)v,
		.last = true,
		.act = {.low = -INFINITY, .high = INFINITY}};
	t.ahead = weights + PLANES * s->depth * width;
	t.ahead_step = max_i64(PLANES * width / count_tiles(s, rows), 1);
	for (int k = 0; k < wino_kinds(s->axis.form); k++) {
		int64_t n = rows * s->span.count[k];
		if (n == 0)
			continue;
		t.src = u->src + s->src_at[k] + first * s->span.count[k] * v;
		t.tap = s->tap + k * s->blocks;
		wino_mix_weights(&t, &wino_mixes[j->stride[1] - 1][k], weights, s->depth * width);
		t.from = row > 0 ? rest : NULL;
		t.rest = row < TAPS - 1 ? rest : NULL;
		t.dst_block = n * v;
		t.dst = u->dst + s->dst_at[k] + (panel - u->panel[0]) * job_panel(j) * n;
		job_tiles(j, &t, n, (int)(width / v));
		rest += n * width;
	}
}

static void multiply(const struct rows_state *s, const struct unit *u)
{
	const struct conv_job *j = &s->j;
	for (int64_t panel = u->panel[0]; panel < u->panel[1]; panel++) {
		const float *weights = s->packed + job_weight_at(j, TAPS * PLANES * s->depth,
							   panel * job_panel(j), 0);
		for (int row = 0; row < TAPS; row++)
			multiply_row(s, u, panel, row,
				weights + row * PLANES * s->depth * job_panel_width(j, panel));
	}
}

static void make_pixels(
	const struct rows_state *s, const struct unit *u, float *image, const float *sum)
{
	const struct conv_job *j = &s->j;
	int64_t v = j->vec->floats, first = u->panel[0] * job_panel(j),
		rows = u->row[1] - u->row[0];
	int64_t last = min_i64(u->panel[1] * job_panel(j), job_floats(j));
	float *kind[WINO_KINDS_MAX];
	struct wino_row r = row_of(s, kind);
	struct wino_end end = {.act = j->act};
	end.act.param = j->loop.param;
	r.w = j->out[1];
	for (int64_t c = first; c < last; c += v)
		for (int64_t y = 0; y < rows; y++) {
			int64_t at = (c * j->out[0] + (u->row[0] + y) * v) * j->out[1];
			for (int k = 0; k < wino_kinds(s->axis.form); k++)
				kind[k] = u->dst + s->dst_at[k] +
					  ((c - first) * rows + y * v) * s->span.count[k];
			r.first = image + at;
			end.bias = j->bias + c;
			end.sum = sum ? sum + at : NULL;
			s->vec->pixels((int)j->stride[1], &r, &end);
		}
}

static void run_unit(const struct kernel_args *a, const struct rows_state *s, int64_t index)
{
	const struct conv_job *j = &s->j;
	struct job_unit i = job_unit_of(index, s->parts, s->slices, job_panels(j));
	int64_t at = i.image * j->oc * j->out[0] * j->out[1];
	struct unit u = {.src = a->scratch,
		.panel = {i.panel[0], i.panel[1]},
		.dst = (float *)((char *)a->scratch + s->scratch_dst),
		.rest = (float *)((char *)a->scratch + s->scratch_rest)};
	deal_out(j->out[0], s->parts, i.part, &u.row[0], &u.row[1]);
	make_points(s, &u, (const float *)a->in[0].data + i.image * j->ic * j->in[0] * j->in[1]);
	multiply(s, &u);
	make_pixels(s, &u, (float *)a->out[0].data + at,
		j->sum ? (const float *)a->in[3].data + at : NULL);
}

static void run_rows(const struct kernel_args *a, int64_t begin, int64_t end)
{
	for (int64_t i = begin; i < end; i++)
		run_unit(a, a->state, i);
}

/* -- prepare ---------------------------------------------------------------------------------- */

static int64_t weight_bytes(const struct conv_job *j)
{
	return j->oc * j->ic * TAPS * TAPS * (int64_t)sizeof(float);
}

static struct wino_axis axis_of(const struct conv_job *j)
{
	return wino_axis_of((struct wino_form){SIZE, (int)j->stride[1]}, j->out[1]);
}

/* How many rows of the result have points of the source that stay near; wide images have none. */
static int64_t rows_near(const struct conv_job *j)
{
	struct wino_axis axis = axis_of(j);
	struct wino_span row = wino_span_of(&axis, 0, axis.patches);
	int64_t points = wino_span_points(&axis, &row) * j->stride[0];
	return POINTS_BYTES / (points * j->ic * (int64_t)sizeof(float));
}

static bool suits(const struct prep *p, const struct conv_job *j)
{
	bool suits = p->precision != PRECISION_EXACT && p->threads > 1 &&
		     j->src_run == j->vec->floats && j->block == j->vec->floats &&
		     j->stride[0] <= 2 && weight_bytes(j) >= WEIGHTS_MIN;
	for (int i = 0; i < 2; i++)
		suits &= j->kernel[i] == TAPS && j->stride[i] == j->stride[0] &&
			 j->dilation[i] == 1;
	return suits && rows_near(j) > 0;
}

static void cut(const struct prep *p, struct rows_state *s, struct kernel *ret)
{
	const struct conv_job *j = &s->j;
	int64_t most = rows_near(j), row_points = wino_span_points(&s->axis, &s->span);
	double ns = 2.0 * TAPS * (double)(j->images * j->out[0] * row_points) *
		    (double)(j->ic * j->oc) / FLOPS_PER_NS;
	s->parts = min_i64(job_units(p, (j->out[0] + most - 1) / most), j->out[0]);
	s->slices = job_slices(p, j, j->images * s->parts, ns);
	s->unit_rows = (j->out[0] + s->parts - 1) / s->parts;
	ret->units = j->images * s->parts * s->slices;
	ret->unit_cost_ns = (int64_t)(ns / (double)ret->units) + 1;
}

/* Room for the largest units, which the last ones are not. */
static void lay_out(struct rows_state *s, struct kernel *ret)
{
	const struct conv_job *j = &s->j;
	int64_t v = j->vec->floats, panels = (job_panels(j) + s->slices - 1) / s->slices;
	int64_t channels = min_i64(panels * job_panel(j), job_floats(j)), src = 0, dst = 0,
		rest = 0;
	s->parity_rows = s->unit_rows + (TAPS - 1) / j->stride[0];
	s->src_rows = s->parity_rows * j->stride[0];
	for (int k = 0; k < wino_kinds(s->axis.form); k++) {
		int64_t n = s->span.count[k];
		s->src_at[k] = src;
		s->dst_at[k] = dst;
		for (int64_t b = 0; b < s->blocks; b++)
			s->tap[k * s->blocks + b] = b * s->src_rows * n * v;
		src += s->src_rows * n * s->depth;
		dst += s->unit_rows * n * channels;
		rest += s->unit_rows * n * job_panel(j);
	}
	s->scratch_dst = round_up((size_t)src * sizeof(float), ARENA_ALIGN_TENSOR);
	s->scratch_rest =
		round_up(s->scratch_dst + (size_t)dst * sizeof(float), ARENA_ALIGN_TENSOR);
	ret->scratch_bytes = s->scratch_rest + (size_t)rest * sizeof(float);
	for (int64_t i = 0; i < s->axis.patches; i++)
		wino_span_places(&s->axis, &s->span, i, v, s->at + i * wino_points(s->axis.form));
}

/* Without holes: it is compared byte by byte. */
struct pack_key {
	const void *source;
	int64_t oc, ic, stride, floats, taps;
};

static float in_plane(const double part[TAPS], const float *taps)
{
	double sum = 0;
	for (int i = 0; i < TAPS; i++)
		sum += part[i] * (double)taps[i];
	return (float)sum;
}

/* Panel by panel, of each row of taps three planes; a vector of output channels at once. */
static void pack(void *to, void *ctx)
{
	const struct rows_state *s = ctx;
	const struct conv_job *j = &s->j;
	const int64_t window = TAPS * TAPS, depth = TAPS * PLANES * s->depth;
	for (int64_t o = 0; o < j->oc; o += j->vec->floats)
		for (int64_t c = 0; c < j->ic; c++)
			for (int i = 0; i < TAPS * PLANES; i++) {
				const double *part = wino_planes[j->stride[1] - 1][i % PLANES];
				const float *taps =
					j->weights + (o * j->ic + c) * window + i / PLANES * TAPS;
				float *w =
					(float *)to + job_weight_at(j, depth, o, i * s->depth + c);
				for (int l = 0; l < j->vec->floats; l++)
					w[l] = in_plane(part, taps + l * j->ic * window);
			}
}

static enum err_code pack_weights(struct prep *p, struct rows_state *s, struct err *err)
{
	const struct conv_job *j = &s->j;
	const struct pack_key key = {j->weights, j->oc, j->ic, j->stride[1], j->vec->floats, TAPS};
	const void *packed;
	size_t bytes = (size_t)(job_floats(j) * s->depth * TAPS * PLANES) * sizeof(float);
	TRY(packs_get(p->packs, &key, sizeof(key), bytes, pack, s, &packed, err));
	s->packed = packed;
	return ERR_OK;
}

static enum err_code new_state(struct prep *p, const struct conv_job *j, struct kernel *ret,
	struct rows_state **ret_s, struct err *err)
{
	struct wino_axis axis = axis_of(j);
	int64_t v = j->vec->floats, blocks = j->ic / v, taps = wino_kinds(axis.form) * blocks;
	struct rows_state *s = kernel_state(p, ret, sizeof(*s) + (size_t)taps * sizeof(s->tap[0]));
	float *zeros = prep_alloc(p, (size_t)job_panel(j) * sizeof(*zeros));
	int64_t *at = prep_alloc(p, (size_t)(axis.patches * wino_points(axis.form)) * sizeof(*at));
	if (!s || !zeros || !at)
		return err_oom(err);
	*s = (struct rows_state){.j = *j,
		.axis = axis,
		.span = wino_span_of(&axis, 0, axis.patches),
		.blocks = blocks,
		.depth = j->ic,
		.zeros = zeros,
		.at = at};
#ifdef __x86_64__
	s->vec = v == 16 ? &wino_row_vec_avx512 : &wino_row_vec_avx2;
#endif
	*ret_s = s;
	return ERR_OK;
}

enum err_code prepare_conv_rows(struct prep *p, struct kernel *ret, struct err *err)
{
	struct conv_job j;
	struct rows_state *s;
	TRY(conv_job_init(p, false, &j, err));
	if (!suits(p, &j))
		return prep_refuse(err,
			"no dense 3x3 convolution of many weights, or its rounding is not wanted");
	TRY(new_state(p, &j, ret, &s, err));
	cut(p, s, ret);
	lay_out(s, ret);
	TRY(pack_weights(p, s, err));
	ret->packed = ret->unread = 1u << 1;
	ret->run = run_rows;
	ret->out_layout = j.out_layout;
	ret->inplace = j.sum;
	ret->inplace_in = 3;
	return ERR_OK;
}
