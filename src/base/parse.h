/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.h -- text to number, strictly; the only such functions of the tree
 *
 * All of the text must be the value: no spaces, no sign "+", no leading zeros, no rest.
 * false: it is not, or not within the bounds; *ret is then untouched. Independent of the
 * locale.
 *
 * Memory: none. Threads: any.
 */
#pragma once

#include <stdint.h>
#include "base/err.h"
#include "base/slice.h"

MUST_CHECK bool parse_i64(struct slice text, int64_t min, int64_t max, int64_t *ret);
MUST_CHECK bool parse_u64(struct slice text, uint64_t max, uint64_t *ret);

/* Finite numbers as JSON writes them: -1, 0.5, 1e-3; not "inf", ".5", "0x1". */
MUST_CHECK bool parse_double(struct slice text, double *ret);

/* true, yes, on; false, no, off. */
MUST_CHECK bool parse_bool(struct slice text, bool *ret);

/* Bytes: "4096", "64K", "64KiB", and M, G, T; powers of 1024. */
MUST_CHECK bool parse_size(struct slice text, size_t *ret);

/* Nanoseconds: "0", or a whole number and its unit: us, ms, s, m, h. */
MUST_CHECK bool parse_duration_ns(struct slice text, int64_t *ret);
