/* SPDX-License-Identifier: Apache-2.0 */
/*
 * near.h -- what was meant by a word that is none of ours
 *
 * Offer it what there is; it keeps what comes closest: a slip of a letter or two, or the same
 * beginning.
 *
 * Threads: each its own. Memory: none.
 */
#pragma once

#include "base/slice.h"

struct near {
	struct slice word;
	const char *best; /* NULL: nothing is near; borrowed from who offered it */
	int distance;
	char hint[80];
};

void near_init(struct near *n, struct slice word);
void near_offer(struct near *n, const char *candidate);

/* "; did you mean 'threads'?" with what leads in before the word ("--", or nothing), or "". It
   lives as long as n. */
const char *near_hint(struct near *n, const char *lead);
