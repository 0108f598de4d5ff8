/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes and complaints of the operators that sample images and signals. */
#include <string.h>
#include "support/graph_case.h"

static int32_t number(int64_t v)
{
	return model_int64s(g, SHAPE_SCALAR, &v);
}

START_TEST(a_window_of_unknown_length_makes_unknown_frames)
{
	expect_shape(MODEL_NODE(g, OP_STFT, f32(shape_of(2, 100, 1)), number(10),
			     f32(shape_of(DIM_UNKNOWN))),
		"[2,?,?,2]");
}
END_TEST

START_TEST(a_signal_of_unknown_length_makes_unknown_frames)
{
	expect_shape(MODEL_NODE(g, OP_STFT, f32(shape_of(2, DIM_UNKNOWN, 1)), number(10),
			     f32(shape_of(16))),
		"[2,?,9,2]");
}
END_TEST

START_TEST(a_frame_has_points_and_fits)
{
	expect_error(MODEL_NODE(g, OP_STFT, f32(shape_of(2, 100, 1)), number(10), VALUE_NONE,
			     number(-5)),
		"frames have -5 points");
}
END_TEST

START_TEST(frames_move_on)
{
	expect_error(
		MODEL_NODE(g, OP_STFT, f32(shape_of(2, 100, 1)), number(0)), "frame_step is 0");
}
END_TEST

START_TEST(a_transform_keeps_the_name_of_its_axis)
{
	int64_t n = graph_symbol(g, SLICE_LIT("time"));
	int32_t y = MODEL_NODE(g, OP_DFT, f32(shape_of(2, n, 1)));
	expect_shape(y, "[2,?,2]");
	ck_assert_int_eq(g->value[y].shape.dim[1], n);
}
END_TEST

START_TEST(half_a_spectrum)
{
	int32_t y = MODEL_NODE(g, OP_DFT, f32(shape_of(2, 9, 1)));
	model_attr_int(g, "onesided", 1);
	expect_shape(y, "[2,5,2]");
}
END_TEST

START_TEST(the_parts_of_a_number_are_no_axis)
{
	expect_error(
		MODEL_NODE(g, OP_DFT, f32(shape_of(2, 9, 1)), VALUE_NONE, number(2)), "axis is 2");
}
END_TEST

START_TEST(half_a_spectrum_is_of_real_numbers)
{
	int32_t y = MODEL_NODE(g, OP_DFT, f32(shape_of(2, 9, 2)));
	model_attr_int(g, "onesided", 1);
	expect_error(y, "with onesided it is real");
}
END_TEST

START_TEST(a_grid_has_a_number_per_axis)
{
	expect_error(
		MODEL_NODE(g, OP_GRID_SAMPLE, f32(shape_of(1, 2, 5, 5)), f32(shape_of(1, 3, 4, 3))),
		"dimension 3 must be 2");
}
END_TEST

START_TEST(an_unknown_mode_is_named)
{
	int32_t y =
		MODEL_NODE(g, OP_GRID_SAMPLE, f32(shape_of(1, 2, 5, 5)), f32(shape_of(1, 3, 4, 2)));
	model_attr_string(g, "mode", "quintic");
	expect_error(y, "mode is 'quintic', it must be linear, nearest or cubic");
}
END_TEST

START_TEST(an_affine_grid_of_a_given_size)
{
	expect_shape(
		MODEL_NODE(g, OP_AFFINE_GRID, f32(shape_of(2, 3, 4)), MODEL_INTS(g, 2, 1, 5, 6, 7)),
		"[2,5,6,7,3]");
}
END_TEST

START_TEST(an_affine_grid_needs_as_many_matrices_as_images)
{
	expect_error(
		MODEL_NODE(g, OP_AFFINE_GRID, f32(shape_of(2, 2, 3)), MODEL_INTS(g, 3, 1, 5, 6)),
		"a matrix per image");
}
END_TEST

