/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/conv/wino_weights.h"

/* Without holes: it is compared byte by byte. */
struct pack_key {
	const void *source;
	int64_t oc, ic, size, stride, floats, per_slot;
};

struct pack {
	const struct conv_job *j;
	struct wino_form form;
	int64_t depth;
};

/* A kind's weights as a sum of those of the three taps: G, for the points of wino_points.h. */
static const double sums[2][2][WINO_KINDS_MAX][3] = {
	{ { { 1, 0, 0 }, { .5, .5, .5 }, { .5, -.5, .5 }, { 0, 0, 1 } },
		{ { .25, 0, 0 }, { 1. / 3, 1. / 3, 1. / 3 }, { 1. / 3, -1. / 3, 1. / 3 },
			{ 1. / 6, 1. / 3, 2. / 3 }, { 1. / 6, -1. / 3, 2. / 3 }, { 0, 0, .5 } } },
	/* of the outer taps, and the middle one */
	{ { { 1, 0, 0 }, { 1, 0, 1 }, { 0, 0, 1 }, { 0, 1, 0 } },
		{ { .5, 0, 0 }, { .5, 0, .5 }, { .5, 0, -.5 }, { .5, 0, 1 }, { 0, 0, .5 }, { 0, 1, 0 } } },
};

/* Windows of neighbouring output channels, one in each lane. */
#define LANES 16

/* G g G^T, in two steps. */
static void transform(struct wino_form f, double (*window)[LANES], float (*to)[LANES])
{
	const double (*g)[3] = sums[f.stride - 1][f.size / 2 - 1];
	double half[WINO_KINDS_MAX][3][LANES] = { 0 };
	int kinds = wino_kinds(f);
	for (int y = 0; y < kinds; y++)
		for (int i = 0; i < 9; i++)
			for (int l = 0; l < LANES; l++)
				half[y][i % 3][l] += g[y][i / 3] * window[i][l];
	for (int y = 0; y < kinds; y++)
		for (int x = 0; x < kinds; x++)
			for (int l = 0; l < LANES; l++)
				to[y * kinds + x][l] = (float)(g[x][0] * half[y][0][l] + g[x][1] * half[y][1][l] +
							       g[x][2] * half[y][2][l]);
}

/* As many as stand in a vector; those beyond the last channel, of either side, are zeros. */
static void pack_channels(const struct pack *k, int64_t o, float *w)
{
	const struct conv_job *j = k->j;
	int lanes = j->vec->floats, n = (int)min_i64(lanes, j->oc - o), per_slot = j->vec->per_slot;
	int kinds = wino_kinds(k->form);
	float point[WINO_KINDS_MAX * WINO_KINDS_MAX][LANES];
	for (int64_t c = 0; c < k->depth * per_slot; c++) {
		double window[9][LANES] = { 0 };
		for (int l = 0; l < n && c < j->ic; l++)
			for (int i = 0; i < 9; i++)
				window[i][l] = (double)j->weights[((o + l) * j->ic + c) * 9 + i];
		transform(k->form, window, point);
		float *to = w + job_weight_at(j, k->depth, o, c / per_slot);
		for (int i = 0; i < kinds * kinds; i++, to += job_floats(j) * k->depth)
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

enum err_code wino_pack(struct prep *p, const struct conv_job *j, struct wino_form form, int64_t depth,
	const float **ret, struct err *err)
{
	const struct pack_key key = { j->weights, j->oc, j->ic, form.size, form.stride, j->vec->floats,
		j->vec->per_slot };
	struct pack k = { j, form, depth };
	int64_t kinds = wino_kinds(form);
	const void *packed;
	size_t bytes = (size_t)(job_floats(j) * depth * kinds * kinds) * sizeof(float);
	TRY(packs_get(p->packs, &key, sizeof(key), bytes, pack, &k, &packed, err));
	*ret = packed;
	return ERR_OK;
}
