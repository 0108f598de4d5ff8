/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pages.h"

#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include "base/checked.h"
#include "config.h"

#define PAGE_BYTES ((uintptr_t)4096)

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
	(void)madvise(p + before, pages, MADV_HUGEPAGE);
	return p + before;
}

void *pages_map(size_t bytes)
{
	size_t pages = span(bytes);
	return pages < PAGES_HUGE_BYTES ? map(pages) : map_huge(pages);
}

void pages_unmap(void *p, size_t bytes)
{
	munmap(p, span(bytes));
}

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
