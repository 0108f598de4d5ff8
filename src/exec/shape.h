/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape.h -- dimensions, known or not
 *
 * One type serves inference with names (at load) and with numbers (while planning): a
 * dimension is a size >= 0, or unknown, or a symbol of its graph. Two dimensions with
 * the same symbol are equal; nothing is known of two unknown ones.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

#define RANK_MAX 12
#define RANK_UNKNOWN (-1)
#define DIM_UNKNOWN (-1)

/* Symbol i of a graph as a dimension, and back. */
#define DIM_SYMBOL(i) (-2 - (int64_t)(i))
#define DIM_SYMBOL_INDEX(dim) (-2 - (dim))

struct shape {
	int32_t rank; /* 0 to RANK_MAX, or RANK_UNKNOWN */
	int64_t dim[RANK_MAX];
};

#define SHAPE_UNKNOWN ((struct shape){ .rank = RANK_UNKNOWN })
#define SHAPE_SCALAR ((struct shape){ .rank = 0 })

/* shape_of(2, 3, -1): for tests and small fixed shapes. */
#define shape_of(...) \
	shape_from((int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), \
		(int64_t[]){ __VA_ARGS__ })
struct shape shape_from(int rank, const int64_t *dim);

/* Rank known and every dimension known. */
bool shape_is_static(const struct shape *s);

/* Rank known, and no dimension is DIM_UNKNOWN: of such shapes shape_equal() tells. */
bool shape_is_named(const struct shape *s);

bool shape_equal(const struct shape *a, const struct shape *b);

/* Number of elements of a static shape; rank 0 has one. True: overflow of int64 or of
   2^48, which no memory of ours holds. */
MUST_CHECK bool shape_count_overflows(const struct shape *s, int64_t *ret);

/* As above for shapes that were checked when they were made. Asserts. */
int64_t shape_count(const struct shape *s);

/* Elements in dimensions [from, to). */
int64_t shape_count_range(const struct shape *s, int from, int to);

/* ONNX (numpy) broadcasting. A symbol against 1 stays; against itself stays; against a
   number > 1 becomes the number; against another symbol becomes unknown.
   INVALID_ARGUMENT: two numbers that differ, none being 1. */
MUST_CHECK enum err_code
shape_broadcast(const struct shape *a, const struct shape *b, struct shape *ret, struct err *err);

/* Strides in elements of a dense row-major tensor. */
void shape_strides(const struct shape *s, int64_t *ret_strides);

/* Strides for reading s as if it had shape `to`: 0 on broadcast dimensions. */
void shape_broadcast_strides(const struct shape *s, const struct shape *to, int64_t *ret_strides);

/* A possibly negative axis made 0..rank-1; false: out of range. */
bool shape_axis(int64_t axis, int rank, int *ret);

/* "[2,3,?]"; cut to fit. Returns buf. */
const char *shape_format(const struct shape *s, char *buf, int size);
#define SHAPE_TEXT_MAX 160
#define SHAPE_TEXT(s) shape_format((s), (char[SHAPE_TEXT_MAX]){ 0 }, SHAPE_TEXT_MAX)
