/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv and FusedConv of 3x3 windows by Winograd's minimal filtering, on conv_vec.h
 *
 * DESIGN
 *
 * A patch of pixels becomes points, one matrix product per point goes from input to output
 * channels, and points become pixels again: 4 (of 4x4 pixels) or 2.25 (of 2x2) times fewer
 * products than taps would take. Points of a unit's patches lie in scratch as an image does, so
 * the products are tiles of single pixels. The weights of a point go by once per unit; there
 * are four times as many of them as before for 4x4, which is why small images of many
 * channels take 2x2.
 *
 * Products of bfloat16 are of points that are rounded when they are made, and those of 2x2 are
 * all that such numbers bear: against sums of rounded pixels and weights the error is 1.5 times as
 * large, of 4x4 it is 9 times (and 4 times with the best points there are).
 *
 * A unit of work is some patches of one image times a slice of the panels.
 */
#include "exec/cpu/nn/conv_job.h"

#include <math.h>
#include "base/checked.h"

#define FLOPS_PER_NS 200.0
#define BYTES_PER_NS 40.0
#define POINTS_BYTES (512 << 10) /* of a unit, so that they stay near; or as many as of weights */

struct wino_state {
	struct conv_job j;
	int size, points;
	int64_t slots, depth; /* of a vector of source channels, of all */
	int64_t patches[2]; /* along both axes */
	int64_t unit_patches, patch_units, slices;
	int64_t src_point, dst_point; /* from a point of all channels to the next one */
	size_t scratch_dst;
	const float *packed;
	const float *zeros;
	int64_t tap[];
};

/* -- run -------------------------------------------------------------------------------------- */

struct unit {
	float *src, *dst; /* points */
	int64_t patch, patches;
	int64_t panel[2]; /* from, to */
};

/* The first pixel of patch i, as the result has them. */
static struct wino_patch patch_at(const struct wino_state *s, const int64_t size[2], int64_t i)
{
	return (struct wino_patch){ .h = size[0], .w = size[1], .y = i / s->patches[1] * s->size,
		.x = i % s->patches[1] * s->size };
}

/* Where vectors are two blocks of the image: how far the second one is, if there is one. */
static void set_halves(const struct wino_state *s, struct wino_patch *p, int64_t block, int64_t left)
{
	if (block < s->j.vec->floats) {
		p->to_high = p->h * p->w * block;
		p->low_only = left <= block;
	}
}

static void make_points(const struct wino_state *s, const struct unit *u, const float *image)
{
	const struct conv_job *j = &s->j;
	int64_t v = j->vec->floats;
	for (int64_t c = 0; c < j->ic; c += v, image += j->in[0] * j->in[1] * v)
		for (int64_t i = 0; i < u->patches; i++) {
			struct wino_patch at = patch_at(s, j->in, u->patch + i);
			at.y -= j->pad[0];
			at.x -= j->pad[1];
			at.image = (float *)(uintptr_t)image; /* read only */
			set_halves(s, &at, j->src_run, j->ic - c);
			j->wino->points(s->size, &at,
				(struct wino_points){ u->src + s->tap[c / v] + i * s->slots, s->src_point });
		}
}

static void multiply(const struct wino_state *s, const struct unit *u)
{
	const struct conv_job *j = &s->j;
	int64_t v = j->vec->floats, weights = job_floats(j) * s->depth;
	struct conv_tile t = {.src_pixel = s->slots,
		.tap = s->tap,
		.taps = s->depth / s->slots,
		.run = s->slots,
		.bias = s->zeros,
		.dst_pixel = v,
		.dst_block = s->unit_patches * v,
		.block = (int)v,
		.last = true,
		.act = {.low = -INFINITY, .high = INFINITY}};
	for (int point = 0; point < s->points; point++)
		for (int64_t panel = u->panel[0]; panel < u->panel[1]; panel++) {
			int64_t channel = panel * job_panel(j), width = job_panel_width(j, panel);
			t.weights =
				s->packed + point * weights + job_weight_at(j, s->depth, channel, 0);
			t.src = u->src + point * s->src_point;
			t.dst = u->dst + point * s->dst_point +
				(channel - u->panel[0] * job_panel(j)) * s->unit_patches;
			job_fetch_ahead(j, &t, t.weights + width * s->depth, 1, u->patches, width);
			job_tiles(j, &t, u->patches, (int)(width / v));
		}
}

