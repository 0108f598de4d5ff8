/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wino_weights.h -- weights of 3x3 windows as Winograd's filtering has them
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Ownership: packed weights are the version's. Threads: that of prepare.
 */
#pragma once

#include "exec/cpu/conv/conv_job.h"

/* Taps of a row make three planes, by stride; a kind's weights for patches of four pixels are one
   of them and part of another one. */
#define WINO_PLANES 3
struct wino_mix {
	int first, second;
	float part;
};
extern const double wino_planes[2][WINO_PLANES][3];
extern const struct wino_mix wino_mixes[2][WINO_KINDS_MAX];

/* Of a kind along x, from planes of so many floats. */
static inline void wino_mix_weights(
	struct conv_tile *t, const struct wino_mix *m, const float *planes, int64_t floats)
{
	t->weights = planes + m->first * floats;
	t->second = m->part != 0 ? planes + m->second * floats : NULL;
	t->part = m->part;
}

/* Those of each pair of kinds, by rows of kinds, in panels of `depth` slots; in planes: of each
   row, the planes of each panel. */
MUST_CHECK enum err_code wino_pack(struct prep *p, const struct conv_job *j, struct wino_form form,
	bool in_planes, int64_t depth, const float **ret, struct err *err);
