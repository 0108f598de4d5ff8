/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/conv/wino_weights.h"

/* Without holes: it is compared byte by byte. */
struct pack_key {
	const void *source;
	int64_t oc, ic, size, stride, floats, per_slot, sets;
};

struct pack {
	const struct conv_job *j;
	struct wino_form form;
	bool in_planes;
	int64_t depth;
};

/* clang-format off */
/* A kind's weights as a sum of those of the three taps: G, for the points of wino_points.h. */
static const double sums_2[2][WINO_KINDS_MAX][3] = {
	{ { 1, 0, 0 }, { .5, .5, .5 }, { .5, -.5, .5 }, { 0, 0, 1 } },
	/* of the outer taps, and the middle one. */
	{ { 1, 0, 0 }, { 1, 0, 1 }, { 0, 0, 1 }, { 0, 1, 0 } },
};

/* The same for patches of four pixels. */
const double wino_planes[2][WINO_PLANES][3] = {
	{ { 1. / 3, 0, 1. / 3 }, { 0, 1. / 3, 0 }, { 1. / 6, 0, 2. / 3 } },
	{ { .5, 0, 0 }, { 0, 0, .5 }, { 0, 1, 0 } },
};
const struct wino_mix wino_mixes[2][WINO_KINDS_MAX] = {
	{ { 0, 2, -.5 }, { 0, 1, 1 }, { 0, 1, -1 }, { 2, 1, 1 }, { 2, 1, -1 }, { 2, 0, -.5 } },
	{ { 0, 0, 0 }, { 0, 1, 1 }, { 0, 1, -1 }, { 0, 1, 2 }, { 1, 0, 0 }, { 2, 0, 0 } },
};
/* clang-format on */

static void sums_of(struct wino_form f, double ret[WINO_KINDS_MAX][3])
{
	const double (*plane)[3] = wino_planes[f.stride - 1];
	for (int k = 0; k < wino_kinds(f); k++)
		for (int i = 0; i < 3; i++) {
			const struct wino_mix *m = &wino_mixes[f.stride - 1][k];
			if (f.size == 2)
				ret[k][i] = sums_2[f.stride - 1][k][i];
			else
				ret[k][i] = plane[m->first][i] +
					    (double)m->part * plane[m->second][i];
		}
}

/* Windows of neighbouring output channels, one in each lane. */
#define LANES 16

/* Of a row of kinds. */
static int64_t across(const struct pack *k)
{
	return k->in_planes ? WINO_PLANES : wino_kinds(k->form);
}

/* G g G^T, in two steps; in planes the second one is left to the run. */
static void transform(const struct pack *k, double (*window)[LANES], float (*to)[LANES])
{
	double g[WINO_KINDS_MAX][3], half[WINO_KINDS_MAX][3][LANES] = { 0 };
	int kinds = wino_kinds(k->form), n = (int)across(k);
	sums_of(k->form, g);
	const double(*h)[3] =
		k->in_planes ? wino_planes[k->form.stride - 1] : (const double(*)[3])g;
	for (int y = 0; y < kinds; y++)
		for (int i = 0; i < 9; i++)
			for (int l = 0; l < LANES; l++)
				half[y][i % 3][l] += g[y][i / 3] * window[i][l];
	for (int y = 0; y < kinds; y++)
		for (int x = 0; x < n; x++)
			for (int l = 0; l < LANES; l++)
				to[y * n + x][l] =
					(float)(h[x][0] * half[y][0][l] + h[x][1] * half[y][1][l] +
						h[x][2] * half[y][2][l]);
}

/* As many as stand in a vector; those beyond the last channel, of either side, are zeros. */
static void pack_channels(const struct pack *k, int64_t o, float *w)
{
	const struct conv_job *j = k->j;
	int lanes = j->vec->floats, n = (int)min_i64(lanes, j->oc - o), per_slot = j->vec->per_slot;
	int64_t sets = wino_kinds(k->form) * across(k), each = k->in_planes ? WINO_PLANES : 1;
	float point[WINO_KINDS_MAX * WINO_KINDS_MAX][LANES];
	for (int64_t c = 0; c < k->depth * per_slot; c++) {
		double window[9][LANES] = { 0 };
		for (int l = 0; l < n && c < j->ic; l++)
			for (int i = 0; i < 9; i++)
				window[i][l] = (double)j->weights[((o + l) * j->ic + c) * 9 + i];
		transform(k, window, point);
		for (int64_t i = 0; i < sets; i++) {
			float *to = w + i / each * each * job_floats(j) * k->depth;
			to += job_weight_at(
				j, each * k->depth, o, i % each * k->depth + c / per_slot);
			for (int l = 0; l < lanes; l++)
				job_weight_put(j, to + l, c, point[i][l]);
		}
	}
}

static void pack(void *to, void *ctx)
{
	const struct pack *k = ctx;
	for (int64_t o = 0; o < k->j->oc; o += k->j->vec->floats)
		pack_channels(k, o, to);
}

enum err_code wino_pack(struct prep *p, const struct conv_job *j, struct wino_form form,
	bool in_planes, int64_t depth, const float **ret, struct err *err)
{
	struct pack k = { j, form, in_planes, depth };
	int64_t sets = wino_kinds(form) * across(&k);
	const struct pack_key key = { j->weights, j->oc, j->ic, form.size, form.stride,
		j->vec->floats, j->vec->per_slot, sets };
	const void *packed;
	size_t bytes = (size_t)(job_floats(j) * depth * sets) * sizeof(float);
	TRY(packs_get(p->packs, &key, sizeof(key), bytes, pack, &k, &packed, err));
	*ret = packed;
	return ERR_OK;
}
