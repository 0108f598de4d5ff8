/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. Digits are made eight at a time: 64 bits hold them as a byte each, found by
 * multiplications that divide by 10000, 100 and 10 in all places at once. Copies have fixed
 * lengths and run over what follows, so that random lengths cost no branches; hence
 * NUMBER_TEXT_MAX is more than the longest text.
 */
#include "base/number.h"

#include <math.h>
#include <string.h>
#include "base/shortest.h"

#define NOINLINE __attribute__((noinline)) /* keeps what is rare out of what is not */
#define UNIT UINT64_C(100000000)
#define ZEROS UINT64_C(0x3030303030303030) /* '0' in each byte */

/* v < 10^8 as eight digits, a byte each, the first digit in the lowest byte. */
DECIMAL_INLINE uint64_t eight_digits(uint32_t v)
{
	uint64_t fours = v / 10000 | (uint64_t)(v % 10000) << 32;
	uint64_t hundreds = (fours * 10486 >> 20) & UINT64_C(0x0000007f0000007f);
	uint64_t twos = hundreds | (fours - hundreds * 100) << 16;
	uint64_t tens = (twos * 103 >> 10) & UINT64_C(0x000f000f000f000f);
	return tens | (twos - tens * 10) << 8;
}

static inline void store(char *to, uint64_t text)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	text = __builtin_bswap64(text);
#endif
	memcpy(to, &text, sizeof(text));
}

/* v < 10^8, without zeros in front. */
static inline size_t put_short(char *to, uint32_t v)
{
	uint64_t digits = eight_digits(v);
	unsigned zeros = (unsigned)__builtin_ctzll(digits | UINT64_C(1) << 56) / 8;
	store(to, (digits | ZEROS) >> 8 * zeros);
	return 8 - zeros;
}

size_t number_format_u64(char *to, uint64_t v)
{
	size_t len = 0;
	if (v < UNIT)
		return put_short(to, (uint32_t)v);
	uint64_t above = v / UNIT;
	if (above >= UNIT) {
		len = put_short(to, (uint32_t)(above / UNIT));
		store(to + len, eight_digits((uint32_t)(above % UNIT)) | ZEROS);
		len += 8;
	} else {
		len = put_short(to, (uint32_t)above);
	}
	store(to + len, eight_digits((uint32_t)(v % UNIT)) | ZEROS);
	return len + 8;
}

size_t number_format_i64(char *to, int64_t v)
{
	*to = '-';
	return v >= 0 ? number_format_u64(to, (uint64_t)v) :
			1 + number_format_u64(to + 1, -(uint64_t)v);
}

/* --- floats --- */

/* The digits of a decimal, as many as its type may have: 1 + 8 or 1 + 16. */
struct digits {
	char first;
	uint64_t eight[2]; /* texts */
	int n; /* without zeros at the end, 1 at least */
};

/* Where the last digit stands that is not 0, counted from 1; 0: all are. */
DECIMAL_INLINE int last_digit(uint64_t digits)
{
	/* From the other end: bsr, which finds it from this one, waits for its old result. */
	return digits ? 8 - __builtin_ctzll(__builtin_bswap64(digits)) / 8 : 0;
}

/* Brings v to max digits. */
DECIMAL_INLINE struct decimal widen(struct decimal v, int max)
{
	while (v.digits < pow10_u64[max - 4]) {
		v.digits *= 10000;
		v.exp10 -= 4;
	}
	uint64_t missing = 0;
	for (int n = 1; n < 4; n++)
		missing -= shortest_mask_less(v.digits, pow10_u64[max - n]);
	return (struct decimal){ v.digits * pow10_u64[missing], v.exp10 - (int)missing };
}

/* v has max digits. */
DECIMAL_INLINE struct digits spell(uint64_t v, int max)
{
	struct digits d;
	if (max > 9) {
		uint64_t first = v / (UNIT * UNIT);
		v -= first * (UNIT * UNIT);
		uint64_t one = eight_digits((uint32_t)(v / UNIT));
		uint64_t two = eight_digits((uint32_t)(v % UNIT));
		d.first = (char)('0' + first);
		d.eight[0] = one | ZEROS;
		d.eight[1] = two | ZEROS;
		d.n = two ? 9 + last_digit(two) : 1 + last_digit(one);
	} else {
		uint32_t nine = (uint32_t)v, first = nine / (uint32_t)UNIT;
		uint64_t rest = eight_digits(nine - first * (uint32_t)UNIT);
		d.first = (char)('0' + first);
		d.eight[0] = rest | ZEROS;
		d.n = 1 + last_digit(rest);
	}
	return d;
}

/* All but the first. */
DECIMAL_INLINE void store_rest(char *to, const struct digits *d, int max)
{
	store(to, d->eight[0]);
	if (max > 9)
		store(to + 8, d->eight[1]);
}

/* d.ddde-7 */
static NOINLINE size_t put_scientific(char *to, struct digits d, int max, int exp10)
{
	to[0] = d.first;
	to[1] = '.';
	store_rest(to + 2, &d, max);
	size_t len = d.n > 1 ? (size_t)d.n + 1 : 1;
	to[len++] = 'e';
	return len + number_format_i64(to + len, exp10);
}

/* ddd.dd: the point is behind as many digits as `before` says. */
static NOINLINE size_t put_point(char *to, struct digits d, int max, int before)
{
	char text[48];
	memset(text, '0', sizeof(text));
	text[0] = d.first;
	store_rest(text + 1, &d, max);
	memcpy(to, text, 24);
	to[before] = '.';
	memcpy(to + before + 1, text + before, 24);
	return (size_t)before + 1 + (size_t)(d.n > before ? d.n - before : 1);
}

/* In decimal notation from 1e-5 to below 1e17, else with an exponent. max: of v's type, 9 or
   17 digits. */
DECIMAL_INLINE size_t put_decimal(char *to, struct decimal v, int max)
{
	v = widen(v, max);
	struct digits d = spell(v.digits, max);
	int exp10 = v.exp10 + max - 1; /* of the first digit */
	if (exp10 < -5 || exp10 >= 17)
		return put_scientific(to, d, max, exp10);
	if (exp10 >= 0)
		return put_point(to, d, max, exp10 + 1);
	memcpy(to, "0.000000", 8);
	to += 1 - exp10;
	to[0] = d.first;
	store_rest(to + 1, &d, max);
	return (size_t)(1 - exp10 + d.n);
}

/* Whole numbers, zero among them, below where numbers of v's type stand closer than 1 or have
   nine digits: no search for the shortest form. */
DECIMAL_INLINE bool put_whole(char *to, double v, double below, size_t *ret)
{
	uint32_t whole = v < below ? (uint32_t)v : 0;
	if ((double)whole != v)
		return false;
	size_t len = put_short(to, whole);
	memcpy(to + len, ".0", 2);
	*ret = len + 2;
	return true;
}

size_t number_format_f32(char *to, float v)
{
	size_t negative = signbit(v) != 0, len;
	*to = '-';
	to += negative;
	if (!put_whole(to, fabs((double)v), 0x1p24, &len))
		len = put_decimal(to, shortest_f32(fabsf(v)), 9);
	return negative + len;
}

size_t number_format_f64(char *to, double v)
{
	size_t negative = signbit(v) != 0, len;
	*to = '-';
	to += negative;
	if (!put_whole(to, fabs(v), 1e8, &len))
		len = put_decimal(to, shortest_f64(fabs(v)), 17);
	return negative + len;
}
