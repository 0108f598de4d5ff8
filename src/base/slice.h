/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slice.h -- bytes that belong to somebody else
 *
 * A slice borrows; whoever hands it out says until when. It is not NUL terminated.
 *
 * Threads: any, as what it borrows. Memory: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *ptr;
	size_t len;
};

/* For printf: "%.*s", SLICE_ARG(s). Cut at 256 bytes: error messages are no data channel. */
#define SLICE_ARG(s) (int)((s).len < 256 ? (s).len : 256), (s).ptr
#define SLICE_LIT(lit) ((struct slice){ (lit), sizeof(lit) - 1 })

static inline struct slice slice_of(const char *str)
{
	return (struct slice){ str, str ? strlen(str) : 0 };
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_ends(struct slice a, const char *ending)
{
	size_t n = strlen(ending);
	return a.len >= n && memcmp(a.ptr + a.len - n, ending, n) == 0;
}

static inline bool slice_is(struct slice a, const char *str)
{
	return slice_eq(a, slice_of(str));
}
