/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include "base/clock.h"
#include "server/grpc/rpc_waste.h"

static struct rpc_waste waste;
static int64_t now_ns;

/* How many the connection gets away with, of n more. */
static int wasted(struct rpc_tally *one, int n)
{
	int done = 0;
	while (done < n && rpc_waste_add(&waste, rpc_tally_add(one, now_ns), now_ns))
		done++;
	return done;
}

static void setup(void)
{
	/* Each 100 in a second, all of them 200 at once and 200 in a second. */
	waste = (struct rpc_waste){ .one_max = 100, .forgets_ns = NS_PER_S / 200 };
	now_ns = 1000 * NS_PER_S;
}

START_TEST(one_alone_has_all_that_it_may)
{
	struct rpc_tally one = { 0 };
	ck_assert_int_eq(wasted(&one, 1000), 100);
	now_ns += NS_PER_S;
	ck_assert_int_eq(wasted(&one, 1000), 100);
}
END_TEST

START_TEST(who_has_wasted_most_is_the_first_to_go)
{
	struct rpc_tally many = { 0 }, some = { 0 }, few = { 0 };
	ck_assert_int_eq(wasted(&some, 60), 60);
	ck_assert_int_eq(wasted(&many, 1000), 70); /* and 69 are left */
	ck_assert_int_eq(wasted(&some, 1000), 4);
	ck_assert_int_eq(wasted(&few, 10), 10);
}
END_TEST

START_TEST(many_together_have_no_more_than_all_may)
{
	int total = 0;
	for (int i = 0; i < 1000; i++) {
		struct rpc_tally one = { 0 };
		total += wasted(&one, 5);
	}
	ck_assert_int_le(total, 200);
}
END_TEST

START_TEST(what_is_beyond_is_not_held_against_those_who_come_later)
{
	struct rpc_tally bad = { 0 }, good = { 0 };
	for (int i = 0; i < 100000; i++)
		(void)wasted(&bad, 1);
	now_ns += NS_PER_S;
	ck_assert_int_eq(wasted(&good, 50), 50);
}
END_TEST

Suite *suite_rpc_waste(void);
Suite *suite_rpc_waste(void)
{
	Suite *s = suite_create("rpc_waste");
	TCase *t = tcase_create("rpc_waste");
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, one_alone_has_all_that_it_may);
	tcase_add_test(t, who_has_wasted_most_is_the_first_to_go);
	tcase_add_test(t, many_together_have_no_more_than_all_may);
	tcase_add_test(t, what_is_beyond_is_not_held_against_those_who_come_later);
	suite_add_tcase(s, t);
	return s;
}
