/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include "base/cursor.h"

static const uint8_t bytes[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
	0x0c, 0x0d, 0x0e, 0x0f };

START_TEST(reads_little_endian_in_order)
{
	struct cursor c = cursor_of(bytes, sizeof(bytes));
	ck_assert_uint_eq(cursor_u8(&c), 0x01);
	ck_assert_uint_eq(cursor_u16(&c), 0x0302);
	ck_assert_uint_eq(cursor_u32(&c), 0x07060504);
	ck_assert_uint_eq(cursor_u64(&c), UINT64_C(0x0f0e0d0c0b0a0908));
	ck_assert_uint_eq(cursor_left(&c), 0);
	ck_assert(!c.failed);
}
END_TEST

START_TEST(the_end_is_exact_and_failure_sticks)
{
	struct cursor c = cursor_of(bytes, 3);
	ck_assert_uint_eq(cursor_u16(&c), 0x0201);
	ck_assert_uint_eq(cursor_u16(&c), 0);
	ck_assert(c.failed);
	ck_assert_uint_eq(cursor_u8(&c), 0);
	ck_assert_ptr_null(cursor_take(&c, 0));
	ck_assert_uint_eq(cursor_left(&c), 1);
}
END_TEST

START_TEST(absurd_lengths_fail)
{
	struct cursor c = cursor_of(bytes, sizeof(bytes));
	cursor_skip(&c, SIZE_MAX);
	ck_assert(c.failed);
	struct cursor none = cursor_of(NULL, 0);
	ck_assert_uint_eq(cursor_u8(&none), 0);
	ck_assert(none.failed);
}
END_TEST

START_TEST(parts_stay_within_their_bounds)
{
	struct cursor c = cursor_of(bytes, sizeof(bytes));
	struct cursor sub = cursor_sub(&c, 2);
	ck_assert_uint_eq(cursor_u32(&sub), 0);
	ck_assert(sub.failed && !c.failed);
	struct slice s = cursor_slice(&c, 3);
	ck_assert_uint_eq(s.len, 3);
	ck_assert_ptr_eq(s.ptr, bytes + 2);
	cursor_skip(&c, 9);
	sub = cursor_sub(&c, 2);
	ck_assert(sub.failed && c.failed && cursor_left(&sub) == 0);
	ck_assert_uint_eq(cursor_slice(&c, 1).len, 0);
}
END_TEST

Suite *suite_cursor(void);
Suite *suite_cursor(void)
{
	Suite *s = suite_create("cursor");
	TCase *t = tcase_create("cursor");
	tcase_add_test(t, reads_little_endian_in_order);
	tcase_add_test(t, the_end_is_exact_and_failure_sticks);
	tcase_add_test(t, absurd_lengths_fail);
	tcase_add_test(t, parts_stay_within_their_bounds);
	suite_add_tcase(s, t);
	return s;
}
