/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dialect_json.h -- tensors as JSON arrays, in and out; what the REST dialects share
 * (dialect_json.c reads, dialect_put.c writes)
 *
 * Life of a request: listen -> [DECODE] -> signature check -> batch -> ... -> [ENCODE]
 *
 * Reading goes from the text straight into typed memory, in one pass, without recursion.
 * A literal learns its shape from the brackets: the first array of a level says how long
 * all of that level are.
 *
 * Threads: any. Memory: the literal's arena.
 */
#pragma once

#include "base/json_run.h"
#include "exec/tensor.h"

struct literal;
/* Reads one element; false: an error stands in j. */
typedef bool literal_fn(struct literal *l, struct json *j, void *to);

struct literal {
	enum dtype dtype;
	bool b64;          /* {"b64": "..."} stands for bytes */
	bool fixed;        /* capacity is all there may be */
	struct arena *arena;
	literal_fn *read;
	json_run_fn *run;  /* many at a time; NULL: there is no such thing for the type */
	int rank;          /* -1: not known yet */
	int64_t dim[RANK_MAX]; /* -1: not known yet */
	char *data;
	size_t n, capacity; /* elements */
};

/* Room for capacity elements at once. UNIMPLEMENTED: the type has no JSON form. */
MUST_CHECK enum err_code literal_init(struct literal *l, enum dtype dtype, struct arena *arena,
	size_t capacity, struct err *err);

/* Over the memory of a tensor, whose type and count are known; with {"b64": ...}. */
MUST_CHECK enum err_code literal_init_over(
	struct literal *l, const struct tensor *to, struct arena *arena, struct err *err);

/* One JSON value, whose outermost array is dimension `level`: 0, or 1 when the caller walks
   the rows itself. False: an error stands in j. */
bool literal_read(struct literal *l, struct json *j, int level);

/* The tensor read. */
struct tensor literal_tensor(const struct literal *l);

/* Does the type have a JSON form? */
bool dialect_has_json(enum dtype dtype);

struct put_opts {
	bool allow_nan;
	bool b64; /* strings as {"b64": "..."} */
};
/* All elements, in one flat array, or in arrays nested as the shape is. */
void dialect_put_flat(struct buf *b, const struct tensor *t, const struct put_opts *o);
void dialect_put_nested(struct buf *b, const struct tensor *t, const struct put_opts *o);

/* Row i of t, as a tensor of one dimension less. */
struct tensor dialect_row(const struct tensor *t, int64_t i);
