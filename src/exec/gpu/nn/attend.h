/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attend.h -- attention by a kernel of ours that takes a query at a time
 *
 * Life of a request: ... -> plan -> [KERNELS] -> ...
 *
 * It does all that Attention and GroupQueryAttention can ask for but scores that are shown, and
 * is made for few queries at a time, which are bound by reading the cache of keys.
 *
 * NOT DONE: keys of one query split over several blocks, which would fill the device where
 * batch times heads does not.
 *
 * Threads: as in gpu.h. Memory: none.
 */
#pragma once

#include "exec/gpu/gpu.h"
#include "exec/gpu/params.h"

struct attend {
	struct gpu_launch launch;
	struct gpu_attend a;
};

/* From batch, head and row to the next, of [batch, length, heads * size] or [batch, heads,
   length, size]. */
void attend_strides(int64_t ret[3], bool packed, int64_t heads, int64_t len, int64_t size);

/* s->a is set but for rows and wide; batch: of the queries. */
MUST_CHECK enum err_code attend_prepare(
	struct attend *s, const struct prep *p, int64_t batch, struct err *err);

/* Complains of lengths that cannot be. */
void attend_run(
	const struct attend *s, const struct kernel_args *a, const struct gpu_attend_at *at);
