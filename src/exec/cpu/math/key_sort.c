/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/math/key_sort.h"

#define DIGITS 4 /* of a key's upper half */
#define DIGIT_VALUES 256
#define FEW 48 /* keys that are put in their places one by one: counting digits takes longer */

static void sort_few(uint64_t *keys, int64_t n)
{
	for (int64_t i = 1; i < n; i++) {
		uint64_t key = keys[i];
		int64_t at = i;
		for (; at && keys[at - 1] >> 32 > key >> 32; at--)
			keys[at] = keys[at - 1];
		keys[at] = key;
	}
}

uint64_t *key_sort(uint64_t *keys, uint64_t *other, int64_t n)
{
	if (n < FEW) {
		sort_few(keys, n);
		return keys;
	}
	int64_t count[DIGITS][DIGIT_VALUES] = { { 0 } };
	for (int64_t i = 0; i < n; i++)
		for (int d = 0; d < DIGITS; d++)
			count[d][keys[i] >> (32 + 8 * d) & 0xff]++;
	for (int d = 0; d < DIGITS; d++) {
		int64_t *c = count[d], at = 0;
		int shift = 32 + 8 * d;
		if (c[keys[0] >> shift & 0xff] == n)
			continue;
		for (int v = 0; v < DIGIT_VALUES; v++) {
			int64_t here = c[v];
			c[v] = at;
			at += here;
		}
		for (int64_t i = 0; i < n; i++)
			other[c[keys[i] >> shift & 0xff]++] = keys[i];
		uint64_t *was = keys;
		keys = other;
		other = was;
	}
	return keys;
}
