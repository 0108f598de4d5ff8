/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv and FusedConv of 3x3 windows by Winograd's minimal filtering, on conv_vec.h
 *
 * DESIGN
 *
 * A patch of pixels becomes points, one matrix product per kind of point goes from input to output
 * channels, and points become pixels again: 4 (of 4x4 pixels) or 2.25 (of 2x2) times fewer
 * products than taps would take, 1.78 or 1.44 where windows are two pixels apart. Points of one
 * kind of a unit's patches lie in scratch as an image does, so the products are tiles of single
 * pixels. The weights of a kind go by once per unit; there are four times as many of them as
 * before for 4x4, which is why small images of many channels take 2x2. Where several threads wait
 * for the same memory, larger ones of 4x4 have half of them: each row of kinds in three planes,
 * which tiles make weights of (wino_weights.h) while they are near.
 *
 * Patches at the lower and right edge that need fewer points have fewer (wino.h): 14 pixels take
 * 22 points of 24, so their square 16 % less.
 *
 * Products of bfloat16 are of points that are rounded when they are made, and those of 2x2 are
 * all that such numbers bear: against sums of rounded pixels and weights the error is 1.5 times as
 * large, of 4x4 it is 9 times (and 4 times with the best points there are).
 *
 * A unit of work is some patches of one image, a rectangle, times a slice of the panels.
 *
 * NOT DONE: weights that the step before fetches bit by bit, into the second-level cache and so the
 * third: two threads gain nothing here and lose there. Weights of taps made those of points when
 * they are read: a quarter comes from memory, but the points' go through the second-level cache
 * three times, which takes one thread a third longer, and two as long.
 */
#include "exec/cpu/conv/wino_way.h"
#include "exec/cpu/conv/wino_weights.h"

#include <math.h>
#include "base/checked.h"

#define POINTS_BYTES (512 << 10) /* of a unit, so that they stay near; or as many as of weights */
#define PAIRS_MAX (WINO_KINDS_MAX * WINO_KINDS_MAX)

struct wino_state {
	struct conv_job j;
	struct wino_form form;
	struct wino_axis axis[2];
	int pairs; /* of kinds along both axes */
	int64_t blocks, slots, depth; /* of the source: vectors, slots of one, of all */
	int64_t parts[2], slices;     /* of patches along both axes, of panels */
	int64_t points[PAIRS_MAX];    /* of a pair, at most of a unit */
	int64_t src_at[PAIRS_MAX], dst_at[PAIRS_MAX]; /* where they begin */
	size_t scratch_dst, scratch_places;
	const float *packed;
	const float *zeros;
	bool in_planes; /* weights, of each row of kinds (wino_weights.h) */
	int64_t tap[]; /* of each block, for each pair */
};

/* -- run -------------------------------------------------------------------------------------- */

/* Which are those of rows, and of columns in slots of points and in floats of sums. */
enum { ROWS, SRC_COLUMNS, DST_COLUMNS, PLACES };

struct unit {
	float *src, *dst; /* points */
	struct wino_span span[2];
	int64_t panel[2]; /* from, to */
	int64_t *place[PLACES]; /* of the points of each patch of a span */
};

static void find_places(const struct wino_state *s, struct unit *u, int64_t *mem)
{
	const int64_t step[PLACES] = { 1, s->slots, s->j.vec->floats };
	for (int k = 0; k < PLACES; k++) {
		const struct wino_axis *a = &s->axis[k != ROWS];
		const struct wino_span *span = &u->span[k != ROWS];
		u->place[k] = mem;
		for (int64_t i = 0; i < span->n; i++, mem += wino_points(s->form))
			wino_span_places(a, span, i, step[k], mem);
	}
}

/* Where vectors are two blocks of the image: how far the second one is, if there is one. */
static void set_halves(
	const struct wino_state *s, struct wino_patch *p, int64_t block, int64_t left)
{
	if (block < s->j.vec->floats) {
		p->to_high = p->h * p->w * block;
		p->low_only = left <= block;
	}
}

/* All patches of a unit in one block of channels: to points, or where an end is given to pixels. */
static void filter(const struct wino_state *s, const struct unit *u, struct wino_patch p,
	float *const *kind, const struct wino_end *end)
{
	const struct conv_job *j = &s->j;
	int64_t stride = end ? 1 : j->stride[0], step = end ? j->vec->floats : s->slots;
	struct wino_places at = { .kind = kind };
	for (int i = 0; i < wino_points(s->form); i++)
		at.row[i] = u->span[1].count[wino_kind(s->form, i)] * step;
	for (int64_t y = 0; y < u->span[0].n; y++) {
		int64_t row = u->span[0].first + y;
		p.y = row * s->form.size * stride - (end ? 0 : j->pad[0]);
		p.half[0] = wino_patch_is_half(&s->axis[0], row);
		at.y = u->place[ROWS] + y * wino_points(s->form);
		for (int64_t x = 0; x < u->span[1].n; x++) {
			int64_t column = u->span[1].first + x;
			p.x = column * s->form.size * stride - (end ? 0 : j->pad[1]);
			p.half[1] = wino_patch_is_half(&s->axis[1], column);
			at.x = u->place[end ? DST_COLUMNS : SRC_COLUMNS] + x * wino_points(s->form);
			if (end)
				j->wino->pixels(s->form, &at, &p, end);
			else
				j->wino->points(s->form, &p, &at);
		}
	}
}

