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
 * 1. A request is in a queue exactly while its state is REQUEST_QUEUED, under the lock.
 * 2. done() is called once, without the lock, and nothing touches the request after it.
 * 3. The requests of a batch have the same shapes but for dimension 0.
 * 4. armed_ns is no later than the time at which any queued request must be looked at.
 */
#include "server/batcher.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/clock.h"
#include "server/batch_run.h"
#include "server/timer.h"

/* How far behind the head requests of the same shape are looked for. */
#define LOOK_AHEAD 256

/* Waking a thread, and being woken by it, costs some 20 us of the two cores involved; a
   batch learnt to be this quick is better run where it arrives. */
#define AT_ONCE_NS (100 * NS_PER_US)

/* There and back, from memory that no cache holds. */
#define COPY_BYTES_PER_NS 4

enum { CLASS_HIGH, CLASS_NORMAL, CLASS_LOW, CLASS_COUNT_ };
static const int64_t class_weight[CLASS_COUNT_] = { 8, 4, 1 };

struct queue {
	struct request *head, *tail;
	int64_t pass; /* stride scheduling: rows served / weight; the smallest goes next */
};

struct batcher {
	const struct signature *sig;
	struct batcher_conf conf;
	int64_t (*now_ns)(void);
	int gather_max; /* rows of a batch of several requests */
	struct timer timer;
	pthread_mutex_t lock;
	struct queue queue[CLASS_COUNT_];
	int64_t queued_rows;
	size_t queued_bytes;
	int64_t armed_ns; /* the timer's, as far as we know */
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
	b->gather_max = signature_part_rows(sig, conf->max_batch);
	b->now_ns = conf->now_ns ? conf->now_ns : clock_now_ns;
	b->timer.fire = on_timer;
	b->armed_ns = INT64_MAX;
	pthread_mutex_init(&b->lock, NULL);
	b->n_runners = conf->max_running > 0 ? conf->max_running : pool_threads(conf->pool);
	b->runners = calloc((size_t)b->n_runners, sizeof(*b->runners));
	enum err_code rc = b->runners ? ERR_OK : err_oom(err);
	for (int i = 0; i < b->n_runners && rc == ERR_OK; i++) {
		rc = batch_runner_init(&b->runners[i], sig, conf->pool, err);
		b->runners[i].job.run = on_run;
		b->runners[i].batcher = b;
		b->runners[i].next_idle = b->idle;
		b->idle = &b->runners[i];
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
		busy = n < b->n_runners && b->runners;
		if (busy)
			sched_yield();
	}
	assert(b->queued_rows == 0);
	for (int i = 0; i < b->n_runners && b->runners; i++)
		batch_runner_done(&b->runners[i]);
	pthread_mutex_destroy(&b->lock);
	free(b->runners);
	free(b);
}

/* -- the queue; all under the lock --------------------------------------------------------- */

static int class_of(const struct request *r)
{
	return r->priority == 1 ? CLASS_HIGH : r->priority == 0 ? CLASS_NORMAL : CLASS_LOW;
}

static void enqueue(struct batcher *b, struct request *r)
{
	struct queue *q = &b->queue[class_of(r)];
	if (!q->head) {
		/* A class that was empty has saved nothing up. */
		for (int c = 0; c < CLASS_COUNT_; c++)
			if (b->queue[c].head && b->queue[c].pass > q->pass)
				q->pass = b->queue[c].pass;
	}
	r->next = NULL;
	r->prev = q->tail;
	*(q->tail ? &q->tail->next : &q->head) = r;
	q->tail = r;
	b->queued_rows += r->rows;
	b->queued_bytes += r->in_bytes;
	atomic_store(&r->state, REQUEST_QUEUED);
}

