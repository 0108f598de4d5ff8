/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ConvTranspose whose windows do not overlap (as large as the stride), on conv_vec.h
 *
 * DESIGN
 *
 * Every number of the result then belongs to one pixel of the source and one tap, so the whole
 * is a product of pixels with the weights of all taps side by side: a convolution of 1x1 to
 * (taps x channels) channels, whose pixels go apart afterwards. A unit of work is a row of
 * the source; its products stay in the nearest cache until they are moved.
 */
#include "exec/infer/conv_geometry.h"
#include "exec/cpu/conv/conv_job.h"

#include <math.h>

#define FLOPS_PER_NS 100.0
#define ROW_BYTES_MAX (8 << 20)

struct transpose_state {
	struct conv_job j;       /* of the product */
	int64_t oc, tap_channels; /* of the result; with what fills the last block of a tap */
	int64_t kernel[2], out[2];
	int block; /* of the result */
	const float *packed;
	int64_t tap[]; /* the product's: per piece of source channels */
};

/* -- run -------------------------------------------------------------------------------------- */

/* Row y of image n, by all weights: [vectors][pixels] in scratch. */
static void multiply_row(const struct transpose_state *s, const float *src, float *scratch)
{
	const struct conv_job *j = &s->j;
	int64_t v = j->vec->floats, width = j->in[1];
	struct conv_tile t = { .src = src, .src_pixel = j->src_run, .tap = s->tap,
		.taps = j->ic / j->src_run, .run = j->src_run, .dst_pixel = v,
		.dst_block = width * v, .block = (int)v, .last = true, .act = j->act };
	for (int64_t panel = 0; panel < job_panels(j); panel++) {
		int64_t channel = panel * job_panel(j), floats = job_panel_width(j, panel);
		t.weights = s->packed + job_weight_at(j, j->ic, channel, 0);
		t.bias = j->bias + channel;
		t.dst = scratch + channel * width;
		job_fetch_ahead(j, &t, t.weights + floats * j->ic, 1, width, floats);
		job_tiles(j, &t, width, (int)(floats / v));
	}
}

/* One block of one tap, from pixel to pixel. */
static void move_block(const struct transpose_state *s, const float *from, float *to)
{
	int64_t v = s->j.vec->floats, step = s->kernel[1] * s->block;
	if (s->block == 1)
		for (int64_t x = 0; x < s->j.in[1]; x++)
			to[x * step] = from[x * v];
	else
		for (int64_t x = 0; x < s->j.in[1]; x++)
			memcpy(to + x * step, from + x * v, (size_t)s->block * sizeof(*to));
}

static void move_row(
	const struct transpose_state *s, const float *scratch, float *image, int64_t row)
{
	int64_t v = s->j.vec->floats, area = s->out[0] * s->out[1];
	for (int64_t ky = 0; ky < s->kernel[0]; ky++)
		for (int64_t kx = 0; kx < s->kernel[1]; kx++) {
			int64_t first = (ky * s->kernel[1] + kx) * s->tap_channels;
			int64_t pixel = (row * s->kernel[0] + ky) * s->out[1] + kx;
			for (int64_t o = 0; o < s->oc; o += s->block) {
				int64_t at = first + o;
				move_block(s, scratch + at / v * v * s->j.in[1] + at % v,
					image + o * area + pixel * s->block);
			}
		}
}

static void run_rows(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct transpose_state *s = a->state;
	const struct conv_job *j = &s->j;
	for (int64_t i = begin; i < end; i++) {
		int64_t image = i / j->in[0], row = i % j->in[0];
		multiply_row(s, (const float *)a->in[0].data + image * j->ic * j->in[0] * j->in[1] +
				row * j->in[1] * j->src_run, a->scratch);
		move_row(s, a->scratch,
			(float *)a->out[0].data + image * s->oc * s->out[0] * s->out[1], row);
	}
}

/* -- prepare ---------------------------------------------------------------------------------- */

/* Without holes: it is compared byte by byte. */
struct pack_key {
	const void *source;
	int64_t oc, ic, tap_channels, kernel[2], panel, floats, transposed;
};

static void pack(void *to, void *ctx)
{
	const struct transpose_state *s = ctx;
	const struct conv_job *j = &s->j;
	int64_t taps = s->kernel[0] * s->kernel[1];
	float *w = to;
	memset(w, 0, (size_t)(job_floats(j) * j->ic) * sizeof(*w));
	for (int64_t c = 0; c < j->ic; c++)
		for (int64_t o = 0; o < s->oc; o++)
			for (int64_t k = 0; k < taps; k++)
				w[job_weight_at(j, j->ic, k * s->tap_channels + o, c)] =
					j->weights[(c * s->oc + o) * taps + k];
}

