/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. After Eisel and Lemire: digits times 128 bits of the power of ten. The
 * power is cut, never rounded, so that the true product lies between ours and ours plus one
 * in its second word; unless the middle of two floats lies there too, both ends round to
 * the same float, and that is the nearest one. Each type is rounded to straight from the
 * product: a float by way of a double would be rounded twice.
 */
#include "base/decimal.h"

#include <string.h>
#include "base/pow10.h"

typedef unsigned __int128 u128;

DECIMAL_INLINE uint64_t infinity_of(const struct decimal_format *f)
{
	return (uint64_t)(f->exp_max - f->exp_min + 2) << (f->bits - 1);
}

/* d as the format's bits. */
DECIMAL_INLINE bool round_decimal(struct decimal d, const struct decimal_format *f, uint64_t *ret)
{
	*ret = 0;
	if (d.digits == 0 || d.exp10 < POW10_MIN)
		return true;
	*ret = infinity_of(f);
	if (d.exp10 > POW10_MAX)
		return true;

	struct pow10 p = pow10_bits(d.exp10);
	bool exact = pow10_is_exact(d.exp10);
	int shift = __builtin_clzll(d.digits);
	uint64_t w = d.digits << shift;
	u128 low = (u128)w * p.low, product = (u128)w * p.high + (low >> 64);
	uint64_t top = (uint64_t)(product >> 64), mid = (uint64_t)product;

	int lead = 64 - __builtin_clzll(top); /* 63 or 64 */
	int e = pow10_log2(d.exp10) - shift + lead;
	int drop = lead - f->bits + (e < f->exp_min ? f->exp_min - e : 0);
	if (drop >= 64) {
		*ret = 0;
		return drop > 64; /* less than half the smallest */
	}
	uint64_t half = UINT64_C(1) << (drop - 1), below = top & (2 * half - 1);
	uint64_t m = top >> drop;
	if (!exact && below == half - 1 && mid == UINT64_MAX)
		return false;
	bool tie = exact && below == half && mid == 0 && (uint64_t)low == 0;
	m += tie ? m & 1 : below >= half;

	/* The hidden bit counts the exponent up by one, and so does a carry into it. */
	uint64_t raw = m + (e < f->exp_min ? 0 : (uint64_t)(e - f->exp_min) << (f->bits - 1));
	if (raw < *ret)
		*ret = raw;
	return true;
}

bool decimal_to_f32(struct decimal d, float *ret)
{
	uint64_t raw;
	if (!round_decimal(d, &DECIMAL_F32, &raw))
		return false;
	memcpy(ret, &(uint32_t){ (uint32_t)raw }, sizeof(*ret));
	return true;
}

bool decimal_to_f64(struct decimal d, double *ret)
{
	uint64_t raw;
	if (!round_decimal(d, &DECIMAL_F64, &raw))
		return false;
	memcpy(ret, &raw, sizeof(*ret));
	return true;
}
