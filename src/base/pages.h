/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.h -- pages of one's own from the system, for what is big
 *
 * What is mapped by itself goes back to the system when it is freed. From PAGES_HUGE_BYTES
 * on huge pages are asked for: the system clears and maps them several times faster, and
 * fewer of their addresses have to be translated. Where they turn out to be slow,
 * small ones (huge.h).
 *
 * A load takes, frees and takes again; to clear pages once more, or to get them from a host that
 * took them back, takes longer than what is done in them. So while somebody keeps, huge pages that
 * are freed, PAGES_KEPT_MAX at most, wait for the next pages_take().
 *
 * Threads: any.
 */
#pragma once

#include <stddef.h>
#include "base/huge.h"

#define PAGES_HUGE_BYTES HUGE_BYTES
#define PAGES_KEPT_MAX ((size_t)32 << 20)

/* NULL: no memory. bytes is not 0. */
void *pages_map(size_t bytes);  /* zeroed */
void *pages_take(size_t bytes); /* not zeroed */
void pages_unmap(void *p, size_t bytes);

/* From where a huge page may begin, and nothing else is done yet; munmap() frees it. NULL: no
   memory. */
void *pages_reserve(size_t bytes);

/* What was mapped has to_bytes from now on, which is not 0 and no more than before. */
void pages_shrink(void *p, size_t bytes, size_t to_bytes);

/* Keepers are counted; with the last one all that is kept goes. */
void pages_keep(void);
void pages_keep_end(void);

/* What lies there is not wanted any more: the whole pages of it go back to the system now,
   and read as zeros until they are written again or freed. */
void pages_drop(void *p, size_t bytes);

/* What malloc() keeps of freed memory goes back. It walks all that malloc() has, while others
   wait for it: not for each of many. */
void pages_trim(void);
