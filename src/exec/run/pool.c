/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * One mutex guards the job queue and the list of open sections. A section lies on the
 * stack of the thread that opened it; its work is claimed in chunks by fetch-and-add, so
 * the mutex is taken once per helper, not per chunk. A thread looks for a job first and
 * helps only when there is none: under load every thread stays with its own batch.
 *
 * INVARIANTS
 *
 * 1. A section leaves the list before its opener returns, and only when no helper is in.
 * 2. idle counts the threads that wait on `wake`, and changes under the mutex only.
 */
#include "exec/run/pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "base/clock.h"

struct section {
	struct section *next;
	pool_range_fn fn;
	void *ctx;
	int64_t units, chunk;
	_Atomic int64_t claimed;
	int helpers; /* in it now; under the mutex */
};

struct worker {
	pthread_t thread;
	struct pool *pool;
	_Atomic int64_t busy_since_ns; /* 0: waits */
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t wake;      /* jobs or sections came, or stop */
	pthread_cond_t helper_out; /* a helper left a section */
	struct pool_job *head, **tail;
	struct section *sections;
	atomic_int queued, idle;
	bool stop;
	void (*thread_init)(void);
	int n_workers;
	struct worker *workers;
};

static void section_work(struct section *s)
{
	for (;;) {
		int64_t begin = atomic_fetch_add_explicit(&s->claimed, s->chunk, memory_order_relaxed);
		if (begin >= s->units)
			return;
		int64_t end = begin + s->chunk < s->units ? begin + s->chunk : s->units;
		s->fn(s->ctx, begin, end);
	}
}

static struct section *open_section(struct pool *p)
{
	for (struct section *s = p->sections; s; s = s->next)
		if (atomic_load_explicit(&s->claimed, memory_order_relaxed) < s->units)
			return s;
	return NULL;
}

/* The mutex is held on entry and on return. */
static void help(struct pool *p, struct section *s)
{
	s->helpers++;
	pthread_mutex_unlock(&p->lock);
	section_work(s);
	pthread_mutex_lock(&p->lock);
	if (--s->helpers == 0)
		pthread_cond_broadcast(&p->helper_out);
}

static void run_first_job(struct pool *p)
{
	struct pool_job *job = p->head;
	p->head = job->next;
	if (!p->head)
		p->tail = &p->head;
	atomic_fetch_sub(&p->queued, 1);
	pthread_mutex_unlock(&p->lock);
	job->run(job);
	pthread_mutex_lock(&p->lock);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->pool;
	if (p->thread_init)
		p->thread_init();
	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct section *s = p->head ? NULL : open_section(p);
		if (p->head || s) {
			atomic_store(&w->busy_since_ns, clock_now_ns());
			if (s)
				help(p, s);
			else
				run_first_job(p);
			atomic_store(&w->busy_since_ns, 0);
		} else if (p->stop) {
			break;
		} else {
			atomic_fetch_add(&p->idle, 1);
			pthread_cond_wait(&p->wake, &p->lock);
			atomic_fetch_sub(&p->idle, 1);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

enum err_code pool_new(int threads, void (*thread_init)(void), struct pool **ret, struct err *err)
{
	if (threads <= 0)
		threads = pool_default_threads();
	struct pool *p = calloc(1, sizeof(*p));
	if (!p)
		return err_oom(err);
	p->workers = calloc((size_t)threads, sizeof(*p->workers));
	if (!p->workers) {
		free(p);
		return err_oom(err);
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	pthread_cond_init(&p->helper_out, NULL);
	p->tail = &p->head;
	p->thread_init = thread_init;
	for (int i = 0; i < threads; i++) {
		struct worker *w = &p->workers[i];
		w->pool = p;
		if (pthread_create(&w->thread, NULL, worker_main, w) != 0) {
			pool_free(p);
			return err_set(err, ERR_RESOURCE_EXHAUSTED,
				"compute pool: thread %d of %d cannot be started", i + 1, threads);
		}
		pthread_setname_np(w->thread, "compute");
		p->n_workers = i + 1;
	}
	*ret = p;
	return ERR_OK;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < p->n_workers; i++)
		pthread_join(p->workers[i].thread, NULL);
	assert(!p->sections);
	pthread_cond_destroy(&p->helper_out);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p->workers);
	free(p);
}

int pool_threads(const struct pool *p)
{
	return p->n_workers;
}

void pool_submit(struct pool *p, struct pool_job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&p->lock);
	*p->tail = job;
	p->tail = &job->next;
	atomic_fetch_add(&p->queued, 1);
	bool wake = atomic_load(&p->idle) > 0;
	pthread_mutex_unlock(&p->lock);
	if (wake)
		pthread_cond_signal(&p->wake);
}

bool pool_has_idle(const struct pool *p)
{
	return atomic_load_explicit(&p->idle, memory_order_relaxed) > 0;
}

int pool_queued(const struct pool *p)
{
	return atomic_load_explicit(&p->queued, memory_order_relaxed);
}

void pool_parallel(struct pool *p, int64_t units, pool_range_fn fn, void *ctx)
{
	if (!p || units <= 1 || !pool_has_idle(p)) {
		fn(ctx, 0, units);
		return;
	}
	/* Four chunks a thread even out what the threads lose to others. */
	int64_t chunk = units / (4 * (int64_t)p->n_workers);
	struct section s = { .fn = fn, .ctx = ctx, .units = units, .chunk = chunk ? chunk : 1 };
	pthread_mutex_lock(&p->lock);
	s.next = p->sections;
	p->sections = &s;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);

	section_work(&s);

	pthread_mutex_lock(&p->lock);
	while (s.helpers)
		pthread_cond_wait(&p->helper_out, &p->lock);
	struct section **at = &p->sections;
	while (*at != &s)
		at = &(*at)->next;
	*at = s.next;
	pthread_mutex_unlock(&p->lock);
}

bool pool_is_stuck(const struct pool *p, int64_t limit_ns)
{
	int64_t now = clock_now_ns();
	for (int i = 0; i < p->n_workers; i++) {
		int64_t since = atomic_load(&p->workers[i].busy_since_ns);
		if (since && now - since > limit_ns)
			return true;
	}
	return false;
}
