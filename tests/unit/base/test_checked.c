/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include "base/checked.h"

START_TEST(the_edge_is_exact)
{
	size_t z;
	int64_t i;
	ck_assert(!mul_overflows(SIZE_MAX / 3, 3, &z));
	ck_assert_uint_eq(z, SIZE_MAX);
	ck_assert(mul_overflows(SIZE_MAX / 3 + 1, 3, &z));
	ck_assert(mul_overflows((size_t)1 << 32, (size_t)1 << 32, &z));
	ck_assert(!add_overflows(SIZE_MAX - 1, 1, &z));
	ck_assert(add_overflows(SIZE_MAX, 1, &z));
	ck_assert(!mul_i64_overflows(INT64_MIN / 2, 2, &i));
	ck_assert(mul_i64_overflows(INT64_MIN, -1, &i));
	ck_assert(add_i64_overflows(INT64_MAX, 1, &i));
	ck_assert(add_i64_overflows(INT64_MIN, -1, &i));
	ck_assert(!add_i64_overflows(INT64_MIN, INT64_MAX, &i));
	ck_assert_int_eq(i, -1);
}
END_TEST

START_TEST(multiples_stay_and_the_rest_is_rounded_up)
{
	ck_assert_uint_eq(round_up(0, 64), 0);
	ck_assert_uint_eq(round_up(1, 64), 64);
	ck_assert_uint_eq(round_up(64, 64), 64);
	ck_assert_uint_eq(round_up(65, 64), 128);
}
END_TEST

Suite *suite_checked(void);
Suite *suite_checked(void)
{
	Suite *s = suite_create("checked");
	TCase *t = tcase_create("checked");
	tcase_add_test(t, the_edge_is_exact);
	tcase_add_test(t, multiples_stay_and_the_rest_is_rounded_up);
	suite_add_tcase(s, t);
	return s;
}
