/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/timing.h"

#include "exec/gpu/capture.h"

/* Each gets about this long; one that is a good deal slower than the best so far, one run. */
#define TRIAL_MS 0.25F
#define TRIAL_RUNS_MAX 32
#define HOPELESS 1.5F

bool timing_init(struct timing *t, const struct gpu *g, size_t bytes)
{
	*t = (struct timing){ .g = g };
	pthread_mutex_lock(&gpu_of(&g->backend)->trial_lock);
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
	pthread_mutex_unlock(&gpu_of(&t->g->backend)->trial_lock);
}

/* Several runs of way i: enqueued each time, or recorded and replayed. */
struct series {
	const struct timing *t;
	timing_fn enqueue;
	void *ctx;
	int i, runs;
	CUgraphExec graph; /* NULL: not recorded */
};

static bool enqueue_all(const struct series *s)
{
	bool ok = true;
	for (int run = 0; run < s->runs && ok; run++)
		ok = s->enqueue(s->t, s->ctx, s->i, run);
	return ok;
}

static bool start(const struct series *s)
{
	return s->graph ? cu.cuGraphLaunch(s->graph, s->t->stream) == CUDA_SUCCESS : enqueue_all(s);
}

/* Milliseconds of one of them, after the caches were swept; false: it does not run. The sweep
   keeps the device busy until all is enqueued. */
static bool time_series(const struct series *s, float *ret_ms)
{
	const struct timing *t = s->t;
	bool ok = !t->swept_bytes ||
		cu.cuMemsetD8Async(t->swept, 0, t->swept_bytes, t->stream) == CUDA_SUCCESS;
	ok = ok && cu.cuEventRecord(t->begin, t->stream) == CUDA_SUCCESS && start(s) &&
	     cu.cuEventRecord(t->end, t->stream) == CUDA_SUCCESS &&
	     cu.cuEventSynchronize(t->end) == CUDA_SUCCESS &&
	     cu.cuEventElapsedTime_v2(ret_ms, t->begin, t->end) == CUDA_SUCCESS;
	*ret_ms /= (float)s->runs;
	return ok;
}

static void forget(struct series *s)
{
	if (s->graph)
		cu.cuGraphExecDestroy(s->graph);
	s->graph = NULL;
}

/* As time_series(), replayed where they can be recorded, as a lane's segments are: then gaps
   between launches do not count. */
static bool time_replay(struct series *s, float *ret_ms)
{
	if (capture_begin(s->t->stream)) {
		bool whole = enqueue_all(s);
		s->graph = capture_end(s->t->stream);
		if (!whole)
			forget(s);
	}
	bool ok = (!s->graph || start(s)) && time_series(s, ret_ms);
	forget(s);
	return ok;
}

int timing_fastest(const struct timing *t, int n, timing_fn enqueue, void *ctx)
{
	float best_ms = 0, least_ms = 0; /* of a replay, of one run alone */
	int best = -1;
	for (int i = 0; i < n; i++) {
		struct series s = { t, enqueue, ctx, i, 1, NULL };
		float ms = 0;
		if (!time_series(&s, &ms) || !time_series(&s, &ms) ||
			(best >= 0 && ms > HOPELESS * least_ms))
			continue;
		least_ms = best < 0 || ms < least_ms ? ms : least_ms;
		s.runs = ms * TRIAL_RUNS_MAX > TRIAL_MS ? (int)(TRIAL_MS / ms) + 1 : TRIAL_RUNS_MAX;
		if (!time_replay(&s, &ms) || (best >= 0 && ms >= best_ms))
			continue;
		best = i;
		best_ms = ms;
	}
	return best;
}
