/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdint.h>
#include "base/buf.h"

START_TEST(what_is_appended_comes_out)
{
	struct arena *a = arena_new(1024, 0);
	struct buf b = buf_of(a, 0);
	struct slice s;
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i);
	buf_str(&b, "end");
	buf_char(&b, '.');
	buf_slice(&b, SLICE_LIT("!"));
	buf_bytes(&b, NULL, 0);

	ck_assert_int_eq(buf_finish(&b, &s, NULL), ERR_OK);

	ck_assert_uint_eq(s.len, 10 * 2 + 90 * 3 + 900 * 4 + 5);
	ck_assert_int_eq(s.ptr[s.len], '\0');
	ck_assert_str_eq(s.ptr + s.len - 9, "999,end.!");
	arena_free(a);
}
END_TEST

START_TEST(an_empty_one_is_an_empty_string)
{
	struct arena *a = arena_new(1024, 0);
	struct buf b = buf_of(a, 0);
	struct slice s;
	ck_assert_int_eq(buf_finish(&b, &s, NULL), ERR_OK);
	ck_assert_str_eq(s.ptr, "");
	arena_free(a);
}
END_TEST

START_TEST(the_limit_is_exact_and_failure_sticks)
{
	struct arena *a = arena_new(1024, 0);
	struct err err;
	struct slice s = { NULL, 0 };
	struct buf full = buf_of(a, 10);
	buf_printf(&full, "%s", "0123456789");
	ck_assert_int_eq(buf_finish(&full, &s, &err), ERR_OK);
	ck_assert_uint_eq(s.len, 10);

	for (int way = 0; way < 3; way++) {
		struct buf over = buf_of(a, 10);
		buf_str(&over, "012345678");
		if (way == 0)
			buf_printf(&over, "%d", 42);
		else if (way == 1)
			buf_str(&over, "42");
		else
			ck_assert_ptr_null(buf_reserve(&over, SIZE_MAX));
		buf_char(&over, 'x');
		ck_assert(over.failed);
		ck_assert_int_eq(buf_finish(&over, &s, &err), ERR_RESOURCE_EXHAUSTED);
	}
	ck_assert_uint_eq(s.len, 10);
	arena_free(a);
}
END_TEST

START_TEST(the_ceiling_of_the_arena_is_a_failure)
{
	struct arena *a = arena_new(1024, 16384);
	struct buf b = buf_of(a, 0);
	struct slice s;
	for (int i = 0; i < 100000; i++)
		buf_str(&b, "abc");
	ck_assert_int_eq(buf_finish(&b, &s, NULL), ERR_RESOURCE_EXHAUSTED);
	arena_free(a);
}
END_TEST

START_TEST(writing_in_place)
{
	struct arena *a = arena_new(1024, 0);
	struct buf b = buf_of(a, 0);
	struct slice s;
	buf_str(&b, "x=");
	memcpy(buf_reserve(&b, 3), "12", 2);
	b.len += 2;
	ck_assert_int_eq(buf_finish(&b, &s, NULL), ERR_OK);
	ck_assert_str_eq(s.ptr, "x=12");
	arena_free(a);
}
END_TEST

Suite *suite_buf(void);
Suite *suite_buf(void)
{
	Suite *s = suite_create("buf");
	TCase *t = tcase_create("buf");
	tcase_add_test(t, what_is_appended_comes_out);
	tcase_add_test(t, an_empty_one_is_an_empty_string);
	tcase_add_test(t, the_limit_is_exact_and_failure_sticks);
	tcase_add_test(t, the_ceiling_of_the_arena_is_a_failure);
	tcase_add_test(t, writing_in_place);
	suite_add_tcase(s, t);
	return s;
}
