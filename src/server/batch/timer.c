/* SPDX-License-Identifier: Apache-2.0 */
#include "server/batch/timer.h"

#include <pthread.h>
#include <time.h>
#include "base/clock.h"

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake; /* the first timer changed */
	pthread_cond_t fired;
	pthread_once_t once;
	struct timer *first, *firing;
} timers = { .lock = PTHREAD_MUTEX_INITIALIZER,
	.fired = PTHREAD_COND_INITIALIZER,
	.once = PTHREAD_ONCE_INIT };

static void wait_until(int64_t at_ns)
{
	struct timespec t = { .tv_sec = at_ns / NS_PER_S, .tv_nsec = at_ns % NS_PER_S };
	pthread_cond_timedwait(&timers.wake, &timers.lock, &t);
}

static void *timer_main(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&timers.lock);
	for (;;) {
		struct timer *t = timers.first;
		if (!t) {
			pthread_cond_wait(&timers.wake, &timers.lock);
		} else if (t->at_ns > clock_now_ns()) {
			wait_until(t->at_ns);
		} else {
			timers.first = t->next;
			t->armed = false;
			timers.firing = t;
			pthread_mutex_unlock(&timers.lock);
			t->fire(t);
			pthread_mutex_lock(&timers.lock);
			timers.firing = NULL;
			pthread_cond_broadcast(&timers.fired);
		}
	}
	return NULL;
}

static void start_thread(void)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&timers.wake, &attr);
	pthread_condattr_destroy(&attr);
	/* Without the thread nothing expires before a worker looks; nothing breaks. */
	pthread_t thread;
	if (pthread_create(&thread, NULL, timer_main, NULL) == 0) {
		pthread_setname_np(thread, "timer");
		pthread_detach(thread);
	}
}

static void unlink_timer(struct timer *t)
{
	struct timer **at = &timers.first;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	t->armed = false;
}

void timer_arm(struct timer *t, int64_t at_ns)
{
	pthread_once(&timers.once, start_thread);
	pthread_mutex_lock(&timers.lock);
	if (!t->armed || at_ns < t->at_ns) {
		if (t->armed)
			unlink_timer(t);
		t->at_ns = at_ns;
		t->armed = true;
		struct timer **at = &timers.first;
		while (*at && (*at)->at_ns <= at_ns)
			at = &(*at)->next;
		t->next = *at;
		*at = t;
		if (timers.first == t)
			pthread_cond_signal(&timers.wake);
	}
	pthread_mutex_unlock(&timers.lock);
}

void timer_cancel(struct timer *t)
{
	pthread_mutex_lock(&timers.lock);
	while (timers.firing == t)
		pthread_cond_wait(&timers.fired, &timers.lock);
	if (t->armed) /* last: who fires may arm it again */
		unlink_timer(t);
	pthread_mutex_unlock(&timers.lock);
}