START_TEST(offsets_are_two_per_tap)
{
	expect_error(MODEL_NODE(g, OP_DEFORM_CONV, f32(shape_of(1, 4, 5, 5)),
			     f32(shape_of(6, 4, 3, 3)), f32(shape_of(1, 9, 3, 3))),
		"dimension 1 must be 18");
}
END_TEST

START_TEST(columns_are_the_windows_of_the_image)
{
	expect_error(MODEL_NODE(g, OP_COL2IM, f32(shape_of(1, 8, 5)), MODEL_INTS(g, 3, 3),
			     MODEL_INTS(g, 2, 2)),
		"dimension 2 must be 4");
}
END_TEST

START_TEST(an_image_may_be_cropped_and_padded_at_once)
{
	expect_shape(MODEL_NODE(g, OP_CENTER_CROP_PAD, f32(shape_of(5, 6)), MODEL_INTS(g, 9, 2)),
		"[9,2]");
}
END_TEST

START_TEST(an_axis_is_cropped_once)
{
	int32_t y = MODEL_NODE(g, OP_CENTER_CROP_PAD, f32(shape_of(5, 6)), MODEL_INTS(g, 9, 2));
	MODEL_ATTR_INTS(g, "axes", 1, -1);
	expect_error(y, "axes[1] is -1, twice or not an axis");
}
END_TEST

START_TEST(maxima_go_back_into_what_they_came_from)
{
	int32_t x = f32(shape_of(1, 1, 2)), i = model_input(g, "i", DTYPE_I64, shape_of(1, 1, 2));
	int32_t y = MODEL_NODE(g, OP_MAX_UNPOOL, x, i, MODEL_INTS(g, 1, 1, 3));
	MODEL_ATTR_INTS(g, "kernel_shape", 2);
	MODEL_ATTR_INTS(g, "strides", 2);
	expect_error(y, "output_shape[2] is 3, less than the 4");
}
END_TEST

START_TEST(weights_of_few_bits_have_their_number_of_bytes)
{
	int32_t b = model_input(g, "q", DTYPE_U8, shape_of(7, 2, 16));
	int32_t y = MODEL_NODE(g, OP_MATMUL_NBITS, f32(shape_of(3, 65)), b, f32(shape_of(7, 3)));
	model_attr_int(g, "K", 65);
	model_attr_int(g, "N", 7);
	model_attr_int(g, "block_size", 32);
	expect_error(y, "input 1 is [7,2,16], K, N, bits and block_size make it 336 elements");
}
END_TEST

Suite *suite_infer_sampled(void);
Suite *suite_infer_sampled(void)
{
	Suite *s = suite_create("infer_sampled");
	TCase *t = tcase_create("infer");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_window_of_unknown_length_makes_unknown_frames);
	tcase_add_test(t, a_signal_of_unknown_length_makes_unknown_frames);
	tcase_add_test(t, a_frame_has_points_and_fits);
	tcase_add_test(t, frames_move_on);
	tcase_add_test(t, a_transform_keeps_the_name_of_its_axis);
	tcase_add_test(t, half_a_spectrum);
	tcase_add_test(t, the_parts_of_a_number_are_no_axis);
	tcase_add_test(t, half_a_spectrum_is_of_real_numbers);
	tcase_add_test(t, a_grid_has_a_number_per_axis);
	tcase_add_test(t, an_unknown_mode_is_named);
	tcase_add_test(t, an_affine_grid_of_a_given_size);
	tcase_add_test(t, an_affine_grid_needs_as_many_matrices_as_images);
	tcase_add_test(t, offsets_are_two_per_tap);
	tcase_add_test(t, columns_are_the_windows_of_the_image);
	tcase_add_test(t, an_image_may_be_cropped_and_padded_at_once);
	tcase_add_test(t, an_axis_is_cropped_once);
	tcase_add_test(t, maxima_go_back_into_what_they_came_from);
	tcase_add_test(t, weights_of_few_bits_have_their_number_of_bytes);
	suite_add_tcase(s, t);
	return s;
}
