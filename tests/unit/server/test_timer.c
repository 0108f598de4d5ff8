/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdatomic.h>
#include <unistd.h>
#include "base/clock.h"
#include "server/batch/timer.h"

static atomic_int fired;

static void await(const atomic_int *count, int n)
{
	for (int i = 0; i < 5000 && atomic_load(count) < n; i++)
		usleep(1000);
	ck_assert_int_eq(atomic_load(count), n);
}

static void on_fire(struct timer *t)
{
	(void)t;
	atomic_fetch_add(&fired, 1);
}

/* Arms itself again while somebody waits for its end in timer_cancel(). */
static void on_fire_again(struct timer *t)
{
	atomic_fetch_add(&fired, 1);
	usleep(50000);
	timer_arm(t, clock_now_ns() + NS_PER_S);
}

START_TEST(the_earlier_of_two_times_counts)
{
	struct timer t = { .fire = on_fire };
	timer_arm(&t, clock_now_ns() + 3600 * NS_PER_S);
	timer_arm(&t, clock_now_ns());
	await(&fired, 1);
	timer_cancel(&t);
}
END_TEST

START_TEST(a_cancelled_timer_does_not_fire)
{
	struct timer gone = { .fire = on_fire_again }, t = { .fire = on_fire };
	timer_arm(&gone, clock_now_ns() + 20 * NS_PER_MS);
	timer_arm(&t, clock_now_ns() + 40 * NS_PER_MS);
	timer_cancel(&gone);
	await(&fired, 1);
}
END_TEST

START_TEST(one_that_arms_itself_again_is_cancelled_too)
{
	struct timer t = { .fire = on_fire_again };
	timer_arm(&t, clock_now_ns());
	await(&fired, 1);
	timer_cancel(&t);
	ck_assert(!t.armed);
}
END_TEST

Suite *suite_timer(void);
Suite *suite_timer(void)
{
	Suite *s = suite_create("timer");
	TCase *t = tcase_create("core");
	tcase_add_test(t, the_earlier_of_two_times_counts);
	tcase_add_test(t, a_cancelled_timer_does_not_fire);
	tcase_add_test(t, one_that_arms_itself_again_is_cancelled_too);
	suite_add_tcase(s, t);
	return s;
}