static void unlink_request(struct batcher *b, struct request *r, enum request_state to)
{
	struct queue *q = &b->queue[class_of(r)];
	*(r->prev ? &r->prev->next : &q->head) = r->next;
	*(r->next ? &r->next->prev : &q->tail) = r->prev;
	r->next = r->prev = NULL;
	b->queued_rows -= r->rows;
	b->queued_bytes -= r->in_bytes;
	atomic_store(&r->state, to);
}

static struct queue *next_queue(struct batcher *b)
{
	struct queue *best = NULL;
	for (int c = 0; c < CLASS_COUNT_; c++)
		if (b->queue[c].head && (!best || b->queue[c].pass < best->pass))
			best = &b->queue[c];
	return best;
}

static bool same_shapes(const struct signature *sig, const struct request *a, const struct request *b)
{
	for (int i = 0; i < sig->n_in; i++) {
		const struct tensor *x = &a->in[i], *y = &b->in[i];
		if (!x->data != !y->data || x->shape.rank != y->shape.rank)
			return false;
		for (int d = 1; d < x->shape.rank; d++)
			if (x->shape.dim[d] != y->shape.dim[d])
				return false;
	}
	return true;
}

/* Expired requests, unlinked and chained by next. */
static struct request *take_expired(struct batcher *b, int64_t now)
{
	struct request *expired = NULL;
	if (now < b->armed_ns) /* (4): none has, and the queue may be long */
		return NULL;
	for (int c = 0; c < CLASS_COUNT_; c++)
		for (struct request *r = b->queue[c].head, *next; r; r = next) {
			next = r->next;
			if (r->deadline_ns > now)
				continue;
			unlink_request(b, r, REQUEST_DONE);
			r->next = expired;
			expired = r;
		}
	return expired;
}

static int64_t latency_of(const struct signature *sig, int64_t rows)
{
	return sig->latency_ns && rows <= sig->max_batch ? sig->latency_ns[rows] : 0;
}

static bool is_quick(const struct batcher *b, int64_t rows)
{
	int64_t ns = latency_of(b->sig, rows);
	return ns > 0 && ns <= AT_ONCE_NS;
}

/* Does r gain more by company than it costs to copy it into the batch, and its results out?
   Learnt times are no more exact than an eighth. */
static bool pays(const struct batcher *b, const struct request *r, int64_t rows)
{
	int64_t together = latency_of(b->sig, rows + r->rows);
	int64_t apart = latency_of(b->sig, rows) + latency_of(b->sig, r->rows);
	int64_t copy_ns = (int64_t)(r->in_bytes / COPY_BYTES_PER_NS);
	return together == 0 || together + copy_ns <= apart + together / 8;
}

/* May r join a batch of that many rows, the tightest deadline of which is given? */
static bool fits(const struct batcher *b, const struct request *head, const struct request *r,
	int64_t rows, int64_t deadline, int64_t now)
{
	int64_t together = rows + r->rows;
	if (together > b->gather_max || r->rows == 0 || !same_shapes(b->sig, head, r) ||
		!pays(b, r, rows))
		return false;
	deadline = r->deadline_ns < deadline ? r->deadline_ns : deadline;
	return deadline == INT64_MAX || latency_of(b->sig, together) <= deadline - now;
}

/* The next batch, unlinked and chained by next: the head of the next class, and whoever
   behind it fits. */
static struct request *take_batch(struct batcher *b, int64_t now)
{
	struct queue *q = next_queue(b);
	if (!q)
		return NULL;
	struct request *head = q->head, *last = head, *r = head->next;
	int64_t rows = head->rows, deadline = head->deadline_ns;
	unlink_request(b, head, REQUEST_RUNNING);
	bool alone = !b->sig->batchable || rows == 0;
	for (int seen = 0; r && !alone && seen < LOOK_AHEAD && rows < b->gather_max; seen++) {
		struct request *next = r->next;
		if (fits(b, head, r, rows, deadline, now)) {
			unlink_request(b, r, REQUEST_RUNNING);
			rows += r->rows;
			deadline = r->deadline_ns < deadline ? r->deadline_ns : deadline;
			last->next = r;
			last = r;
		}
		r = next;
	}
	q->pass += (rows ? rows : 1) * 8 / class_weight[q - b->queue];
	return head;
}

