/* SPDX-License-Identifier: Apache-2.0 */
/* What intermediate results may take, and that it comes back. */
#include <check.h>
#include <string.h>
#include "exec/run/work_room.h"
#include "support/models.h"
#include "support/runner.h"

#define LARGE INT64_C(20000000) /* floats: more than WORK_SMALL_BYTES */

/* y = the least of x, taken n times. */
static struct runner given_repeats(void)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(1));
	int32_t n = model_input(g, "n", DTYPE_I64, shape_of(1));
	model_output(g, MODEL_NODE(g, OP_REDUCE_MIN, MODEL_NODE(g, OP_EXPAND, x, n)));
	return given_program(g, 0);
}

static enum err_code repeat(struct runner *r, int64_t n)
{
	float x = 3;
	return run(r, (struct tensor[]){ floats(&x, shape_of(1)),
		{ .data = &n, .dtype = DTYPE_I64, .shape = shape_of(1) } });
}

static size_t held(struct runner *r)
{
	struct program_stats s;
	program_stats(r->p, &s);
	return s.workspace_bytes;
}

START_TEST(who_needs_more_than_there_is_is_refused)
{
	struct runner r = given_repeats();
	work_room_set_max(1 << 20);

	ck_assert_int_eq(repeat(&r, 1000000), ERR_RESOURCE_EXHAUSTED);
	ck_assert_msg(strstr(r.err.msg, "which there is no room for"), "%s", r.err.msg);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(repeat(&r, 100000 + 10000 * i), ERR_OK);

	done(&r);
	ck_assert(work_room_take(1 << 20)); /* all of it has come back */
	work_room_give(1 << 20);
	work_room_set_max(0);
}
END_TEST

START_TEST(what_is_idle_makes_way_for_the_same_program)
{
	struct runner r = given_repeats();
	work_room_set_max(1 << 20);

	ck_assert_int_eq(repeat(&r, 150000), ERR_OK);
	ck_assert_int_eq(repeat(&r, 200000), ERR_OK);

	done(&r);
	work_room_set_max(0);
}
END_TEST

/* Of many programs, each with a workspace that nobody uses now. */
START_TEST(what_is_idle_leaves_half_of_the_room_to_others)
{
	struct runner r[8];
	work_room_set_max(1 << 20);
	for (int i = 0; i < 8; i++)
		r[i] = given_repeats();

	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(repeat(&r[i], 60000), ERR_OK);

	for (int i = 0; i < 8; i++)
		done(&r[i]);
	work_room_set_max(0);
}
END_TEST

START_TEST(a_large_workspace_stays_only_where_it_is_usual)
{
	struct runner r = given_repeats();
	work_room_set_max((size_t)4 << 30);

	ck_assert_int_eq(repeat(&r, LARGE), ERR_OK);
	ck_assert_uint_lt(held(&r), WORK_SMALL_BYTES);
	ck_assert_int_eq(repeat(&r, LARGE), ERR_OK);
	ck_assert_uint_gt(held(&r), WORK_SMALL_BYTES);
	for (int i = 0; i < WORK_UNUSED_MAX / 2 - 1; i++) /* of two plans each */
		ck_assert_int_eq(repeat(&r, 10), ERR_OK);
	ck_assert_uint_gt(held(&r), WORK_SMALL_BYTES);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(repeat(&r, 10), ERR_OK);

	ck_assert_uint_lt(held(&r), WORK_SMALL_BYTES);
	done(&r);
	work_room_set_max(0);
}
END_TEST

/* Pad keeps 8 bytes for each index of an axis. */
START_TEST(plans_of_enormous_tables_make_way)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(1));
	int32_t pads = model_input(g, "pads", DTYPE_I64, shape_of(2));
	model_output(g, MODEL_NODE(g, OP_REDUCE_MIN, MODEL_NODE(g, OP_PAD, x, pads)));
	struct runner r = given_program(g, 0);
	struct program_stats s;
	float one = 1;
	for (int64_t i = 0; i < 4; i++) {
		int64_t v[2] = { 0, LARGE + i };
		run_ok(&r, (struct tensor[]){ floats(&one, shape_of(1)),
				   { .data = v, .dtype = DTYPE_I64, .shape = shape_of(2) } });
	}

	program_stats(r.p, &s);
	ck_assert_int_le(s.plans, 4); /* three of them, and the one that ends before the Pad */
	done(&r);
}
END_TEST

Suite *suite_work_room(void);
Suite *suite_work_room(void)
{
	Suite *s = suite_create("work_room");
	TCase *t = tcase_create("work_room");
	tcase_add_test(t, who_needs_more_than_there_is_is_refused);
	tcase_add_test(t, what_is_idle_makes_way_for_the_same_program);
	tcase_add_test(t, what_is_idle_leaves_half_of_the_room_to_others);
	tcase_add_test(t, a_large_workspace_stays_only_where_it_is_usual);
	tcase_add_test(t, plans_of_enormous_tables_make_way);
	suite_add_tcase(s, t);
	return s;
}
