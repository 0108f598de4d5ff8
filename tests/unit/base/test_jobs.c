/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include "base/jobs.h"

#define N 100

static struct err err;

struct noted {
	struct job job;
	int number;
};

static struct noted jobs[N];
static int order[N];
static atomic_int done;
static atomic_int started;

static void note(void *ctx)
{
	struct noted *j = ctx;
	order[atomic_fetch_add(&done, 1)] = j->number;
}

static void count_start(void)
{
	atomic_fetch_add(&started, 1);
}

static struct jobs *given_jobs(int threads)
{
	struct jobs *q;
	atomic_store(&done, 0);
	atomic_store(&started, 0);
	ck_assert_int_eq(
		jobs_new(&(struct jobs_conf){ "test-jobs", threads, count_start }, &q, &err),
		ERR_OK);
	return q;
}

static void submit_all(struct jobs *q)
{
	for (int i = 0; i < N; i++) {
		jobs[i] = (struct noted){ { .run = note, .ctx = &jobs[i] }, i };
		jobs_submit(q, &jobs[i].job);
	}
}

START_TEST(one_thread_runs_them_in_order)
{
	struct jobs *q = given_jobs(1);

	submit_all(q);
	jobs_free(q);

	ck_assert_int_eq(atomic_load(&done), N);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(order[i], i);
}
END_TEST

START_TEST(several_threads_run_each_once)
{
	bool seen[N] = { false };
	struct jobs *q = given_jobs(4);

	submit_all(q);
	jobs_free(q);

	ck_assert_int_eq(atomic_load(&started), 4);
	ck_assert_int_eq(atomic_load(&done), N);
	for (int i = 0; i < N; i++) {
		ck_assert(!seen[order[i]]);
		seen[order[i]] = true;
	}
}
END_TEST

static pthread_barrier_t both;

static void meet(void *ctx)
{
	(void)ctx;
	pthread_barrier_wait(&both);
}

START_TEST(one_that_waits_holds_up_no_other_thread)
{
	struct job pair[2] = { { .run = meet }, { .run = meet } };
	struct jobs *q = given_jobs(2);
	pthread_barrier_init(&both, NULL, 2);

	jobs_submit(q, &pair[0]);
	jobs_submit(q, &pair[1]);
	jobs_free(q); /* comes back only when both have met */

	pthread_barrier_destroy(&both);
}
END_TEST

START_TEST(without_threads_there_is_one)
{
	struct jobs *q = given_jobs(0);

	submit_all(q);
	jobs_free(q);

	ck_assert_int_eq(atomic_load(&started), 1);
	jobs_free(NULL);
}
END_TEST

Suite *suite_jobs(void);
Suite *suite_jobs(void)
{
	Suite *s = suite_create("jobs");
	TCase *t = tcase_create("core");
	tcase_add_test(t, one_thread_runs_them_in_order);
	tcase_add_test(t, several_threads_run_each_once);
	tcase_add_test(t, one_that_waits_holds_up_no_other_thread);
	tcase_add_test(t, without_threads_there_is_one);
	suite_add_tcase(s, t);
	return s;
}
