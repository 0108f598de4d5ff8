/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What batches of each size take, and plans for them before anybody waits.
 */
#include "loader/warmup_impl.h"

#include "base/clock.h"
#include "loader/probe.h"

#define SIZES_BUDGET_NS (10 * NS_PER_S) /* of running batch sizes, per signature */
/* The same on a device, whose libraries compile kernels for each size and time them, which is
   remembered: a size that is left out is a request's to wait for. */
#define DEVICE_SIZES_BUDGET_NS (60 * NS_PER_S)
#define PLANS_BUDGET_NS (1 * NS_PER_S)  /* of planning the sizes between */
#define TIMED_RUNS 3
#define TIMED_BUDGET_NS (100 * NS_PER_MS)
#define PART_TOLERANCE 1.06 /* times are no more exact */
#define RETRIED_NS (2 * NS_PER_MS) /* what takes less may have been held up in all of its runs */
#define RETRIES 3

/* Plans that size, and has memory ready for it. */
static enum err_code run_once(struct warmer *w, int64_t rows, struct tensor **ret_in)
{
	struct tensor *out;
	struct sample_spec spec = w->spec;
	int64_t ns; /* of planning too, which no request will wait for */
	spec.rows = rows;
	arena_reset(w->arena, 0);
	TRY(sample_make(w->s, &spec, w->arena, ret_in, w->err));
	return probe_run(w->s, *ret_in, w->arena, &out, &ns, w->err);
}

static enum err_code run_size(struct warmer *w, int64_t rows, int64_t *ret_ns)
{
	struct tensor *in, *out;
	int64_t ns, spent_ns = 0;
	enum err_code rc = run_once(w, rows, &in);
	*ret_ns = INT64_MAX;
	for (int i = 0; i < TIMED_RUNS && rc == ERR_OK && (i == 0 || spent_ns < TIMED_BUDGET_NS);
		i++) {
		rc = probe_run(w->s, in, w->arena, &out, &ns, w->err);
		spent_ns += ns;
		if (ns < *ret_ns)
			*ret_ns = ns;
	}
	if (rc == ERR_OK && program_wants_few_sizes(w->s->program))
		rc = probe_warm_lanes(w->s, in, w->arena, w->err);
	return rc;
}

/* Fills (from, to] on the line through both ends. */
static void interpolate(int64_t *latency_ns, int64_t from, int64_t to)
{
	for (int64_t n = from + 1; n < to; n++)
		latency_ns[n] = latency_ns[from] +
				(latency_ns[to] - latency_ns[from]) / (to - from) * (n - from);
}

/* Beyond what was run: as much for each row as the last size took. */
static void extrapolate(int64_t *latency_ns, int64_t from, int64_t to)
{
	for (int64_t n = from + 1; n <= to; n++)
		latency_ns[n] = latency_ns[from] / from * n;
}

/* Sizes that are run: 1, 2, 4, ... most. */
static int64_t next_size(int64_t n, int64_t most)
{
	return n < most && n * 2 > most ? most : n * 2;
}

int warmup_best_part(const int64_t *latency_ns, int64_t last)
{
	double best = (double)latency_ns[1];
	int64_t part = 1;
	for (int64_t n = 1; n <= last; n = next_size(n, last))
		if ((double)latency_ns[n] < best * (double)n)
			best = (double)latency_ns[n] / (double)n;
	for (int64_t n = 1; n <= last; n = next_size(n, last))
		if ((double)latency_ns[n] <= best * PART_TOLERANCE * (double)n)
			part = n;
	return (int)part;
}

/* Batches that will be run in parts have left memory behind that parts do not need. */
static enum err_code forget_large(struct warmer *w)
{
	struct tensor *in;
	program_drop_workspaces(w->s->program);
	return run_once(w, w->s->part_rows, &in);
}

