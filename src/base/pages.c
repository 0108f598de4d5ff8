/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * Whether huge pages are cheap is seen when one is there: the first of an area, and of what is
 * read each, is touched by the clock. One that took longer than as many bytes in small pages
 * take comes from a host that takes free memory back (free page reporting), where most others will
 * be like it: a few askers after it get small pages, and twice as many each time it is still so.
 * Nothing is lost by that but the time of faults: weights in small pages are read as fast.
 */
#include "base/pages.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include "base/checked.h"
#include "base/clock.h"
#include "config.h"

#define PAGE_BYTES ((uintptr_t)4096)
/* A huge page takes 0.1 ms where memory is at hand, 3.5 to 6 where the host has to find it; 512
   small ones take 0.6 to 0.8. */
#define SLOW_NS NS_PER_MS
#define THERE_NS (10 * NS_PER_US) /* less: it was there before */
#define SMALL_FIRST 8 /* askers who get small pages after a slow one */
#define SMALL_MOST 64

/* Stands in the pages that are kept. */
struct kept {
	struct kept *next;
	size_t bytes;
};

static struct {
	pthread_mutex_t lock;
	struct kept *first;
	size_t bytes;
	int keepers;
} keep = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Races between threads make a guess a little worse. */
static struct {
	atomic_int left; /* askers who get small pages */
	atomic_int last; /* how many it were, the last time */
	int64_t (*now_ns)(void);
} small = { .now_ns = clock_thread_ns };

void pages_set_clock(int64_t (*now_ns)(void))
{
	small.now_ns = now_ns ? now_ns : clock_thread_ns;
	atomic_store(&small.left, 0);
	atomic_store(&small.last, 0);
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* Of pages: what nearly fills its last huge page gets all of it, rather than small ones. */
static size_t span(size_t bytes)
{
	size_t pages = round_up(bytes, PAGE_BYTES), whole = round_up(bytes, PAGES_HUGE_BYTES);
	return whole - pages < PAGES_HUGE_BYTES / 8 ? whole : pages;
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

/* From where a huge page may begin; what lies there is zero, or not wanted. */
static void choose(char *at, size_t pages)
{
	if (wants_small()) {
		(void)madvise(at, pages, MADV_NOHUGEPAGE);
		return;
	}
	(void)madvise(at, pages, MADV_HUGEPAGE);
	int64_t began = small.now_ns();
	*(volatile char *)at = 0;
	if (learn(small.now_ns() - began) && pages > PAGES_HUGE_BYTES)
		(void)madvise(at + PAGES_HUGE_BYTES, pages - PAGES_HUGE_BYTES, MADV_NOHUGEPAGE);
}

void pages_expect(void *p, size_t bytes)
{
	uintptr_t at = round_up((uintptr_t)p, PAGES_HUGE_BYTES), end = (uintptr_t)p + bytes;
	for (; at < end && end - at >= PAGE_BYTES; at += PAGES_HUGE_BYTES) {
		size_t rest = (end - at) & ~(PAGE_BYTES - 1);
		choose((char *)at, rest < PAGES_HUGE_BYTES ? rest : PAGES_HUGE_BYTES);
	}
}

/* -- areas ------------------------------------------------------------------------------------- */

/* From where a huge page may begin: the system looks for such a place only for sizes that are
   whole huge pages. */
static void *map_huge(size_t pages)
{
	char *p = map(pages + PAGES_HUGE_BYTES);
	if (!p)
		return NULL;
	size_t before = round_up((uintptr_t)p, PAGES_HUGE_BYTES) - (uintptr_t)p;
	if (before)
		munmap(p, before);
	if (before < PAGES_HUGE_BYTES)
		munmap(p + before + pages, PAGES_HUGE_BYTES - before);
	choose(p + before, pages);
	return p + before;
}

void *pages_map(size_t bytes)
{
	size_t pages = span(bytes);
	return pages < PAGES_HUGE_BYTES ? map(pages) : map_huge(pages);
}

/* -- keeping, all under the lock -------------------------------------------------------------- */

static void keep_add(void *p, size_t pages)
{
	struct kept *k = p;
	*k = (struct kept){ keep.first, pages };
	keep.first = k;
	keep.bytes += pages;
}

/* The smallest that is large enough; whole huge pages that are more stay. */
static void *keep_take(size_t pages)
{
	struct kept **best = NULL;
	for (struct kept **at = &keep.first; *at; at = &(*at)->next)
		if ((*at)->bytes >= pages && (!best || (*at)->bytes < (*best)->bytes))
			best = at;
	if (!best)
		return NULL;
	struct kept *k = *best;
	size_t bytes = k->bytes, whole = round_up(pages, PAGES_HUGE_BYTES);
	*best = k->next;
	keep.bytes -= bytes;
	if (bytes >= whole + PAGES_HUGE_BYTES)
		keep_add((char *)k + whole, bytes - whole);
	else
		whole = bytes;
	if (whole > pages)
		munmap((char *)k + pages, whole - pages);
	return k;
}

void *pages_take(size_t bytes)
{
	size_t pages = span(bytes);
	void *p = NULL;
	if (pages >= PAGES_HUGE_BYTES) {
		pthread_mutex_lock(&keep.lock);
		p = keep_take(pages);
		pthread_mutex_unlock(&keep.lock);
	}
	return p ? p : pages_map(bytes);
}

void pages_unmap(void *p, size_t bytes)
{
	size_t pages = span(bytes);
	bool keeps = false;
	if (pages >= PAGES_HUGE_BYTES) {
		pthread_mutex_lock(&keep.lock);
		keeps = keep.keepers && pages <= PAGES_KEPT_MAX - keep.bytes;
		if (keeps)
			keep_add(p, pages);
		pthread_mutex_unlock(&keep.lock);
	}
	if (!keeps)
		munmap(p, pages);
}

void pages_keep(void)
{
	pthread_mutex_lock(&keep.lock);
	keep.keepers++;
	pthread_mutex_unlock(&keep.lock);
}

void pages_keep_end(void)
{
	struct kept *k = NULL;
	pthread_mutex_lock(&keep.lock);
	if (--keep.keepers == 0) {
		k = keep.first;
		keep.first = NULL;
		keep.bytes = 0;
	}
	pthread_mutex_unlock(&keep.lock);
	while (k) {
		struct kept *next = k->next;
		munmap(k, k->bytes);
		k = next;
	}
}

/* -- giving back ------------------------------------------------------------------------------ */

void pages_drop(void *p, size_t bytes)
{
	uintptr_t end = ((uintptr_t)p + bytes) & ~(PAGE_BYTES - 1);
	uintptr_t at = round_up((uintptr_t)p, PAGE_BYTES);
	if (at < end)
		(void)madvise((void *)at, end - at, MADV_DONTNEED);
}

void pages_trim(void)
{
#ifdef HAVE_MALLOC_TRIM
	malloc_trim(0);
#endif
}
