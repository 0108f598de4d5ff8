/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. value = mantissa * 10^exp10 with a mantissa below 10^19. Three exact ways, the
 * first that applies:
 *   1. mantissa and power of ten are both exact in the type: one multiplication or
 *      division, which IEEE 754 rounds correctly.
 *   2. -19 <= exp10 < 0: a 128 by 64 bit integer division; the remainder says whether
 *      anything was left, so the rounding is ours and exact. Numbers as Python and
 *      JavaScript print them (17 digits) end here.
 *   3. everything else: strtod or strtof on a rewritten copy of bounded length.
 * NOT DONE: tables of 128-bit powers (Eisel and Lemire) for way 3. Exponents beyond 19
 * with 17 digits are rare in tensors.
 */
#include "base/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_EXACT 19   /* 10^19 - 1 fits in 64 bits */
#define DIGITS_COPIED 800 /* more decide nothing but a tie: one digit stands for them */
#define EXP10_BOUND 100000

static const double pow10_f64[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
static const float pow10_f32[] = { 1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f, 1e6f, 1e7f, 1e8f, 1e9f,
	1e10f };
static const uint64_t pow10_u64[] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000,
	100000000, 1000000000, 10000000000, 100000000000, 1000000000000, 10000000000000,
	100000000000000, 1000000000000000, 10000000000000000, 100000000000000000,
	1000000000000000000, UINT64_C(10000000000000000000) };

static inline bool is_digit(char c)
{
	return (unsigned)(c - '0') < 10;
}

/* Eight digits at p as one number; false: they are not all digits. */
static inline bool eight_digits(const char *p, uint32_t *ret)
{
	uint64_t w;
	memcpy(&w, p, sizeof(w));
	if (((w & UINT64_C(0xf0f0f0f0f0f0f0f0)) |
		    ((w + UINT64_C(0x0606060606060606)) & UINT64_C(0xf0f0f0f0f0f0f0f0)) >> 4) !=
		UINT64_C(0x3333333333333333))
		return false;
	/* Neighbours are joined: digits to pairs, pairs to fours, fours to all eight. */
	w -= UINT64_C(0x3030303030303030);
	w = w * 10 + (w >> 8);
	*ret = (uint32_t)(((w & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
				  (w >> 16 & UINT64_C(0x000000ff000000ff)) *
					  UINT64_C(0x0000271000000001)) >>
			  32);
	return true;
}

/* Digits at p go into the mantissa while it has room; ret_dropped counts the rest, and
   *ret_sticky says whether one of those was not 0. */
static const char *scan_digits(const char *p, const char *end, struct number *n, int *digits,
	int64_t *dropped, bool *sticky)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	uint32_t eight;
	while (*digits <= DIGITS_EXACT - 8 && end - p >= 8 && (n->mantissa || *p != '0') &&
		eight_digits(p, &eight)) {
		n->mantissa = n->mantissa * 100000000 + eight;
		*digits += 8;
		p += 8;
	}
#endif
	for (; p < end && is_digit(*p); p++) {
		if (*digits < DIGITS_EXACT) {
			n->mantissa = n->mantissa * 10 + (uint64_t)(*p - '0');
			*digits += n->mantissa != 0; /* leading zeros take no room */
		} else {
			(*dropped)++;
			*sticky |= *p != '0';
		}
	}
	return p;
}

static const char *scan_exponent(const char *p, const char *end, int64_t *ret)
{
	bool negative = p < end && *p == '-';
	if (p < end && (*p == '-' || *p == '+'))
		p++;
	if (p == end || !is_digit(*p))
		return NULL;
	int64_t e = 0;
	for (; p < end && is_digit(*p); p++)
		if (e < EXP10_BOUND)
			e = e * 10 + (*p - '0');
	*ret = negative ? -e : e;
	return p;
}

const char *number_scan(const char *p, const char *end, struct number *ret)
{
	struct number n = { .text.ptr = p, .is_integer = true };
	int digits = 0;
	int64_t dropped = 0, exp10 = 0;
	bool sticky = false;

	n.negative = p < end && *p == '-';
	p += n.negative;
	const char *first = p;
	p = scan_digits(p, end, &n, &digits, &dropped, &sticky);
	if (p == first || (*first == '0' && p - first > 1))
		return NULL;
	exp10 = dropped;
	if (p < end && *p == '.') {
		n.is_integer = false;
		first = ++p;
		int64_t before = dropped;
		p = scan_digits(p, end, &n, &digits, &dropped, &sticky);
		if (p == first)
			return NULL;
		exp10 -= (p - first) - (dropped - before);
	}
	if (p < end && (*p | 0x20) == 'e') {
		int64_t e;
		n.is_integer = false;
		p = scan_exponent(p + 1, end, &e);
		if (!p)
			return NULL;
		exp10 += e;
	}
	n.text.len = (size_t)(p - n.text.ptr);
	n.is_exact = !sticky;
	n.exp10 = (int32_t)(exp10 > EXP10_BOUND	 ? EXP10_BOUND :
			    exp10 < -EXP10_BOUND ? -EXP10_BOUND :
						   exp10);
	*ret = n;
	return p;
}

