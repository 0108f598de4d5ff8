/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_run.h -- the numbers of a JSON array, many at a time
 *
 * Life of a request: listen -> [DECODE] -> signature check -> ...
 *
 * The reader stands before an element of an array. As many as are written plainly and fit
 * the type are read, `room` at most; the reader stands behind the last one then. None is as
 * good an answer as any: what stands there, right or wrong, is for json_number(), which also
 * knows the errors. When it is known how long the array and those beside it are, a run goes
 * on from one to the next.
 *
 * Threads: one at a time. Memory: none.
 */
#pragma once

#include "base/json.h"

/* name, type, largest value, may be below 0 */
#define JSON_RUN_INTS(X) \
	X(i8, int8_t, INT8_MAX, true) \
	X(i16, int16_t, INT16_MAX, true) \
	X(i32, int32_t, INT32_MAX, true) \
	X(i64, int64_t, INT64_MAX, true) \
	X(u8, uint8_t, UINT8_MAX, false) \
	X(u16, uint16_t, UINT16_MAX, false) \
	X(u32, uint32_t, UINT32_MAX, false) \
	X(u64, uint64_t, UINT64_MAX, false)

struct json_rows {
	size_t length; /* of all of them; SIZE_MAX: not known, the run ends with this one */
	size_t at;     /* elements read of the array where the reader stands; kept up to date */
	size_t passed; /* arrays that ended, each with `length` elements: added to */
};

/* to: room elements of the type. Returns how many were read. */
typedef size_t json_run_fn(struct json *j, void *to, size_t room, struct json_rows *rows);

json_run_fn json_run_f32, json_run_f64;
#define X(name, ...) json_run_fn json_run_##name;
JSON_RUN_INTS(X)
#undef X
