/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/priority.h"

/* What sched_getattr(2) fills in. */
struct seen {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

/* On a thread of its own, which begins with nice value 5: it is not lowered again. */
struct trial {
	void (*first)(void); /* or NULL */
	void (*wish)(void);
	struct seen before, after;
};

static void look(struct seen *ret)
{
	*ret = (struct seen){ 0 };
	(void)syscall(SYS_sched_getattr, 0, ret, sizeof(*ret), 0u);
}

static void *run(void *ctx)
{
	struct trial *t = ctx;
	setpriority(PRIO_PROCESS, (id_t)gettid(), 5);
	if (t->first)
		t->first();
	look(&t->before);
	t->wish();
	look(&t->after);
	return NULL;
}

static struct trial tried(void (*first)(void), void (*wish)(void))
{
	struct trial t = { .first = first, .wish = wish };
	pthread_t thread;
	ck_assert_int_eq(pthread_create(&thread, NULL, run, &t), 0);
	pthread_join(thread, NULL);
	ck_assert_uint_gt(t.before.size, 0);
	return t;
}

START_TEST(low_is_behind_all_others)
{
	struct trial t = tried(NULL, priority_low);
	ck_assert_uint_eq(t.after.policy, SCHED_BATCH);
	ck_assert_int_eq(t.after.nice, 19);
}
END_TEST

START_TEST(short_turns_leave_the_nice_value)
{
	struct trial t = tried(NULL, priority_short_turns);
	ck_assert_uint_eq(t.after.policy, SCHED_OTHER);
	ck_assert_int_eq(t.after.nice, 5);
	if (t.before.runtime_ns > 0) /* a kernel that says how long a turn is takes wishes */
		ck_assert_uint_lt(t.after.runtime_ns, t.before.runtime_ns);
}
END_TEST

START_TEST(whoever_has_another_policy_keeps_it)
{
	struct trial t = tried(priority_low, priority_short_turns);
	ck_assert_uint_eq(t.after.policy, SCHED_BATCH);
	ck_assert_uint_eq(t.after.runtime_ns, t.before.runtime_ns);
}
END_TEST

Suite *suite_priority(void);
Suite *suite_priority(void)
{
	Suite *s = suite_create("priority");
	TCase *t = tcase_create("priority");
	tcase_add_test(t, low_is_behind_all_others);
	tcase_add_test(t, short_turns_leave_the_nice_value);
	tcase_add_test(t, whoever_has_another_policy_keeps_it);
	suite_add_tcase(s, t);
	return s;
}
