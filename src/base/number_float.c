/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. value = mantissa * 10^exp10, or a little more where digits were left over. Three
 * exact ways, the first that applies:
 *   1. mantissa and power of ten are both doubles: one multiplication or division, which
 *      IEEE 754 rounds correctly.
 *   2. decimal.h's, from 128 bits of the power; with digits left over, of mantissa and of
 *      mantissa + 1, where both give the same.
 *   3. what those cannot tell: strtod or strtof on a rewritten copy of bounded length.
 */
#include "base/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/decimal.h"
#include "base/pow10.h"

#define DIGITS_COPIED 800 /* more decide nothing but a tie: one digit stands for them */

/* Way 1. */
static bool quotient_f64(const struct number *n, double *ret)
{
	int e = n->exp10;
	if (!n->is_exact || n->mantissa > UINT64_C(1) << 53 || e < -POW10_F64_MAX ||
		e > POW10_F64_MAX)
		return false;
	double v = (double)n->mantissa;
	*ret = e < 0 ? v / pow10_f64[-e] : v * pow10_f64[e];
	return true;
}

/* The same, unless the float's range or the middle of two floats is in the way. */
static bool quotient_f32(const struct number *n, float *ret)
{
	double v;
	return quotient_f64(n, &v) &&
	       (v == 0 || (v >= (double)FLT_MIN && v <= (double)FLT_MAX)) &&
	       decimal_narrow(v, ret);
}

/* Way 3: digits without zeros in front, at most DIGITS_COPIED, and an exponent. */
struct copy {
	char text[DIGITS_COPIED + 40];
};

static struct copy rewrite(const struct number *n)
{
	struct copy c;
	char *w = c.text;
	const char *end = n->text.ptr + n->text.len;
	bool more = false;
	for (const char *p = n->text.ptr + n->negative; p < end && (*p | 0x20) != 'e'; p++) {
		bool full = w - c.text == DIGITS_COPIED;
		if (*p == '.' || (*p == '0' && w == c.text))
			continue;
		if (!full)
			*w++ = *p;
		more |= full && *p != '0';
	}
	/* exp10 counts from behind the digits that the mantissa has. */
	long beyond = (long)(w - c.text) - NUMBER_DIGITS_EXACT;
	long exp10 = n->exp10 - (beyond > 0 ? beyond : 0) - more;
	if (more)
		*w++ = '1';
	snprintf(w, sizeof(c.text) - (size_t)(w - c.text), "e%ld", exp10);
	return c;
}

#define NUMBER_TO(id, type, parse, max) \
	static bool decide_##id(const struct number *n, type *ret) \
	{ \
		struct decimal d = { n->mantissa, n->exp10 }; \
		type above; \
		if (!decimal_to_##id(d, ret)) \
			return false; \
		if (n->is_exact) \
			return true; \
		d.digits++; \
		return decimal_to_##id(d, &above) && above == *ret; \
	} \
\
	bool number_to_##id(const struct number *n, type *ret) \
	{ \
		type v; \
		if (!quotient_##id(n, &v) && !decide_##id(n, &v)) { \
			struct copy c = rewrite(n); \
			v = parse(c.text, NULL); \
		} \
		if (!(v <= max)) \
			return false; \
		*ret = n->negative ? -v : v; \
		return true; \
	}

NUMBER_TO(f32, float, strtof, FLT_MAX)
NUMBER_TO(f64, double, strtod, DBL_MAX)
