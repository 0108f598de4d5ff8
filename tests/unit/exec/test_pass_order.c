/* SPDX-License-Identifier: Apache-2.0 */
/* Between Transposes: what is computed in the other order, and what is left of them. */
#include "support/graph_case.h"

#define N DIM_UNKNOWN /* 2 when it is run */

static int32_t to_last(int32_t v)
{
	v = MODEL_NODE(g, OP_TRANSPOSE, v);
	MODEL_ATTR_INTS(g, "perm", 0, 2, 3, 1);
	return v;
}

static int32_t to_second(int32_t v)
{
	v = MODEL_NODE(g, OP_TRANSPOSE, v);
	MODEL_ATTR_INTS(g, "perm", 0, 3, 1, 2);
	return v;
}

/* A convolution of images whose channels are last. */
static int32_t conv(int32_t v, int64_t from, int64_t to, int64_t side)
{
	v = MODEL_NODE(
		g, OP_CONV, to_second(v), model_floats(g, shape_of(to, from, side, side), NULL));
	MODEL_ATTR_INTS(g, "pads", side / 2, side / 2, side / 2, side / 2);
	return to_last(v);
}

static int32_t per_channel(enum op_id op, int32_t v, int64_t channels)
{
	return MODEL_NODE(g, op, v, model_floats(g, shape_of(channels), NULL));
}

static int32_t with_axis(int32_t v, int64_t axis)
{
	model_attr_int(g, "axis", axis);
	return v;
}

/* As many Transposes are left, and the results are the same. */
static void expect_transposes(int32_t v, int left)
{
	model_output(g, v);
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, OP_TRANSPOSE), left);
}

START_TEST(scale_shift_and_activation_go_into_the_convolution)
{
	int32_t v = conv(f32(shape_of(N, 6, 5, 3)), 3, 4, 3);
	v = per_channel(OP_ADD, per_channel(OP_MUL, v, 4), 4);
	v = conv(MODEL_NODE(g, OP_RELU, v), 4, 2, 1);
	expect_transposes(v, 2);
	ck_assert_int_eq(model_count(g, OP_NONE), 4);
	ck_assert_int_eq(model_count(g, OP_FUSED_CONV), 1);
}
END_TEST

/* The sum's two branches, one of which is read by both convolutions. */
START_TEST(a_residual_block_keeps_the_two_at_its_ends)
{
	int32_t x = MODEL_NODE(
		g, OP_RELU, per_channel(OP_ADD, conv(f32(shape_of(N, 6, 5, 3)), 3, 4, 3), 4));
	int32_t y = MODEL_NODE(g, OP_SIGMOID, per_channel(OP_ADD, conv(x, 4, 4, 3), 4));
	y = MODEL_NODE(g, OP_ADD, MODEL_NODE(g, OP_MUL, conv(x, 4, 4, 1), y), x);
	expect_transposes(conv(y, 4, 2, 1), 2);
}
END_TEST

START_TEST(operators_that_name_axes_name_others)
{
	int32_t x = conv(f32(shape_of(N, 6, 5, 3)), 3, 4, 3), part, y;
	y = MODEL_NODE(g, OP_PAD, x, MODEL_INTS(g, 0, 1, 2, 3, 0, 0, 1, 2), model_scalar(g, 0.5f));
	y = MODEL_NODE(
		g, OP_SLICE, y, MODEL_INTS(g, 1, 2), MODEL_INTS(g, 7, 9), MODEL_INTS(g, 1, -1));
	part = MODEL_NODE_OUT(g, OP_SPLIT, 2, y, MODEL_INTS(g, 3, 4));
	model_attr_int(g, "axis", 3);
	y = with_axis(MODEL_NODE(g, OP_CONCAT, part + 1, part, part), -1);
	expect_transposes(conv(y, 10, 2, 1), 2);
}
END_TEST

/* It says no axis: that is the first, which another order has elsewhere. */
START_TEST(a_split_of_the_first_axis_stays)
{
	int32_t v = MODEL_NODE(g, OP_TRANSPOSE, f32(shape_of(5, 4, 3)));
	MODEL_ATTR_INTS(g, "perm", 1, 0, 2);
	int32_t part = MODEL_NODE_OUT(g, OP_SPLIT, 2, v, MODEL_INTS(g, 1, 3));
	v = MODEL_NODE(g, OP_TRANSPOSE, part + 1);
	MODEL_ATTR_INTS(g, "perm", 1, 0, 2);
	model_output(g, part);
	expect_transposes(v, 2);
}
END_TEST

START_TEST(a_part_that_nobody_wants_may_be_absent)
{
	int32_t part = MODEL_NODE_OUT(
		g, OP_SPLIT, 2, to_last(f32(shape_of(N, 4, 5, 3))), MODEL_INTS(g, 1, 3));
	model_attr_int(g, "axis", 3);
	g->node[g->n_node - 1].out[0] = VALUE_NONE;
	g->value[part].producer = NODE_NONE;
	model_output(g, to_second(part + 1));
	check_and_infer();
	run_cpu_passes();
	ck_assert_int_eq(model_count(g, OP_SPLIT), 1);
}
END_TEST