/* When must somebody look at a queued request again, from now on? */
static int64_t look_at(const struct batcher *b, const struct request *r, int64_t now)
{
	int64_t company = clock_after(r->queued_ns, b->conf.max_delay_us * NS_PER_US);
	return company > now && company < r->deadline_ns ? company : r->deadline_ns;
}

/* Keeps invariant 4 for one request. */
static void arm_for(struct batcher *b, const struct request *r, int64_t now)
{
	int64_t at = look_at(b, r, now);
	if (at >= b->armed_ns)
		return;
	b->armed_ns = at;
	timer_arm(&b->timer, at);
}

/* Is it worth waiting for company? Only when a delay is configured. */
static bool waits(const struct batcher *b, int64_t now)
{
	if (!b->conf.max_delay_us || !b->sig->batchable || b->queued_rows >= b->gather_max)
		return false;
	for (int c = 0; c < CLASS_COUNT_; c++)
		if (b->queue[c].head &&
			now - b->queue[c].head->queued_ns >= b->conf.max_delay_us * NS_PER_US)
			return false;
	return true;
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
		finish(list, err_set(&list->err, ERR_DEADLINE_EXCEEDED,
				"the request's deadline passed while it was queued"), now);
		list = next;
	}
}

void batcher_cancel(struct batcher *b, struct request *r)
{
	pthread_mutex_lock(&b->lock);
	bool queued = atomic_load(&r->state) == REQUEST_QUEUED;
	if (queued)
		unlink_request(b, r, REQUEST_DONE);
	pthread_mutex_unlock(&b->lock);
	if (queued)
		finish(r, err_set(&r->err, ERR_CANCELLED, "the client went away"), b->now_ns());
}

void batcher_tick(struct batcher *b)
{
	int64_t now = b->now_ns();
	pthread_mutex_lock(&b->lock);
	struct request *expired = take_expired(b, now);
	/* Who waited long enough for company and finds no runner free is taken when one is. */
	b->armed_ns = INT64_MAX;
	for (int c = 0; c < CLASS_COUNT_; c++)
		for (const struct request *r = b->queue[c].head; r; r = r->next)
			arm_for(b, r, now);
	struct batch_runner *runner =
		next_queue(b) && !waits(b, now) ? take_runner(b) : NULL;
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
	*ret_rows = b->queued_rows;
	*ret_bytes = b->queued_bytes;
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
	bool more = next_queue(b) && !waits(b, b->now_ns());
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
	struct request *batch = waits(b, now) ? NULL : take_batch(b, now);
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
	if (b->queued_rows > 0 && (b->queued_rows + r->rows > b->conf.max_queued_rows ||
					  b->queued_bytes + r->in_bytes > b->conf.max_queued_bytes))
		return err_set(err, ERR_UNAVAILABLE, "the queue of model '%s' is full",
			r->version->model);
	r->queued_ns = now;
	enqueue(b, r);
	arm_for(b, r, now);
	return ERR_OK;
}

/* What has been admitted is run: right here when nothing was queued before and it is quick, else
   by an idle runner. Gives the lock back. */
static void start(struct batcher *b, bool was_empty, int64_t now)
{
	bool here = was_empty && is_quick(b, b->queued_rows);
	struct batch_runner *runner = next_queue(b) && !waits(b, now) ? take_runner(b) : NULL;
	struct request *batch = runner && here ? take_batch(b, now) : NULL;
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
	bool was_empty = !next_queue(b);
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
	bool was_empty = !next_queue(b);
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
	       together <= b->gather_max && is_quick(b, together) &&
	       pays(b, r, rows ? rows : r->rows);
}
