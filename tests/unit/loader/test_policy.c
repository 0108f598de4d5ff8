/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include "loader/repo/policy.h"

#define N 4
static struct policy_rule rule;
static struct policy_version v[N];
static int n;

static void setup(void)
{
	rule = (struct policy_rule){ .enabled = true, .policy = POLICY_LATEST, .latest_n = 1 };
	n = 0;
}

/* Given in the order that the policy is promised: highest number first. */
static void given(int64_t number, enum version_state state, bool present, bool loadable)
{
	v[n++] = (struct policy_version){ .number = number, .state = state, .present = present,
		.loadable = loadable };
}

static void next_is(enum policy_act act, int64_t number)
{
	policy_want(&rule, v, n);
	struct policy_action a = policy_next(&rule, v, n);
	ck_assert_int_eq(a.act, act);
	if (act != POLICY_NOTHING)
		ck_assert_int_eq(v[a.index].number, number);
}

START_TEST(the_latest_version_is_loaded_first_and_alone)
{
	given(2, VERSION_FOUND, true, true);
	given(1, VERSION_FOUND, true, true);
	next_is(POLICY_LOAD, 2);
	v[0].state = VERSION_LOADING;
	next_is(POLICY_NOTHING, 0);
}
END_TEST

START_TEST(the_old_version_stays_until_the_new_one_is_ready)
{
	given(2, VERSION_WARMING, true, false);
	given(1, VERSION_READY, true, false);
	next_is(POLICY_NOTHING, 0);
	v[0].state = VERSION_READY;
	next_is(POLICY_DRAIN, 1);
}
END_TEST

START_TEST(a_version_that_fails_evicts_nobody)
{
	given(2, VERSION_FAILED, true, false);
	given(1, VERSION_READY, true, false);
	next_is(POLICY_NOTHING, 0);
	ck_assert(v[1].wanted);
}
END_TEST

START_TEST(after_a_failure_the_next_older_version_stands_in)
{
	given(3, VERSION_FAILED, true, false);
	given(2, VERSION_UNLOADED, true, true);
	given(1, VERSION_FOUND, true, true);
	next_is(POLICY_LOAD, 2);
}
END_TEST

START_TEST(m23_a_version_still_being_copied_counts_for_nothing)
{
	given(2, VERSION_FOUND, true, false);
	given(1, VERSION_FOUND, true, true);
	next_is(POLICY_LOAD, 1);
}
END_TEST

START_TEST(m29_a_removed_version_goes_when_its_stand_in_is_ready)
{
	given(2, VERSION_READY, false, false);
	given(1, VERSION_FOUND, true, true);
	next_is(POLICY_LOAD, 1);
	v[1].state = VERSION_LOADING;
	v[1].loadable = false;
	next_is(POLICY_NOTHING, 0);
	v[1].state = VERSION_READY;
	next_is(POLICY_DRAIN, 2);
}
END_TEST

START_TEST(m29_a_removed_version_stays_while_only_broken_ones_are_left)
{
	given(3, VERSION_FAILED, true, false);
	given(2, VERSION_READY, false, false);
	next_is(POLICY_NOTHING, 0);
}
END_TEST

START_TEST(m29_the_last_version_goes_when_nothing_is_left_on_disk)
{
	given(2, VERSION_READY, false, false);
	next_is(POLICY_DRAIN, 2);
	v[0].state = VERSION_DRAINING;
	next_is(POLICY_NOTHING, 0);
	v[0].state = VERSION_UNLOADED;
	next_is(POLICY_FORGET, 2);
}
END_TEST

START_TEST(m29_the_load_of_a_removed_version_is_cancelled_once)
{
	given(2, VERSION_COMPILING, false, false);
	next_is(POLICY_CANCEL, 2);
	v[0].cancelling = true;
	next_is(POLICY_NOTHING, 0);
}
END_TEST

START_TEST(m29_replaced_files_of_one_number_are_loaded_beside_the_old_ones)
{
	given(1, VERSION_FOUND, true, true);
	given(1, VERSION_READY, false, false);
	policy_want(&rule, v, n);
	ck_assert_int_eq(policy_next(&rule, v, n).index, 0);
	v[0].state = VERSION_READY;
	v[0].loadable = false;
	next_is(POLICY_DRAIN, 1);
	ck_assert_int_eq(policy_next(&rule, v, n).index, 1);
}
END_TEST

START_TEST(m30_a_rollback_loads_the_old_version_before_the_new_one_goes)
{
	int64_t only[] = { 5 };
	rule = (struct policy_rule){ .enabled = true, .policy = POLICY_SPECIFIC, .versions = only,
		.n_versions = 1 };
	given(7, VERSION_READY, true, false);
	given(5, VERSION_UNLOADED, true, true);
	next_is(POLICY_LOAD, 5);
	v[1] = (struct policy_version){ .number = 5, .state = VERSION_LOADING, .present = true };
	next_is(POLICY_NOTHING, 0);
	v[1].state = VERSION_READY;
	next_is(POLICY_DRAIN, 7);
}
END_TEST