/* Squeezing and exciting: a mean over the image gates it. */
START_TEST(a_gate_per_channel_stays_beside_the_image)
{
	int32_t x = conv(f32(shape_of(N, 6, 5, 3)), 3, 4, 3);
	int32_t s = MODEL_NODE(g, OP_REDUCE_MEAN, x, MODEL_INTS(g, 1, 2));
	s = MODEL_NODE(g, OP_RELU, per_channel(OP_ADD, conv(s, 4, 2, 1), 2));
	s = MODEL_NODE(g, OP_SIGMOID, conv(s, 2, 4, 1));
	expect_transposes(conv(MODEL_NODE(g, OP_MUL, x, s), 4, 2, 1), 2);
	ck_assert_int_eq(model_count(g, OP_GLOBAL_AVERAGE_POOL), 1);
	ck_assert_int_eq(model_count(g, OP_RESHAPE), 0);
	ck_assert_int_eq(model_count(g, OP_FUSED_CONV), 2);
}
END_TEST

START_TEST(a_mean_that_drops_the_image_is_a_pool)
{
	int32_t x = MODEL_NODE(g, OP_RELU, conv(f32(shape_of(N, 6, 5, 3)), 3, 4, 3));
	x = MODEL_NODE(g, OP_REDUCE_MEAN, x, MODEL_INTS(g, 1, 2));
	model_attr_int(g, "keepdims", 0);
	expect_transposes(x, 1);
	ck_assert_int_eq(model_count(g, OP_GLOBAL_AVERAGE_POOL), 1);
}
END_TEST

START_TEST(a_maximum_over_the_image_is_a_pool)
{
	model_output(
		g, MODEL_NODE(g, OP_REDUCE_MAX, f32(shape_of(2, 3, 4, 5)), MODEL_INTS(g, -1, 2)));
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, OP_GLOBAL_MAX_POOL), 1);
}
END_TEST

START_TEST(a_mean_over_rows_is_none)
{
	model_output(g, MODEL_NODE(g, OP_REDUCE_MEAN, f32(shape_of(2, 3, 4, 5)), MODEL_INTS(g, 3)));
	model_output(g, MODEL_NODE(g, OP_REDUCE_MEAN, f32(shape_of(2, 3, 4)), MODEL_INTS(g, 2)));
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, OP_REDUCE_MEAN), 2);
}
END_TEST

/* One more would be needed for each that goes. */
START_TEST(where_none_would_go_the_order_stays)
{
	int32_t v = MODEL_NODE(
		g, OP_ADD, to_last(f32(shape_of(N, 3, 4, 5))), f32(shape_of(N, 4, 5, 3)));
	expect_transposes(MODEL_NODE(g, OP_RELU, v), 1);
	ck_assert_int_eq(model_count(g, OP_NONE), 3);
}
END_TEST

START_TEST(what_is_read_as_it_was_is_transposed_once)
{
	int32_t v = MODEL_NODE(g, OP_RELU, to_last(f32(shape_of(N, 3, 4, 5))));
	model_output(g, v);
	model_output(g, to_second(v));
	model_output(g, to_second(MODEL_NODE(g, OP_EXP, v)));
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, OP_TRANSPOSE), 1);
}
END_TEST

/* Sizes of axes that the reduction keeps would change places. */
START_TEST(a_mean_that_keeps_axes_in_another_order_stays)
{
	int32_t v =
		MODEL_NODE(g, OP_REDUCE_MEAN, to_last(f32(shape_of(N, 3, 4, 5))), MODEL_INTS(g, 0));
	model_attr_int(g, "keepdims", 0);
	expect_transposes(v, 1);
}
END_TEST

Suite *suite_pass_order(void);
Suite *suite_pass_order(void)
{
	Suite *s = suite_create("pass_order");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, scale_shift_and_activation_go_into_the_convolution);
	tcase_add_test(t, a_residual_block_keeps_the_two_at_its_ends);
	tcase_add_test(t, operators_that_name_axes_name_others);
	tcase_add_test(t, a_split_of_the_first_axis_stays);
	tcase_add_test(t, a_part_that_nobody_wants_may_be_absent);
	tcase_add_test(t, a_gate_per_channel_stays_beside_the_image);
	tcase_add_test(t, a_mean_that_drops_the_image_is_a_pool);
	tcase_add_test(t, a_maximum_over_the_image_is_a_pool);
	tcase_add_test(t, a_mean_over_rows_is_none);
	tcase_add_test(t, where_none_would_go_the_order_stays);
	tcase_add_test(t, what_is_read_as_it_was_is_transposed_once);
	tcase_add_test(t, a_mean_that_keeps_axes_in_another_order_stays);
	suite_add_tcase(s, t);
	return s;
}
