/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tensor.h -- a typed, shaped piece of memory; the one runtime value
 *
 * A tensor borrows its data; the plan, the request or the version that made it owns it.
 * Dense, row-major, unless layout says otherwise (only between kernels of one plan).
 *
 * Sequence: dtype DTYPE_TENSOR, rank 1, elements are struct tensor. Map: a sequence of
 * two, keys and values. Absent optional: tensor_absent().
 */
#pragma once

#include <stddef.h>
#include "exec/dtype.h"
#include "exec/shape.h"

/* How the elements of a 4-d activation lie in memory. shape stays N,C,H,W. */
enum layout {
	LAYOUT_PLAIN,
	/* blocks of 8 channels innermost, of images or volumes; C is a multiple of 8. */
	LAYOUT_NCHW8C,
	LAYOUT_NCHW16C, /* the same by 16 */
	LAYOUT_NHWC,
	/* blocks of 16, of a float32 value: rounded to bfloat16 while it lies there. */
	LAYOUT_NCHW16C_BF16,
	LAYOUT_COLUMNS, /* of any rank: columns of a wider matrix, see pitch */
	LAYOUT_COUNT_
};

static inline bool layout_is_bf16(enum layout layout)
{
	return layout == LAYOUT_NCHW16C_BF16;
}

/* Channels in a block; 1: they are not in blocks. */
static inline int layout_block(enum layout layout)
{
	if (layout == LAYOUT_NCHW16C || layout == LAYOUT_NCHW16C_BF16)
		return 16;
	return layout == LAYOUT_NCHW8C ? 8 : 1;
}

struct tensor {
	void *data;
	enum dtype dtype;
	enum layout layout;
	struct shape shape;
	int64_t pitch; /* LAYOUT_COLUMNS: elements from one row of the last dimension to the next */
};

/* What a graph says of a value: tensor of dtype, or sequence / optional / map of it. */
struct type {
	enum dtype dtype;   /* of the innermost tensor; for a map of its values */
	enum dtype map_key; /* DTYPE_UNDEFINED: no map */
	bool is_sequence;   /* of tensors, or of maps when map_key is set */
	bool is_optional;   /* of tensor or sequence */
};

/* A tensor always, neither sequence nor map nor perhaps absent: what a plan can lay out. */
static inline bool type_is_tensor(const struct type *t)
{
	return !t->is_sequence && !t->is_optional && t->map_key == DTYPE_UNDEFINED;
}

/* The type of the struct tensor that a value which is there travels as. */
static inline enum dtype type_carrier(const struct type *t)
{
	return t->is_sequence || t->map_key != DTYPE_UNDEFINED ? DTYPE_TENSOR : t->dtype;
}

/* Bytes of a static shape; true: overflow, or more than 2^48 elements. The only place
   where a count becomes a size. */
MUST_CHECK bool tensor_bytes_overflow(enum dtype dtype, const struct shape *s, size_t *ret);

/* As above for tensors that exist. Asserts. Of their type: layouts that round take half of it. */
size_t tensor_bytes(const struct tensor *t);

static inline struct tensor tensor_absent(void)
{
	return (struct tensor){ .shape = SHAPE_UNKNOWN };
}

static inline bool tensor_is_absent(const struct tensor *t)
{
	return !t->data && t->shape.rank == RANK_UNKNOWN;
}

static inline int64_t tensor_count(const struct tensor *t)
{
	return shape_count(&t->shape);
}

/* The i-th element of an integer tensor (any integer type, or bool), widened. */
int64_t tensor_int(const struct tensor *t, int64_t i);

/* The i-th element of a float or integer tensor (float16, bfloat16 too) as double. */
double tensor_float(const struct tensor *t, int64_t i);

/* Makes it v, of the same types and bool; an integer's part behind the point is cut off. */
void tensor_set(const struct tensor *t, int64_t i, double v);
