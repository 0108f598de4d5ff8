/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include "tools/args.h"

START_TEST(a_name_ends_at_the_last_equals_sign)
{
	struct slice name;
	const char *value;
	ck_assert_int_eq(args_split("--input", "a=b:0=file.npy", &name, &value, NULL), ERR_OK);
	ck_assert(slice_is(name, "a=b:0"));
	ck_assert_str_eq(value, "file.npy");
}
END_TEST

START_TEST(a_name_without_value_is_refused)
{
	static const char *const wrong[] = { "name", "=file", "name=", "=" };
	struct slice name;
	const char *value;
	struct err err;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_int_eq(args_split("--input", wrong[i], &name, &value, &err), ERR_INVALID_ARGUMENT);
		ck_assert_ptr_nonnull(strstr(err.msg, "--input"));
	}
}
END_TEST

START_TEST(shapes_are_read_and_bad_ones_named)
{
	struct shape s;
	ck_assert_int_eq(args_shape("--shape", "2,0,64", &s, NULL), ERR_OK);
	ck_assert(s.rank == 3 && s.dim[0] == 2 && s.dim[1] == 0 && s.dim[2] == 64);
	static const char *const wrong[] = { "2,-1", "a", "2,,3", "1,1,1,1,1,1,1,1,1,1,1,1,1" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_int_eq(args_shape("--shape", wrong[i], &s, NULL), ERR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(one_option_too_many_is_refused)
{
	struct args_list l = { .n = ARGS_LIST_MAX - 1 };
	ck_assert_int_eq(args_add(&l, "--input", "a=b", NULL), ERR_OK);
	ck_assert_int_eq(args_add(&l, "--input", "a=b", NULL), ERR_INVALID_ARGUMENT);
}
END_TEST

Suite *suite_args(void);
Suite *suite_args(void)
{
	Suite *s = suite_create("args");
	TCase *t = tcase_create("args");
	tcase_add_test(t, a_name_ends_at_the_last_equals_sign);
	tcase_add_test(t, a_name_without_value_is_refused);
	tcase_add_test(t, shapes_are_read_and_bad_ones_named);
	tcase_add_test(t, one_option_too_many_is_refused);
	suite_add_tcase(s, t);
	return s;
}
