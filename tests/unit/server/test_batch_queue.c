/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose turn it is among the classes of priority: of a signature that does not batch, so that each
 * take is one request.
 */
#include <check.h>
#include "server/batch/batch_queue.h"

enum { HIGH = 1, NORMAL = 0, LOW = 2 }; /* as clients say it */

static const struct signature unbatched = { .name = "s" };

static struct request request_of(int priority, int64_t rows)
{
	return (struct request){ .sig = (struct signature *)&unbatched, .priority = priority,
		.rows = rows, .in_bytes = 8, .deadline_ns = INT64_MAX };
}

static void put_all(struct batch_queue *q, struct request *r, int n, int priority)
{
	for (int i = 0; i < n; i++) {
		r[i] = request_of(priority, 1);
		batch_queue_put(q, &r[i]);
	}
}

/* How many are taken before r is. */
static int taken_before(struct batch_queue *q, const struct request *r)
{
	int n = 0;
	const struct request *next;
	while ((next = batch_queue_take(q, 0)) && next != r)
		n++;
	ck_assert_ptr_eq(next, r);
	return n;
}

/* A night of low priority alone, then a day on which the others never pause. */
START_TEST(a_class_owes_nothing_for_what_nobody_else_wanted)
{
	struct batch_queue q = { .sig = &unbatched, .gather_max = 1 };
	struct request day[100], low = request_of(LOW, 1);
	for (int i = 0; i < 100000; i++) {
		batch_queue_put(&q, &low);
		ck_assert_ptr_eq(batch_queue_take(&q, 0), &low);
	}
	put_all(&q, day, 100, NORMAL);

	batch_queue_put(&q, &low);

	ck_assert_int_le(taken_before(&q, &low), 4);
}
END_TEST

START_TEST(a_newcomer_does_not_wait_for_what_a_lower_class_was_given)
{
	struct batch_queue q = { .sig = &unbatched, .gather_max = 1 };
	struct request normal[50], low[2] = { request_of(LOW, 100), request_of(LOW, 100) },
		high = request_of(HIGH, 1);
	put_all(&q, normal, 50, NORMAL);
	batch_queue_put(&q, &low[0]);
	batch_queue_put(&q, &low[1]);
	(void)taken_before(&q, &low[0]);

	batch_queue_put(&q, &high);

	ck_assert_int_le(taken_before(&q, &high), 1);
}
END_TEST

START_TEST(a_class_that_comes_and_goes_gets_no_more_than_its_share)
{
	struct batch_queue q = { .sig = &unbatched, .gather_max = 1 };
	struct request normal[400], low = request_of(LOW, 1);
	int n_low = 0;
	put_all(&q, normal, 400, NORMAL);
	for (int i = 0; i < 400; i++) {
		if (atomic_load(&low.state) != REQUEST_QUEUED)
			batch_queue_put(&q, &low);
		n_low += batch_queue_take(&q, 0) == &low;
	}

	ck_assert_int_ge(n_low, 79);
	ck_assert_int_le(n_low, 81); /* 1 of 1 + 4 */
}
END_TEST

/* They cost as little as one run does, and no sum of them is too large to be counted. */
START_TEST(rows_without_bytes_are_charged_as_one_run)
{
	struct batch_queue q = { .sig = &unbatched, .gather_max = 1 };
	struct request normal[9], low[9];
	put_all(&q, normal, 9, NORMAL);
	for (int i = 0; i < 9; i++) {
		low[i] = request_of(LOW, INT64_C(1) << 48);
		low[i].in_bytes = 0;
		batch_queue_put(&q, &low[i]);
	}

	(void)taken_before(&q, &low[0]);
	ck_assert_int_le(taken_before(&q, &low[1]), 4);
}
END_TEST

Suite *suite_batch_queue(void);
Suite *suite_batch_queue(void)
{
	Suite *s = suite_create("batch_queue");
	TCase *t = tcase_create("core");
	tcase_add_test(t, a_class_owes_nothing_for_what_nobody_else_wanted);
	tcase_add_test(t, a_newcomer_does_not_wait_for_what_a_lower_class_was_given);
	tcase_add_test(t, a_class_that_comes_and_goes_gets_no_more_than_its_share);
	tcase_add_test(t, rows_without_bytes_are_charged_as_one_run);
	suite_add_tcase(s, t);
	return s;
}
