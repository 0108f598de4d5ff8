/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
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

static void keep(void *ctx, const struct stats *s)
{
	if (s->number == 1)
		*(struct stats *)ctx = *s;
}

enum { THREADS = 20, EACH = 100 };

/* 50 us in the queue, 1 ms computing; the last is an error. */
static void *record_some(void *stats)
{
	for (int i = 0; i < EACH; i++) {
		struct request r = { .rows = 2, .queued_ns = 1000, .began_ns = 51000,
			.computed_ns = 1051000 };
		stats_record(stats, STATS_GRPC, &r,
			i < EACH - 1 ? ERR_OK : ERR_INVALID_ARGUMENT);
	}
	return NULL;
}

START_TEST(what_threads_have_counted_is_added_up)
{
	struct version v = given_version(1);
	struct stats s;
	pthread_t thread[THREADS];
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, record_some, v.stats), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	stats_walk(keep, &s);
	const uint64_t good = THREADS * (EACH - 1);
	ck_assert_uint_eq(stats_requests(&s, ERR_OK, ERR_OK + 1), good);
	ck_assert_uint_eq(stats_requests(&s, 1, STATS_CODES), THREADS);
	ck_assert_uint_eq(s.code[STATS_GRPC][ERR_INVALID_ARGUMENT], THREADS);
	ck_assert_uint_eq(s.rows, 2 * good);
	ck_assert_int_eq(s.queue.sum, 50000 * (int64_t)good);
	ck_assert_int_eq(s.compute.sum, 1000000 * (int64_t)good);
	ck_assert_uint_eq(s.latency.cumulative[s.latency.n_bounds], good);
	ck_assert_int_gt(s.last_ms, 0);
	stats_detach(&v);
}
END_TEST

Suite *suite_stats(void);
Suite *suite_stats(void)
{
	Suite *s = suite_create("stats");
	TCase *t = tcase_create("core");
	tcase_add_test(t, what_one_version_has_left_its_like_still_counts_in);
	tcase_add_test(t, who_is_not_loaded_makes_room);
	tcase_add_test(t, what_threads_have_counted_is_added_up);
	suite_add_tcase(s, t);
	return s;
}
