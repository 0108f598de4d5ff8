/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/move/index_sort.h"

#include <string.h>

/* Merges from[0, a) and from[a, n). */
static void merge(int64_t *to, const int64_t *from, int64_t a, int64_t n, index_order order, const void *ctx)
{
	int64_t i = 0, j = a;
	for (int64_t k = 0; k < n; k++)
		to[k] = j == n || (i < a && order(ctx, from[i], from[j]) <= 0) ? from[i++] : from[j++];
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