static void make_points(const struct wino_state *s, const struct unit *u, const float *image)
{
	const struct conv_job *j = &s->j;
	int64_t v = j->vec->floats;
	float *kind[PAIRS_MAX];
	for (int i = 0; i < s->pairs; i++)
		kind[i] = u->src + s->src_at[i];
	for (int64_t b = 0; b < s->blocks; b++, image += job_src_at(j, j->in[0] * j->in[1] * v)) {
		struct wino_patch p = { .image = (float *)(uintptr_t)image, /* read only */
			.slots = j->src_slots, .h = j->in[0], .w = j->in[1] };
		set_halves(s, &p, j->src_run, j->ic - b * v);
		filter(s, u, p, kind, NULL);
		for (int i = 0; i < s->pairs; i++)
			kind[i] += s->points[i] * s->slots;
	}
}

/* A unit has of a pair. */
static int64_t points_of(const struct wino_state *s, const struct unit *u, int pair)
{
	int kinds = wino_kinds(s->form);
	return u->span[0].count[pair / kinds] * u->span[1].count[pair % kinds];
}

/* From the points of a pair to their sums of the unit's first panel. */
static struct conv_tile tile_of(const struct wino_state *s, const struct unit *u, int pair)
{
	int v = s->j.vec->floats;
	return (struct conv_tile){.src = u->src + s->src_at[pair],
		.src_pixel = s->slots,
		.tap = s->tap + pair * s->blocks,
		.taps = s->blocks,
		.run = s->slots,
		.bias = s->zeros,
		.dst = u->dst + s->dst_at[pair],
		.dst_pixel = v,
		.dst_block = s->points[pair] * v,
		.block = v,
		.last = true,
		.act = {.low = -INFINITY, .high = INFINITY}};
}

static void multiply_pair(const struct wino_state *s, const struct unit *u, int pair)
{
	const struct conv_job *j = &s->j;
	int64_t n = points_of(s, u, pair);
	struct conv_tile t = tile_of(s, u, pair);
	if (n == 0)
		return;
	const float *weights =
		s->packed + (pair * job_floats(j) + u->panel[0] * job_panel(j)) * s->depth;
	float *dst = t.dst;
	job_fetch_ahead(j, &t, weights, 1, n, job_panel(j));
	for (int64_t panel = u->panel[0]; panel < u->panel[1]; panel++) {
		int64_t width = job_panel_width(j, panel);
		t.weights = weights;
		t.dst = dst;
		t.ahead = weights += width * s->depth;
		dst += width * s->points[pair];
		job_tiles(j, &t, n, (int)(width / j->vec->floats));
	}
}

/* A row of kinds of a panel, whose weights are made of planes that stay in the second-level cache
   meanwhile. */
static void multiply_row(const struct wino_state *s, const struct unit *u, int y, int64_t panel)
{
	const struct conv_job *j = &s->j;
	int kinds = wino_kinds(s->form), first = y * kinds;
	int64_t width = job_panel_width(j, panel), plane = s->depth * width, tiles = 0;
	int64_t before = panel * job_panel(j), before_here = before - u->panel[0] * job_panel(j);
	const float *planes = s->packed + WINO_PLANES * s->depth * (y * job_floats(j) + before);
	const float *ahead = planes + WINO_PLANES * plane;
	for (int x = 0; x < kinds; x++)
		tiles += (points_of(s, u, first + x) + j->vec->pixels - 1) / j->vec->pixels;
	for (int x = 0; x < kinds; x++) {
		int64_t n = points_of(s, u, first + x);
		struct conv_tile t = tile_of(s, u, first + x);
		if (n == 0)
			continue;
		wino_mix_weights(&t, &wino_mixes[s->form.stride - 1][x], planes, plane);
		t.dst += before_here * s->points[first + x];
		t.ahead = ahead;
		t.ahead_step = max_i64(WINO_PLANES * width / tiles, 1);
		job_tiles(j, &t, n, (int)(width / j->vec->floats));
		ahead = t.ahead;
	}
}

