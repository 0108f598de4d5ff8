/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * A mutex guards the job queue; threads with nothing to do wait on a condition. A thread looks
 * for a job first and helps only when there is none: under load every thread stays with its own
 * batch.
 *
 * Waking a thread takes longer than most sections do. So a run takes a team for its duration,
 * one of a fixed few of the pool, and a helper that found nothing to do looks at the teams' words
 * again and again before it sleeps: for HOT_NS, as long as waking it would take, and the time of a
 * chunk or two, as others may be in theirs. While no team is taken nobody does that, and neither
 * where cores are fewer than threads. Sections are claimed without the mutex (section.c).
 *
 * INVARIANTS
 *
 * 1. A team's memory is the pool's, so a helper may look at it at any time.
 * 2. asleep counts the threads that wait on `wake`, helping those that look for sections; both
 *    change under the mutex only.
 * 3. Who goes to sleep has looked for jobs and sections since it took the mutex and was last
 *    counted in helping. So who opens a section, then finds nobody helping, then takes the mutex
 *    to see who sleeps, misses nobody.
 */
#include "exec/run/pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "exec/run/section.h"

/* Runs beyond this many at once get no help; there would be few idle threads anyway. */
#define TEAMS_MAX 8
/* How long a thread stays awake for what may come: about what it costs to wake it. */
#define HOT_NS (50 * NS_PER_US)
/* A section that is worth waking somebody. */
#define WAKE_MIN_NS (100 * NS_PER_US)
/* A chunk that is worth another thread's while. */
#define CHUNK_MIN_NS 1500
/* Looks at memory between looks at the clock. */
#define LOOKS 32

struct pool_team {
	struct section section;
	struct pool *pool;
	int helpers;
	_Atomic int64_t chunk_ns; /* rough, of the section that is or was open */
	atomic_bool taken, waits; /* waits: its runner sleeps on helper_out */
};

struct worker {
	pthread_t thread;
	struct pool *pool;
	int number;                    /* from 1 */
	_Atomic int64_t busy_since_ns; /* 0: waits */
};

struct pool {
	struct pool_team team[TEAMS_MAX];
	pthread_mutex_t lock;
	pthread_cond_t wake;       /* jobs or runs came, or stop */
	pthread_cond_t helper_out; /* a helper finished a section */
	struct pool_job *head, **tail;
	atomic_int queued, asleep;
	atomic_int teams;   /* taken */
	atomic_int helping; /* threads that look for sections */
	atomic_int in_jobs; /* threads */
	bool stop;
	void (*thread_init)(void);
	int n_workers;
	int64_t hot_ns;
	struct worker *workers;
};

static void relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* How long a thread with nothing left to claim stays awake: also while others are still in their
   chunks. */
static int64_t wait_ns(const struct pool_team *t)
{
	if (t->pool->hot_ns == 0)
		return 0;
	return t->pool->hot_ns + 2 * atomic_load_explicit(&t->chunk_ns, memory_order_relaxed);
}

/* For loops that look again and again: false when that went on for limit_ns. */
struct patience {
	int64_t limit_ns, since_ns;
	unsigned looks;
};

static bool look_again(struct patience *p)
{
	if (p->looks++ % LOOKS == 0) {
		int64_t now = clock_now_ns();
		if (p->looks == 1)
			p->since_ns = now;
		if (now - p->since_ns >= p->limit_ns)
			return false;
	}
	relax();
	return true;
}

/* -- helping --------------------------------------------------------------------------------- */

static struct pool_team *find_work(struct pool *p)
{
	for (int i = 0; i < TEAMS_MAX; i++)
		if (section_has_work(&p->team[i].section))
			return &p->team[i];
	return NULL;
}

static void help_team(struct worker *w, struct pool_team *t)
{
	struct pool *p = w->pool;
	atomic_store_explicit(&w->busy_since_ns, clock_now_ns(), memory_order_relaxed);
	bool last = section_help(&t->section, SECTION_BACK, w->number, &p->queued);
	atomic_store_explicit(&w->busy_since_ns, 0, memory_order_relaxed);
	if (last && atomic_load(&t->waits)) {
		pthread_mutex_lock(&p->lock);
		pthread_cond_broadcast(&p->helper_out);
		pthread_mutex_unlock(&p->lock);
	}
}

/* Helps runs until there are none or a job comes: true. False: the runs had nothing to share for so
   long that the thread had better sleep. */
static bool help(struct worker *w)
{
	struct pool *p = w->pool;
	struct patience patience = { .limit_ns = p->hot_ns };
	do {
		struct pool_team *t = find_work(p);
		if (t) {
			help_team(w, t);
			patience = (struct patience){ .limit_ns = wait_ns(t) };
		}
		if (atomic_load_explicit(&p->teams, memory_order_relaxed) == 0 ||
			atomic_load_explicit(&p->queued, memory_order_relaxed) > 0)
			return true;
	} while (look_again(&patience));
	return false;
}

