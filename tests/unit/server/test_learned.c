/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "server/learned.h"
#include "support/tempdir.h"

static const char *machine_text;
static struct tempdir dir;
static struct err err;
static char name[CHOICE_NAME_MAX];

static void machine(char *ret, size_t size)
{
	snprintf(ret, size, "%s", machine_text);
}

static const struct backend backend = {.name = "test", .machine = machine};

static void setup(void)
{
	machine_text = "a machine";
	dir = tempdir_new();
	unsetenv("STATE_DIRECTORY");
}

static void teardown(void)
{
	tempdir_free(&dir);
}

static struct learned *opened(const char *where)
{
	struct learned *l;
	ck_assert_int_eq(learned_open(where, &backend, &l, &err), ERR_OK);
	return l;
}

static void given_saved_choice(void)
{
	struct learned *l = opened(dir.path);
	choices_put(learned_choices(l), "step", "kernel");
	ck_assert_int_eq(learned_save(l, &err), ERR_OK);
	learned_close(l);
}

static bool knows_it(const char *where)
{
	struct learned *l = opened(where);
	bool knows = choices_find(learned_choices(l), "step", name);
	learned_close(l);
	return knows;
}

START_TEST(a_restart_knows_what_the_last_one_learned)
{
	given_saved_choice();
	ck_assert(knows_it(dir.path));
	ck_assert_str_eq(name, "kernel");
}
END_TEST

START_TEST(systemd_s_state_directory_is_the_default)
{
	char list[100];
	given_saved_choice();
	snprintf(list, sizeof(list), "%s:/nowhere/else", dir.path);
	setenv("STATE_DIRECTORY", list, 1);
	ck_assert(knows_it(""));
	unsetenv("STATE_DIRECTORY");
	ck_assert(!knows_it(""));
}
END_TEST

START_TEST(another_machine_begins_anew)
{
	given_saved_choice();
	machine_text = "another";
	ck_assert(!knows_it(dir.path));
}
END_TEST

START_TEST(nothing_new_is_not_written)
{
	char path[100];
	given_saved_choice();
	struct learned *l = opened(dir.path);
	snprintf(path, sizeof(path), "%s/kernels", dir.path);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(learned_save(l, &err), ERR_OK);
	ck_assert_int_ne(access(path, F_OK), 0);
	learned_close(l);
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_an_error)
{
	struct learned *l;
	ck_assert_int_eq(learned_open("/nowhere", &backend, &l, &err), ERR_NOT_FOUND);
	ck_assert_str_eq(err.msg, "state_dir: /nowhere: No such file or directory");
}
END_TEST

Suite *suite_learned(void);
Suite *suite_learned(void)
{
	Suite *s = suite_create("learned");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_restart_knows_what_the_last_one_learned);
	tcase_add_test(t, systemd_s_state_directory_is_the_default);
	tcase_add_test(t, another_machine_begins_anew);
	tcase_add_test(t, nothing_new_is_not_written);
	tcase_add_test(t, a_directory_that_is_not_there_is_an_error);
	suite_add_tcase(s, t);
	return s;
}
