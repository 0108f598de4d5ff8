/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include <string.h>
#include "base/pow10.h"

#define EXP10_BOUND 100000

static inline bool is_digit(char c)
{
	return (unsigned)(c - '0') < 10;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* The digits that stand at p, eight at most, as one number; returns how many there are. */
static inline unsigned some_digits(const char *p, uint64_t *ret)
{
	uint64_t w;
	memcpy(&w, p, sizeof(w));
	/* The top bit of each byte that is no digit, at least of the first such byte. */
	uint64_t other = ((w + UINT64_C(0x4646464646464646)) | (w - UINT64_C(0x3030303030303030))) &
			 UINT64_C(0x8080808080808080);
	unsigned n = other ? (unsigned)__builtin_ctzll(other) / 8 : 8;
	if (n == 0)
		return 0;
	/* Zeros move in before them. Neighbours are joined: digits to pairs, to fours, to all. */
	w = (w & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 8 * (8 - n);
	w = w * 10 + (w >> 8);
	*ret = ((w & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
		       (w >> 16 & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001)) >>
	       32;
	*ret &= UINT32_MAX;
	return n;
}
#endif

/* Digits at p go into the mantissa while it has room; ret_dropped counts the rest, and
   *ret_sticky says whether one of those was not 0. */
static const char *scan_digits(const char *p, const char *end, struct number *n, int *digits,
	int64_t *dropped, bool *sticky)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	while (*digits <= NUMBER_DIGITS_EXACT - 8 && end - p >= 8 && (n->mantissa || *p != '0')) {
		uint64_t v = 0;
		unsigned some = some_digits(p, &v);
		n->mantissa = n->mantissa * pow10_u64[some] + v;
		*digits += (int)some;
		p += some;
		if (some < 8)
			return p;
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
