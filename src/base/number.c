/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include <string.h>

#define EXP10_BOUND 100000

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
	while (*digits <= NUMBER_DIGITS_EXACT - 8 && end - p >= 8 && (n->mantissa || *p != '0') &&
		eight_digits(p, &eight)) {
		n->mantissa = n->mantissa * 100000000 + eight;
		*digits += 8;
		p += 8;
	}
#endif
	for (; p < end && is_digit(*p); p++) {
		if (*digits < NUMBER_DIGITS_EXACT) {
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
