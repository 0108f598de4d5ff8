/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"

static char text[16384];
static FILE *file;

/* Each test is a process of its own: its stderr goes to a file. */
static void capture(void)
{
	file = tmpfile();
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(dup2(fileno(file), STDERR_FILENO), 0);
}

static const char *logged(void)
{
	ssize_t n = pread(fileno(file), text, sizeof(text) - 1, 0);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	return text;
}

START_TEST(a_line_has_time_level_and_message)
{
	log_warning("model '%s' is gone", "digits");

	int year, ms;
	ck_assert_int_eq(sscanf(logged(), "%d-%*2d-%*2dT%*2d:%*2d:%*2d.%3dZ", &year, &ms), 2);
	ck_assert_ptr_nonnull(strstr(text, "Z warning model 'digits' is gone\n"));
}
END_TEST

START_TEST(under_systemd_a_line_has_its_priority)
{
	struct stat st;
	char stream[64];
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);

	log_err("no more");
	log_info("well");

	ck_assert_str_eq(logged(), "<3>no more\n<6>well\n");
}
END_TEST

START_TEST(an_inherited_journal_stream_is_not_ours)
{
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_err("no more");
	ck_assert_ptr_nonnull(strstr(logged(), " err     no more\n"));
}
END_TEST

START_TEST(nothing_from_outside_makes_a_second_record)
{
	log_info("got %s", "a\r\n<0>forged\x1b[2J\xff\xe2\x80\xa8\\x \xc3\xa9");

	const char *line = logged();
	ck_assert_ptr_nonnull(strstr(
		line, "got a\\x0d\\x0a<0>forged\\x1b[2J\\xff\\xe2\\x80\\xa8\\x5cx \xc3\xa9\n"));
	ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
}
END_TEST

START_TEST(long_messages_are_cut_and_say_so)
{
	char *big = malloc(100000);
	memset(big, 1, 99999);
	big[99999] = '\0';
	log_info("%s", big);
	size_t len = strlen(logged());
	ck_assert_str_eq(text + len - 4, "...\n");
	ck_assert_uint_lt(len, 10000);
	free(big);
}
END_TEST

START_TEST(levels_above_the_limit_are_dropped)
{
	log_set_level(LOG_LEVEL_WARNING);
	log_notice("not this");
	log_debug("nor this");
	log_warning("but this");
	ck_assert_ptr_null(strstr(logged(), "this\n2"));
	ck_assert_ptr_nonnull(strstr(text, "but this"));
	ck_assert_ptr_null(strstr(text, "not this"));
}
END_TEST

START_TEST(a_flood_is_counted_not_written)
{
	struct log_limit limit = { 0 };
	int allowed = 0, suppressed = 0, reported = 0;
	/* Two seconds at the most: the loop may straddle one boundary, not two. */
	for (int i = 0; i < 10000; i++)
		allowed += log_limit_allow(&limit, 5, &suppressed);
	ck_assert_int_ge(allowed, 5);
	ck_assert_int_le(allowed, 10);
	sleep(1);
	ck_assert(log_limit_allow(&limit, 5, &reported));
	ck_assert_int_gt(reported, 0);
	ck_assert_int_le(reported, 10000 - allowed);
	ck_assert(log_limit_allow(&limit, 5, &reported));
	ck_assert_int_eq(reported, 0);
}
END_TEST

Suite *suite_log(void);
Suite *suite_log(void)
{
	Suite *s = suite_create("log");
	TCase *t = tcase_create("log");
	tcase_add_checked_fixture(t, capture, NULL);
	tcase_add_test(t, a_line_has_time_level_and_message);
	tcase_add_test(t, under_systemd_a_line_has_its_priority);
	tcase_add_test(t, an_inherited_journal_stream_is_not_ours);
	tcase_add_test(t, nothing_from_outside_makes_a_second_record);
	tcase_add_test(t, long_messages_are_cut_and_say_so);
	tcase_add_test(t, levels_above_the_limit_are_dropped);
	tcase_add_test(t, a_flood_is_counted_not_written);
	suite_add_tcase(s, t);
	return s;
}
