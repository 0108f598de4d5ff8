/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timing.h -- which of several ways to do the same on the device takes least time
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * They run on zeros, in memory and on a stream of the contest's own, each several times in a row
 * that is recorded and replayed, as it will be.
 *
 * One contest of a device runs at a time, since another one's work would be timed too.
 *
 * Threads: one thread's, which has gpu.h's trial_lock until timing_done(). Memory: the device's,
 *          until then too.
 */
#pragma once

#include "exec/gpu/gpu.h"

struct timing {
	const struct gpu *g;
	CUstream stream;
	CUevent begin, end;
	CUdeviceptr mem;
	/* Zeros again before what is timed, larger than the device's caches: what they held of
	   other memory is gone then. 0 bytes: no matter. Set it after timing_init(). */
	CUdeviceptr swept;
	size_t swept_bytes;
};

/* false: there is no room on the device now, so nothing is timed. timing_done() comes in any
   case. */
MUST_CHECK bool timing_init(struct timing *t, const struct gpu *g, size_t bytes);
void timing_done(struct timing *t);

/* Enqueues way i of several on t->stream, for the run-th time in a row; false: it does not run. */
typedef bool (*timing_fn)(const struct timing *t, void *ctx, int i, int run);

/* The fastest of ways [0, n); -1: none runs. */
int timing_fastest(const struct timing *t, int n, timing_fn enqueue, void *ctx);
