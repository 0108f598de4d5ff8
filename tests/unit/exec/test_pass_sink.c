/* SPDX-License-Identifier: Apache-2.0 */
/* Views that drop ones go behind elementwise operators: convolutions of one dimension, as
   TensorFlow has them. */
#include "support/graph_case.h"

/* Of [n,c,t], by a convolution of images one pixel high. */
static int32_t conv(int32_t v, int64_t from, int64_t to)
{
	v = MODEL_NODE(g, OP_UNSQUEEZE, v, MODEL_INTS(g, 2));
	v = MODEL_NODE(g, OP_CONV, v, model_floats(g, shape_of(to, from, 1, 3), NULL));
	MODEL_ATTR_INTS(g, "pads", 0, 1, 0, 1);
	return MODEL_NODE(g, OP_SQUEEZE, v, MODEL_INTS(g, 2));
}

static int32_t per_channel(enum op_id op, int32_t v, int64_t channels)
{
	return MODEL_NODE(g, op, v, model_floats(g, shape_of(channels, 1), NULL));
}

static struct shape sequence(int64_t channels)
{
	return shape_of(graph_symbol(g, SLICE_LIT("batch")), channels, 7);
}

static void expect_left(int32_t v, enum op_id op, int count)
{
	model_output(g, v);
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, op), count);
}

START_TEST(scale_shift_and_activation_reach_the_convolution)
{
	int32_t v = per_channel(OP_ADD, per_channel(OP_MUL, conv(f32(sequence(3)), 3, 4), 4), 4);
	v = MODEL_NODE(g, OP_CLIP, v, VALUE_NONE, model_scalar(g, 1));
	expect_left(conv(v, 4, 2), OP_NONE, 4); /* two convolutions, a view at either end */
}
END_TEST

START_TEST(a_sum_of_two_that_were_squeezed_is_squeezed)
{
	int32_t x = f32(sequence(3));
	expect_left(conv(MODEL_NODE(g, OP_ADD, conv(x, 3, 4), conv(x, 3, 4)), 4, 2), OP_ADD, 0);
	ck_assert_int_eq(model_count(g, OP_RESHAPE) + model_count(g, OP_SQUEEZE) +
				 model_count(g, OP_UNSQUEEZE),
		2);
}
END_TEST

START_TEST(what_stands_first_in_a_difference_stays_first)
{
	int32_t v = conv(f32(sequence(3)), 3, 4);
	v = MODEL_NODE(g, OP_SUB, model_floats(g, shape_of(4, 7), NULL), v);
	expect_left(conv(MODEL_NODE(g, OP_SIGMOID, v), 4, 2), OP_SQUEEZE, 1);
}
END_TEST

/* Both of it and of what is made of it something is read. */
START_TEST(a_view_that_others_read_stays)
{
	int32_t v = conv(f32(sequence(3)), 3, 4);
	model_output(g, MODEL_NODE(g, OP_EXP, v));
	expect_left(v, OP_NONE, 4);
}
END_TEST

/* The constant makes more of it than there was. */
START_TEST(what_is_spread_stays)
{
	int32_t v = MODEL_NODE(g, OP_SQUEEZE, f32(shape_of(2, 1, 1, 3)), MODEL_INTS(g, 1));
	expect_left(MODEL_NODE(g, OP_MUL, v, model_floats(g, shape_of(5, 1), NULL)), OP_NONE, 2);
}
END_TEST

Suite *suite_pass_sink(void);
Suite *suite_pass_sink(void)
{
	Suite *s = suite_create("pass_sink");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, scale_shift_and_activation_reach_the_convolution);
	tcase_add_test(t, a_sum_of_two_that_were_squeezed_is_squeezed);
	tcase_add_test(t, what_stands_first_in_a_difference_stays_first);
	tcase_add_test(t, a_view_that_others_read_stays);
	tcase_add_test(t, what_is_spread_stays);
	suite_add_tcase(s, t);
	return s;
}
