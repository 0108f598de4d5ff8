/* SPDX-License-Identifier: Apache-2.0 */
/*
 * huge.h -- huge pages where they are quick, small ones where not, until there is time
 *
 * The system clears and maps a huge page several times faster than as many bytes in small ones,
 * unless a host has taken free memory back (free page reporting) and has to find it again:
 * then it takes several times as long. What is in small pages is read 2 to 4 % slower.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HUGE_BYTES ((size_t)2 << 20)

/* Asks for an area that was mapped, from where a huge page may begin on. Its first
   byte is written. */
void huge_choose(void *at, size_t bytes);

/* The caller is about to write all of this, for the first time: what huge pages take is looked at
   for each of them, so that a large area that begins well need not go on badly. */
void huge_expect(void *p, size_t bytes);

/* What was chosen is not mapped any more. */
void huge_forget(const void *p, size_t bytes);

/* Makes huge pages of the small ones that were chosen since the last call and are full now, each in
   some milliseconds where they are slow; who reads there meanwhile waits for it. */
void huge_collapse(void);

/* By which huge pages are timed, for tests; NULL: this thread's CPU time. Forgets what it knew. */
void huge_set_clock(int64_t (*now_ns)(void));
