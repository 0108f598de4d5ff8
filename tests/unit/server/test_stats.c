/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>
#include "server/stats.h"

/* More than are kept when they are not loaded. */
#define MANY 1100

static struct version given_version(int64_t number)
{
	struct version v = { .model = "m", .number = number };
	ck_assert_int_eq(stats_attach(&v, NULL), ERR_OK);
	return v;
}

static void count_first(void *ctx, const struct stats *s)
{
	*(int *)ctx += s->number == 1 && s->loaded > 0;
}

static void count(void *ctx, const struct stats *s)
{
	(void)s;
	++*(int *)ctx;
}

static bool first_is_loaded(void)
{
	int n = 0;
	stats_walk(count_first, &n);
	return n == 1;
}

START_TEST(what_one_version_has_left_its_like_still_counts_in)
{
	struct version old = given_version(1), new = given_version(1);
	ck_assert_ptr_eq(old.stats, new.stats);
	stats_detach(&old);
	ck_assert(first_is_loaded());
	for (int i = 0; i < MANY; i++) {
		struct version other = given_version(2 + i);
		stats_detach(&other);
	}
	ck_assert(first_is_loaded());
	stats_detach(&new);
	ck_assert(!first_is_loaded());
}
END_TEST

START_TEST(who_is_not_loaded_makes_room)
{
	int n = 0;
	for (int i = 0; i < MANY; i++) {
		struct version v = given_version(1 + i);
		stats_detach(&v);
	}
	stats_walk(count, &n);
	ck_assert_int_lt(n, MANY);
}
END_TEST

Suite *suite_stats(void);
Suite *suite_stats(void)
{
	Suite *s = suite_create("stats");
	TCase *t = tcase_create("core");
	tcase_add_test(t, what_one_version_has_left_its_like_still_counts_in);
	tcase_add_test(t, who_is_not_loaded_makes_room);
	suite_add_tcase(s, t);
	return s;
}
