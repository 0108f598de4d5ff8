/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_map.h -- name to number, for what a file refers to by name
 *
 * Life of a version: watch -> [LOAD] -> ...
 *
 * Open addressing over an arena's memory; growing leaves the old table there.
 *
 * Ownership: borrows the names. Threads: one at a time.
 */
#pragma once

#include <stdint.h>
#include "base/arena.h"

struct onnx_map {
	struct arena *arena;
	struct onnx_map_slot {
		struct slice key; /* ptr NULL: free */
		int32_t value;
	} *slot;
	uint32_t n, n_slot; /* n_slot: a power of two, or 0 */
};

/* -1: not there. */
int32_t onnx_map_find(const struct onnx_map *m, struct slice key);

/* false, and nothing changes: the key is there. RESOURCE_EXHAUSTED: no memory. value >= 0. */
MUST_CHECK enum err_code
onnx_map_add(struct onnx_map *m, struct slice key, int32_t value, bool *ret_new);
