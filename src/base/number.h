/* SPDX-License-Identifier: Apache-2.0 */
/*
 * number.h -- decimal numbers: read exactly, written as short as they can be
 *
 * A number is taken apart once, digits and exponent, and then becomes whichever type is
 * wanted: integers exactly or not at all, floats rounded to the nearest, ties to even.
 *
 * Threads: any. Memory: none. Time: linear in the token, whatever it says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/slice.h"

#define NUMBER_DIGITS_EXACT 19 /* 10^19 - 1 fits in 64 bits */

struct number {
	struct slice text;   /* as it stands in the document */
	uint64_t mantissa;   /* its first NUMBER_DIGITS_EXACT digits as a whole number */
	int32_t exp10;       /* value = mantissa * 10^exp10, when is_exact */
	bool negative;
	bool is_integer; /* neither fraction nor exponent */
	bool is_exact;   /* all digits are in the mantissa */
};

/* Reads a number at p, before end. Returns where it ends; NULL: p is no number of JSON's
   grammar ("01", ".5", "+1", "1.", "-" are none). */
const char *number_scan(const char *p, const char *end, struct number *ret);

/* False: not an integer, or out of [min, max]. */
bool number_to_i64(const struct number *n, int64_t min, int64_t max, int64_t *ret);
bool number_to_u64(const struct number *n, uint64_t max, uint64_t *ret);

/* False: larger than the type's largest finite value. */
bool number_to_f32(const struct number *n, float *ret);
bool number_to_f64(const struct number *n, double *ret);

/* Room that the functions below need: the text is shorter, 24 bytes at most, but they write
   beyond it. */
#define NUMBER_TEXT_MAX 48

/* Each returns the length of the text, which has no NUL. The floats are the shortest decimals
   that read back as the same bits; whole numbers end in ".0"; the value must be finite. */
size_t number_format_u64(char *to, uint64_t v);
size_t number_format_i64(char *to, int64_t v);
size_t number_format_f32(char *to, float v);
size_t number_format_f64(char *to, double v);