START_TEST(a_policy_that_names_a_version_that_is_not_there_takes_nothing_away)
{
	int64_t only[] = { 9 };
	rule = (struct policy_rule){ .enabled = true, .policy = POLICY_SPECIFIC, .versions = only,
		.n_versions = 1 };
	given(7, VERSION_READY, true, false);
	next_is(POLICY_NOTHING, 0);
}
END_TEST

START_TEST(labelled_versions_are_wanted_besides_the_latest)
{
	int64_t labelled[] = { 1 };
	rule.labelled = labelled;
	rule.n_labelled = 1;
	given(3, VERSION_READY, true, false);
	given(2, VERSION_FOUND, true, true);
	given(1, VERSION_FOUND, true, true);
	next_is(POLICY_LOAD, 1);
	v[2].state = VERSION_READY;
	next_is(POLICY_NOTHING, 0);
}
END_TEST

START_TEST(a_model_that_nobody_wants_is_cancelled_and_drained_at_once)
{
	rule.enabled = false;
	given(2, VERSION_LOADING, true, false);
	given(1, VERSION_READY, true, false);
	next_is(POLICY_CANCEL, 2);
	v[0].cancelling = true;
	next_is(POLICY_DRAIN, 1);
}
END_TEST

/* Every combination of three versions: plays the policy until it has nothing to do, with
   every load succeeding, and looks at each step. */
static int count_ready(void)
{
	int ready = 0;
	for (int i = 0; i < n; i++)
		ready += v[i].state == VERSION_READY;
	return ready;
}

static bool any_present(void)
{
	for (int i = 0; i < n; i++)
		if (v[i].present)
			return true;
	return false;
}

static bool play_step(void)
{
	policy_want(&rule, v, n);
	struct policy_action a = policy_next(&rule, v, n);
	struct policy_version *x = &v[a.index < 0 ? 0 : a.index];
	switch (a.act) {
	case POLICY_NOTHING:
		return false;
	case POLICY_LOAD:
		ck_assert(x->loadable && x->present && x->wanted);
		x->state = VERSION_READY;
		x->loadable = false;
		return true;
	case POLICY_CANCEL:
		ck_assert(!x->present);
		x->state = VERSION_UNLOADED;
		return true;
	case POLICY_DRAIN:
		ck_assert(!x->wanted);
		ck_assert_msg(
			count_ready() > 1 || !any_present(), "the last ready version was drained");
		x->state = VERSION_UNLOADED;
		return true;
	case POLICY_FORGET:
		ck_assert(!x->present && x->state != VERSION_READY);
		for (int i = a.index; i < n - 1; i++)
			v[i] = v[i + 1];
		n--;
		return true;
	}
	return false;
}

START_TEST(from_any_start_the_policy_comes_to_rest_without_a_gap)
{
	const int kinds = VERSION_STATE_COUNT_ * 4;
	for (int start = 0; start < kinds * kinds * kinds; start++) {
		setup();
		for (int i = 0, x = start; i < 3; i++, x /= kinds) {
			enum version_state s = (enum version_state)(x % kinds / 4);
			bool settled =
				s == VERSION_FOUND || s == VERSION_FAILED || s == VERSION_UNLOADED;
			given(3 - i, s, x & 1, settled && (x & 1) && (x & 2));
		}
		bool had_ready = count_ready() > 0;
		int steps = 0;
		while (play_step())
			ck_assert_int_lt(++steps, 20);
		if (had_ready && any_present())
			ck_assert_int_ge(count_ready(), 1);
	}
}
END_TEST

Suite *suite_policy(void);
Suite *suite_policy(void)
{
	Suite *s = suite_create("policy");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, the_latest_version_is_loaded_first_and_alone);
	tcase_add_test(t, the_old_version_stays_until_the_new_one_is_ready);
	tcase_add_test(t, a_version_that_fails_evicts_nobody);
	tcase_add_test(t, after_a_failure_the_next_older_version_stands_in);
	tcase_add_test(t, m23_a_version_still_being_copied_counts_for_nothing);
	tcase_add_test(t, m29_a_removed_version_goes_when_its_stand_in_is_ready);
	tcase_add_test(t, m29_a_removed_version_stays_while_only_broken_ones_are_left);
	tcase_add_test(t, m29_the_last_version_goes_when_nothing_is_left_on_disk);
	tcase_add_test(t, m29_the_load_of_a_removed_version_is_cancelled_once);
	tcase_add_test(t, m29_replaced_files_of_one_number_are_loaded_beside_the_old_ones);
	tcase_add_test(t, m30_a_rollback_loads_the_old_version_before_the_new_one_goes);
	tcase_add_test(t, a_policy_that_names_a_version_that_is_not_there_takes_nothing_away);
	tcase_add_test(t, labelled_versions_are_wanted_besides_the_latest);
	tcase_add_test(t, a_model_that_nobody_wants_is_cancelled_and_drained_at_once);
	tcase_add_test(t, from_any_start_the_policy_comes_to_rest_without_a_gap);
	suite_add_tcase(s, t);
	return s;
}
