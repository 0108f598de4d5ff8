/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/near.h"

static const char *const words[] = { "threads", "device", "log_level", "body_max", "drain_delay",
	"drain_timeout" };

static const char *hint(struct near *n, const char *word)
{
	near_init(n, slice_of(word));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		near_offer(n, words[i]);
	return near_hint(n, "");
}

START_TEST(slips_are_understood)
{
	static const char *const rows[][2] = { { "thread", "threads" }, { "theards", "threads" },
		{ "Threads", "threads" }, { "thraeds", "threads" }, { "loglevel", "log_level" },
		{ "log", "log_level" }, { "body_maximum", "body_max" },
		{ "drain_timout", "drain_timeout" }, { "drian_delay", "drain_delay" } };
	struct near n;
	char want[100];
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(want, sizeof(want), "; did you mean '%s'?", rows[i][1]);
		ck_assert_str_eq(hint(&n, rows[i][0]), want);
	}
}
END_TEST

START_TEST(what_is_far_from_all_is_not_guessed)
{
	struct near n;
	ck_assert_str_eq(hint(&n, "listen"), "");
	ck_assert_str_eq(hint(&n, ""), "");
	ck_assert_str_eq(hint(&n, "x"), "");
	ck_assert_str_eq(hint(&n, "threadsthreadsthreadsthreadsthreadsthreads"), "");
}
END_TEST

START_TEST(a_hint_may_lead_in)
{
	struct near n;
	near_init(&n, SLICE_LIT("modle"));
	near_offer(&n, "model");
	ck_assert_str_eq(near_hint(&n, "--"), "; did you mean '--model'?");
}
END_TEST

Suite *suite_near(void);
Suite *suite_near(void)
{
	Suite *s = suite_create("near");
	TCase *t = tcase_create("core");
	tcase_add_test(t, slips_are_understood);
	tcase_add_test(t, what_is_far_from_all_is_not_guessed);
	tcase_add_test(t, a_hint_may_lead_in);
	suite_add_tcase(s, t);
	return s;
}
