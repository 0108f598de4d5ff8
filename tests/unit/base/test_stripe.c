/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
#include "base/stripe.h"

static void *ask(void *ret)
{
	*(unsigned *)ret = stripe_mine();
	return NULL;
}

static unsigned asked_by_another(void)
{
	unsigned n = STRIPES;
	pthread_t t;
	ck_assert_int_eq(pthread_create(&t, NULL, ask, &n), 0);
	pthread_join(t, NULL);
	return n;
}

START_TEST(a_thread_keeps_its_stripe)
{
	unsigned mine = stripe_mine();
	asked_by_another();
	ck_assert_uint_eq(stripe_mine(), mine);
}
END_TEST

START_TEST(as_many_threads_as_there_are_stripes_share_none)
{
	unsigned times[STRIPES] = { 0 };
	for (int i = 0; i < 2 * STRIPES; i++) {
		unsigned n = asked_by_another();
		ck_assert_uint_lt(n, STRIPES);
		times[n]++;
		ck_assert_uint_eq(times[n], i < STRIPES ? 1 : 2);
	}
}
END_TEST

Suite *suite_stripe(void);
Suite *suite_stripe(void)
{
	Suite *s = suite_create("stripe");
	TCase *t = tcase_create("stripe");
	tcase_add_test(t, a_thread_keeps_its_stripe);
	tcase_add_test(t, as_many_threads_as_there_are_stripes_share_none);
	suite_add_tcase(s, t);
	return s;
}
