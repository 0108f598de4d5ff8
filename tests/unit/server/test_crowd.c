/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include "server/net/crowd.h"

static struct crowd crowd;

static void offer(int fd, int64_t since_ms)
{
	crowd_offer(&crowd, (struct crowd_member){ .fd = fd, .since_ms = since_ms });
}

static void setup(void)
{
	crowd = (struct crowd){ 0 };
	ck_assert(crowd_begin(&crowd, 100000));
}

START_TEST(the_longest_idle_go_first)
{
	offer(1, 3000);
	offer(2, 1000);
	offer(3, 2000);
	ck_assert_int_eq(crowd_next(&crowd)->fd, 2);
	ck_assert_int_eq(crowd_next(&crowd)->fd, 3);
	ck_assert_int_eq(crowd_next(&crowd)->fd, 1);
	ck_assert_ptr_null(crowd_next(&crowd));
}
END_TEST

START_TEST(who_came_a_moment_ago_stays)
{
	offer(1, 100000);
	offer(2, 100001 - CROWD_IDLE_MS);
	ck_assert_ptr_null(crowd_next(&crowd));
	offer(3, 100000 - CROWD_IDLE_MS);
	ck_assert_int_eq(crowd_next(&crowd)->fd, 3);
}
END_TEST

START_TEST(of_many_the_longest_idle_are_kept)
{
	for (int i = 0; i < 3 * CROWD_MAX; i++)
		offer(i, 3 * CROWD_MAX - i);
	for (int i = 1; i <= CROWD_MAX; i++)
		ck_assert_int_eq(crowd_next(&crowd)->fd, 3 * CROWD_MAX - i);
	ck_assert_ptr_null(crowd_next(&crowd));
}
END_TEST

START_TEST(a_look_is_due_when_none_is_left_and_the_clock_has_moved)
{
	offer(1, 1000);
	ck_assert(!crowd_begin(&crowd, 100250));
	ck_assert_int_eq(crowd_next(&crowd)->fd, 1);
	ck_assert(!crowd_begin(&crowd, 100000));
	ck_assert(crowd_begin(&crowd, 100250));
	ck_assert_ptr_null(crowd_next(&crowd));
}
END_TEST

Suite *suite_crowd(void);
Suite *suite_crowd(void)
{
	Suite *s = suite_create("crowd");
	TCase *t = tcase_create("crowd");
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, the_longest_idle_go_first);
	tcase_add_test(t, who_came_a_moment_ago_stays);
	tcase_add_test(t, of_many_the_longest_idle_are_kept);
	tcase_add_test(t, a_look_is_due_when_none_is_left_and_the_clock_has_moved);
	suite_add_tcase(s, t);
	return s;
}
