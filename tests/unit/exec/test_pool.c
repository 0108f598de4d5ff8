/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
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

static void mark(void *ctx, int who, int64_t begin, int64_t end)
{
	struct cover *c = ctx;
	(void)who;
	for (int64_t i = begin; i < end; i++)
		atomic_fetch_add(&c->seen[i], 1);
}

/* Worth everybody's while, whatever the units are. */
#define COST_NS (1000 * NS_PER_US)

START_TEST(a_section_covers_each_unit_once)
{
	struct pool *p = given_pool(4);
	static const int64_t sizes[] = { 0, 1, 2, 3, 15, 16, 17, 10007 };

	int missed = 0;
	for (int round = 0; round < 50; round++) {
		struct pool_team *team = pool_team_take(p, round % 5);
		for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
			static struct cover c;
			memset(&c, 0, sizeof(c));
			pool_parallel(team, &(struct pool_work){ mark, &c, sizes[s], COST_NS });
			for (int64_t i = 0; i < sizes[s]; i++)
				missed += c.seen[i] != 1;
		}
		pool_team_give(team);
	}
	ck_assert_int_eq(missed, 0);
	pool_free(p);
}
END_TEST

START_TEST(a_section_of_no_team_runs_on_its_caller)
{
	static struct cover c;

	pool_parallel(pool_team_take(NULL, 3), &(struct pool_work){ mark, &c, 100, COST_NS });

	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(c.seen[i], 1);
}
END_TEST

#define SHARED_THREADS 3

struct numbered {
	atomic_int in[SHARED_THREADS + 1];
	atomic_int clashes;
};

static void enter_and_leave(void *ctx, int who, int64_t begin, int64_t end)
{
	struct numbered *n = ctx;
	(void)begin, (void)end;
	if (who < 0 || who > SHARED_THREADS || atomic_fetch_add(&n->in[who], 1) != 0)
		atomic_fetch_add(&n->clashes, 1);
	else
		atomic_fetch_sub(&n->in[who], 1);
}

START_TEST(threads_in_a_section_have_numbers_of_their_own)
{
	struct pool *p = given_pool(SHARED_THREADS);
	struct numbered n = { .clashes = 0 };
	struct pool_team *team = pool_team_take(p, SHARED_THREADS);

	for (int i = 0; i < 2000; i++)
		pool_parallel(team, &(struct pool_work){ enter_and_leave, &n, 64, COST_NS });

	ck_assert_int_eq(n.clashes, 0);
	pool_team_give(team);
	pool_free(p);
}
END_TEST

/* Waits for what another thread must bring about. */
static bool comes_true(atomic_int *x)
{
	for (int i = 0; i < 10000 && !atomic_load(x); i++)
		usleep(1000);
	return atomic_load(x);
}

struct meeting {
	atomic_int helped, alone;
};

static void meet(void *ctx, int who, int64_t begin, int64_t end)
{
	struct meeting *m = ctx;
	(void)begin, (void)end;
	if (who)
		atomic_store(&m->helped, 1);
	else if (!comes_true(&m->helped))
		atomic_store(&m->alone, 1);
}

START_TEST(an_idle_thread_helps_every_run)
{
	struct pool *p = given_pool(1);

	for (int run = 0; run < 100; run++) {
		struct meeting m = { 0 };
		struct pool_team *team = pool_team_take(p, 1);
		pool_parallel(team, &(struct pool_work){ meet, &m, 8, COST_NS });
		pool_team_give(team);
		ck_assert(!m.alone);
	}
	pool_free(p);
}
END_TEST

START_TEST(a_helper_that_fell_asleep_is_woken_for_a_long_section)
{
	struct pool *p = given_pool(1);
	struct pool_team *team = pool_team_take(p, 1);

	usleep(20000);
	struct meeting m = { 0 };
	pool_parallel(team, &(struct pool_work){ meet, &m, 8, COST_NS });

	ck_assert(!m.alone);
	pool_team_give(team);
	pool_free(p);
}
END_TEST

struct interruption {
	struct pool_job job;
	struct pool *pool;
	atomic_int submitted, ran, helped_after, ignored;
};

