/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup.h -- where in a list of keys a value stands: a hash table of a plan
 *
 * Of a key that is there twice the last one counts. Any NaN is equal to any other, and -0
 * to 0.
 *
 * Ownership: the plan's arena; the keys are borrowed. Threads: any once made.
 */
#pragma once

#include "exec/cpu/cpu.h"

struct lookup {
	struct tensor keys;
	int32_t *slot; /* place + 1; 0: empty */
	uint64_t mask;
};

/* Keys of float32, float64, int16, int32, int64 or string, at most INT32_MAX / 4. */
MUST_CHECK enum err_code
lookup_init(struct lookup *l, struct prep *p, const struct tensor *keys, struct err *err);

/* Element i of a tensor of the keys' type; -1: it is none of the keys. */
int64_t lookup_element(const struct lookup *l, const struct tensor *t, int64_t i);
/* For keys of int64. */
int64_t lookup_int(const struct lookup *l, int64_t key);
