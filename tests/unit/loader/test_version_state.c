/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include "loader/version.h"

/* The whole table, so that a new move has to be written here too. */
static const char *const legal[] = {
	"found loading", "found failed", "found unloaded",
	"loading compiling", "loading failed", "loading unloaded",
	"compiling warming", "compiling failed", "compiling unloaded",
	"warming ready", "warming failed", "warming unloaded",
	"ready draining",
	"draining unloaded",
	"unloaded loading",
	"failed loading", "failed unloaded",
};

static bool is_listed(enum version_state from, enum version_state to)
{
	char move[64];
	snprintf(move, sizeof(move), "%s %s", version_state_info(from)->text,
		version_state_info(to)->text);
	for (size_t i = 0; i < sizeof(legal) / sizeof(*legal); i++)
		if (strcmp(legal[i], move) == 0)
			return true;
	return false;
}

START_TEST(only_the_listed_moves_are_legal)
{
	for (enum version_state from = 0; from < VERSION_STATE_COUNT_; from++)
		for (enum version_state to = 0; to < VERSION_STATE_COUNT_; to++)
			ck_assert_msg(version_may_move(from, to) == is_listed(from, to), "%s -> %s",
				version_state_info(from)->text, version_state_info(to)->text);
}
END_TEST

START_TEST(a_ready_version_never_fails)
{
	ck_assert(!version_may_move(VERSION_READY, VERSION_FAILED));
	ck_assert(!version_may_move(VERSION_DRAINING, VERSION_READY));
}
END_TEST

START_TEST(states_have_the_names_of_both_protocols)
{
	ck_assert_str_eq(version_state_info(VERSION_READY)->oip, "READY");
	ck_assert_str_eq(version_state_info(VERSION_READY)->tfs, "AVAILABLE");
	ck_assert_str_eq(version_state_info(VERSION_DRAINING)->oip, "UNLOADING");
	ck_assert_str_eq(version_state_info(VERSION_FAILED)->tfs, "END");
}
END_TEST

Suite *suite_version_state(void);
Suite *suite_version_state(void)
{
	Suite *s = suite_create("version_state");
	TCase *t = tcase_create("core");
	tcase_add_test(t, only_the_listed_moves_are_legal);
	tcase_add_test(t, a_ready_version_never_fails);
	tcase_add_test(t, states_have_the_names_of_both_protocols);
	suite_add_tcase(s, t);
	return s;
}
