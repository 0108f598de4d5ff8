/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *   A global clock of epochs, and for each thread a mark: 0 outside of a section, else the
 *   epoch in which it entered. Waiting moves the clock on and looks at each mark until it
 *   is 0 or of the new epoch: who entered later saw the new pointer.
 *
 * INVARIANTS
 *   1. A mark is written by its own thread alone.
 *   2. The list of marks is only walked or changed under the mutex. A thread that reads
 *      takes it once in its life, so readers never wait for writers; a writer that waits
 *      for readers holds it, which holds up only threads at their first enter and at
 *      their end, and those are in no section.
 */
#include "base/epoch.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define CACHE_LINE 64
#define SPINS 128

struct mark {
	alignas(CACHE_LINE) atomic_uint_fast64_t entered;
	unsigned depth;
	bool listed;
	struct mark *next, **link; /* where the pointer to this one stands */
};

static _Thread_local struct mark mine;
static alignas(CACHE_LINE) atomic_uint_fast64_t now = 1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mark *marks;
static pthread_key_t at_exit;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void forget(void *arg)
{
	struct mark *m = arg;
	pthread_mutex_lock(&lock);
	*m->link = m->next;
	if (m->next)
		m->next->link = m->link;
	pthread_mutex_unlock(&lock);
	m->listed = false;
}

static void make_key(void)
{
	int rc = pthread_key_create(&at_exit, forget);
	assert(rc == 0);
	(void)rc;
}

static void enlist(struct mark *m)
{
	pthread_once(&once, make_key);
	/* Of the first few keys, whose values need no memory. */
	int rc = pthread_setspecific(at_exit, m);
	assert(rc == 0);
	(void)rc;
	pthread_mutex_lock(&lock);
	m->next = marks;
	m->link = &marks;
	if (marks)
		marks->link = &m->next;
	marks = m;
	pthread_mutex_unlock(&lock);
	m->listed = true;
}

void epoch_enter(void)
{
	struct mark *m = &mine;
	if (m->depth++ > 0)
		return;
	if (!m->listed)
		enlist(m);
	/* An epoch that is over by the time it is stored only makes a writer wait for us
	   without need. Acquire: who sees a new epoch sees what was published before it. */
	atomic_store(&m->entered, atomic_load_explicit(&now, memory_order_acquire));
}

void epoch_leave(void)
{
	struct mark *m = &mine;
	assert(m->depth > 0);
	if (--m->depth == 0)
		atomic_store_explicit(&m->entered, 0, memory_order_release);
}

static void pause_for(int round)
{
	if (round < SPINS)
		sched_yield();
	else
		nanosleep(&(struct timespec){ .tv_nsec = 50 * 1000 }, NULL);
}

void epoch_wait(void)
{
	assert(mine.depth == 0);
	pthread_mutex_lock(&lock);
	uint_fast64_t epoch = atomic_fetch_add(&now, 1) + 1;
	for (struct mark *m = marks; m; m = m->next) {
		for (int round = 0;; round++) {
			uint_fast64_t entered = atomic_load(&m->entered);
			if (entered == 0 || entered >= epoch)
				break;
			pause_for(round);
		}
	}
	pthread_mutex_unlock(&lock);
}
