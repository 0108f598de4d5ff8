/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoch.h -- read what a pointer points to while somebody else replaces it, without locks
 *
 * Readers:                          The writer (one at a time):
 *     epoch_enter();                    old = epoch_publish(&ptr, new);
 *     p = epoch_read(&ptr);             epoch_wait();
 *     ... use *p, take a reference      free(old);
 *     epoch_leave();
 *
 * Between enter and leave a thread must not block, nor call epoch_wait(). Sections nest.
 *
 * Memory order: a reader stores its mark, then loads the pointer; the writer stores the
 * pointer, then loads the marks. Each must see the other or be seen, which takes
 * sequential consistency on all four; nothing weaker forbids both looking past each other.
 * What the reader did in its section happens before epoch_wait() returns (leave releases,
 * wait acquires).
 *
 * Threads: any may read; each has its own mark on its own cache line, made at its first
 *          enter and taken away when it ends.
 * Memory:  none.
 */
#pragma once

#include <stdatomic.h>

void epoch_enter(void);
void epoch_leave(void);

static inline void *epoch_read(void *_Atomic const *ptr)
{
	return atomic_load((void *_Atomic *)ptr);
}

/* Returns what was there before. */
static inline void *epoch_publish(void *_Atomic *ptr, void *next)
{
	return atomic_exchange(ptr, next);
}

/* Returns when every section that was open at the call has been left. Any thread, many at
   once; blocks for as long as the longest open section. */
void epoch_wait(void);
