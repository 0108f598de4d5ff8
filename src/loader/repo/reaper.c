/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INVARIANTS
 *
 * 1. Each version put into `dead` is followed by one post of `work`, and each wait is answered
 *    with one version. So when all have gone, whoever put one of them has posted, and touches the
 *    reaper no more: it may be freed.
 * 2. The one post that no version comes with is reaper_free()'s.
 */
#include "loader/repo/reaper.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/pages.h"
#include "base/priority.h"

#define TRIM_INTERVAL_NS NS_PER_S

struct reaper {
	struct reaper_conf conf;
	pthread_t thread;
	sem_t work; /* one for each version put, one for the end */
	_Atomic(struct version *) dead;
	struct version *taken; /* from `dead`, and not freed yet */
	int64_t trimmed_ns;
	bool untrimmed; /* something was freed since */
};

/* On whatever thread released last: a push and a wake-up. */
static void on_last_release(struct version *v)
{
	struct reaper *r = v->owner;
	v->next_dead = atomic_load_explicit(&r->dead, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(
		&r->dead, &v->next_dead, v, memory_order_release, memory_order_relaxed))
		;
	sem_post(&r->work);
}

void reaper_adopt(struct reaper *r, struct version *v, struct inbox_item *gone)
{
	v->owner = r;
	v->gone = gone;
	v->on_last_release = on_last_release;
}

/* Gives freed memory back to the system: after one version at once, after many not after each. */
static void trim(struct reaper *r, bool now)
{
	int64_t now_ns = clock_now_ns();
	if (!r->untrimmed || (!now && now_ns - r->trimmed_ns < TRIM_INTERVAL_NS))
		return;
	pages_trim();
	r->trimmed_ns = now_ns;
	r->untrimmed = false;
}

static void reap(struct reaper *r, struct version *v)
{
	struct inbox_item *gone = v->gone;
	if (r->conf.on_unload)
		r->conf.on_unload(r->conf.ctx, v);
	version_free(v);
	r->untrimmed = true;
	trim(r, false);
	if (gone)
		inbox_post(r->conf.inbox, gone);
}

/* false: nothing came in the pause that a put-off trim needs. */
static bool wait_for_work(struct reaper *r)
{
	struct timespec until;
	int rc;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 1 + TRIM_INTERVAL_NS / NS_PER_S;
	do {
		rc = r->untrimmed ? sem_clockwait(&r->work, CLOCK_MONOTONIC, &until)
				  : sem_wait(&r->work);
	} while (rc < 0 && errno == EINTR);
	return rc == 0;
}

static struct version *next_dead(struct reaper *r)
{
	if (!r->taken)
		r->taken = atomic_exchange_explicit(&r->dead, NULL, memory_order_acquire);
	struct version *v = r->taken;
	r->taken = v ? v->next_dead : NULL;
	return v;
}

static void *run(void *arg)
{
	struct reaper *r = arg;
	pthread_setname_np(pthread_self(), "reaper");
	priority_low();
	for (;;) {
		if (!wait_for_work(r)) {
			trim(r, true);
			continue;
		}
		struct version *v = next_dead(r);
		if (!v) /* (2) */
			return NULL;
		reap(r, v);
	}
}

enum err_code reaper_new(const struct reaper_conf *conf, struct reaper **ret, struct err *err)
{
	struct reaper *r = calloc(1, sizeof(*r));
	if (!r)
		return err_oom(err);
	r->conf = *conf;
	sem_init(&r->work, 0, 0);
	if (pthread_create(&r->thread, NULL, run, r) != 0) {
		sem_destroy(&r->work);
		free(r);
		return err_set(
			err, ERR_RESOURCE_EXHAUSTED, "the reaper's thread could not be started");
	}
	*ret = r;
	return ERR_OK;
}

void reaper_free(struct reaper *r)
{
	if (!r)
		return;
	sem_post(&r->work);
	pthread_join(r->thread, NULL);
	sem_destroy(&r->work);
	free(r);
}
