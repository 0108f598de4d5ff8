/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <poll.h>
#include <semaphore.h>
#include "base/errand.h"

static struct errand errand;
static struct err err;
static sem_t may_go;
static int runs;
static pthread_t ran_on;

static void setup(void)
{
	ck_assert_int_eq(errand_init(&errand, &err), ERR_OK);
	sem_init(&may_go, 0, 0);
	runs = 0;
}

static void teardown(void)
{
	errand_done(&errand);
	sem_destroy(&may_go);
}

static void wait_and_count(void *ctx)
{
	while (sem_wait(&may_go) != 0)
		;
	ran_on = pthread_self();
	++*(int *)ctx;
}

static bool is_over(int patience_ms)
{
	struct pollfd fd = { .fd = errand.over_fd, .events = POLLIN };
	return poll(&fd, 1, patience_ms) == 1;
}

START_TEST(an_errand_is_over_when_it_has_run_and_not_before)
{
	errand_begin(&errand, "test", wait_and_count, &runs);
	ck_assert(!is_over(20));
	sem_post(&may_go);
	ck_assert(is_over(10000));
	errand_end(&errand);
	ck_assert_int_eq(runs, 1);
	ck_assert(!pthread_equal(ran_on, pthread_self()));
	ck_assert(!is_over(0));
}
END_TEST

START_TEST(after_the_end_the_next_may_begin)
{
	for (int i = 0; i < 3; i++) {
		sem_post(&may_go);
		errand_begin(&errand, "test", wait_and_count, &runs);
		errand_end(&errand);
	}
	ck_assert_int_eq(runs, 3);
	ck_assert(!is_over(0));
}
END_TEST

START_TEST(an_end_without_a_beginning_does_not_wait)
{
	errand_end(&errand);
	ck_assert(!is_over(0));
}
END_TEST

Suite *suite_errand(void);
Suite *suite_errand(void)
{
	Suite *s = suite_create("errand");
	TCase *tc = tcase_create("core");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, an_errand_is_over_when_it_has_run_and_not_before);
	tcase_add_test(tc, after_the_end_the_next_may_begin);
	tcase_add_test(tc, an_end_without_a_beginning_does_not_wait);
	suite_add_tcase(s, tc);
	return s;
}
