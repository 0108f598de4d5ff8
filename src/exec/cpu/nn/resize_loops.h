/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resize_loops.h -- Resize of numbers by taps: the loops of each instruction set
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/cpu/nn/resize_taps.h"

struct resize_state {
	struct split split; /* of items as above */
	int rank;
	int64_t in[RANK_MAX], out[RANK_MAX], stride[RANK_MAX]; /* axes after merging */
	struct resize_taps axis[RANK_MAX];
	int64_t bytes;
	bool doubles; /* nearest: 4-byte elements all stand twice along the last axis */
	float extrapolation;
};

/* Output indices of an item, of all axes but the last two (resized, inner). */
static inline bool resize_index(const struct resize_state *s, int64_t item, int64_t *index)
{
	bool outside = false;
	for (int i = s->rank - 3; i >= 0; i--) {
		index[i] = item % s->out[i];
		item /= s->out[i];
		outside |= s->axis[i].outside && s->axis[i].outside[index[i]];
	}
	return outside;
}

/* By element type; NULL: none. Their scratch is a row of the input as doubles. */
extern const run_fn resize_runs_base[DTYPE_COUNT_];
#ifdef __x86_64__
extern const run_fn resize_runs_avx2[DTYPE_COUNT_], resize_runs_avx512[DTYPE_COUNT_];
#endif
