/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * Queue and counters under one mutex, held for a few pointer moves. A batcher owns as many
 * runners as batches may run at once; a runner is a job of the pool. Submitting wakes an
 * idle runner if there is one, and that is all: a runner that begins takes whatever has
 * gathered, so batches grow with the load and nobody waits for company. After a batch the
 * runner goes to the end of the pool's queue, behind other models.
 *
 * What finds nothing queued and is known to take no longer than handing it to another thread
 * is run at once by the thread that brings it, one request or several that came together.
 *
 * A single request is run on its own tensors, its outputs written into its arena: no copy.
 * Only a batch of several is gathered into the runner's staging memory and scattered.
 *
 * INVARIANTS
 *
 * 1. done() is called once, without the lock, and nothing touches the request after it.
 * 2. armed_ns is no later than the time at which any queued request must be looked at.
 */
#include "server/batch/batcher.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include "base/clock.h"
#include "server/batch/batch_queue.h"
#include "server/batch/batch_run.h"
#include "server/batch/timer.h"

struct batcher {
	const struct signature *sig;
	struct batcher_conf conf;
	int64_t (*now_ns)(void);
	struct timer timer;
	pthread_mutex_t lock;
	struct batch_queue queue;
	int64_t armed_ns; /* when the timer fires, as far as we know */
	struct batch_runner *idle;
	struct batch_runner *runners;
	int n_runners;
};

static void on_run(struct pool_job *job);
static void on_timer(struct timer *t);

enum err_code batcher_new(const struct signature *sig, const struct batcher_conf *conf,
	struct batcher **ret, struct err *err)
{
	struct batcher *b = calloc(1, sizeof(*b));
	if (!b)
		return err_oom(err);
	b->sig = sig;
	b->conf = *conf;
	b->queue = (struct batch_queue){
		.sig = sig, .gather_max = signature_part_rows(sig, conf->max_batch) };
	b->now_ns = conf->now_ns ? conf->now_ns : clock_now_ns;
	b->timer.fire = on_timer;
	b->armed_ns = INT64_MAX;
	pthread_mutex_init(&b->lock, NULL);
	int n = conf->max_running > 0 ? conf->max_running : pool_threads(conf->pool);
	b->runners = calloc((size_t)n, sizeof(*b->runners));
	enum err_code rc = b->runners ? ERR_OK : err_oom(err);
	while (rc == ERR_OK && b->n_runners < n) {
		struct batch_runner *r = &b->runners[b->n_runners++];
		rc = batch_runner_init(r, sig, conf->pool, err);
		r->job.run = on_run;
		r->batcher = b;
		r->next_idle = b->idle;
		b->idle = r;
	}
	if (rc != ERR_OK) {
		batcher_free(b);
		return rc;
	}
	*ret = b;
	return ERR_OK;
}

void batcher_free(struct batcher *b)
{
	if (!b)
		return;
	timer_cancel(&b->timer);
	/* The last reply is given before its runner is idle again. */
	for (bool busy = true; busy;) {
		int n = 0;
		pthread_mutex_lock(&b->lock);
		for (struct batch_runner *r = b->idle; r; r = r->next_idle)
			n++;
		pthread_mutex_unlock(&b->lock);
		busy = n < b->n_runners;
		if (busy)
			sched_yield();
	}
	assert(b->queue.rows == 0);
	for (int i = 0; i < b->n_runners; i++)
		batch_runner_done(&b->runners[i]);
	pthread_mutex_destroy(&b->lock);
	free(b->runners);
	free(b);
}

/* -- the queue; all under the lock --------------------------------------------------------- */

/* When must somebody look at a queued request again, from now on? */
static int64_t look_at(const struct batcher *b, const struct request *r, int64_t now)
{
	int64_t company = clock_after(r->queued_ns, b->conf.max_delay_us * NS_PER_US);
	return company > now && company < r->deadline_ns ? company : r->deadline_ns;
}

/* Keeps invariant 2 for one request. */
static void arm_for(struct batcher *b, const struct request *r, int64_t now)
{
	int64_t at = look_at(b, r, now);
	if (at >= b->armed_ns)
		return;
	b->armed_ns = at;
	timer_arm(&b->timer, at);
}

