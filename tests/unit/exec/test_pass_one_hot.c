/* SPDX-License-Identifier: Apache-2.0 */
/* One-hot vectors times a matrix, as JAX writes them: a Gather, with the same results. */
#include <math.h>
#include "support/graph_case.h"

#define ROWS 4

/* Numbers that name rows, none, and some below zero, whatever the input is. */
static int32_t numbers(void)
{
	return MODEL_NODE(g, OP_ADD, i64(shape_of(DIM_UNKNOWN, 6, 1)),
		model_int64s(
			g, shape_of(6, 1), (int64_t[]){ -12, -6, -2, 0, -4, INT64_C(1) << 40 }));
}

/* w: ROWS rows of 3 numbers, or NULL. */
static int32_t chosen(int32_t x, int64_t first, const float *w)
{
	int32_t all = model_int64s(g, shape_of(1, 1, ROWS), (int64_t[]){ first, 1, 2, 3 });
	int32_t v = MODEL_NODE(g, OP_CAST, MODEL_NODE(g, OP_EQUAL, x, all));
	model_attr_int(g, "to", DTYPE_F32);
	return MODEL_NODE(g, OP_MATMUL, v, model_floats(g, shape_of(ROWS, 3), w));
}

START_TEST(a_one_hot_vector_times_a_matrix_is_a_row)
{
	model_output(g, chosen(numbers(), 0, NULL));
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, OP_GATHER), 1);
	ck_assert_int_eq(model_count(g, OP_MATMUL) + model_count(g, OP_EQUAL), 0);
}
END_TEST

START_TEST(what_is_done_to_each_element_is_done_to_the_table)
{
	int32_t v = chosen(numbers(), 0, NULL);
	v = MODEL_NODE(g, OP_ADD, model_floats(g, shape_of(1, 1, 3), NULL), v);
	v = MODEL_NODE(g, OP_MUL, MODEL_NODE(g, OP_TANH, v), model_scalar(g, 3));
	model_output(g, v);
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, OP_GATHER), 1);
	ck_assert_int_eq(model_count(g, OP_TANH) + model_count(g, OP_MUL), 0);
	ck_assert_int_eq(model_count(g, OP_ADD), 1); /* that of numbers() */
}
END_TEST

START_TEST(what_does_not_count_up_stays)
{
	model_output(g, chosen(numbers(), 5, NULL));
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, OP_GATHER), 0);
}
END_TEST

/* Zero times infinity is no number, which a Gather would not find. */
START_TEST(rows_that_are_not_finite_stay)
{
	static const float w[ROWS * 3] = { 1, 2, INFINITY };
	model_output(g, chosen(numbers(), 0, w));
	run_cpu_passes();
	ck_assert_int_eq(model_count(g, OP_GATHER), 0);
}
END_TEST

START_TEST(a_vector_that_somebody_else_reads_stays)
{
	int32_t v = chosen(numbers(), 0, NULL);
	model_output(g, v);
	model_output(g, g->node[g->value[v].producer].in[0]);
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, OP_GATHER), 0);
}
END_TEST

START_TEST(a_number_for_each_row_is_none_for_the_table)
{
	int32_t v = chosen(numbers(), 0, NULL);
	model_output(g, MODEL_NODE(g, OP_ADD, v, model_floats(g, shape_of(6, 1), NULL)));
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, OP_GATHER), 1);
	ck_assert_int_eq(model_count(g, OP_ADD), 2);
}
END_TEST

Suite *suite_pass_one_hot(void);
Suite *suite_pass_one_hot(void)
{
	Suite *s = suite_create("pass_one_hot");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_one_hot_vector_times_a_matrix_is_a_row);
	tcase_add_test(t, what_is_done_to_each_element_is_done_to_the_table);
	tcase_add_test(t, what_does_not_count_up_stays);
	tcase_add_test(t, rows_that_are_not_finite_stay);
	tcase_add_test(t, a_vector_that_somebody_else_reads_stays);
	tcase_add_test(t, a_number_for_each_row_is_none_for_the_table);
	suite_add_tcase(s, t);
	return s;
}