static void multiply(const struct wino_state *s, const struct unit *u)
{
	for (int pair = 0; pair < s->pairs && !s->in_planes; pair++)
		multiply_pair(s, u, pair);
	for (int y = 0; y < wino_kinds(s->form) && s->in_planes; y++)
		for (int64_t panel = u->panel[0]; panel < u->panel[1]; panel++)
			multiply_row(s, u, y, panel);
}

static void make_pixels(
	const struct wino_state *s, const struct unit *u, float *image, const float *sum)
{
	const struct conv_job *j = &s->j;
	int64_t v = j->vec->floats, first = u->panel[0] * job_panel(j);
	int64_t last = min_i64(u->panel[1] * job_panel(j), job_floats(j));
	float *kind[PAIRS_MAX];
	struct wino_end end = { .act = j->act };
	end.act.param = j->loop.param;
	for (int i = 0; i < s->pairs; i++)
		kind[i] = u->dst + s->dst_at[i];
	for (int64_t c = first; c < last; c += v) {
		int64_t at = job_dst_at(j, c * j->out[0] * j->out[1]);
		struct wino_patch p = { .image = image + at, .slots = j->dst_slots, .h = j->out[0],
			.w = j->out[1] };
		set_halves(s, &p, j->block, j->oc - c);
		end.bias = j->bias + c;
		end.sum = sum ? sum + at : NULL;
		filter(s, u, p, kind, &end);
		for (int i = 0; i < s->pairs; i++)
			kind[i] += s->points[i] * v;
	}
}

static struct wino_span part_of(const struct wino_axis *a, int64_t parts, int64_t i)
{
	int64_t from, to;
	deal_out(a->patches, parts, i, &from, &to);
	return wino_span_of(a, from, to - from);
}

static void run_unit(const struct kernel_args *a, const struct wino_state *s, int64_t index)
{
	const struct conv_job *j = &s->j;
	struct job_unit i = job_unit_of(index, s->parts[0] * s->parts[1], s->slices, job_panels(j));
	int64_t at = job_dst_at(j, i.image * j->oc * j->out[0] * j->out[1]);
	int64_t from = job_src_at(j, i.image * j->ic * j->in[0] * j->in[1]);
	struct unit u = {.src = a->scratch,
		.panel = {i.panel[0], i.panel[1]},
		.dst = (float *)((char *)a->scratch + s->scratch_dst)};
	u.span[0] = part_of(&s->axis[0], s->parts[0], i.part / s->parts[1]);
	u.span[1] = part_of(&s->axis[1], s->parts[1], i.part % s->parts[1]);
	find_places(s, &u, (int64_t *)((char *)a->scratch + s->scratch_places));
	make_points(s, &u, (const float *)a->in[0].data + from);
	multiply(s, &u);
	make_pixels(s, &u, (float *)a->out[0].data + at,
		j->sum ? (const float *)a->in[3].data + at : NULL);
}

static void run_winograd(const struct kernel_args *a, int64_t begin, int64_t end)
{
	for (int64_t i = begin; i < end; i++)
		run_unit(a, a->state, i);
}

/* -- prepare ----------------------------------------------------------------------------------- */

static bool is_vector_or_half(const struct conv_job *j, int64_t block)
{
	return block == j->vec->floats || 2 * block == j->vec->floats;
}

static bool suits(const struct prep *p, const struct conv_job *j)
{
	bool suits = p->precision != PRECISION_EXACT && j->out[0] * j->out[1] > 1 &&
		     is_vector_or_half(j, layout_block(p->in[0].layout)) &&
		     is_vector_or_half(j, j->block) && j->stride[0] <= 2;
	for (int i = 0; i < 2; i++)
		suits &= j->kernel[i] == 3 && j->stride[i] == j->stride[0] && j->dilation[i] == 1;
	return suits;
}

/* How many patches a unit has at most. */
static int64_t unit_patches(const struct wino_state *s)
{
	const struct conv_job *j = &s->j;
	int64_t points = wino_points(s->form) * wino_points(s->form);
	int64_t bytes = points * (s->depth + job_floats(j)) * (int64_t)sizeof(float);
	return max_i64(max_i64(POINTS_BYTES, wino_way_bytes(j, s->form)) / bytes, j->vec->pixels);
}

/* Threads had better read their own rows of the source than all of them parts of the weights, if
   these are not too many to be read by each. */
static int64_t least_units(const struct wino_state *s, const struct prep *p, double ns)
{
	return ns < 2 * CUT_MIN_NS || wino_way_slices(&s->j, s->form) ? 1 : max_i64(p->threads, 1);
}

