/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>
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
		ck_assert_int_eq(
			args_split("--input", wrong[i], &name, &value, &err), ERR_INVALID_ARGUMENT);
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

struct given {
	bool flag;
	const char *text;
	int64_t count;
	double positive;
	struct args_list list;
};

static enum err_code parsed(struct given *g, int *argc, char **argv, struct err *err)
{
	const struct args_option options[] = {
		{ "flag", ARGS_FLAG, &g->flag, NULL, "" },
		{ "text", ARGS_TEXT, &g->text, "T", "" },
		{ "count", ARGS_COUNT, &g->count, "N", "" },
		{ "positive", ARGS_POSITIVE, &g->positive, "X", "" },
		{ "list", ARGS_LIST, &g->list, "A=B", "" },
		{ 0 },
	};
	*argc = 0;
	while (argv[*argc])
		++*argc;
	return args_parse(*argc, argv, options, argc, err);
}

START_TEST(options_and_the_rest_are_told_apart)
{
	char *argv[] = { "tool", "one", "--flag", "--text", "--odd", "--count=3", "--list", "a=1",
		"two", "--list=b=2", "--positive", "0.5", "--", "--flag", NULL };
	struct given g = { 0 };
	int argc;
	ck_assert_int_eq(parsed(&g, &argc, argv, NULL), ERR_OK);
	ck_assert(g.flag);
	ck_assert_str_eq(g.text, "--odd");
	ck_assert_int_eq(g.count, 3);
	ck_assert(g.positive == 0.5);
	ck_assert_int_eq(g.list.n, 2);
	ck_assert_str_eq(args_value(&g.list, "b"), "2");
	ck_assert_ptr_null(args_value(&g.list, "c"));
	ck_assert_int_eq(argc, 4);
	ck_assert_str_eq(argv[1], "one");
	ck_assert_str_eq(argv[2], "two");
	ck_assert_str_eq(argv[3], "--flag");
}
END_TEST

START_TEST(wrong_options_are_refused_by_name)
{
	char *row[][4] = {
		{ "tool", "--other" }, { "tool", "--flag=1" }, { "tool", "--text" },
			{ "tool", "--count", "-1" },
		{ "tool", "--count=x" }, { "tool", "--positive", "0" },
			{ "tool", "--positive=nan" },
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct given g = { 0 };
		struct err err = { 0 };
		int argc;
		ck_assert_msg(
			parsed(&g, &argc, row[i], &err) == ERR_INVALID_ARGUMENT, "row %zu", i);
		ck_assert_ptr_nonnull(strstr(err.msg, "--"));
	}
}
END_TEST

START_TEST(one_option_too_many_is_refused)
{
	struct given g = { .list.n = ARGS_LIST_MAX - 1 };
	char *first[] = { "tool", "--list", "a=b", NULL },
	     *second[] = { "tool", "--list", "a=b", NULL };
	int argc;
	ck_assert_int_eq(parsed(&g, &argc, first, NULL), ERR_OK);
	ck_assert_int_eq(parsed(&g, &argc, second, NULL), ERR_INVALID_ARGUMENT);
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
	tcase_add_test(t, options_and_the_rest_are_told_apart);
	tcase_add_test(t, wrong_options_are_refused_by_name);
	tcase_add_test(t, one_option_too_many_is_refused);
	suite_add_tcase(s, t);
	return s;
}
