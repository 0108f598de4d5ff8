/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
#include "base/hist.h"

static const int64_t bounds[] = { 1, 10, 100 };

START_TEST(bounds_are_inclusive_and_counts_cumulative)
{
	static const int64_t values[] = { -5, 0, 1, 2, 10, 11, 100, 101, INT64_MAX / 2 };
	struct hist h;
	struct hist_reading r = { 0 };
	hist_init(&h, bounds, 3);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		hist_add(&h, values[i]);
	hist_read(&h, &r);
	ck_assert_uint_eq(r.cumulative[0], 3);
	ck_assert_uint_eq(r.cumulative[1], 5);
	ck_assert_uint_eq(r.cumulative[2], 7);
	ck_assert_uint_eq(r.cumulative[3], 9);
	ck_assert_int_eq(r.sum, 220 + INT64_MAX / 2);
}
END_TEST

START_TEST(readings_add_up)
{
	struct hist a, b;
	struct hist_reading r = { 0 };
	hist_init(&a, bounds, 3);
	hist_init(&b, bounds, 3);
	hist_add(&a, 5);
	hist_add(&b, 50);
	hist_read(&a, &r);
	hist_read(&b, &r);
	ck_assert_uint_eq(r.cumulative[0], 0);
	ck_assert_uint_eq(r.cumulative[1], 1);
	ck_assert_uint_eq(r.cumulative[2], 2);
	ck_assert_uint_eq(r.cumulative[3], 2);
	ck_assert_int_eq(r.sum, 55);
	ck_assert_ptr_eq(r.bounds, bounds);
}
END_TEST

static void *add_many(void *arg)
{
	for (int i = 0; i < 20000; i++)
		hist_add(arg, i % 200);
	return NULL;
}

START_TEST(threads_lose_no_count)
{
	struct hist h;
	struct hist_reading r = { 0 };
	pthread_t thread[4];
	hist_init(&h, bounds, 3);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, add_many, &h), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	hist_read(&h, &r);
	ck_assert_uint_eq(r.cumulative[3], 80000);
	ck_assert_uint_eq(r.cumulative[2], 80000 / 200 * 101);
	ck_assert_int_eq(r.sum, INT64_C(80000) / 200 * (199 * 100));
}
END_TEST

START_TEST(percentiles_are_within_a_64th)
{
	static struct hist_log h;
	hist_log_init(&h);
	for (int64_t i = 1; i <= 1000000; i++)
		hist_log_add(&h, i * 1000);
	static const double percents[] = { 0, 1, 50, 90, 99, 99.9, 99.99 };
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		double want = percents[i] == 0 ? 1000 : percents[i] * 1e7;
		double got = (double)hist_log_percentile(&h, percents[i]);
		ck_assert_msg(
			got >= want && got <= want * (1 + 1.0 / 64), "p%g: %g", percents[i], got);
	}
	ck_assert_int_eq(hist_log_percentile(&h, 100), 1000000000);
	ck_assert_double_eq_tol(hist_log_mean(&h), 500000500, 1);
}
END_TEST

START_TEST(small_values_are_exact_and_large_ones_fit)
{
	static struct hist_log h;
	for (int64_t v = 0; v < 128; v++) {
		hist_log_init(&h);
		hist_log_add(&h, v);
		hist_log_add(&h, INT64_MAX);
		ck_assert_int_eq(hist_log_percentile(&h, 50), v);
		ck_assert_int_eq(hist_log_percentile(&h, 100), INT64_MAX);
	}
	hist_log_init(&h);
	ck_assert_int_eq(hist_log_percentile(&h, 50), 0);
	ck_assert_double_eq(hist_log_mean(&h), 0);
	hist_log_add(&h, -3);
	ck_assert_int_eq(h.max, 0);
}
END_TEST

Suite *suite_hist(void);
Suite *suite_hist(void)
{
	Suite *s = suite_create("hist");
	TCase *t = tcase_create("hist");
	tcase_add_test(t, bounds_are_inclusive_and_counts_cumulative);
	tcase_add_test(t, readings_add_up);
	tcase_add_test(t, threads_lose_no_count);
	tcase_add_test(t, percentiles_are_within_a_64th);
	tcase_add_test(t, small_values_are_exact_and_large_ones_fit);
	suite_add_tcase(s, t);
	return s;
}