static void on_interruption(struct pool_job *job)
{
	atomic_store(&((struct interruption *)job)->ran, 1);
}

/* The helper's first chunk brings a job; the opener's first one waits until it has run. */
static void interrupt(void *ctx, int who, int64_t begin, int64_t end)
{
	struct interruption *x = ctx;
	(void)begin, (void)end;
	if (who == 0) {
		if (!comes_true(&x->ran))
			atomic_store(&x->ignored, 1);
	} else if (!atomic_exchange(&x->submitted, 1)) {
		pool_submit(x->pool, &x->job);
	} else if (!atomic_load(&x->ran)) {
		atomic_fetch_add(&x->helped_after, 1);
	}
}

START_TEST(a_helper_leaves_a_section_for_a_job)
{
	struct pool *p = given_pool(1);
	struct interruption x = { .job.run = on_interruption, .pool = p };
	struct pool_team *team = pool_team_take(p, 1);

	pool_parallel(team, &(struct pool_work){ interrupt, &x, 8, COST_NS });

	ck_assert(!x.ignored);
	ck_assert_int_eq(x.helped_after, 0);
	pool_team_give(team);
	pool_free(p);
}
END_TEST

static int64_t cpu_time_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

START_TEST(nobody_is_awake_for_a_run_that_is_over_or_has_nothing_to_share)
{
	struct pool *p = given_pool(2);
	struct meeting m = { 0 };
	struct pool_team *team = pool_team_take(p, 2);
	pool_parallel(team, &(struct pool_work){ meet, &m, 8, COST_NS });

	int64_t before = cpu_time_ns();
	usleep(100000); /* a serial step */
	int64_t serial = cpu_time_ns() - before;
	pool_team_give(team);
	before = cpu_time_ns();
	usleep(100000);
	int64_t idle = cpu_time_ns() - before;

	ck_assert_int_lt(serial, 20 * NS_PER_MS);
	ck_assert_int_lt(idle, 20 * NS_PER_MS);
	pool_free(p);
}
END_TEST

START_TEST(more_runs_than_there_are_teams_go_on_without_help)
{
	struct pool *p = given_pool(1);
	struct pool_team *team[64];
	static struct cover c;

	for (int i = 0; i < 64; i++)
		team[i] = pool_team_take(p, 1);
	ck_assert_ptr_nonnull(team[0]);
	ck_assert_ptr_null(team[63]);
	pool_parallel(team[63], &(struct pool_work){ mark, &c, 1000, COST_NS });

	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(c.seen[i], 1);
	for (int i = 0; i < 64; i++)
		pool_team_give(team[i]);
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
	struct pool_team *team = pool_team_take(n->pool, 2);
	for (int i = 0; i < 50; i++)
		pool_parallel(team, &(struct pool_work){ mark, &n->cover, 5000, COST_NS });
	pool_team_give(team);
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
			ck_assert_int_eq(jobs[i].cover.seen[k], 50);
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
	ck_assert_int_le(pool_whole_cpus(), n);
}
END_TEST

Suite *suite_pool(void);
Suite *suite_pool(void)
{
	Suite *s = suite_create("pool");
	TCase *t = tcase_create("pool");
	tcase_add_test(t, every_job_runs_once_before_the_pool_is_gone);
	tcase_add_test(t, a_section_covers_each_unit_once);
	tcase_add_test(t, a_section_of_no_team_runs_on_its_caller);
	tcase_add_test(t, threads_in_a_section_have_numbers_of_their_own);
	tcase_add_test(t, an_idle_thread_helps_every_run);
	tcase_add_test(t, a_helper_that_fell_asleep_is_woken_for_a_long_section);
	tcase_add_test(t, a_helper_leaves_a_section_for_a_job);
	tcase_add_test(t, nobody_is_awake_for_a_run_that_is_over_or_has_nothing_to_share);
	tcase_add_test(t, more_runs_than_there_are_teams_go_on_without_help);
	tcase_add_test(t, jobs_may_open_sections_at_once);
	tcase_add_test(t, a_thread_that_stays_in_a_job_is_reported_stuck);
	tcase_add_test(t, default_size_is_within_the_affinity_mask);
	suite_add_tcase(s, t);
	return s;
}
