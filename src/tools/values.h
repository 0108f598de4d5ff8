/* SPDX-License-Identifier: Apache-2.0 */
/*
 * values.h -- elements of tensors for people and for tests: print, parse, make up, compare
 *
 * Threads: any; nothing is shared.
 */
#pragma once

#include "base/buf.h"
#include "exec/tensor.h"

/* A tensor with room for its data in the arena. INVALID_ARGUMENT: the shape is not static
   or too big. */
MUST_CHECK enum err_code values_new(enum dtype dtype, const struct shape *shape,
	struct arena *arena, struct tensor *ret, struct err *err);

/* Stores a number, converted as C does and saturated at the type's range; false: the type
   holds no numbers (strings, complex, below a byte). */
bool values_set(struct tensor *t, int64_t i, double value);
bool values_set_int(struct tensor *t, int64_t i, int64_t value);

/* Element i as JSON writes it, NaN and infinities as bare words; shortest form that reads
   back the same. Types that JSON has no word for: hexadecimal, in quotes. */
void values_print(struct buf *to, const struct tensor *t, int64_t i);

/* The whole tensor as nested arrays, at most count_max elements ("..." for the rest). */
void values_print_nested(struct buf *to, const struct tensor *t, int64_t count_max);

struct rng {
	uint64_t state;
};
uint64_t rng_next(struct rng *r);
double rng_unit(struct rng *r); /* [0, 1) */

/* Floats in [0, 1), integers 0 to 9, bools, the string "signet": inputs that most models
   survive. */
void values_random(struct tensor *t, struct rng *r);

/* ONNX's rule: same type and shape, strings and integers-as-numbers alike by
   |got - want| <= atol + rtol * |want|, NaN equals NaN. ERR_OK, or FAILED_PRECONDITION
   that names the first wrong element and how many there are. */
MUST_CHECK enum err_code values_compare(const struct tensor *got, const struct tensor *want,
	double rtol, double atol, struct err *err);
