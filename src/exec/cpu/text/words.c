/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/text/words.h"

#include "base/hash.h"

/* Where the key is, or the free place where it would be. */
static uint32_t find_place(const struct words *w, struct slice key)
{
	uint32_t at = (uint32_t)hash_slice(key, 0) & w->mask;
	while (w->place[at] && !slice_eq(w->key[w->place[at] - 1], key))
		at = (at + 1) & w->mask;
	return at;
}

enum err_code
words_init(struct words *w, struct prep *p, const struct slice *key, int32_t n, struct err *err)
{
	uint32_t places = 4;
	while (places < 2 * (uint32_t)n)
		places *= 2;
	int32_t *place = prep_alloc(p, places * sizeof(*place));
	struct slice *kept = prep_alloc(p, (size_t)n * sizeof(*kept));
	if (!place || !kept)
		return err_oom(err);
	*w = (struct words){ .key = kept, .place = place, .mask = places - 1 };
	for (int32_t i = 0; i < n; i++) {
		uint32_t at = find_place(w, key[i]);
		if (place[at])
			continue;
		kept[w->n++] = key[i];
		place[at] = w->n;
	}
	return ERR_OK;
}

int32_t words_find(const struct words *w, struct slice key)
{
	return w->place[find_place(w, key)] - 1;
}
