/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inflate.h -- compressed bytes become plain ones, within the limit of plain ones
 *
 * The output grows piece by piece and is measured as it grows: a bomb costs its limit, not
 * its size (bad-input row H14). gzip of one or more members, or deflate (zlib's format or
 * the bare one that some clients send).
 *
 * Threads: any. Memory: the plain bytes lie in the arena.
 */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

enum inflate_coding { INFLATE_IDENTITY, INFLATE_GZIP, INFLATE_DEFLATE };

/* Not of IDENTITY. INVALID_ARGUMENT: cut short, corrupt, or something follows it.
   RESOURCE_EXHAUSTED: more than bytes_max. */
MUST_CHECK enum err_code inflate_bytes(struct slice in, enum inflate_coding coding,
	size_t bytes_max, struct arena *arena, struct slice *ret, struct err *err);