/* Whole rows of patches, if one is not too much. */
static void cut_patches(struct wino_state *s, const struct prep *p, struct kernel *ret)
{
	struct conv_job *j = &s->j;
	int64_t most = unit_patches(s), rows = s->axis[0].patches, columns = s->axis[1].patches;
	s->parts[1] = (columns + most - 1) / most;
	int64_t unit_rows = max_i64(most * s->parts[1] / columns, 1);
	double ns = (double)j->images * wino_way_ns(j, (struct wino_way){ s->form, false }, 1);
	int64_t units = job_units(p, (rows + unit_rows - 1) / unit_rows);
	s->parts[0] = min_i64(max_i64(units, least_units(s, p, ns)), rows);
	s->slices = job_slices(p, j, j->images * s->parts[0] * s->parts[1], ns);
	ret->units = j->images * s->parts[0] * s->parts[1] * s->slices;
	ret->unit_cost_ns = (int64_t)(ns / (double)ret->units) + 1;
}

#define LINE 16 /* floats of the cache */

/* An odd number of lines, so that points do not share a set of the nearest cache. */
static int64_t odd_lines(int64_t floats)
{
	return ((floats + LINE - 1) / LINE | 1) * LINE;
}

/* Of points of the patches of a unit, along both axes, and of columns twice. */
static int64_t places(const struct wino_state *s)
{
	int64_t n[2];
	for (int i = 0; i < 2; i++)
		n[i] = (s->axis[i].patches + s->parts[i] - 1) / s->parts[i];
	return (n[0] + 2 * n[1]) * wino_points(s->form);
}

/* Room for the largest units, which the last ones are not. */
static void lay_out(struct wino_state *s, struct kernel *ret)
{
	const struct conv_job *j = &s->j;
	int64_t panels = (job_panels(j) + s->slices - 1) / s->slices, src = 0, dst = 0;
	int64_t channels = min_i64(panels * job_panel(j), job_floats(j)),
		most[2][WINO_KINDS_MAX] = { 0 };
	int kinds = wino_kinds(s->form);
	for (int i = 0; i < 2; i++)
		for (int64_t n = 0; n < s->parts[i]; n++) {
			struct wino_span span = part_of(&s->axis[i], s->parts[i], n);
			for (int k = 0; k < kinds; k++)
				most[i][k] = max_i64(most[i][k], span.count[k]);
		}
	for (int i = 0; i < s->pairs; i++) {
		s->points[i] = most[0][i / kinds] * most[1][i % kinds];
		s->src_at[i] = src;
		s->dst_at[i] = dst;
		src += odd_lines(s->points[i] * s->depth);
		dst += odd_lines(s->points[i] * channels);
		for (int64_t b = 0; b < s->blocks; b++)
			s->tap[i * s->blocks + b] = b * s->points[i] * s->slots;
	}
	s->scratch_dst = round_up((size_t)src * sizeof(float), ARENA_ALIGN_TENSOR);
	s->scratch_places =
		round_up(s->scratch_dst + (size_t)dst * sizeof(float), ARENA_ALIGN_TENSOR);
	ret->scratch_bytes = s->scratch_places + (size_t)places(s) * sizeof(int64_t);
}

static enum err_code prepare(struct prep *p, bool bf16, struct kernel *ret, struct err *err)
{
	struct conv_job j;
	TRY(conv_job_init(p, bf16, &j, err));
	if (!suits(p, &j))
		return prep_refuse(err, "no dense 3x3 convolution, or its rounding is not wanted");
	struct wino_way way = wino_way_choose(&j, max_i64(p->threads, 1));
	struct wino_form form = way.form;
	int64_t v = j.vec->floats, blocks = (j.ic + v - 1) / v,
		pairs = wino_kinds(form) * wino_kinds(form);
	struct wino_state *s =
		kernel_state(p, ret, sizeof(*s) + (size_t)(pairs * blocks) * sizeof(s->tap[0]));
	float *zeros = prep_alloc(p, (size_t)job_panel(&j) * sizeof(*zeros));
	if (!s || !zeros)
		return err_oom(err);
	*s = (struct wino_state){ .j = j, .form = form, .in_planes = way.in_planes,
		.pairs = (int)pairs, .blocks = blocks, .zeros = zeros,
		.slots = v / j.vec->per_slot };
	s->depth = blocks * s->slots;
	for (int i = 0; i < 2; i++)
		s->axis[i] = wino_axis_of(form, j.out[i]);
	cut_patches(s, p, ret);
	lay_out(s, ret);
	TRY(wino_pack(p, &j, form, way.in_planes, s->depth, &s->packed, err));
	ret->packed = ret->unread = 1u << 1;
	ret->run = run_winograd;
	ret->out_layout = j.out_layout;
	ret->inplace = j.sum;
	ret->inplace_in = 3;
	return ERR_OK;
}

enum err_code prepare_conv_winograd(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare(p, false, ret, err);
}

enum err_code prepare_conv_winograd_bf16(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare(p, true, ret, err);
}
