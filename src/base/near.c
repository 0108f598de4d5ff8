/* SPDX-License-Identifier: Apache-2.0 */
#include "base/near.h"

#include <stdio.h>

#define WORD_MAX 32 /* longer ones are near nothing */
#define STEM_MIN 3

static int min3(int a, int b, int c)
{
	int least = a < b ? a : b;
	return least < c ? least : c;
}

/* How many letters to add, to leave out, to change or to swap with their neighbours. */
static int edits(struct slice a, struct slice b)
{
	int row[3][WORD_MAX + 1];
	for (size_t j = 0; j <= b.len; j++)
		row[0][j] = (int)j;
	for (size_t i = 1; i <= a.len; i++) {
		int *now = row[i % 3], *before = row[(i + 2) % 3], *two_before = row[(i + 1) % 3];
		now[0] = (int)i;
		for (size_t j = 1; j <= b.len; j++) {
			bool same = a.ptr[i - 1] == b.ptr[j - 1];
			now[j] = min3(before[j] + 1, now[j - 1] + 1, before[j - 1] + !same);
			bool swapped = i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] &&
				       a.ptr[i - 2] == b.ptr[j - 1];
			if (swapped && two_before[j - 2] + 1 < now[j])
				now[j] = two_before[j - 2] + 1;
		}
	}
	return row[a.len % 3][b.len];
}

static bool has_stem(struct slice longer, struct slice stem)
{
	return stem.len >= STEM_MIN && longer.len >= stem.len &&
	       memcmp(longer.ptr, stem.ptr, stem.len) == 0;
}

void near_init(struct near *n, struct slice word)
{
	*n = (struct near){ .word = word };
}

void near_offer(struct near *n, const char *candidate)
{
	struct slice c = slice_of(candidate);
	if (n->word.len == 0 || n->word.len > WORD_MAX || c.len > WORD_MAX)
		return;
	int distance = edits(n->word, c);
	int most = (int)(n->word.len + 2) / 3;
	if (has_stem(c, n->word) || has_stem(n->word, c))
		distance = distance < most ? distance : most;
	if (distance > most || (n->best && distance >= n->distance))
		return;
	n->best = candidate;
	n->distance = distance;
}

const char *near_hint(struct near *n, const char *lead)
{
	if (n->best)
		snprintf(n->hint, sizeof(n->hint), "; did you mean '%s%s'?", lead, n->best);
	return n->hint;
}
