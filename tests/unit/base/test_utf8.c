/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>
#include "base/utf8.h"

START_TEST(every_character_is_read_back)
{
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		char s[4], t[4];
		size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
		for (size_t i = 0; i < n; i++)
			s[n - 1 - i] = (char)(i + 1 == n ? lead[n] | (c >> (6 * i)) :
							   0x80 | ((c >> (6 * i)) & 0x3f));
		uint32_t back = 0xffffffff;
		bool surrogate = c >= 0xd800 && c < 0xe000;
		ck_assert_uint_eq(utf8_decode(s, n, &back), surrogate ? 0 : n);
		ck_assert_uint_eq(back, surrogate ? 0xffffffff : c);
		ck_assert_uint_eq(utf8_encode(c, t), n);
		ck_assert_mem_eq(s, t, n);
		ck_assert_uint_eq(utf8_decode(s, n - 1, &back), 0);
	}
}
END_TEST

START_TEST(what_is_no_utf8)
{
	static const char *const wrong[] = { "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80",
		"\xe0\x9f\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80\x80", "\xff", "\xfe", "\xed\xa0\x80", "\xe2\x82", "\xe2(\xa1",
		"ok\xc3" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(!utf8_is_valid(slice_of(wrong[i])), "case %zu", i);
	ck_assert(utf8_is_valid(slice_of("")));
	ck_assert(utf8_is_valid(slice_of("gr\xc3\xb6\xc3\x9f" "e \xe2\x82\xac \xf0\x9f\x98\x80")));
}
END_TEST

/* M21, C18: names from outside. */
START_TEST(names_are_short_text_without_control_characters)
{
	static const struct {
		struct slice name;
		const char *says;
	} wrong[] = {
		{ { "", 0 }, "model name is empty" },
		{ { "12345678901", 11 }, "model name has 11 bytes, at most 10 are allowed" },
		{ { "a\xff", 2 }, "model name is no valid UTF-8 at byte 1" },
		{ { "a\nb", 3 }, "control character (U+000A) at byte 1" },
		{ { "a\0b", 3 }, "control character (U+0000) at byte 1" },
		{ { "\x1b[1m", 4 }, "control character (U+001B) at byte 0" },
		{ { "\xc2\x85", 2 }, "control character (U+0085)" },
		{ { "\xe2\x80\xa8", 3 }, "control character (U+2028)" },
	};
	struct err err;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_int_eq(utf8_check_name(wrong[i].name, 10, "model name", &err),
			ERR_INVALID_ARGUMENT);
		ck_assert_msg(strstr(err.msg, wrong[i].says), "%s", err.msg);
	}
	ck_assert_int_eq(utf8_check_name(slice_of("1234567890"), 10, "model name", &err), ERR_OK);
	ck_assert_int_eq(
		utf8_check_name(slice_of("r\xc3\xa9seau"), 10, "model name", &err), ERR_OK);
}
END_TEST

Suite *suite_utf8(void);
Suite *suite_utf8(void)
{
	Suite *s = suite_create("utf8");
	TCase *t = tcase_create("utf8");
	tcase_add_test(t, every_character_is_read_back);
	tcase_add_test(t, what_is_no_utf8);
	tcase_add_test(t, names_are_short_text_without_control_characters);
	suite_add_tcase(s, t);
	return s;
}
