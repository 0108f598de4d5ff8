/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * Whether huge pages are quick is seen when one is there: the first of an area, and of what is
 * read each, is touched by the clock. After one that took longer than as many bytes in small pages
 * take, most others will be like it: a few askers after it get small pages, and twice as many each
 * time it is still so. What they got is noted, for huge_collapse(); if there is too much to note,
 * the rest stays as it is.
 *
 * Pages that are not full are not collapsed: they would take memory that was given back
 * (pages_drop()), or never wanted.
 */
#include "base/huge.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include "base/checked.h"
#include "base/clock.h"

#define PAGE_BYTES ((uintptr_t)4096)
/* A huge page takes 0.1 ms where memory is at hand, 3.5 to 6 where the host has to find it; 512
   small ones take 0.6 to 0.8. */
#define SLOW_NS NS_PER_MS
#define THERE_NS (10 * NS_PER_US) /* less: it was there before */
#define SMALL_FIRST 8 /* askers who get small pages after a slow one */
#define SMALL_MOST 64
#define RANGES_MAX 512
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* Races between threads make a guess a little worse. */
static struct {
	atomic_int left; /* askers who get small pages */
	atomic_int last; /* how many it were, the last time */
	int64_t (*now_ns)(void);
} small = { .now_ns = clock_thread_ns };

/* Of whole huge pages: what is small. */
struct range {
	uintptr_t begin, end;
};

static struct {
	pthread_mutex_t lock; /* held for a walk over the ranges at most */
	struct range range[RANGES_MAX];
	int n;
} noted = { .lock = PTHREAD_MUTEX_INITIALIZER };

void huge_set_clock(int64_t (*now_ns)(void))
{
	small.now_ns = now_ns ? now_ns : clock_thread_ns;
	atomic_store(&small.left, 0);
	atomic_store(&small.last, 0);
}

/* -- what is small ----------------------------------------------------------------------------- */

static void note(uintptr_t at, size_t bytes)
{
	pthread_mutex_lock(&noted.lock);
	struct range *last = noted.n ? &noted.range[noted.n - 1] : NULL;
	uintptr_t end = at + round_up(bytes, HUGE_BYTES);
	if (last && at >= last->begin && at <= last->end)
		last->end = end > last->end ? end : last->end;
	else if (noted.n < RANGES_MAX)
		noted.range[noted.n++] = (struct range){ at, end };
	pthread_mutex_unlock(&noted.lock);
}

void huge_forget(const void *p, size_t bytes)
{
	uintptr_t begin = (uintptr_t)p, end = begin + bytes;
	int kept = 0;
	pthread_mutex_lock(&noted.lock);
	for (int i = 0; i < noted.n; i++) {
		struct range r = noted.range[i];
		if (r.begin < begin && r.end > begin)
			r.end = begin;
		if (r.begin < begin || r.begin >= end)
			noted.range[kept++] = r;
	}
	noted.n = kept;
	pthread_mutex_unlock(&noted.lock);
}

static bool take(struct range *ret)
{
	pthread_mutex_lock(&noted.lock);
	bool any = noted.n > 0;
	if (any)
		*ret = noted.range[--noted.n];
	pthread_mutex_unlock(&noted.lock);
	return any;
}

static bool is_full(uintptr_t at)
{
	unsigned char there[HUGE_BYTES / PAGE_BYTES];
	if (mincore((void *)at, HUGE_BYTES, there) != 0)
		return false;
	bool full = true;
	for (size_t i = 0; i < sizeof(there); i++)
		full &= there[i] & 1;
	return full;
}

/* An older system is told to do it by and by. What is unmapped meanwhile is refused. */
void huge_collapse(void)
{
	struct range r;
	while (take(&r))
		for (; r.begin < r.end; r.begin += HUGE_BYTES)
			if (is_full(r.begin)) {
				(void)madvise((void *)r.begin, HUGE_BYTES, MADV_HUGEPAGE);
				(void)madvise((void *)r.begin, HUGE_BYTES, MADV_COLLAPSE);
			}
}

/* -- huge or small ----------------------------------------------------------------------------- */

static bool wants_small(void)
{
	int left = atomic_load_explicit(&small.left, memory_order_relaxed);
	if (left > 0)
		atomic_store_explicit(&small.left, left - 1, memory_order_relaxed);
	return left > 0;
}

/* What a huge page took; true: it was slow. */
static bool learn(int64_t ns)
{
	int last = atomic_load_explicit(&small.last, memory_order_relaxed), next = 0;
	if (ns < THERE_NS)
		return false;
	if (ns > SLOW_NS)
		next = last == 0 ? SMALL_FIRST : last < SMALL_MOST ? 2 * last : last;
	atomic_store_explicit(&small.last, next, memory_order_relaxed);
	atomic_store_explicit(&small.left, next, memory_order_relaxed);
	return next > 0;
}

static void ask_small(char *at, size_t bytes)
{
	(void)madvise(at, bytes, MADV_NOHUGEPAGE);
	note((uintptr_t)at, bytes);
}

/* False: the first page is small. */
static bool choose(char *at, size_t bytes)
{
	if (wants_small()) {
		ask_small(at, bytes);
		return false;
	}
	(void)madvise(at, bytes, MADV_HUGEPAGE);
	int64_t began = small.now_ns();
	*(volatile char *)at = 0;
	if (learn(small.now_ns() - began) && bytes > HUGE_BYTES)
		ask_small(at + HUGE_BYTES, bytes - HUGE_BYTES);
	return true;
}

void huge_choose(void *at, size_t bytes)
{
	(void)choose(at, bytes);
}

/* Small pages come in one call rather than by a fault each, a quarter quicker; where the system
   knows no such call they come by faults. */
void huge_expect(void *p, size_t bytes)
{
	uintptr_t at = round_up((uintptr_t)p, HUGE_BYTES), end = (uintptr_t)p + bytes;
	for (; at < end && end - at >= PAGE_BYTES; at += HUGE_BYTES) {
		size_t rest = (end - at) & ~(PAGE_BYTES - 1);
		rest = rest < HUGE_BYTES ? rest : HUGE_BYTES;
		if (!choose((char *)at, rest))
			(void)madvise((void *)at, rest, MADV_POPULATE_WRITE);
	}
}
