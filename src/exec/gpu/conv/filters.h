/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filters.h -- a convolution's filters in the order in which products on tensor cores take them
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Four products beside each other make 32 channels of results (a group), 16 deep (a step): of lane
 * l each one takes column l / 4 at four depths. Columns are such that lane l ends with eight
 * channels beside each other, those from 8 * (l % 4) on; which numbers the depths are is the
 * kernel's.
 *
 * Threads: as in gpu.h. Memory: the version's packs own what is packed.
 */
#pragma once

#include "exec/gpu/gpu.h"

#define FILTERS_GROUP 32 /* channels */
#define FILTERS_STEP_BYTES ((size_t)FILTERS_GROUP * 16 * 2) /* of a group, in short floats */
#define FILTERS_WIDE 8 /* channels that a lane stores at once */

struct filters {
	int64_t steps, chunks; /* chunks: of the kernel's */
	int64_t groups;        /* of a block: sets of so many groups, each with all steps */
	bool steps_first;      /* of a set: groups within a step; else steps within a group */
	/* Which number of a filter lane % 4 has in that step, as its number `slot` of four; -1:
	   none. */
	int64_t (*source)(const struct filters *f, const struct tensor *w, int64_t step,
		int64_t lane, int64_t slot);
	int32_t form; /* of conv.c's numbers: another one for another order */
};

/* Sets that the filters of so many channels make, and the bytes of each. */
int64_t filters_sets(const struct filters *f, int64_t channels);
int64_t filters_set_bytes(const struct filters *f);

/* Input 1, a constant of short floats. */
MUST_CHECK enum err_code filters_pack(
	struct prep *p, const struct filters *f, void **ret, struct err *err);