/* The mutex is held on entry and on return. */
static void run_first_job(struct worker *w)
{
	struct pool *p = w->pool;
	struct pool_job *job = p->head;
	p->head = job->next;
	if (!p->head)
		p->tail = &p->head;
	atomic_fetch_sub(&p->queued, 1);
	pthread_mutex_unlock(&p->lock);
	atomic_fetch_add(&p->in_jobs, 1);
	atomic_store(&w->busy_since_ns, clock_now_ns());
	job->run(job);
	atomic_store(&w->busy_since_ns, 0);
	atomic_fetch_sub(&p->in_jobs, 1);
	pthread_mutex_lock(&p->lock);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->pool;
	bool may_help = true;
	if (p->thread_init)
		p->thread_init();
	pthread_mutex_lock(&p->lock);
	for (;;) {
		if (p->head) {
			run_first_job(w);
			may_help = true;
		} else if (may_help && atomic_load(&p->teams) > 0) {
			atomic_fetch_add(&p->helping, 1);
			pthread_mutex_unlock(&p->lock);
			bool pays = help(w);
			pthread_mutex_lock(&p->lock);
			atomic_fetch_sub(&p->helping, 1);
			may_help = pays || find_work(p);
		} else if (p->stop) {
			break;
		} else {
			atomic_fetch_add(&p->asleep, 1);
			pthread_cond_wait(&p->wake, &p->lock);
			atomic_fetch_sub(&p->asleep, 1);
			may_help = true;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* -- the pool -------------------------------------------------------------------------------- */

static struct pool *alloc_pool(int threads)
{
	struct pool *p = aligned_alloc(_Alignof(struct pool), sizeof(*p));
	if (!p)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->workers = calloc((size_t)threads, sizeof(*p->workers));
	if (!p->workers) {
		free(p);
		return NULL;
	}
	for (int i = 0; i < TEAMS_MAX; i++)
		p->team[i].pool = p;
	return p;
}

enum err_code pool_new(int threads, void (*thread_init)(void), struct pool **ret, struct err *err)
{
	if (threads <= 0)
		threads = pool_default_threads();
	struct pool *p = alloc_pool(threads);
	if (!p)
		return err_oom(err);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	pthread_cond_init(&p->helper_out, NULL);
	p->tail = &p->head;
	p->thread_init = thread_init;
	p->hot_ns = threads <= pool_whole_cpus() ? HOT_NS : 0;
	for (int i = 0; i < threads; i++) {
		struct worker *w = &p->workers[i];
		w->pool = p;
		w->number = i + 1;
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
	assert(atomic_load(&p->teams) == 0);
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
	bool wake = atomic_load(&p->asleep) > 0;
	pthread_mutex_unlock(&p->lock);
	if (wake)
		pthread_cond_signal(&p->wake);
}

int pool_idle(const struct pool *p)
{
	return p->n_workers - atomic_load_explicit(&p->in_jobs, memory_order_relaxed);
}

int pool_queued(const struct pool *p)
{
	return atomic_load_explicit(&p->queued, memory_order_relaxed);
}

/* -- runs ------------------------------------------------------------------------------------ */

static void wake_helpers(struct pool *p, int most)
{
	pthread_mutex_lock(&p->lock);
	int n = atomic_load(&p->asleep);
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < n && i < most; i++)
		pthread_cond_signal(&p->wake);
}

struct pool_team *pool_team_take(struct pool *p, int helpers)
{
	struct pool_team *t = NULL;
	for (int i = 0; i < TEAMS_MAX && p && !t; i++)
		if (!atomic_exchange(&p->team[i].taken, true))
			t = &p->team[i];
	if (!t)
		return NULL;
	t->helpers = helpers;
	atomic_fetch_add(&p->teams, 1);
	if (atomic_load_explicit(&p->asleep, memory_order_relaxed) > 0)
		wake_helpers(p, helpers);
	return t;
}

void pool_team_give(struct pool_team *t)
{
	if (!t)
		return;
	atomic_fetch_sub(&t->pool->teams, 1);
	atomic_store(&t->taken, false);
}

/* Four chunks a thread even out what the threads lose to others. */
static int64_t count_chunks(const struct pool *p, const struct pool_work *w)
{
	int64_t chunks = 4 * ((int64_t)p->n_workers + 1), most = w->cost_ns / CHUNK_MIN_NS;
	most = w->units < most ? w->units : most;
	chunks = chunks < most ? chunks : most;
	return chunks < SECTION_CHUNKS_MAX ? chunks : SECTION_CHUNKS_MAX;
}

static void await_helpers(struct pool_team *t)
{
	struct pool *p = t->pool;
	struct patience patience = { .limit_ns = wait_ns(t) };
	while (!section_is_finished(&t->section) && look_again(&patience))
		;
	if (section_is_finished(&t->section))
		return;
	pthread_mutex_lock(&p->lock);
	atomic_store(&t->waits, true);
	while (!section_is_finished(&t->section))
		pthread_cond_wait(&p->helper_out, &p->lock);
	atomic_store(&t->waits, false);
	pthread_mutex_unlock(&p->lock);
}

void pool_parallel(struct pool_team *t, const struct pool_work *w)
{
	struct pool *p = t ? t->pool : NULL;
	int64_t chunks = p && pool_idle(p) > 0
				 ? count_chunks(p, w) : 1;
	if (chunks <= 1) {
		w->fn(w->ctx, 0, 0, w->units);
		return;
	}
	atomic_store_explicit(&t->chunk_ns, w->cost_ns / chunks, memory_order_relaxed);
	section_open(&t->section, w, (int)chunks);
	if (w->cost_ns >= WAKE_MIN_NS && atomic_load(&p->helping) == 0)
		wake_helpers(p, t->helpers);
	section_help(&t->section, SECTION_FRONT, 0, NULL);
	await_helpers(t);
}

void pool_parallel_once(struct pool *p, const struct pool_work *w)
{
	int most = p && w->units > p->n_workers ? p->n_workers : (int)w->units - 1;
	struct pool_team *t = w->units > 1 ? pool_team_take(p, most) : NULL;
	pool_parallel(t, w);
	pool_team_give(t);
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