/* Takes out those whose deadline has passed, chained by next. */
static struct request *take_expired(struct batcher *b, int64_t now)
{
	/* Until armed_ns none has (2), and the queue may be long. */
	return now < b->armed_ns ? NULL : batch_queue_take_expired(&b->queue, now);
}

/* Is it worth waiting for company? Only when a delay is configured. */
static bool waits(const struct batcher *b, int64_t now)
{
	return b->conf.max_delay_us && b->sig->batchable && b->queue.rows < b->queue.gather_max &&
	       now - batch_queue_oldest_ns(&b->queue) < b->conf.max_delay_us * NS_PER_US;
}

/* Is there a batch to be run now? */
static bool is_due(const struct batcher *b, int64_t now)
{
	return !batch_queue_is_empty(&b->queue) && !waits(b, now);
}

static struct batch_runner *take_runner(struct batcher *b)
{
	struct batch_runner *runner = b->idle;
	if (runner)
		b->idle = runner->next_idle;
	return runner;
}

/* -- answering ------------------------------------------------------------------------------- */

static void finish(struct request *r, enum err_code code, int64_t now)
{
	r->code = code;
	r->done_ns = now;
	atomic_store(&r->state, REQUEST_DONE);
	r->done(r);
}

static void answer_expired(struct request *list, int64_t now)
{
	while (list) {
		struct request *next = list->next;
		enum err_code rc = err_set(&list->err, ERR_DEADLINE_EXCEEDED,
			"the request's deadline passed while it was queued");
		finish(list, rc, now);
		list = next;
	}
}

void batcher_cancel(struct batcher *b, struct request *r)
{
	pthread_mutex_lock(&b->lock);
	bool queued = atomic_load(&r->state) == REQUEST_QUEUED;
	if (queued)
		batch_queue_remove(&b->queue, r, REQUEST_DONE);
	pthread_mutex_unlock(&b->lock);
	if (queued)
		finish(r, err_set(&r->err, ERR_CANCELLED, "the client went away"), b->now_ns());
}

void batcher_tick(struct batcher *b)
{
	int64_t now = b->now_ns();
	pthread_mutex_lock(&b->lock);
	struct request *expired = take_expired(b, now);
	/* A request that has waited long enough while no runner was free needs no timer: the
	   next runner that is free takes it. */
	b->armed_ns = INT64_MAX;
	for (int c = 0; c < CLASS_COUNT_; c++)
		for (const struct request *r = b->queue.class[c].head; r; r = r->next)
			arm_for(b, r, now);
	struct batch_runner *runner = is_due(b, now) ? take_runner(b) : NULL;
	pthread_mutex_unlock(&b->lock);
	answer_expired(expired, now);
	if (runner)
		pool_submit(b->conf.pool, &runner->job);
}

static void on_timer(struct timer *t)
{
	batcher_tick((struct batcher *)((char *)t - offsetof(struct batcher, timer)));
}

void batcher_load(struct batcher *b, int64_t *ret_rows, size_t *ret_bytes)
{
	pthread_mutex_lock(&b->lock);
	*ret_rows = b->queue.rows;
	*ret_bytes = b->queue.bytes;
	pthread_mutex_unlock(&b->lock);
}

/* -- running --------------------------------------------------------------------------------- */

static void run_batch(
	struct batcher *b, struct batch_runner *runner, struct request *batch, int64_t began)
{
	struct batch_record rec = { 0 };
	for (struct request *r = batch; r; r = r->next)
		r->began_ns = began;
	batch_run(runner, batch, b->conf.max_batch, &rec);
	int64_t now = b->now_ns();
	if (rec.requests == 1)
		rec.compute_ns = now - began;
	/* The observer reads nothing of the requests; they may be gone once answered. */
	while (batch) {
		struct request *next = batch->next;
		batch->computed_ns = now;
		finish(batch, batch->code, now);
		batch = next;
	}
	if (b->conf.observer)
		b->conf.observer->on_batch(b->conf.observer->ctx, b->sig, &rec);
}

