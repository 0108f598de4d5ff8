/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/minifloat.h"

#include <math.h>
#include "exec/half.h"

struct format {
	int mantissa, bias;
	uint8_t sign, max;      /* sign bit; code of the largest number */
	uint8_t nan, infinity;  /* infinity: 0 where there is none */
	bool unsigned_zero;     /* the code of -0 is NaN */
};

static const struct format formats[] = {
	[DTYPE_F8E4M3FN] = { 3, 7, 0x80, 0x7e, 0x7f, 0, false },
	[DTYPE_F8E4M3FNUZ] = { 3, 8, 0x80, 0x7f, 0x80, 0, true },
	[DTYPE_F8E5M2] = { 2, 15, 0x80, 0x7b, 0x7e, 0x7c, false },
	[DTYPE_F8E5M2FNUZ] = { 2, 16, 0x80, 0x7f, 0x80, 0, true },
	/* No NaN: -0 stands for it, as in the specification's own library. */
	[DTYPE_F4E2M1] = { 1, 1, 0x08, 0x07, 0x08, 0, false },
};

#define E8M0_NAN 0xff

static float decode_special(const struct format *f, uint8_t code)
{
	float sign = code & f->sign ? -1.0f : 1.0f;
	return f->infinity && (code & ~f->sign) == f->infinity ? sign * INFINITY : NAN;
}

float minifloat_decode(enum dtype dtype, uint8_t code)
{
	if (dtype == DTYPE_F8E8M0)
		return code == E8M0_NAN ? NAN : ldexpf(1, code - 127);
	const struct format *f = &formats[dtype];
	uint8_t magnitude = code & (uint8_t)(f->sign - 1);
	if (magnitude > f->max || (f->unsigned_zero && code == f->nan))
		return decode_special(f, code);
	int exponent = magnitude >> f->mantissa, one = 1 << f->mantissa;
	int m = magnitude & (one - 1);
	float v = exponent ? ldexpf((float)(m + one), exponent - f->bias - f->mantissa)
			   : ldexpf((float)m, 1 - f->bias - f->mantissa);
	return code & f->sign ? -v : v;
}

uint8_t minifloat_encode(enum dtype dtype, double v, bool saturate)
{
	const struct format *f = &formats[dtype];
	uint8_t sign = signbit(v) ? f->sign : 0;
	if (isnan(v))
		return f->unsigned_zero || dtype == DTYPE_F4E2M1 ? f->nan : sign | f->nan;
	bool has_limit = saturate || dtype == DTYPE_F4E2M1;
	uint8_t beyond = has_limit     ? sign | f->max
			 : f->infinity ? sign | f->infinity
				       : f->nan | (f->unsigned_zero ? 0 : sign);
	double a = fabs(v);
	if (isinf(v) || a > 1e6) /* above every type's largest number */
		return beyond;
	int lowest = 1 - f->bias, e = a > 0 ? ilogb(a) : lowest;
	if (e < lowest)
		e = lowest;
	/* Codes count up in steps of the unit of e, through the carry to the next exponent. */
	int code = ((e - lowest) << f->mantissa) + (int)rint(ldexp(a, f->mantissa - e));
	if (code > f->max)
		return beyond;
	return code == 0 && f->unsigned_zero ? 0 : sign | (uint8_t)code;
}

uint8_t minifloat_encode_e8m0(float v, bool saturate, enum minifloat_round how)
{
	uint32_t u = float_bits(v), exponent = u >> 23 & 0xff, fraction = u & 0x7fffff;
	if (exponent == 0xff)
		return E8M0_NAN;
	bool up = how == MINIFLOAT_UP && fraction != 0;
	if (how == MINIFLOAT_NEAREST)
		up = fraction > 0x400000 || (fraction == 0x400000 && exponent > 0);
	if (up && !(saturate && exponent == 0xfe))
		exponent++;
	return (uint8_t)exponent;
}
