/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_sort.h -- a stable sort of indices by what they stand for, in memory of the caller's
 *
 * qsort() may allocate, which a kernel may not, and is not stable.
 *
 * Threads: any. Memory: index and spare, n entries each; the result is in index.
 */
#pragma once

#include <stdint.h>

/* < 0: a before b. */
typedef int (*index_order)(const void *ctx, int64_t a, int64_t b);

void index_sort(int64_t *index, int64_t *spare, int64_t n, index_order order, const void *ctx);

/* The same by keys, which go along, digit by digit; spare_keys: n, too. */
void index_sort_by_keys(
	int64_t *index, int64_t *spare, uint64_t *keys, uint64_t *spare_keys, int64_t n);
