/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/timing.h"

/* Each gets about this long; one that is a good deal slower than the best so far, one run. */
#define TRIAL_MS 1.0F
#define TRIAL_RUNS_MAX 20
#define HOPELESS 1.5F

bool timing_init(struct timing *t, const struct gpu *g, size_t bytes)
{
	*t = (struct timing){ .g = g };
	return cu.cuMemAlloc_v2(&t->mem, bytes ? bytes : 1) == CUDA_SUCCESS &&
	       cu.cuStreamCreate(&t->stream, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS &&
	       cu.cuEventCreate(&t->begin, CU_EVENT_DEFAULT) == CUDA_SUCCESS &&
	       cu.cuEventCreate(&t->end, CU_EVENT_DEFAULT) == CUDA_SUCCESS &&
	       cu.cuMemsetD8Async(t->mem, 0, bytes ? bytes : 1, t->stream) == CUDA_SUCCESS;
}

void timing_done(struct timing *t)
{
	if (t->stream)
		cu.cuStreamSynchronize(t->stream);
	if (t->mem)
		cu.cuMemFree_v2(t->mem);
	if (t->begin)
		cu.cuEventDestroy_v2(t->begin);
	if (t->end)
		cu.cuEventDestroy_v2(t->end);
	if (t->stream)
		cu.cuStreamDestroy_v2(t->stream);
}

/* Milliseconds of one run out of several; false: it does not run. */
static bool time_runs(
	const struct timing *t, int i, int runs, timing_fn enqueue, void *ctx, float *ret_ms)
{
	bool ok = cu.cuEventRecord(t->begin, t->stream) == CUDA_SUCCESS;
	for (int k = 0; k < runs && ok; k++)
		ok = enqueue(t, ctx, i);
	ok = ok && cu.cuEventRecord(t->end, t->stream) == CUDA_SUCCESS &&
	     cu.cuEventSynchronize(t->end) == CUDA_SUCCESS &&
	     cu.cuEventElapsedTime_v2(ret_ms, t->begin, t->end) == CUDA_SUCCESS;
	*ret_ms /= (float)runs;
	return ok;
}

int timing_fastest(const struct timing *t, int n, timing_fn enqueue, void *ctx)
{
	float best_ms = 0;
	int best = -1;
	for (int i = 0; i < n; i++) {
		float ms = 0;
		if (!time_runs(t, i, 1, enqueue, ctx, &ms) ||
			!time_runs(t, i, 1, enqueue, ctx, &ms) ||
			(best >= 0 && ms > HOPELESS * best_ms))
			continue;
		int runs =
			ms * TRIAL_RUNS_MAX > TRIAL_MS ? (int)(TRIAL_MS / ms) + 1 : TRIAL_RUNS_MAX;
		if (!time_runs(t, i, runs, enqueue, ctx, &ms) || (best >= 0 && ms >= best_ms))
			continue;
		best = i;
		best_ms = ms;
	}
	return best;
}
