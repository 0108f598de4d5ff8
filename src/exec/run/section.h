/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section.h -- one stretch of work that several threads share (inside exec/run only)
 *
 * Life of a request: ... -> plan -> [KERNELS] -> ...
 *
 * The opener claims chunks from the front, helpers from the back: of two threads each keeps
 * to its half from one section to the next, and finds in its caches what it wrote. They meet
 * where the slower one is late.
 *
 * Ownership: its memory outlives every thread that may look at it; the work is the opener's.
 * Threads:   one opens and waits, one section after the other; any number helps.
 * Memory:    none.
 */
#pragma once

#include <stdatomic.h>
#include "exec/run/pool.h"

#define SECTION_CHUNKS_MAX 1024

struct section {
	_Alignas(64) _Atomic uint64_t word; /* its number, and the chunks that nobody claimed */
	atomic_int unfinished;              /* chunks */
	struct pool_work work;
	int chunks;
};

enum section_side { SECTION_FRONT, SECTION_BACK };

/* The one before is finished. chunks: 1 to SECTION_CHUNKS_MAX. */
void section_open(struct section *s, const struct pool_work *work, int chunks);

static inline bool section_has_work(const struct section *s)
{
	uint64_t w = atomic_load(&s->word);
	return (w >> 16 & 0xffff) != (w & 0xffff);
}

/* Does chunks as long as there are any and *called is 0 (NULL: as long as there are any).
   True: that were the last ones. */
bool section_help(struct section *s, enum section_side side, int who, const atomic_int *called);

static inline bool section_is_finished(const struct section *s)
{
	return atomic_load(&s->unfinished) == 0;
}
