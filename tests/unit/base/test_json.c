/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "support/arena_case.h"
#include "support/random.h"

static struct json given(const char *doc)
{
	struct json j;
	json_init(&j, slice_of(doc), arena, false);
	return j;
}

static bool is_valid(struct slice doc)
{
	struct json j;
	json_init(&j, doc, arena, false);
	return json_skip(&j, NULL) && json_end(&j);
}

START_TEST(reads_members_in_order)
{
	struct json j = given(" { \"a\" : [ 1 , 2.5 ] , \"b\":\"x\", \"c\":true,\"d\":null } ");
	struct slice key, str;
	int64_t i;
	struct number n;
	double d;
	bool b;
	ck_assert(json_enter_object(&j));
	ck_assert(json_member(&j, &key) && slice_is(key, "a"));
	ck_assert(json_enter_array(&j));
	ck_assert(json_next(&j) && json_i64(&j, &i) && i == 1);
	ck_assert(json_next(&j) && json_number(&j, &n) && number_to_f64(&n, &d) && d == 2.5);
	ck_assert(!json_next(&j));
	ck_assert(json_member(&j, &key) && json_string(&j, &str) && slice_is(str, "x"));
	ck_assert(json_member(&j, &key) && json_bool(&j, &b) && b);
	ck_assert(json_member(&j, &key) && json_null(&j));
	ck_assert(!json_member(&j, &key));
	ck_assert(json_end(&j));
	ck_assert_int_eq(json_error(&j, &err), ERR_OK);
}
END_TEST

START_TEST(refuses_what_is_no_json) /* H1, H4 */
{
	static const char *const bad[] = { "", " ", "{", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]",
		"{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}", "\"", "\"a", "\"\\\"",
		"nul", "tru", "truex", "NaN", "Infinity", "-Infinity", "01", ".5", "+1", "0x10",
		"1.", "1e", "[1]]", "{}{}", "1 2", "[1] x", "\xef\xbb\xbf{}", "// c\n1", "/* */1",
		"[}", "{]", "\"\\x\"", "\"\\u12g4\"", "\"\\u12\"" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(!is_valid(slice_of(bad[i])), "took '%s'", bad[i]);
}
END_TEST

START_TEST(refuses_every_proper_prefix) /* H1 */
{
	static const char doc[] =
		"{\"id\":\"\\u00e9\\n\",\"inputs\":[{\"n\":[1.5e3,-2,true,null]},[]]}";
	ck_assert(is_valid(slice_of(doc)));
	for (size_t len = 0; len < sizeof(doc) - 1; len++) {
		/* A copy of that very size, so that a sanitizer sees a byte read too far. */
		char *copy = malloc(len ? len : 1);
		memcpy(copy, doc, len);
		ck_assert_msg(!is_valid((struct slice){ copy, len }), "took %zu bytes", len);
		free(copy);
	}
}
END_TEST