/* A hold-up makes a size look slow and smaller ones good; it goes away when they are run again. */
static enum err_code find_part(struct warmer *w, int64_t last)
{
	struct signature *s = w->s;
	s->part_rows = warmup_best_part(s->latency_ns, last);
	for (int i = 0; i < RETRIES && s->part_rows < last && s->latency_ns[last] < RETRIED_NS;
		i++) {
		for (int64_t from = 0, n = 1; n <= last; from = n, n = next_size(n, last)) {
			int64_t ns;
			TRY(run_size(w, n, &ns));
			if (ns < s->latency_ns[n])
				s->latency_ns[n] = ns;
			interpolate(s->latency_ns, from, n);
		}
		s->part_rows = warmup_best_part(s->latency_ns, last);
	}
	return s->part_rows < last ? forget_large(w) : ERR_OK;
}

/* The time for each size is learnt. One that does not fit into memory, or on a device into the
   time, bounds the batch. With guessed dimensions these plans serve nobody, so two sizes have to do
   for the latencies. */
static enum err_code learn_sizes(struct warmer *w)
{
	struct signature *s = w->s;
	int64_t began_ns = clock_now_ns(), last = 0;
	int64_t most = w->guessed && s->max_batch > 2 ? 2 : s->max_batch;
	const bool few = program_wants_few_sizes(s->program);
	for (int64_t n = 1; n <= most; n = next_size(n, most)) {
		enum err_code rc = warmup_check_cancel(w);
		if (rc == ERR_OK)
			rc = run_size(w, n, &s->latency_ns[n]);
		if (rc == ERR_RESOURCE_EXHAUSTED && last) {
			s->max_batch = (int)last;
			break;
		}
		if (rc != ERR_OK)
			return rc;
		interpolate(s->latency_ns, last, n);
		last = n;
		if (clock_now_ns() - began_ns <= (few ? DEVICE_SIZES_BUDGET_NS : SIZES_BUDGET_NS))
			continue;
		if (few) /* those above would be planned on a request's time */
			s->max_batch = (int)last;
		break;
	}
	const bool parts = !w->guessed && !few;
	enum err_code rc = parts ? find_part(w, last) : ERR_OK;
	extrapolate(s->latency_ns, last, s->max_batch);
	return rc;
}

/* Sizes share the plans of those that were run: the quickest of them that is large enough. */
static enum err_code share_sizes(struct warmer *w)
{
	struct signature *s = w->s;
	int32_t *as = ARENA_ARRAY(w->v->arena, int32_t, (size_t)s->max_batch + 1);
	if (!as)
		return err_oom(w->err);
	int32_t best = s->max_batch;
	for (int32_t n = s->max_batch; n > 0; n--) {
		bool was_run = (n & (n - 1)) == 0;
		if (was_run && s->latency_ns[n] <= s->latency_ns[best])
			best = n;
		as[n] = best;
		s->latency_ns[n] = s->latency_ns[best];
	}
	s->rows_as = as;
	return ERR_OK;
}

/* Batches have any size; planning one on a request's time would show as latency. */
static enum err_code plan_between(struct warmer *w)
{
	int64_t began_ns = clock_now_ns();
	for (int64_t n = 3; n < w->s->max_batch && !w->guessed; n++) {
		struct tensor *in;
		struct sample_spec spec = w->spec;
		spec.rows = n;
		arena_reset(w->arena, 0);
		enum err_code rc = warmup_check_cancel(w);
		if (rc == ERR_OK)
			rc = sample_make(w->s, &spec, w->arena, &in, w->err);
		if (rc == ERR_OK)
			rc = program_plan(w->s->program, in, NULL, w->err);
		if (rc != ERR_OK)
			return rc;
		if (clock_now_ns() - began_ns > PLANS_BUDGET_NS)
			break;
	}
	return ERR_OK;
}

enum err_code warmup_learn_sizes(struct warmer *w)
{
	TRY(learn_sizes(w));
	if (w->s->batchable && program_wants_few_sizes(w->s->program))
		return share_sizes(w);
	return plan_between(w);
}
