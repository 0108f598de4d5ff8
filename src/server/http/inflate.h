/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inflate.h -- a compressed body becomes a plain one, within the limit of plain ones
 *
 * The output grows piece by piece and is measured as it grows: a bomb costs its limit, not
 * its size (bad-input row H14). gzip of one or more members, or deflate (zlib's format or
 * the bare one that some clients send).
 *
 * Threads: any. Memory: the plain body lies in the arena.
 */
#pragma once

#include "server/http/call.h"

/* Does nothing to a body that is not compressed. INVALID_ARGUMENT: cut short, corrupt, or
   something follows it. Too large: c->error_status is 413. */
MUST_CHECK enum err_code inflate_body(struct call *c, struct err *err);

/* The same on bytes. RESOURCE_EXHAUSTED: more than bytes_max. */
MUST_CHECK enum err_code inflate_bytes(struct slice in, enum head_coding coding, size_t bytes_max,
	struct arena *arena, struct slice *ret, struct err *err);
