/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>
#include "base/clock.h"
#include "base/parse.h"

START_TEST(integers_to_their_very_bounds)
{
	int64_t i;
	uint64_t u;
	ck_assert(parse_i64(slice_of("0"), INT64_MIN, INT64_MAX, &i) && i == 0);
	ck_assert(parse_i64(slice_of("9223372036854775807"), 0, INT64_MAX, &i) && i == INT64_MAX);
	ck_assert(parse_i64(slice_of("-9223372036854775808"), INT64_MIN, 0, &i) && i == INT64_MIN);
	ck_assert(parse_u64(slice_of("18446744073709551615"), UINT64_MAX, &u) && u == UINT64_MAX);
	ck_assert(!parse_i64(slice_of("9223372036854775808"), INT64_MIN, INT64_MAX, &i));
	ck_assert(!parse_i64(slice_of("-9223372036854775809"), INT64_MIN, INT64_MAX, &i));
	ck_assert(!parse_u64(slice_of("18446744073709551616"), UINT64_MAX, &u));
	ck_assert(!parse_u64(slice_of("99999999999999999999"), UINT64_MAX, &u));
	ck_assert(parse_i64(slice_of("7"), 7, 7, &i) && i == 7);
	ck_assert(!parse_i64(slice_of("8"), 0, 7, &i));
	ck_assert(!parse_i64(slice_of("-1"), 0, 7, &i));
	ck_assert_int_eq(i, 7);
}
END_TEST

/* M26: what looks like a version directory and is none. */
START_TEST(integers_have_one_spelling)
{
	static const char *const wrong[] = { "", "-", "00", "01", "-0", "-01", "+1", " 1", "1 ",
		"1.0", "1e3", "0x1", "1_0", "\xd9\xa1", "one", "1~", "--1" };
	int64_t i = 42;
	for (size_t n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++)
		ck_assert_msg(
			!parse_i64(slice_of(wrong[n]), INT64_MIN, INT64_MAX, &i), "'%s'", wrong[n]);
	ck_assert(!parse_i64((struct slice){ "1\0", 2 }, 0, 9, &i));
	ck_assert(parse_i64((struct slice){ "12", 1 }, 0, 9, &i) && i == 1);
}
END_TEST

START_TEST(doubles_as_json_writes_them)
{
	static const struct {
		const char *text;
		double value;
	} right[] = { { "0", 0 }, { "-0", -0.0 }, { "-1", -1 }, { "0.5", 0.5 }, { "1e3", 1000 },
		{ "1E-3", 0.001 }, { "12.25e+1", 122.5 }, { "1e-400", 0 } };
	static const char *const wrong[] = { "", "-", ".5", "5.", "01", "+1", "0x1p3", "inf", "nan",
		"NaN", "1e", "1e+", "1,5", " 1", "1 ", "1e999", "--1" };
	double v;
	for (size_t n = 0; n < sizeof(right) / sizeof(right[0]); n++) {
		ck_assert_msg(parse_double(slice_of(right[n].text), &v), "'%s'", right[n].text);
		ck_assert_double_eq(v, right[n].value);
	}
	for (size_t n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++)
		ck_assert_msg(!parse_double(slice_of(wrong[n]), &v), "'%s'", wrong[n]);
	char endless[1000];
	memset(endless, '1', sizeof(endless));
	ck_assert(!parse_double((struct slice){ endless, sizeof(endless) }, &v));
}
END_TEST

START_TEST(booleans_sizes_durations)
{
	bool b;
	size_t z;
	int64_t ns;
	ck_assert(parse_bool(slice_of("yes"), &b) && b);
	ck_assert(parse_bool(slice_of("off"), &b) && !b);
	ck_assert(!parse_bool(slice_of("True"), &b) && !parse_bool(slice_of("1"), &b));
	ck_assert(parse_size(slice_of("4096"), &z) && z == 4096);
	ck_assert(parse_size(slice_of("64K"), &z) && z == 65536);
	ck_assert(parse_size(slice_of("2GiB"), &z) && z == (size_t)2 << 30);
	ck_assert(parse_size(slice_of("0"), &z) && z == 0);
	ck_assert(!parse_size(slice_of("1KB"), &z) && !parse_size(slice_of("K"), &z));
	ck_assert(!parse_size(slice_of("1k"), &z) && !parse_size(slice_of("1 K"), &z));
	ck_assert(!parse_size(slice_of("16777216T"), &z) && !parse_size(slice_of("-1"), &z));
	ck_assert(parse_duration_ns(slice_of("250ms"), &ns) && ns == 250 * NS_PER_MS);
	ck_assert(parse_duration_ns(slice_of("2h"), &ns) && ns == 7200 * NS_PER_S);
	ck_assert(parse_duration_ns(slice_of("5us"), &ns) && ns == 5000);
	ck_assert(parse_duration_ns(slice_of("0"), &ns) && ns == 0);
	ck_assert(!parse_duration_ns(slice_of("10"), &ns) &&
		  !parse_duration_ns(slice_of("1.5s"), &ns));
	ck_assert(!parse_duration_ns(slice_of("9223372036s "), &ns));
	ck_assert(!parse_duration_ns(slice_of("9999999999999h"), &ns));
}
END_TEST

Suite *suite_parse(void);
Suite *suite_parse(void)
{
	Suite *s = suite_create("parse");
	TCase *t = tcase_create("parse");
	tcase_add_test(t, integers_to_their_very_bounds);
	tcase_add_test(t, integers_have_one_spelling);
	tcase_add_test(t, doubles_as_json_writes_them);
	tcase_add_test(t, booleans_sizes_durations);
	suite_add_tcase(s, t);
	return s;
}
