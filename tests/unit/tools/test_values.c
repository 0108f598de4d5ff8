/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <math.h>
#include "support/arena_case.h"
#include "tools/values.h"

static struct tensor given(enum dtype dtype, struct shape shape)
{
	struct tensor t;
	ck_assert_int_eq(values_new(dtype, &shape, arena, &t, NULL), ERR_OK);
	return t;
}

static const char *printed(const struct tensor *t, int64_t max)
{
	struct buf b = buf_of(arena, 0);
	struct slice s;
	values_print_nested(&b, t, max);
	ck_assert_int_eq(buf_finish(&b, &s, NULL), ERR_OK);
	return s.ptr;
}

START_TEST(lists_nest_as_the_shape_says)
{
	struct tensor t = given(DTYPE_I32, shape_of(2, 1, 3));
	for (int i = 0; i < 6; i++)
		ck_assert(values_set_int(&t, i, i - 1));
	ck_assert_str_eq(printed(&t, INT64_MAX), "[[[-1, 0, 1]], [[2, 3, 4]]]");
	ck_assert_str_eq(printed(&t, 4), "[[[-1, 0, 1]], [[2, ...");
	struct tensor scalar = given(DTYPE_BOOL, SHAPE_SCALAR),
		      empty = given(DTYPE_F32, shape_of(2, 0));
	ck_assert_str_eq(printed(&scalar, 1), "false");
	ck_assert_str_eq(printed(&empty, 1), "[]");
}
END_TEST

START_TEST(numbers_saturate_at_their_type)
{
	struct tensor u8 = given(DTYPE_U8, shape_of(2)), i64 = given(DTYPE_I64, shape_of(3));
	ck_assert(values_set(&u8, 0, 300.5) && values_set(&u8, 1, -3));
	ck_assert_int_eq(tensor_int(&u8, 0), 255);
	ck_assert_int_eq(tensor_int(&u8, 1), 0);
	ck_assert(values_set(&i64, 0, 1e30) && values_set(&i64, 1, -1e30) &&
		  values_set(&i64, 2, NAN));
	ck_assert_int_eq(tensor_int(&i64, 0), INT64_MAX);
	ck_assert_int_eq(tensor_int(&i64, 1), INT64_MIN);
	ck_assert_int_eq(tensor_int(&i64, 2), 0);
	struct tensor s = given(DTYPE_STRING, shape_of(1));
	ck_assert(!values_set(&s, 0, 1));
}
END_TEST

START_TEST(a_difference_names_the_first_wrong_element)
{
	struct tensor got = given(DTYPE_F32, shape_of(2, 2)),
		      want = given(DTYPE_F32, shape_of(2, 2));
	struct err err;
	values_set(&got, 2, 1.25);
	values_set(&got, 3, 9);
	ck_assert_int_eq(values_compare(&got, &want, 0, 1e-3, &err), ERR_FAILED_PRECONDITION);
	ck_assert_str_eq(err.msg, "element [1,0] is 1.25, expected 0.0 (2 of 4 differ)");
	ck_assert_int_eq(values_compare(&got, &want, 0, 9, NULL), ERR_OK);
}
END_TEST

START_TEST(tolerance_is_relative_to_what_is_wanted_and_nan_equals_nan)
{
	struct tensor got = given(DTYPE_F64, shape_of(3)), want = given(DTYPE_F64, shape_of(3));
	values_set(&got, 0, 1001);
	values_set(&want, 0, 1000);
	values_set(&got, 1, NAN);
	values_set(&want, 1, NAN);
	values_set(&got, 2, INFINITY);
	values_set(&want, 2, INFINITY);
	ck_assert_int_eq(values_compare(&got, &want, 1e-3, 0, NULL), ERR_OK);
	ck_assert_int_eq(values_compare(&got, &want, 0.9e-3, 0, NULL), ERR_FAILED_PRECONDITION);
	values_set(&got, 0, 1000);
	values_set(&got, 2, 1);
	ck_assert_int_eq(values_compare(&got, &want, 1, 0, NULL), ERR_FAILED_PRECONDITION);
}
END_TEST

START_TEST(type_and_shape_must_be_the_same)
{
	struct tensor f = given(DTYPE_F32, shape_of(2)), d = given(DTYPE_F64, shape_of(2)),
		      column = given(DTYPE_F32, shape_of(2, 1));
	ck_assert_int_eq(values_compare(&f, &d, 1, 1, NULL), ERR_FAILED_PRECONDITION);
	ck_assert_int_eq(values_compare(&f, &column, 1, 1, NULL), ERR_FAILED_PRECONDITION);
}
END_TEST

START_TEST(the_same_seed_makes_the_same_values)
{
	struct tensor a = given(DTYPE_F32, shape_of(100)), b = given(DTYPE_F32, shape_of(100));
	struct rng one = { 5 }, two = { 5 }, other = { 6 };
	values_random(&a, &one);
	values_random(&b, &two);
	ck_assert_mem_eq(a.data, b.data, 400);
	values_random(&b, &other);
	ck_assert_mem_ne(a.data, b.data, 400);
	for (int i = 0; i < 100; i++)
		ck_assert(tensor_float(&a, i) >= 0 && tensor_float(&a, i) < 1);
}
END_TEST

Suite *suite_values(void);
Suite *suite_values(void)
{
	Suite *s = suite_create("values");
	TCase *t = tcase_create("values");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, lists_nest_as_the_shape_says);
	tcase_add_test(t, numbers_saturate_at_their_type);
	tcase_add_test(t, a_difference_names_the_first_wrong_element);
	tcase_add_test(t, tolerance_is_relative_to_what_is_wanted_and_nan_equals_nan);
	tcase_add_test(t, type_and_shape_must_be_the_same);
	tcase_add_test(t, the_same_seed_makes_the_same_values);
	suite_add_tcase(s, t);
	return s;
}
