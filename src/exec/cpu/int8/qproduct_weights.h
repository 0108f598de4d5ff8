/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qproduct_weights.h -- weights of convolutions and matrices as qproduct.h wants them
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Groups of channels are jobs side by side. Few channels would leave most of a panel empty, so a
 * job may have a block of groups: its weights are zeros where they meet another group's channels.
 *
 * Ownership: none; memory is the caller's, or what prepare gives. Threads: prepare's.
 */
#pragma once

#include "exec/cpu/int8/qproduct.h"

/* Weights as they come. Without holes: it is compared byte by byte. */
struct qweights {
	const uint8_t *w;
	int64_t m_stride, c_stride; /* a tap is next to the other */
	int64_t m, c, kernel[2]; /* c: of a group */
	int64_t groups, block; /* block: groups of a job */
	int64_t joined; /* a run is a whole row of taps, not one */
	int64_t flip;   /* 0x80 for uint8, which are int8 then, less 128 */
};

/* Channels as they are filled up to whole panels. */
static inline int64_t qweights_filled(int64_t channels)
{
	return (channels + QPRODUCT_PANEL - 1) / QPRODUCT_PANEL * QPRODUCT_PANEL;
}

static inline int64_t qweights_jobs(const struct qweights *x)
{
	return x->groups / x->block;
}

int64_t qweights_run_bytes(const struct qweights *x);
int64_t qweights_runs(const struct qweights *x);
int64_t qweights_slots(const struct qweights *x); /* of a run */
size_t qweights_job_bytes(const struct qweights *x);

/* Packed ones of all jobs, by packs_get(). */
MUST_CHECK enum err_code
qweights_get(struct prep *p, const struct qweights *x, const void **ret, struct err *err);
/* Ones, packed, that sum up a job's windows. */
MUST_CHECK enum err_code
qweights_ones(struct prep *p, const struct qweights *like, const void **ret, struct err *err);
/* Each channel on its own, less its zero point; zero NULL: all are. */
MUST_CHECK enum err_code qweights_apart(struct prep *p, const struct qweights *x,
	const int32_t *zero, const void **ret, struct err *err);

/* Of channel m, flipped. */
int32_t qweights_sum(const struct qweights *x, int64_t m);
