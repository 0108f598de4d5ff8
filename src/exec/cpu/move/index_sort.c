/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/move/index_sort.h"

#include <stdbool.h>
#include <string.h>

/* Merges from[0, a) and from[a, n). */
static void merge(
	int64_t *to, const int64_t *from, int64_t a, int64_t n, index_order order, const void *ctx)
{
	int64_t i = 0, j = a;
	for (int64_t k = 0; k < n; k++) {
		bool is_left = j == n || (i < a && order(ctx, from[i], from[j]) <= 0);
		to[k] = is_left ? from[i++] : from[j++];
	}
}

void index_sort(int64_t *index, int64_t *spare, int64_t n, index_order order, const void *ctx)
{
	int64_t *from = index, *to = spare;
	for (int64_t width = 1; width < n; width *= 2) {
		for (int64_t at = 0; at < n; at += 2 * width) {
			int64_t left = n - at < width ? n - at : width;
			int64_t both = n - at < 2 * width ? n - at : 2 * width;
			merge(to + at, from + at, left, both, order, ctx);
		}
		int64_t *swap = from;
		from = to;
		to = swap;
	}
	if (from != index && n > 0)
		memcpy(index, from, (size_t)n * sizeof(*index));
}

#define DIGITS 8
#define DIGIT_VALUES 256

/* Where the first key with each value of a digit goes. */
static void add_up(int64_t *count)
{
	int64_t at = 0;
	for (int v = 0; v < DIGIT_VALUES; v++) {
		int64_t here = count[v];
		count[v] = at;
		at += here;
	}
}

void index_sort_by_keys(
	int64_t *index, int64_t *spare, uint64_t *keys, uint64_t *spare_keys, int64_t n)
{
	int64_t count[DIGITS][DIGIT_VALUES] = { { 0 } }, *from = index, *to = spare;
	uint64_t *from_keys = keys, *to_keys = spare_keys;
	for (int64_t i = 0; i < n; i++)
		for (int d = 0; d < DIGITS; d++)
			count[d][keys[i] >> 8 * d & 0xff]++;
	for (int d = 0; d < DIGITS && n > 0; d++) {
		if (count[d][keys[0] >> 8 * d & 0xff] == n) /* all have the same */
			continue;
		add_up(count[d]);
		for (int64_t i = 0; i < n; i++) {
			int64_t at = count[d][from_keys[i] >> 8 * d & 0xff]++;
			to_keys[at] = from_keys[i];
			to[at] = from[i];
		}
		int64_t *swap = from;
		uint64_t *swap_keys = from_keys;
		from = to;
		to = swap;
		from_keys = to_keys;
		to_keys = swap_keys;
	}
	if (from != index && n > 0) {
		memcpy(index, from, (size_t)n * sizeof(*index));
		memcpy(keys, from_keys, (size_t)n * sizeof(*keys));
	}
}