/* The integer's absolute value; false: it takes more than 64 bits. */
static bool integer_magnitude(const struct number *n, uint64_t *ret)
{
	if (!n->is_integer)
		return false;
	if (n->exp10 == 0) {
		*ret = n->mantissa;
		return true;
	}
	/* A 20th digit is the last that 64 bits may hold. */
	return n->exp10 == 1 && !__builtin_mul_overflow(n->mantissa, (uint64_t)10, ret) &&
	       !__builtin_add_overflow(*ret, (uint64_t)(n->text.ptr[n->text.len - 1] - '0'), ret);
}

bool number_to_u64(const struct number *n, uint64_t max, uint64_t *ret)
{
	uint64_t v;
	if (!integer_magnitude(n, &v) || v > max || (n->negative && v != 0))
		return false;
	*ret = v;
	return true;
}

bool number_to_i64(const struct number *n, int64_t min, int64_t max, int64_t *ret)
{
	uint64_t v;
	if (!integer_magnitude(n, &v))
		return false;
	/* 2^63 itself is only there as INT64_MIN. */
	if (v > (uint64_t)INT64_MAX + n->negative)
		return false;
	int64_t i = n->negative ? (int64_t)-v : (int64_t)v;
	if (i < min || i > max)
		return false;
	*ret = i;
	return true;
}

/* 2^e for an exponent of normal numbers. */
static inline double power_of_two(int e)
{
	uint64_t bits = (uint64_t)(1023 + e) << 52;
	double d;
	memcpy(&d, &bits, sizeof(d));
	return d;
}

/* mantissa / 10^down, rounded to `bits` bits: the value is *ret_m * 2^*ret_e2. */
static void divide_round(uint64_t mantissa, int down, int bits, uint64_t *ret_m, int *ret_e2)
{
	uint64_t den = pow10_u64[down];
	int den_shift = __builtin_clzll(den);
	int num_shift = __builtin_clzll(mantissa);
	den <<= den_shift;
	/* num < 2^127 and den >= 2^63, so the quotient is in [2^62, 2^64). */
	unsigned __int128 num = (unsigned __int128)(mantissa << num_shift) << 63;
	uint64_t q = (uint64_t)(num / den);
	bool sticky = num != (unsigned __int128)q * den;
	int drop = 64 - __builtin_clzll(q) - bits;
	uint64_t half = UINT64_C(1) << (drop - 1), rest = q & (2 * half - 1);
	uint64_t m = q >> drop;
	if (rest > half || (rest == half && (sticky || (m & 1))))
		m++;
	*ret_m = m;
	*ret_e2 = drop - 63 - num_shift + den_shift;
}

/* Way 3: sign, digits without leading zeros, exponent; at most DIGITS_COPIED digits. */
static void rewrite(const struct number *n, char *to, size_t size)
{
	char *w = to;
	const char *end = n->text.ptr + n->text.len;
	int64_t exp10 = 0;
	int digits = 0;
	bool fraction = false, sticky = false;
	const char *p = n->text.ptr + n->negative;
	if (n->negative)
		*w++ = '-';
	for (; p < end && (*p | 0x20) != 'e'; p++) {
		if (*p == '.') {
			fraction = true;
			continue;
		}
		bool copied = digits < DIGITS_COPIED;
		if (copied && (digits || *p != '0')) {
			*w++ = *p;
			digits++;
		}
		sticky |= !copied && *p != '0';
		exp10 += !copied;
		exp10 -= fraction;
	}
	if (digits == 0)
		*w++ = '0';
	if (sticky) {
		*w++ = '1';
		exp10--;
	}
	int64_t e = 0;
	if (p < end)
		(void)scan_exponent(p + 1, end, &e);
	snprintf(w, size - (size_t)(w - to), "e%lld", (long long)(exp10 + e));
}

bool number_to_f64(const struct number *n, double *ret)
{
	double v;
	int e = n->exp10;
	if (n->mantissa == 0 && n->is_exact) {
		v = 0;
	} else if (n->is_exact && n->mantissa <= UINT64_C(1) << 53 && e >= -22 && e <= 22) {
		v = (double)n->mantissa;
		v = e < 0 ? v / pow10_f64[-e] : v * pow10_f64[e];
	} else if (n->is_exact && e < 0 && e >= -19) {
		uint64_t m;
		int e2;
		divide_round(n->mantissa, -e, 53, &m, &e2);
		v = (double)m * power_of_two(e2);
	} else {
		char copy[DIGITS_COPIED + 40];
		rewrite(n, copy, sizeof(copy));
		v = fabs(strtod(copy, NULL));
	}
	if (!(v <= DBL_MAX))
		return false;
	*ret = n->negative ? -v : v;
	return true;
}

bool number_to_f32(const struct number *n, float *ret)
{
	float v;
	int e = n->exp10;
	if (n->mantissa == 0 && n->is_exact) {
		v = 0;
	} else if (n->is_exact && n->mantissa <= UINT64_C(1) << 24 && e >= -10 && e <= 10) {
		v = (float)n->mantissa;
		v = e < 0 ? v / pow10_f32[-e] : v * pow10_f32[e];
	} else if (n->is_exact && e < 0 && e >= -19) {
		/* At least 10^-19: no subnormal can come out, so 24 bits are what it has. */
		uint64_t m;
		int e2;
		divide_round(n->mantissa, -e, 24, &m, &e2);
		v = (float)((double)m * power_of_two(e2));
	} else {
		char copy[DIGITS_COPIED + 40];
		rewrite(n, copy, sizeof(copy));
		v = fabsf(strtof(copy, NULL));
	}
	if (!(v <= FLT_MAX))
		return false;
	*ret = n->negative ? -v : v;
	return true;
}