static void make_pixels(
	const struct wino_state *s, const struct unit *u, float *image, const float *sum)
{
	const struct conv_job *j = &s->j;
	int64_t v = j->vec->floats, first = u->panel[0] * job_panel(j);
	int64_t last = min_i64(u->panel[1] * job_panel(j), job_floats(j));
	struct wino_end end = { .act = j->act };
	end.act.param = j->loop.param;
	for (int64_t c = first; c < last; c += v) {
		float *from = u->dst + (c - first) * s->unit_patches;
		int64_t at = c * j->out[0] * j->out[1];
		end.bias = j->bias + c;
		end.sum = sum ? sum + at : NULL;
		for (int64_t i = 0; i < u->patches; i++, from += v) {
			struct wino_patch patch = patch_at(s, j->out, u->patch + i);
			patch.image = image + at;
			set_halves(s, &patch, j->block, j->oc - c);
			j->wino->pixels(s->size, (struct wino_points){ from, s->dst_point }, &patch, &end);
		}
	}
}

static void run_unit(const struct kernel_args *a, const struct wino_state *s, int64_t index)
{
	const struct conv_job *j = &s->j;
	int64_t slice = index % s->slices, part = index / s->slices % s->patch_units;
	int64_t image = index / s->slices / s->patch_units, to;
	int64_t at = image * j->oc * j->out[0] * j->out[1];
	struct unit u = {.src = a->scratch, .dst = (float *)((char *)a->scratch + s->scratch_dst)};
	deal_out(s->patches[0] * s->patches[1], s->patch_units, part, &u.patch, &to);
	u.patches = to - u.patch;
	deal_out(job_panels(j), s->slices, slice, &u.panel[0], &u.panel[1]);
	make_points(s, &u, (const float *)a->in[0].data + image * j->ic * j->in[0] * j->in[1]);
	multiply(s, &u);
	make_pixels(s, &u, (float *)a->out[0].data + at,
		j->sum ? (const float *)a->in[3].data + at : NULL);
}

static void run_winograd(const struct kernel_args *a, int64_t begin, int64_t end)
{
	for (int64_t i = begin; i < end; i++)
		run_unit(a, a->state, i);
}

/* -- prepare ------------------------------------------------------------------------------------ */

/* Blocks are vectors or halves of them. */
static bool suits(const struct prep *p, const struct conv_job *j)
{
	bool suits = p->precision != PRECISION_EXACT && j->out[0] * j->out[1] > 1 &&
		     2 * layout_block(p->in[0].layout) >= j->vec->floats &&
		     2 * j->block >= j->vec->floats;
	for (int i = 0; i < 2; i++)
		suits &= j->kernel[i] == 3 && j->stride[i] == 1 && j->dilation[i] == 1;
	return suits;
}

static int64_t patches(const struct conv_job *j, int size)
{
	return ((j->out[0] + size - 1) / size) * ((j->out[1] + size - 1) / size);
}

/* Rough, of one image: products while weights stream by. */
static double image_ns(const struct conv_job *j, int size)
{
	double weights = (double)(j->ic * job_floats(j) * WINO_POINTS(size)) / j->vec->per_slot;
	double product_ns = 2 * weights * (double)patches(j, size) / FLOPS_PER_NS;
	double stream_ns = weights * sizeof(float) / BYTES_PER_NS;
	return product_ns > stream_ns ? product_ns + stream_ns / 4 : stream_ns + product_ns / 4;
}

#define LINE 16 /* floats of the cache */

/* An odd number of lines, so that points do not share a set of the nearest cache. */
static int64_t point_floats(const struct wino_state *s, int64_t channels)
{
	return ((channels * s->unit_patches + LINE - 1) / LINE | 1) * LINE;
}

static void cut_patches(struct wino_state *s, const struct prep *p, struct kernel *ret)
{
	struct conv_job *j = &s->j;
	s->size = j->vec->per_slot > 1 || image_ns(j, 2) < image_ns(j, 4) ? 2 : 4;
	s->points = WINO_POINTS(s->size);
	for (int i = 0; i < 2; i++)
		s->patches[i] = (j->out[i] + s->size - 1) / s->size;
	int64_t all = patches(j, s->size), channels = s->depth + job_floats(j);
	int64_t bytes = s->points * channels * (int64_t)sizeof(float);
	int64_t room =
		max_i64(POINTS_BYTES, s->points * s->depth * job_floats(j) * (int64_t)sizeof(float));
	int64_t most = max_i64(room / bytes, j->vec->pixels);
	s->patch_units = min_i64(job_units(p, (all + most - 1) / most), all);
	s->unit_patches = (all + s->patch_units - 1) / s->patch_units;
	double ns = (double)j->images * image_ns(j, s->size);
	s->slices = job_slices(p, j, j->images * s->patch_units, ns);
	ret->units = j->images * s->patch_units * s->slices;
	ret->unit_cost_ns = (int64_t)(ns / (double)ret->units) + 1;
}