static enum err_code pack_weights(struct prep *p, struct transpose_state *s, struct err *err)
{
	const struct conv_job *j = &s->j;
	const struct pack_key key = { j->weights, s->oc, j->ic, s->tap_channels,
		{ s->kernel[0], s->kernel[1] }, job_panel(j), j->vec->floats, 1 };
	const void *packed;
	size_t bytes = (size_t)(job_floats(j) * j->ic) * sizeof(float);
	TRY(packs_get(p->packs, &key, sizeof(key), bytes, pack, s, &packed, err));
	s->packed = packed;
	return ERR_OK;
}

/* Every tap has the same. */
static enum err_code spread_bias(struct prep *p, struct transpose_state *s, struct err *err)
{
	float *bias = prep_alloc(p, (size_t)job_floats(&s->j) * sizeof(*bias));
	if (!bias)
		return err_oom(err);
	for (int64_t k = 0; prep_has_in(p, 2) && k < s->kernel[0] * s->kernel[1]; k++)
		memcpy(bias + k * s->tap_channels, p->in[2].data, (size_t)s->oc * sizeof(*bias));
	s->j.bias = bias;
	return ERR_OK;
}

/* Are windows side by side, all in the result and nothing between them? */
static bool windows_tile(const struct conv_geometry *g)
{
	bool tile = g->spatial == 2 && g->group == 1;
	for (int i = 0; i < g->spatial; i++)
		tile &= g->kernel[i] == g->stride[i] && g->dilation[i] == 1 &&
			g->pad_begin[i] == 0 && g->out[i] == g->in[i] * g->stride[i];
	return tile;
}

static void describe(struct prep *p, const struct conv_geometry *g, struct transpose_state *s)
{
	struct conv_job *j = &s->j;
	int block = layout_block(conv_layout(p->out[0].shape.dim[1]));
	s->oc = p->out[0].shape.dim[1];
	s->block = block;
	s->tap_channels = (s->oc + block - 1) / block * block;
	j->act = (struct conv_act){ .low = -INFINITY, .high = INFINITY };
	for (int i = 0; i < 2; i++) {
		j->in[i] = g->in[i];
		s->kernel[i] = g->kernel[i];
		s->out[i] = g->out[i];
	}
	j->oc = s->kernel[0] * s->kernel[1] * s->tap_channels;
	j->src_run = layout_block(p->in[0].layout);
	for (int64_t c = 0; c < j->ic / j->src_run; c++)
		s->tap[c] = c * j->in[0] * j->in[1] * j->src_run;
}

enum err_code prepare_conv_transpose_tiles(struct prep *p, struct kernel *ret, struct err *err)
{
	struct conv_geometry g;
	struct conv_job j;
	TRY(conv_job_operands(p, &j, err));
	TRY(conv_transpose_geometry(p->node, &p->in[0].shape, &p->in[1].shape, &g, err));
	if (!windows_tile(&g))
		return prep_refuse(err, "groups, or windows that are not side by side");
	struct transpose_state *s = kernel_state(p, ret,
		sizeof(*s) + (size_t)p->in[0].shape.dim[1] * sizeof(s->tap[0]));
	if (!s)
		return err_oom(err);
	s->j = j;
	describe(p, &g, s);
	double row_bytes = (double)job_floats(&s->j) * (double)s->j.in[1] * sizeof(float);
	if (row_bytes > ROW_BYTES_MAX)
		return prep_refuse(err, "rows that are too long to be kept");
	TRY(spread_bias(p, s, err));
	TRY(pack_weights(p, s, err));
	ret->packed = ret->unread = 1u << 1;
	ret->run = run_rows;
	ret->units = s->j.images * s->j.in[0];
	ret->unit_cost_ns =
		(int64_t)(2.0 * (double)(s->j.oc * s->j.ic * s->j.in[1]) / FLOPS_PER_NS) + 1;
	ret->scratch_bytes = (size_t)(job_floats(&s->j) * s->j.in[1]) * sizeof(float);
	ret->out_layout = s->out[0] * s->out[1] > 1 ? conv_layout(s->oc) : LAYOUT_PLAIN;
	return ERR_OK;
}
