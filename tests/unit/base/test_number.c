/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/pow10.h"
#include "support/random.h"

static struct number scan(const char *text)
{
	struct number n;
	const char *end = number_scan(text, text + strlen(text), &n);
	ck_assert_msg(end && !*end, "'%s' was not read to its end", text);
	return n;
}

/* xorshift: the same numbers on every run */
START_TEST(grammar_is_that_of_json)
{
	static const char *const bad[] = { "", "-", "+1", ".5", "1.", "1.e1", "1e", "1e+", "01",
		"-01", "00", "x", "- 1" };
	struct number n;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(
			!number_scan(bad[i], bad[i] + strlen(bad[i]), &n), "took '%s'", bad[i]);

	/* What does not belong to it is left to the caller. */
	const char *hex = "0x10";
	ck_assert_ptr_eq(number_scan(hex, hex + 4, &n), hex + 1);
}
END_TEST

START_TEST(integers_are_exact_or_refused)
{
	static const struct {
		const char *text;
		int64_t min, max;
		bool fits;
		int64_t value;
	} rows[] = {
		{ "0", -128, 127, true, 0 },
		{ "-0", -128, 127, true, 0 },
		{ "127", -128, 127, true, 127 },
		{ "128", -128, 127, false, 0 },
		{ "-128", -128, 127, true, -128 },
		{ "-129", -128, 127, false, 0 },
		{ "9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX },
		{ "9223372036854775808", INT64_MIN, INT64_MAX, false, 0 },
		{ "-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN },
		{ "-9223372036854775809", INT64_MIN, INT64_MAX, false, 0 },
		{ "1.0", INT64_MIN, INT64_MAX, false, 0 },
		{ "1e2", INT64_MIN, INT64_MAX, false, 0 },
		{ "100000000000000000000000", INT64_MIN, INT64_MAX, false, 0 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct number n = scan(rows[i].text);
		int64_t v = 0;
		bool fits = number_to_i64(&n, rows[i].min, rows[i].max, &v);
		ck_assert_msg(fits == rows[i].fits && v == rows[i].value, "%s", rows[i].text);
	}
}
END_TEST

START_TEST(unsigned_integers_reach_two_to_the_64)
{
	uint64_t v = 0;
	struct number n = scan("18446744073709551615");
	ck_assert(number_to_u64(&n, UINT64_MAX, &v));
	ck_assert(v == UINT64_MAX);
	n = scan("18446744073709551616");
	ck_assert(!number_to_u64(&n, UINT64_MAX, &v));
	n = scan("-1");
	ck_assert(!number_to_u64(&n, UINT64_MAX, &v));
	n = scan("256");
	ck_assert(!number_to_u64(&n, 255, &v));
}
END_TEST

START_TEST(floats_out_of_range_are_refused_not_wrapped) /* H4 */
{
	float f;
	double d;
	struct number n = scan("1e999");
	ck_assert(!number_to_f64(&n, &d));
	n = scan("-1e39");
	ck_assert(!number_to_f32(&n, &f));
	ck_assert(number_to_f64(&n, &d));
	n = scan("3.4028235677973367e38"); /* halfway to 2^128 rounds away */
	ck_assert(!number_to_f32(&n, &f));
	n = scan("1e-999");
	ck_assert(number_to_f64(&n, &d) && d == 0);
	n = scan("1e99999999999999999999999");
	ck_assert(!number_to_f64(&n, &d));
	n = scan("0e99999999999999999999999");
	ck_assert(number_to_f64(&n, &d) && d == 0);
	n = scan("-0");
	ck_assert(number_to_f64(&n, &d) && d == 0 && signbit(d));
}
END_TEST

#define BIG_WORDS 20 /* of 64 bits, the lowest first: 10^324 has 17 */

/* The 128 bits from the highest that is set. */
static struct pow10 leading_bits(const uint64_t *big)
{
	int i = BIG_WORDS - 1;
	while (!big[i])
		i--;
	int shift = __builtin_clzll(big[i]);
	uint64_t next = i > 0 ? big[i - 1] : 0, last = i > 1 ? big[i - 2] : 0;
	return (struct pow10){ shift ? big[i] << shift | next >> (64 - shift) : big[i],
		shift ? next << shift | last >> (64 - shift) : next };
}

/* 5^q has the bits of 10^q; halves of a huge power of two have those of 1 / 5^q. */
START_TEST(powers_of_ten_are_exact_to_128_bits)
{
	uint64_t up[BIG_WORDS] = { 1 }, down[BIG_WORDS] = { [BIG_WORDS - 1] = 1 };
	for (int q = 0; q <= -POW10_MIN; q++) {
		struct pow10 want = leading_bits(up), inverse = leading_bits(down);
		if (q <= POW10_MAX) {
			struct pow10 got = pow10_bits(q);
			ck_assert_msg(got.high == want.high && got.low == want.low, "10^%d", q);
			ck_assert_int_eq(pow10_log2(q), (int)floor(q * log2(10)));
		}
		struct pow10 got = pow10_bits(-q);
		ck_assert_msg(got.high == inverse.high && got.low == inverse.low, "10^-%d", q);
		ck_assert_int_eq(pow10_log2(-q), (int)floor(-q * log2(10)));
		unsigned __int128 carry = 0, rest = 0;
		for (int i = 0; i < BIG_WORDS; i++) {
			carry += (unsigned __int128)up[i] * 5;
			up[i] = (uint64_t)carry;
			carry >>= 64;
		}
		for (int i = BIG_WORDS - 1; i >= 0; i--) {
			rest = rest << 64 | down[i];
			down[i] = (uint64_t)(rest / 5);
			rest %= 5;
		}
	}
}
END_TEST

/* Against the C library: every way through number_to_*, and the borders between them. */
START_TEST(floats_are_rounded_as_strtod_does)
{
	static const char *const fixed[] = { "0.1", "1e22", "1e23", "9007199254740993",
		"9007199254740992.5", "0.000000000000000000001", "16777217", "16777217.0",
		"16777216.99999999999", "5e-324", "2.4703282292062328e-324", "1.17549435e-38",
		"1.1754942e-38", "7.006492321624085e-46", "179769313486231570000e289",
		"2.2250738585072011e-308", "33554431.5", "0.30000001192092896", "8.5e-10",
		"123456789012345678.5e-19", "1152921504606846976.5e-1",
		/* middles of two floats, and next to them; 17 to 19 digits and more */
		"1.000000059604644775390625", "1.00000005960464477539062500001",
		"1.000000059604644775390624", "33554433", "33554435", "16777219.0",
		"0.000000000000000000000000000000000000000000000700649232162408535461864791644958",
		"0.00000000000000000000000000000000000000000000070064923216240853546186479164496",
		"9007199254740993.0", "9007199254740992999e-3", "9007199254740993001e-3",
		"1.7976931348623158e308", "1.7976931348623159e308", "3.4028235677973366e38",
		"2.2250738585072014e-308", "4.9406564584124654e-324", "2.4703282292062327e-324",
		"18446744073709551615", "1844674407370955161600000e-5", "123456789012345678901",
		"0.1000000000000000055511151231257827021181583404541015625", "1e-400", "1e-45",
		"9999999999999999999e-342", "1e-342", "1e308", "8e-46" };
	uint64_t seed = UINT64_C(88172645463325252);
	char text[96];
	for (int i = 0; i < 200000; i++) {
		size_t n_fixed = sizeof(fixed) / sizeof(*fixed);
		uint64_t bits = random_next(&seed);
		double any;
		memcpy(&any, &bits, sizeof(any));
		if ((size_t)i < n_fixed)
			snprintf(text, sizeof(text), "%s", fixed[i]);
		else if (i % 2 && isfinite(any))
			snprintf(text, sizeof(text), "%.*g", (int)(bits % 22) + 1, any);
		else
			snprintf(text, sizeof(text), "%d.%llu", (int)(bits % 100),
				(unsigned long long)(random_next(&seed) >> bits % 60));
		struct number n = scan(text);
		double d = 0, d_want = strtod(text, NULL);
		float f = 0, f_want = strtof(text, NULL);
		ck_assert_msg(number_to_f64(&n, &d) == !!isfinite(d_want), "%s", text);
		ck_assert_msg(!isfinite(d_want) || memcmp(&d, &d_want, sizeof(d)) == 0,
			"%s: %a, not %a", text, d, d_want);
		ck_assert_msg(number_to_f32(&n, &f) == !!isfinite(f_want), "%s", text);
		ck_assert_msg(!isfinite(f_want) || memcmp(&f, &f_want, sizeof(f)) == 0,
			"%s: %a, not %a", text, (double)f, (double)f_want);
	}
}
END_TEST

START_TEST(ten_thousand_digits_are_read_exactly) /* H4 */
{
	static char text[10100];
	/* 2^53 + 1 is halfway between two doubles: the very last digit decides. */
	int n = snprintf(text, sizeof(text), "9007199254740993.");
	memset(text + n, '0', 10000);
	double d;
	struct number even = scan(text);
	ck_assert(number_to_f64(&even, &d) && d == 9007199254740992.0);
	text[n + 9999] = '1';
	struct number above = scan(text);
	ck_assert(number_to_f64(&above, &d) && d == 9007199254740994.0);
}
END_TEST

/* text is v; one digit fewer, rounded as near as can be, is not; as many are not nearer. */
static void check_shortest(const char *text, double v, bool is_f32)
{
	char *end, other[40];
	double back = is_f32 ? (double)strtof(text, &end) : strtod(text, &end);
	ck_assert_msg(memcmp(&back, &v, sizeof(v)) == 0 && !*end, "%a became %s", v, text);
	scan(text);
	int digits = 0, zeros = 0;
	for (const char *p = text; *p && *p != 'e'; p++) {
		if (*p < '0' || *p > '9' || (digits == 0 && *p == '0'))
			continue;
		digits++;
		zeros = *p == '0' ? zeros + 1 : 0;
	}
	digits -= zeros;
	if (digits < 2)
		return;
	snprintf(other, sizeof(other), "%.*e", digits - 2, v);
	back = is_f32 ? (double)strtof(other, NULL) : strtod(other, NULL);
	ck_assert_msg(back != v, "%s is shorter than %s", other, text);
	/* The nearest of this length, unless that is somebody else: at powers of two. */
	snprintf(other, sizeof(other), "%.*e", digits - 1, v);
	back = is_f32 ? (double)strtof(other, NULL) : strtod(other, NULL);
	ck_assert_msg(back != v || strtold(other, NULL) == strtold(text, NULL),
		"%s is nearer than %s", other, text);
}

static const uint64_t edges_f64[] = { 1, 2, 3, 0x000fffffffffffff, 0x0010000000000000,
	0x0010000000000001, 0x7fefffffffffffff, 0x3ff0000000000000, 0x3fefffffffffffff,
	0x4340000000000000, 0x433fffffffffffff, 0x4340000000000001, 0x7fe0000000000000,
	0x412e847fffffffff, 0x412e848000000000 };
static const uint32_t edges_f32[] = { 1, 2, 3, 6, 7, 8, 9, 0x007fffff, 0x00800000, 0x00800001,
	0x7f7fffff, 0x3f800000, 0x3f7fffff, 0x4b7fffff, 0x4b800000, 0x4b800001, 0x30800000,
	0x307fffff, 0x30800001, 0x7f000000 };

START_TEST(written_floats_read_back_and_are_the_shortest)
{
	uint64_t seed = 4242;
	char text[NUMBER_TEXT_MAX + 1];
	for (size_t i = 0; i < 100000; i++) {
		uint32_t bits = (uint32_t)random_next(&seed);
		float f;
		if (i < sizeof(edges_f32) / sizeof(*edges_f32))
			bits = edges_f32[i];
		if (i % 7 == 0)
			bits &= 0xff800000; /* a power of two */
		memcpy(&f, &bits, sizeof(f));
		if (i % 3 == 1)
			f = (float)(bits % 100000) / 1000.0f;
		if (!isfinite(f) || f == 0)
			continue;
		size_t len = number_format_f32(text, f);
		ck_assert_uint_le(len, 24);
		text[len] = '\0';
		check_shortest(text, (double)f, true);
	}
}
END_TEST

START_TEST(written_doubles_read_back_and_are_the_shortest)
{
	uint64_t seed = 77;
	char text[NUMBER_TEXT_MAX + 1];
	for (size_t i = 0; i < 100000; i++) {
		uint64_t bits = random_next(&seed);
		double d;
		if (i < sizeof(edges_f64) / sizeof(*edges_f64))
			bits = edges_f64[i];
		if (i % 7 == 0)
			bits &= ~UINT64_C(0x000fffffffffffff);
		memcpy(&d, &bits, sizeof(d));
		if (i % 3 == 1)
			d = (double)(bits % 10000000) / (double)pow10_u64[bits % 12];
		else if (i % 3 == 2)
			d = (double)(bits % 1000000) / 7;
		if (!isfinite(d) || d == 0)
			continue;
		size_t len = number_format_f64(text, d);
		ck_assert_uint_le(len, 24);
		text[len] = '\0';
		check_shortest(text, d, false);
	}
}
END_TEST

START_TEST(written_integers_are_those_of_printf)
{
	uint64_t seed = 99;
	char text[NUMBER_TEXT_MAX + 1], want[32];
	for (int i = 0; i < 100000; i++) {
		uint64_t v = random_next(&seed) >> i % 64;
		if (i % 5 == 0)
			v = pow10_u64[i / 5 % 20] - i / 100 % 2;
		text[number_format_u64(text, v)] = '\0';
		snprintf(want, sizeof(want), "%llu", (unsigned long long)v);
		ck_assert_str_eq(text, want);
		text[number_format_i64(text, -(int64_t)(v / 2))] = '\0';
		snprintf(want, sizeof(want), "%lld", -(long long)(v / 2));
		ck_assert_str_eq(text, want);
	}
}
END_TEST

START_TEST(floats_are_written_as_short_as_they_read_back)
{
	static const struct {
		float value;
		const char *text;
	} rows[] = { { 0.0f, "0.0" }, { -0.0f, "-0.0" }, { 1.0f, "1.0" }, { -2.5f, "-2.5" },
		{ 0.1f, "0.1" }, { 100.0f, "100.0" }, { 123456.0f, "123456.0" },
		{ 1e-5f, "0.00001" }, { 1e-6f, "1e-6" }, { 1.5e-7f, "1.5e-7" },
		{ 3.4028235e38f, "3.4028235e38" }, { 1e-45f, "1e-45" },
		{ 16777216.0f, "16777216.0" }, { 1e17f, "1e17" }, { 0.99999994f, "0.99999994" } };
	char text[NUMBER_TEXT_MAX + 1];
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		text[number_format_f32(text, rows[i].value)] = '\0';
		ck_assert_str_eq(text, rows[i].text);
	}
	text[number_format_i64(text, INT64_MIN)] = '\0';
	ck_assert_str_eq(text, "-9223372036854775808");
	text[number_format_u64(text, UINT64_MAX)] = '\0';
	ck_assert_str_eq(text, "18446744073709551615");
	text[number_format_f64(text, 0.1 + 0.2)] = '\0';
	ck_assert_str_eq(text, "0.30000000000000004");
}
END_TEST

Suite *suite_number(void);
Suite *suite_number(void)
{
	Suite *s = suite_create("number");
	TCase *t = tcase_create("number");
	tcase_add_test(t, grammar_is_that_of_json);
	tcase_add_test(t, integers_are_exact_or_refused);
	tcase_add_test(t, unsigned_integers_reach_two_to_the_64);
	tcase_add_test(t, floats_out_of_range_are_refused_not_wrapped);
	tcase_add_test(t, floats_are_rounded_as_strtod_does);
	tcase_add_test(t, ten_thousand_digits_are_read_exactly);
	tcase_add_test(t, written_floats_read_back_and_are_the_shortest);
	tcase_add_test(t, written_doubles_read_back_and_are_the_shortest);
	tcase_add_test(t, written_integers_are_those_of_printf);
	tcase_add_test(t, powers_of_ten_are_exact_to_128_bits);
	tcase_add_test(t, floats_are_written_as_short_as_they_read_back);
	suite_add_tcase(s, t);
	return s;
}