static void lay_out(struct wino_state *s, struct kernel *ret)
{
	const struct conv_job *j = &s->j;
	int64_t panels = (job_panels(j) + s->slices - 1) / s->slices;
	s->src_point = point_floats(s, s->depth);
	s->dst_point = point_floats(s, min_i64(panels * job_panel(j), job_floats(j)));
	for (int64_t c = 0; c < s->depth / s->slots; c++)
		s->tap[c] = c * s->unit_patches * s->slots;
	s->scratch_dst =
		round_up((size_t)(s->points * s->src_point) * sizeof(float), ARENA_ALIGN_TENSOR);
	ret->scratch_bytes = s->scratch_dst + (size_t)(s->points * s->dst_point) * sizeof(float);
}

/* Without holes: it is compared byte by byte. */
struct pack_key {
	const void *source;
	int64_t oc, ic, size, floats, per_slot;
};

struct pack {
	const struct conv_job *j;
	int size;
	int64_t depth;
};

/* G of F(2,3) and of F(4,3). */
static const double rows_2[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
static const double rows_4[6][3] = {{.25, 0, 0}, {-1. / 6, -1. / 6, -1. / 6},
	{-1. / 6, 1. / 6, -1. / 6}, {1. / 24, 1. / 12, 1. / 6}, {1. / 24, -1. / 12, 1. / 6},
	{0, 0, 1}};

/* Windows of neighbouring output channels, one in each lane. */
#define LANES 16

/* G g G^T, in two steps. */
static void transform(int size, double (*window)[LANES], float (*to)[LANES])
{
	double half[6][3][LANES] = {0};
	int side = size + 2;
	for (int y = 0; y < side; y++)
		for (int i = 0; i < 9; i++) {
			double by = (size == 2 ? rows_2[y] : rows_4[y])[i / 3];
			for (int l = 0; l < LANES; l++)
				half[y][i % 3][l] += by * window[i][l];
		}
	for (int y = 0; y < side; y++)
		for (int x = 0; x < side; x++) {
			const double *by = size == 2 ? rows_2[x] : rows_4[x];
			for (int l = 0; l < LANES; l++)
				to[y * side + x][l] = (float)(by[0] * half[y][0][l] + by[1] * half[y][1][l] +
							      by[2] * half[y][2][l]);
		}
}

/* As many as stand in a vector; those beyond the last channel, of either side, are zeros. */
static void pack_channels(const struct pack *k, int64_t o, float *w)
{
	const struct conv_job *j = k->j;
	int lanes = j->vec->floats, n = (int)min_i64(lanes, j->oc - o), per_slot = j->vec->per_slot;
	float point[WINO_POINTS(4)][LANES];
	for (int64_t c = 0; c < k->depth * per_slot; c++) {
		double window[9][LANES] = {0};
		for (int l = 0; l < n && c < j->ic; l++)
			for (int i = 0; i < 9; i++)
				window[i][l] = (double)j->weights[((o + l) * j->ic + c) * 9 + i];
		transform(k->size, window, point);
		float *to = w + job_weight_at(j, k->depth, o, c / per_slot);
		for (int i = 0; i < WINO_POINTS(k->size); i++, to += job_floats(j) * k->depth)
			for (int l = 0; l < lanes; l++)
				job_weight_put(j, to + l, c, point[i][l]);
	}
}

static void pack(void *to, void *ctx)
{
	const struct pack *k = ctx;
	for (int64_t o = 0; o < k->j->oc; o += k->j->vec->floats)
		pack_channels(k, o, to);
}

static enum err_code pack_weights(struct prep *p, struct wino_state *s, struct err *err)
{
	const struct conv_job *j = &s->j;
	const struct pack_key key = {
		j->weights, j->oc, j->ic, s->size, j->vec->floats, j->vec->per_slot};
	struct pack k = { j, s->size, s->depth };
	const void *packed;
	size_t bytes = (size_t)(job_floats(j) * s->depth * s->points) * sizeof(float);
	TRY(packs_get(p->packs, &key, sizeof(key), bytes, pack, &k, &packed, err));
	s->packed = packed;
	return ERR_OK;
}

static enum err_code prepare(struct prep *p, bool bf16, struct kernel *ret, struct err *err)
{
	struct conv_job j;
	TRY(conv_job_init(p, bf16, &j, err));
	if (!suits(p, &j))
		return prep_refuse(err, "no dense 3x3 convolution, or its rounding is not wanted");
	int64_t v = j.vec->floats, taps = (j.ic + v - 1) / v;
	struct wino_state *s = kernel_state(p, ret, sizeof(*s) + (size_t)taps * sizeof(s->tap[0]));
	float *zeros = prep_alloc(p, (size_t)job_panel(&j) * sizeof(*zeros));
	if (!s || !zeros)
		return err_oom(err);
	s->j = j;
	s->zeros = zeros;
	s->slots = v / j.vec->per_slot;
	s->depth = taps * s->slots;
	cut_patches(s, p, ret);
	lay_out(s, ret);
	TRY(pack_weights(p, s, err));
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
