/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>
#include "base/checked.h"

#define PAGE_BYTES ((uintptr_t)4096)

void *pages_map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (bytes >= PAGES_HUGE_BYTES)
		(void)madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

void pages_unmap(void *p, size_t bytes)
{
	munmap(p, bytes);
}

void pages_drop(void *p, size_t bytes)
{
	uintptr_t end = ((uintptr_t)p + bytes) & ~(PAGE_BYTES - 1);
	uintptr_t at = round_up((uintptr_t)p, PAGE_BYTES);
	if (at < end)
		(void)madvise((void *)at, end - at, MADV_DONTNEED);
}
