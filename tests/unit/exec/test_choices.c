/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include "exec/choices.h"

static struct choices *c;
static struct arena *arena;
static char name[CHOICE_NAME_MAX];

static void setup(void)
{
	c = choices_new();
	arena = arena_new(0, 0);
}

static void teardown(void)
{
	choices_free(c);
	arena_free(arena);
}

static struct slice written(void)
{
	struct buf b = buf_of(arena, 0);
	struct slice text;
	choices_write(c, "this cpu", &b);
	ck_assert_int_eq(buf_finish(&b, &text, NULL), ERR_OK);
	return text;
}

START_TEST(what_was_chosen_is_found_under_its_key_alone)
{
	choices_put(c, "Conv [1,2]", "winograd");
	choices_put(c, "Conv [1,3]", "direct");
	ck_assert(choices_find(c, "Conv [1,2]", name));
	ck_assert_str_eq(name, "winograd");
	ck_assert(!choices_find(c, "Conv [1,4]", name));
	choices_put(c, "Conv [1,2]", "direct");
	ck_assert(choices_find(c, "Conv [1,2]", name));
	ck_assert_str_eq(name, "direct");
	ck_assert_uint_eq(choices_count(c), 2);
}
END_TEST

START_TEST(the_next_process_reads_what_this_one_wrote)
{
	choices_put(c, "a", "x");
	choices_put(c, "b", "y");
	struct slice text = written();
	struct choices *next = choices_new();
	ck_assert(choices_read(next, "this cpu", text));
	ck_assert_uint_eq(choices_count(next), 2);
	ck_assert(choices_find(next, "b", name));
	ck_assert_str_eq(name, "y");
	choices_free(next);
}
END_TEST

START_TEST(another_machine_s_choices_are_not_taken)
{
	choices_put(c, "a", "x");
	struct slice text = written();
	struct choices *next = choices_new();
	ck_assert(!choices_read(next, "this cpu 2", text));
	ck_assert(!choices_read(next, "this", text));
	ck_assert_uint_eq(choices_count(next), 0);
	choices_free(next);
}
END_TEST

START_TEST(damaged_text_does_no_harm)
{
	choices_put(c, "some key", "some name");
	struct slice text = written();
	char copy[200];
	for (size_t cut = 0; cut <= text.len; cut++) {
		struct choices *next = choices_new();
		memcpy(copy, text.ptr, text.len);
		(void)choices_read(next, "this cpu", (struct slice){copy, cut});
		if (cut < text.len) {
			copy[cut] ^= 0x40;
			(void)choices_read(next, "this cpu", (struct slice){copy, text.len});
		}
		choices_free(next);
	}
}
END_TEST

START_TEST(it_is_bounded)
{
	char key[32];
	for (int i = 0; i < CHOICES_MAX + 10; i++) {
		snprintf(key, sizeof(key), "%d", i);
		choices_put(c, key, "x");
	}
	ck_assert_uint_eq(choices_count(c), CHOICES_MAX);
	ck_assert(!choices_find(c, key, name));
}
END_TEST

Suite *suite_choices(void);
Suite *suite_choices(void)
{
	Suite *s = suite_create("choices");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_was_chosen_is_found_under_its_key_alone);
	tcase_add_test(t, the_next_process_reads_what_this_one_wrote);
	tcase_add_test(t, another_machine_s_choices_are_not_taken);
	tcase_add_test(t, damaged_text_does_no_harm);
	tcase_add_test(t, it_is_bounded);
	suite_add_tcase(s, t);
	return s;
}
