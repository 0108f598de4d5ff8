/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tensors.h -- tensors for tests: made, filled, read as numbers, compared
 *
 * Ownership: data from malloc() with guards around it; tensors_free(), which frees a
 * sequence's elements too. What fails aborts.
 */
#pragma once

#include "exec/tensor.h"

/* Not filled; 64-byte aligned, with 64 bytes of guard before and behind. */
struct tensor tensors_new(enum dtype dtype, struct shape shape);
void tensors_free(struct tensor *t);

/* Is what lies before and behind the data untouched? */
bool tensors_guards_hold(const struct tensor *t);

enum tensors_fill {
	TENSORS_ANY,      /* small numbers of both signs */
	TENSORS_POSITIVE, /* above 0 */
	TENSORS_SPECIAL,  /* as any, with NaN, infinities, -0, subnormals, the largest */
};

/* The same numbers for the same seed; whatever the type can say of them. */
void tensors_fill(struct tensor *t, enum tensors_fill how, uint32_t seed);

/* Any numeric type, as a number; a string is its digits, 0 to 99. */
void tensors_set(struct tensor *t, int64_t i, double v);

/* |got - want| <= atol + rtol |want|, NaN equal to NaN, integers and strings exactly; else
   why says which is the first wrong element. Type and shape must agree. */
bool tensors_close(const struct tensor *got, const struct tensor *want, double rtol, double atol,
	char *why, size_t size);

/* The same elements in another layout of a rank 4 tensor; one by one, as tensor.h says. Of
   rounded ones half of the memory is not set. */
struct tensor tensors_relayout(const struct tensor *t, enum layout layout);
/* Can it have this layout, that is: rank 4, whole blocks of channels, floats if that rounds?
   Columns lie in a wider matrix, so never. */
bool tensors_can_have(const struct tensor *t, enum layout layout);
