/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include "exec/run/pool.h"

static struct pool *given_pool(int threads)
{
	struct pool *p;
	struct err err;
	ck_assert_int_eq(pool_new(threads, NULL, &p, &err), ERR_OK);
	return p;
}

struct counting_job {
	struct pool_job job;
	atomic_int *count;
};

static void count_one(struct pool_job *job)
{
	atomic_fetch_add(((struct counting_job *)job)->count, 1);
}

START_TEST(every_job_runs_once_before_the_pool_is_gone)
{
	struct pool *p = given_pool(3);
	static struct counting_job jobs[1000];
	atomic_int count = 0;

	for (int i = 0; i < 1000; i++) {
		jobs[i] = (struct counting_job){ .job.run = count_one, .count = &count };
		pool_submit(p, &jobs[i].job);
	}
	pool_free(p);

	ck_assert_int_eq(count, 1000);
}
END_TEST

struct cover {
	atomic_uchar seen[10007];
};

static void mark(void *ctx, int64_t begin, int64_t end)
{
	struct cover *c = ctx;
	for (int64_t i = begin; i < end; i++)
		atomic_fetch_add(&c->seen[i], 1);
}

START_TEST(a_section_covers_each_unit_once)
{
	struct pool *p = given_pool(4);
	static const int64_t sizes[] = { 0, 1, 2, 3, 15, 16, 17, 10007 };

	int missed = 0;
	for (int round = 0; round < 50; round++)
		for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
			static struct cover c;
			memset(&c, 0, sizeof(c));
			pool_parallel(p, sizes[s], mark, &c);
			for (int64_t i = 0; i < sizes[s]; i++)
				missed += c.seen[i] != 1;
		}
	ck_assert_int_eq(missed, 0);
	pool_free(p);
}
END_TEST

struct nested_job {
	struct pool_job job;
	struct pool *pool;
	struct cover cover;
};

static void run_section(struct pool_job *job)
{
	struct nested_job *n = (struct nested_job *)job;
	pool_parallel(n->pool, 5000, mark, &n->cover);
}

START_TEST(jobs_may_open_sections_at_once)
{
	struct pool *p = given_pool(2);
	static struct nested_job jobs[8];

	for (int i = 0; i < 8; i++) {
		jobs[i].job.run = run_section;
		jobs[i].pool = p;
		pool_submit(p, &jobs[i].job);
	}
	pool_free(p);

	for (int i = 0; i < 8; i++)
		for (int k = 0; k < 5000; k++)
			ck_assert_int_eq(jobs[i].cover.seen[k], 1);
}
END_TEST

static atomic_bool may_leave;

static void stay(struct pool_job *job)
{
	(void)job;
	while (!atomic_load(&may_leave))
		usleep(1000);
}

/* However long the machine takes to get to it. */
START_TEST(a_thread_that_stays_in_a_job_is_reported_stuck)
{
	struct pool *p = given_pool(1);
	struct pool_job job = { .run = stay };

	ck_assert(!pool_is_stuck(p, 1));
	pool_submit(p, &job);
	for (int i = 0; i < 30000 && !pool_is_stuck(p, 1000000); i++)
		usleep(1000);

	ck_assert(pool_is_stuck(p, 1000000));
	ck_assert(!pool_is_stuck(p, INT64_C(3600000000000)));
	atomic_store(&may_leave, true);
	pool_free(p);
}
END_TEST

START_TEST(default_size_is_within_the_affinity_mask)
{
	int n = pool_default_threads();
	ck_assert_int_ge(n, 1);
	ck_assert_int_le(n, (int)sysconf(_SC_NPROCESSORS_CONF));
}
END_TEST

Suite *suite_pool(void);
Suite *suite_pool(void)
{
	Suite *s = suite_create("pool");
	TCase *t = tcase_create("pool");
	tcase_add_test(t, every_job_runs_once_before_the_pool_is_gone);
	tcase_add_test(t, a_section_covers_each_unit_once);
	tcase_add_test(t, jobs_may_open_sections_at_once);
	tcase_add_test(t, a_thread_that_stays_in_a_job_is_reported_stuck);
	tcase_add_test(t, default_size_is_within_the_affinity_mask);
	suite_add_tcase(s, t);
	return s;
}
