/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * One word holds the number of the section (32 bits), the first chunk that nobody has claimed
 * (16) and the one after the last (16). A claim compares and swaps the whole word, so a thread
 * that looked at the last section cannot claim of this one by mistake; and as long as a claimed
 * chunk is unfinished the opener does not touch the rest of the struct.
 *
 * INVARIANTS
 *
 * 1. work and chunks are read by holders of an unfinished chunk only.
 * 2. unfinished counts down to 0 once per section; only then is the next one opened.
 */
#include "exec/run/section.h"

#include <assert.h>

void section_open(struct section *s, const struct pool_work *work, int chunks)
{
	uint64_t number = (atomic_load_explicit(&s->word, memory_order_relaxed) >> 32) + 1;
	assert(section_is_finished(s) && chunks > 0 && chunks <= SECTION_CHUNKS_MAX);
	s->work = *work;
	s->chunks = chunks;
	atomic_store_explicit(&s->unfinished, chunks, memory_order_relaxed);
	atomic_store(&s->word, number << 32 | (uint64_t)chunks);
}

static bool claim(struct section *s, enum section_side side, int *ret)
{
	uint64_t w = atomic_load_explicit(&s->word, memory_order_relaxed), to;
	do {
		int next = w >> 16 & 0xffff, end = w & 0xffff;
		if (next == end)
			return false;
		*ret = side == SECTION_FRONT ? next : end - 1;
		to = side == SECTION_FRONT ? w + (1 << 16) : w - 1;
	} while (!atomic_compare_exchange_weak_explicit(&s->word, &w, to, memory_order_acquire,
		memory_order_relaxed));
	return true;
}

bool section_help(struct section *s, enum section_side side, int who, const atomic_int *called)
{
	int done = 0, i;
	while ((!called || atomic_load_explicit(called, memory_order_relaxed) == 0) &&
		claim(s, side, &i)) {
		const struct pool_work *w = &s->work;
		w->fn(w->ctx, who, w->units * i / s->chunks, w->units * (i + 1) / s->chunks);
		done++;
	}
	return done && atomic_fetch_sub(&s->unfinished, done) == done;
}
