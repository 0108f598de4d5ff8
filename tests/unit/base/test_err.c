/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>
#include "base/err.h"

START_TEST(set_returns_its_code_and_formats)
{
	struct err err;
	ck_assert_int_eq(
		err_set(&err, ERR_NOT_FOUND, "model '%s' is not there", "a"), ERR_NOT_FOUND);
	ck_assert_int_eq(err.code, ERR_NOT_FOUND);
	ck_assert_str_eq(err.msg, "model 'a' is not there");
	ck_assert_int_eq(err_set(NULL, ERR_INTERNAL, "nobody listens"), ERR_INTERNAL);
}
END_TEST

START_TEST(a_message_may_be_its_own_argument)
{
	struct err err;
	(void)err_set(&err, ERR_INTERNAL, "cause");
	(void)err_set(&err, ERR_INTERNAL, "%s, again: %s", err.msg, err.msg);
	ck_assert_str_eq(err.msg, "cause, again: cause");
}
END_TEST

START_TEST(a_long_prefix_leaves_the_cause)
{
	struct err err;
	char name[2 * ERR_MSG_MAX];
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	(void)err_set(&err, ERR_DATA_LOSS, "checksum differs");

	ck_assert_int_eq(err_prefix(&err, "tensor '%s'", name), ERR_DATA_LOSS);

	ck_assert_ptr_nonnull(strstr(err.msg, ": checksum differs"));
	ck_assert_uint_lt(strlen(err.msg), ERR_MSG_MAX);
	ck_assert_int_eq(err_prefix(NULL, "x"), ERR_INTERNAL);
}
END_TEST

START_TEST(overlong_messages_are_cut)
{
	struct err err;
	char text[2 * ERR_MSG_MAX];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)err_set(&err, ERR_INTERNAL, "%s", text);
	ck_assert_uint_eq(strlen(err.msg), ERR_MSG_MAX - 1);
}
END_TEST

START_TEST(copies_and_oom)
{
	struct err a, b;
	ck_assert_int_eq(err_oom(&a), ERR_RESOURCE_EXHAUSTED);
	ck_assert_int_eq(err_copy(&b, &a), ERR_RESOURCE_EXHAUSTED);
	ck_assert_str_eq(b.msg, a.msg);
	ck_assert_int_eq(err_copy(NULL, &a), ERR_RESOURCE_EXHAUSTED);
	ck_assert_int_eq(err_copy(&a, &a), ERR_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(codes_are_those_of_grpc)
{
	ck_assert_int_eq(ERR_INVALID_ARGUMENT, 3);
	ck_assert_int_eq(ERR_UNAUTHENTICATED, 16);
	ck_assert_str_eq(err_name(ERR_DEADLINE_EXCEEDED), "DEADLINE_EXCEEDED");
	ck_assert_str_eq(err_name((enum err_code)99), "UNKNOWN");
	ck_assert_int_eq(err_http(ERR_UNAVAILABLE), 503);
	ck_assert_int_eq(err_http(ERR_INVALID_ARGUMENT), 400);
	ck_assert_int_eq(err_http((enum err_code)99), 500);
}
END_TEST

Suite *suite_err(void);
Suite *suite_err(void)
{
	Suite *s = suite_create("err");
	TCase *t = tcase_create("err");
	tcase_add_test(t, set_returns_its_code_and_formats);
	tcase_add_test(t, a_message_may_be_its_own_argument);
	tcase_add_test(t, a_long_prefix_leaves_the_cause);
	tcase_add_test(t, overlong_messages_are_cut);
	tcase_add_test(t, copies_and_oom);
	tcase_add_test(t, codes_are_those_of_grpc);
	suite_add_tcase(s, t);
	return s;
}
