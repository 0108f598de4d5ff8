/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include "base/clock.h"
#include "server/watchdog.h"

static struct watchdog w;

static void setup(void)
{
	watchdog_init(&w, 30 * NS_PER_S, 1000);
}

START_TEST(nobody_asks_nobody_is_told)
{
	watchdog_init(&w, 0, 1000);
	ck_assert(!watchdog_is_due(&w, INT64_MAX));
}
END_TEST

START_TEST(looks_three_times_within_the_timeout)
{
	ck_assert(watchdog_is_due(&w, 1000));
	ck_assert(watchdog_look(&w, 1, false, 1000));
	ck_assert(!watchdog_is_due(&w, 1000 + 10 * NS_PER_S - 1));
	ck_assert(watchdog_is_due(&w, 1000 + 10 * NS_PER_S));
}
END_TEST

/* C17 */
START_TEST(a_loop_that_stands_is_not_vouched_for)
{
	ck_assert(watchdog_look(&w, 5, false, 1000));
	ck_assert(!watchdog_look(&w, 5, false, 2000));
	ck_assert(!watchdog_look(&w, 5, false, 3000));
	ck_assert(watchdog_look(&w, 6, false, 4000));
}
END_TEST

START_TEST(a_stuck_worker_is_not_vouched_for)
{
	ck_assert(!watchdog_look(&w, 1, true, 1000));
	ck_assert(!watchdog_look(&w, 2, true, 2000));
	ck_assert(watchdog_look(&w, 3, false, 3000));
}
END_TEST

START_TEST(a_short_timeout_still_lets_the_loop_move)
{
	watchdog_init(&w, 2 * NS_PER_S, 0);
	ck_assert(watchdog_look(&w, 1, false, 0));
	ck_assert(!watchdog_is_due(&w, NS_PER_S));
}
END_TEST

Suite *suite_watchdog(void);
Suite *suite_watchdog(void)
{
	Suite *s = suite_create("watchdog");
	TCase *t = tcase_create("watchdog");
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, nobody_asks_nobody_is_told);
	tcase_add_test(t, looks_three_times_within_the_timeout);
	tcase_add_test(t, a_loop_that_stands_is_not_vouched_for);
	tcase_add_test(t, a_stuck_worker_is_not_vouched_for);
	tcase_add_test(t, a_short_timeout_still_lets_the_loop_move);
	suite_add_tcase(s, t);
	return s;
}