START_TEST(strings_are_utf8_without_controls) /* H3 */
{
	static const char *const bad[] = { "\"\x01\"", "\"\n\"", "\"\xff\"", "\"\xc0\x80\"",
		"\"\xe0\x80\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"",
		"\"\xf0\x80\x80\x80\"", "\"\xe2\x82\"", "\"\x80\"", "\"\\ud800\"", "\"\\udc00\"",
		"\"\\ud800\\u0041\"", "\"\\ud83d\\ud83d\"" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(!is_valid(slice_of(bad[i])), "took row %zu", i);

	struct json j = given("\"a\\u00e9\\ud83d\\ude00\\/\\\"\\\\ \xe2\x82\xac\"");
	struct slice s;
	ck_assert(json_string(&j, &s));
	ck_assert(slice_is(s, "a\xc3\xa9\xf0\x9f\x98\x80/\"\\ \xe2\x82\xac"));

	j = given("\"a\\u0000b\"");
	ck_assert(json_string(&j, &s));
	ck_assert_uint_eq(s.len, 3);
}
END_TEST

START_TEST(depth_is_limited_without_recursion) /* H2 */
{
	enum { N = 250000 };
	char *deep = malloc(N * 5 + 1);
	for (int brackets = 0; brackets < 2; brackets++) {
		size_t len = 0;
		for (int i = 0; i < N; i++)
			len += (size_t)sprintf(deep + len, brackets ? "[" : "{\"a\":");
		struct json j;
		struct slice raw;
		size_t commas;
		json_init(&j, (struct slice){ deep, len }, arena, false);
		ck_assert(!json_skip(&j, NULL));
		ck_assert_int_eq(json_error(&j, &err), ERR_INVALID_ARGUMENT);
		ck_assert_ptr_nonnull(strstr(err.msg, "64 levels"));
		json_init(&j, (struct slice){ deep, len }, arena, false);
		ck_assert(!json_skim(&j, &raw, &commas));
	}
	free(deep);

	char levels[2 * 65 + 1] = { 0 };
	for (int n = 64; n <= 65; n++) {
		memset(levels, '[', (size_t)n);
		memset(levels + n, ']', (size_t)n);
		ck_assert_int_eq(is_valid((struct slice){ levels, 2 * (size_t)n }), n == 64);
	}
}
END_TEST

START_TEST(errors_say_where)
{
	struct json j = given("{\"a\": tru}");
	ck_assert(!json_skip(&j, NULL));
	ck_assert_int_eq(json_error(&j, &err), ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg, "JSON Parse error: expected true or false at offset: 6");
}
END_TEST

START_TEST(what_is_json_but_not_wanted_is_no_parse_error)
{
	struct json j;
	bool b;
	json_init(&j, SLICE_LIT("[true]"), arena, false);
	ck_assert(json_enter_array(&j) && json_next(&j));
	json_refuse(&j, "no arrays today");
	ck_assert(!json_bool(&j, &b));
	ck_assert_int_eq(json_error(&j, &err), ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg, "no arrays today");
}
END_TEST

START_TEST(errors_stick)
{
	struct json j = given("[1, x, 2]");
	int64_t i;
	ck_assert(json_enter_array(&j) && json_next(&j) && json_i64(&j, &i));
	ck_assert(json_next(&j) && !json_i64(&j, &i));
	ck_assert(!json_next(&j));
	ck_assert_int_eq(json_peek(&j), JSON_NONE);
	ck_assert(!json_end(&j));
}
END_TEST

START_TEST(special_numbers_only_when_allowed) /* H5 */
{
	static const char doc[] = "[NaN, Infinity, -Infinity, Inf, -Inf]";
	ck_assert(!is_valid(slice_of(doc)));
	struct json j;
	double d[5];
	json_init(&j, slice_of(doc), arena, true);
	ck_assert(json_enter_array(&j));
	for (int i = 0; i < 5; i++)
		ck_assert(json_next(&j) && json_special(&j, &d[i]));
	ck_assert(!json_next(&j) && json_end(&j));
	ck_assert(isnan(d[0]) && d[1] == INFINITY && d[2] == -INFINITY && d[3] == INFINITY &&
		  d[4] == -INFINITY);
}
END_TEST

START_TEST(skim_finds_the_same_end_as_skip)
{
	static const char *const docs[] = { "[1,2,3]", "[[1,2],[3,4]] ", "{\"a\":\"]}\\\"[\"}",
		"[\"\\\\\", 1]", "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,[21,22],23]x",
		"[[[[[[[[[[[[[[[[1,1,1,1,1,1,1,1,1,1,1,1]]]]]]]]]]]]]]]],2", "12", "\"s\"", "{}",
		"[]" };
	static const size_t commas[] = { 2, 3, 0, 1, 22, 11, 0, 0, 0, 0 };
	for (size_t i = 0; i < sizeof(docs) / sizeof(*docs); i++) {
		struct json a = given(docs[i]), b = given(docs[i]);
		struct slice skipped, skimmed;
		size_t n;
		ck_assert(json_skip(&a, &skipped));
		ck_assert(json_skim(&b, &skimmed, &n));
		ck_assert_msg(slice_eq(skipped, skimmed), "%s", docs[i]);
		ck_assert_ptr_eq(a.at, b.at);
		ck_assert_msg(n == commas[i], "%s: %zu commas", docs[i], n);
	}
}
END_TEST

START_TEST(written_strings_are_always_valid)
{
	struct buf t = buf_of(arena, 0);
	json_put_string(&t, (struct slice){ "a\"\\\n\x01\xff\xe2\x82\xac\xe2\x82", 11 });
	ck_assert(is_valid((struct slice){ t.ptr, t.len }));
	buf_char(&t, '\0');
	ck_assert_str_eq(t.ptr, "\"a\\\"\\\\\\u000a\\u0001\\ufffd\xe2\x82\xac\\ufffd\\ufffd\"");
}
END_TEST

START_TEST(written_numbers_are_json_whatever_they_are) /* H5 */
{
	struct buf t = buf_of(arena, 0);
	json_put_f32(&t, NAN, false);
	json_put_f64(&t, -(double)INFINITY, true);
	json_put_f64(&t, 0.5, false);
	json_put_i64(&t, -3);
	buf_char(&t, '\0');
	ck_assert_str_eq(t.ptr, "null-Infinity0.5-3");
}
END_TEST

/* xorshift: the same numbers on every run */
static uint64_t next_random(void)
{
	static uint64_t state = 12345;
	return random_next(&state);
}

/* Arrays and objects in each other, with strings that look like brackets. */
static void random_value(struct buf *b)
{
	static const char *const leaves[] = { "1", "-2.5e3", "true", "null", "\"\"", "\"a]b\"",
		"\"{\\\"[,\"", "\"\\\\\"", "\"\\\\\\\\\\\\\\\"]\"", "[]", "{}",
		"\"0123456789012345678901234567890123456789\"" };
	char closing[20];
	int depth = 0;
	do {
		bool deeper = depth < 20 && next_random() % 5 < 2;
		if (deeper) {
			bool object = next_random() % 2;
			buf_str(b, object ? "{\"k,\": " : "[ ");
			closing[depth++] = object ? '}' : ']';
			continue;
		}
		buf_str(b, leaves[next_random() % (sizeof(leaves) / sizeof(*leaves))]);
		while (depth > 0 && next_random() % 2)
			buf_char(b, closing[--depth]);
		if (depth > 0)
			buf_str(b, closing[depth - 1] == '}' ? ",\"k\":" : ", ");
	} while (depth > 0);
}

START_TEST(skimming_ends_where_reading_does)
{
	for (int i = 0; i < 10000; i++) {
		struct buf b = buf_of(arena, 0);
		struct slice text, read, skimmed;
		size_t commas;
		buf_char(&b, '[');
		for (uint64_t k = next_random() % 16; k > 0; k--) {
			random_value(&b);
			buf_char(&b, ',');
		}
		random_value(&b);
		buf_str(&b, "] , \"]\"");
		ck_assert_int_eq(buf_finish(&b, &text, &err), ERR_OK);
		/* A copy of that very size, so that a sanitizer sees a byte read too far. */
		size_t len = i % 2 ? text.len : next_random() % text.len + 1;
		char *copy = malloc(len);
		memcpy(copy, text.ptr, len);
		struct json checking, skimming;
		json_init(&checking, (struct slice){ copy, len }, arena, false);
		json_init(&skimming, (struct slice){ copy, len }, arena, false);
		bool good = json_skip(&checking, &read);
		ck_assert_msg(json_skim(&skimming, &skimmed, &commas) == good, "%.*s", (int)len,
			copy);
		ck_assert_msg(!good || slice_eq(read, skimmed), "%.*s", (int)len, copy);
		free(copy);
		arena_reset(arena, 1 << 20);
	}
}
END_TEST

START_TEST(skimming_counts_commas_and_depth)
{
	static char text[1000];
	struct slice raw;
	size_t commas;
	for (int depth = 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
		char *w = text;
		for (int i = 0; i < depth; i++)
			w += sprintf(w, "[1,\",\",");
		for (int i = 0; i < depth; i++)
			w += sprintf(w, "%s]", i ? "" : "2");
		struct json j = given(text);
		ck_assert_int_eq(json_skim(&j, &raw, &commas), depth <= JSON_DEPTH_MAX);
		ck_assert(depth > JSON_DEPTH_MAX || commas == 2 * (size_t)depth);
	}
}
END_TEST

START_TEST(skimming_takes_no_backslash_outside_a_string)
{
	static const char *const docs[] = { "[\\\"]\"]",
		"[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, \\\"]\"]" };
	for (size_t i = 0; i < sizeof(docs) / sizeof(*docs); i++) {
		struct json j = given(docs[i]);
		struct slice raw;
		size_t commas;
		ck_assert(!json_skim(&j, &raw, &commas));
	}
}
END_TEST

Suite *suite_json(void);
Suite *suite_json(void)
{
	Suite *s = suite_create("json");
	TCase *t = tcase_create("json");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, reads_members_in_order);
	tcase_add_test(t, refuses_what_is_no_json);
	tcase_add_test(t, refuses_every_proper_prefix);
	tcase_add_test(t, strings_are_utf8_without_controls);
	tcase_add_test(t, depth_is_limited_without_recursion);
	tcase_add_test(t, errors_say_where);
	tcase_add_test(t, what_is_json_but_not_wanted_is_no_parse_error);
	tcase_add_test(t, errors_stick);
	tcase_add_test(t, special_numbers_only_when_allowed);
	tcase_add_test(t, skim_finds_the_same_end_as_skip);
	tcase_add_test(t, written_strings_are_always_valid);
	tcase_add_test(t, written_numbers_are_json_whatever_they_are);
	tcase_add_test(t, skimming_ends_where_reading_does);
	tcase_add_test(t, skimming_counts_commas_and_depth);
	tcase_add_test(t, skimming_takes_no_backslash_outside_a_string);
	suite_add_tcase(s, t);
	return s;
}
