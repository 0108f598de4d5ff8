/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include "base/spares.h"

#define N 8
#define BYTES 100

static struct spares stack;
static struct spare items[N];
static struct spare *freed[N];
static int n_freed;

/* As who frees does, it leaves nothing to be read. */
static void note_freed(struct spare *item)
{
	ck_assert_int_lt(n_freed, N);
	freed[n_freed++] = item;
	*item = (struct spare){ .next = item, .bytes = SIZE_MAX };
}

static void given_items(int n)
{
	stack = (struct spares)SPARES_INIT;
	for (int i = 0; i < n; i++)
		ck_assert(spares_give(&stack, &items[i], BYTES, N * BYTES));
	n_freed = 0;
	ck_assert(!spares_free_unused(&stack, note_freed)); /* the first look: it was empty */
}

START_TEST(the_last_given_is_taken_first)
{
	given_items(2);
	ck_assert_ptr_eq(spares_take(&stack), &items[1]);
	ck_assert_ptr_eq(spares_take(&stack), &items[0]);
	ck_assert_ptr_null(spares_take(&stack));
}
END_TEST

START_TEST(what_is_beyond_the_limit_stays_with_its_giver)
{
	given_items(2);
	ck_assert(!spares_give(&stack, &items[2], 1, 2 * BYTES));
	ck_assert(!spares_give(&stack, &items[2], SIZE_MAX, 2 * BYTES));
	ck_assert(spares_give(&stack, &items[2], 1, 2 * BYTES + 1));
	spares_take(&stack);
	spares_take(&stack);
	ck_assert(spares_give(&stack, &items[1], BYTES, 2 * BYTES));
}
END_TEST

START_TEST(what_nobody_needed_since_the_last_look_is_unused)
{
	given_items(5);
	spares_take(&stack);
	spares_take(&stack);
	ck_assert(spares_give(&stack, &items[3], BYTES, N * BYTES));
	ck_assert(spares_give(&stack, &items[4], BYTES, N * BYTES));
	ck_assert(spares_free_unused(&stack, note_freed));
	ck_assert_int_eq(n_freed, 3);
	ck_assert_ptr_eq(freed[0], &items[2]);
	ck_assert_uint_eq(stack.bytes, 2 * BYTES);
	ck_assert_ptr_eq(spares_take(&stack), &items[4]);
}
END_TEST

START_TEST(all_are_unused_when_none_was_needed)
{
	given_items(3);
	ck_assert(spares_free_unused(&stack, note_freed));
	ck_assert_int_eq(n_freed, 3);
	ck_assert_ptr_null(spares_take(&stack));
	ck_assert(!spares_free_unused(&stack, note_freed));
	ck_assert_uint_eq(stack.bytes, 0);
}
END_TEST

START_TEST(all_are_freed_at_the_end)
{
	given_items(3);
	spares_free_all(&stack, note_freed);
	ck_assert_int_eq(n_freed, 3);
	ck_assert_ptr_null(spares_take(&stack));
}
END_TEST

Suite *suite_spares(void);
Suite *suite_spares(void)
{
	Suite *s = suite_create("spares");
	TCase *tc = tcase_create("core");
	tcase_add_test(tc, the_last_given_is_taken_first);
	tcase_add_test(tc, what_is_beyond_the_limit_stays_with_its_giver);
	tcase_add_test(tc, what_nobody_needed_since_the_last_look_is_unused);
	tcase_add_test(tc, all_are_unused_when_none_was_needed);
	tcase_add_test(tc, all_are_freed_at_the_end);
	suite_add_tcase(s, tc);
	return s;
}
