/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pages.h"

#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include "base/checked.h"
#include "base/huge.h"
#include "config.h"

#define PAGE_BYTES ((uintptr_t)4096)

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

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void unmap(void *p, size_t bytes)
{
	if (bytes >= PAGES_HUGE_BYTES)
		huge_forget(p, bytes);
	munmap(p, bytes);
}

/* Of pages: what nearly fills its last huge page gets all of it, rather than small ones. */
static size_t span(size_t bytes)
{
	size_t pages = round_up(bytes, PAGE_BYTES), whole = round_up(bytes, PAGES_HUGE_BYTES);
	return whole - pages < PAGES_HUGE_BYTES / 8 ? whole : pages;
}

/* The system looks for such a place only for sizes that are whole huge pages. */
void *pages_reserve(size_t bytes)
{
	size_t pages = round_up(bytes, PAGE_BYTES);
	char *p = map(pages + PAGES_HUGE_BYTES);
	if (!p)
		return NULL;
	size_t before = round_up((uintptr_t)p, PAGES_HUGE_BYTES) - (uintptr_t)p;
	if (before)
		munmap(p, before);
	if (before < PAGES_HUGE_BYTES)
		munmap(p + before + pages, PAGES_HUGE_BYTES - before);
	return p + before;
}

static void *map_huge(size_t pages)
{
	void *p = pages_reserve(pages);
	if (p)
		huge_choose(p, pages);
	return p;
}

void pages_shrink(void *p, size_t bytes, size_t to_bytes)
{
	size_t had = span(bytes), has = span(to_bytes);
	size_t huge = has < PAGES_HUGE_BYTES ? 0 : has; /* what may have huge pages still */
	if (had >= PAGES_HUGE_BYTES)
		huge_forget((char *)p + huge, had - huge);
	if (has < had)
		munmap((char *)p + has, had - has);
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
		unmap(p, pages);
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
		unmap(k, k->bytes);
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