/* The runner is idle again, or goes on behind other models. */
static void rest(struct batcher *b, struct batch_runner *runner)
{
	struct pool *pool = b->conf.pool;
	pthread_mutex_lock(&b->lock);
	bool more = is_due(b, b->now_ns());
	if (!more) {
		runner->next_idle = b->idle;
		b->idle = runner;
	}
	pthread_mutex_unlock(&b->lock); /* from here on an idle batcher may be freed */
	if (more)
		pool_submit(pool, &runner->job);
}

/* One batch, on a thread of the pool. */
static void on_run(struct pool_job *job)
{
	struct batch_runner *runner = (struct batch_runner *)job;
	struct batcher *b = runner->batcher;
	int64_t now = b->now_ns();
	pthread_mutex_lock(&b->lock);
	struct request *expired = take_expired(b, now);
	struct request *batch = waits(b, now) ? NULL : batch_queue_take(&b->queue, now);
	pthread_mutex_unlock(&b->lock);
	answer_expired(expired, now);
	if (batch)
		run_batch(b, runner, batch, now);
	rest(b, runner);
}

/* -- submitting ------------------------------------------------------------------------------ */

/* Queues the request, unless it is refused. Under the lock. */
static enum err_code admit(struct batcher *b, struct request *r, int64_t now, struct err *err)
{
	if (r->deadline_ns <= now)
		return err_set(err, ERR_DEADLINE_EXCEEDED,
			"the request's deadline had passed when it arrived");
	/* An empty queue takes one request of any size, or it could never run. */
	if (b->queue.rows > 0 && (b->queue.rows + r->rows > b->conf.max_queued_rows ||
					 b->queue.bytes + r->in_bytes > b->conf.max_queued_bytes))
		return err_set(err, ERR_UNAVAILABLE, "the queue of model '%s' is full",
			r->version->model);
	r->queued_ns = now;
	batch_queue_put(&b->queue, r);
	arm_for(b, r, now);
	return ERR_OK;
}

/* What has been admitted is run: right here when nothing was queued before and it is quick, else
   by an idle runner. Gives the lock back. */
static void start(struct batcher *b, bool was_empty, int64_t now)
{
	bool here = was_empty && batch_is_quick(b->sig, b->queue.rows);
	struct batch_runner *runner = is_due(b, now) ? take_runner(b) : NULL;
	struct request *batch = runner && here ? batch_queue_take(&b->queue, now) : NULL;
	pthread_mutex_unlock(&b->lock);
	if (batch) {
		run_batch(b, runner, batch, now);
		rest(b, runner);
	} else if (runner) {
		pool_submit(b->conf.pool, &runner->job);
	}
}

enum err_code batcher_submit(struct batcher *b, struct request *r, struct err *err)
{
	int64_t now = b->now_ns();
	pthread_mutex_lock(&b->lock);
	bool was_empty = batch_queue_is_empty(&b->queue);
	enum err_code rc = admit(b, r, now, err);
	if (rc == ERR_OK)
		start(b, was_empty, now);
	else
		pthread_mutex_unlock(&b->lock);
	return rc;
}

void batcher_submit_all(struct batcher *b, struct request *list)
{
	int64_t now = b->now_ns();
	struct request *refused = NULL;
	pthread_mutex_lock(&b->lock);
	bool was_empty = batch_queue_is_empty(&b->queue);
	for (struct request *r = list, *next; r; r = next) {
		next = r->next;
		r->code = admit(b, r, now, &r->err);
		if (r->code == ERR_OK)
			continue;
		r->next = refused;
		refused = r;
	}
	start(b, was_empty, now);
	for (struct request *r = refused, *next; r; r = next) {
		next = r->next;
		finish(r, r->code, now);
	}
}

bool batcher_gathers(const struct batcher *b, const struct request *r, int64_t rows)
{
	int64_t together = rows + r->rows;
	return b->sig->batchable && !b->conf.max_delay_us && r->rows > 0 &&
	       together <= b->queue.gather_max && batch_is_quick(b->sig, together) &&
	       batch_pays(b->sig, r, rows ? rows : r->rows);
}
