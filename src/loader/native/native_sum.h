/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native_sum.h -- the checksum of native files
 *
 * A load is at most a third slower than reading the file, so what checks it must be several
 * times as fast as that: libxxhash has XXH3 for each vector width, but takes the narrowest
 * one unless it is told to ask the processor.
 *
 * Threads: any.
 */
#pragma once

#include <config.h>
#include <stddef.h>
#include <stdint.h>
#ifdef HAVE_XXH3_DISPATCH
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

static inline uint64_t native_sum(const void *data, size_t bytes)
{
	return XXH3_64bits(data, bytes);
}
