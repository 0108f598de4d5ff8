/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passes that make one node of several: activations and norms that a model writes in parts,
 * and what convolutions and matrix products take in. The results must stay the same.
 */
#include "exec/attrs.h"
#include "support/graph_case.h"

/* -- activations ------------------------------------------------------------------------------ */

static int32_t hard_swish_parts(int32_t x, int form)
{
	int32_t clip = MODEL_NODE(g, OP_CLIP, MODEL_NODE(g, OP_ADD, x, model_scalar(g, 3)),
		model_scalar(g, 0), model_scalar(g, 6));
	switch (form) {
	case 0: /* Paddle */
		return MODEL_NODE(g, OP_DIV, MODEL_NODE(g, OP_MUL, x, clip), model_scalar(g, 6));
	case 1: /* PyTorch of old */
		return MODEL_NODE(g, OP_MUL, x, MODEL_NODE(g, OP_DIV, clip, model_scalar(g, 6)));
	default: /* Keras */
		return MODEL_NODE(
			g, OP_MUL, MODEL_NODE(g, OP_MUL, clip, model_scalar(g, 1.0f / 6)), x);
	}
}

START_TEST(hard_swish_in_parts)
{
	model_output(g, hard_swish_parts(f32(shape_of(2, 9)), _i));
	expect_nodes(1);
	ck_assert_int_eq(model_count(g, OP_HARD_SWISH), 1);
}
END_TEST

START_TEST(hard_swish_of_hard_sigmoid)
{
	int32_t x = f32(shape_of(2, 9)), gate = MODEL_NODE(g, OP_HARD_SIGMOID, x);
	model_attr_float(g, "alpha", 1.0f / 6);
	model_attr_float(g, "beta", 0.5f);
	model_output(g, MODEL_NODE(g, OP_MUL, x, gate));
	expect_nodes(1);
	ck_assert_int_eq(model_count(g, OP_HARD_SWISH), 1);
}
END_TEST

START_TEST(a_clip_to_five_is_no_hard_swish)
{
	int32_t x = f32(shape_of(2, 9));
	int32_t clip = MODEL_NODE(g, OP_CLIP, MODEL_NODE(g, OP_ADD, x, model_scalar(g, 3)),
		model_scalar(g, 0), model_scalar(g, 5));
	model_output(g, MODEL_NODE(g, OP_DIV, MODEL_NODE(g, OP_MUL, x, clip), model_scalar(g, 6)));
	expect_nodes(4);
}
END_TEST

static int32_t gelu_parts(int32_t x, int form)
{
	int32_t half = model_scalar(g, 0.5f), one = model_scalar(g, 1);
	if (form < 2) { /* PyTorch; Keras */
		int32_t arg = form == 0
			? MODEL_NODE(g, OP_DIV, x, model_scalar(g, 1.4142135381698608f))
			: MODEL_NODE(g, OP_MUL, model_scalar(g, 0.7071067690849304f), x);
		int32_t gate = MODEL_NODE(g, OP_ADD, MODEL_NODE(g, OP_ERF, arg), one);
		if (form == 0)
			return MODEL_NODE(g, OP_MUL, MODEL_NODE(g, OP_MUL, x, gate), half);
		return MODEL_NODE(g, OP_MUL, MODEL_NODE(g, OP_MUL, half, x), gate);
	}
	int32_t cube = form == 2
		? MODEL_NODE(g, OP_POW, x, model_scalar(g, 3))
		: MODEL_NODE(g, OP_MUL, x, MODEL_NODE(g, OP_MUL, x, x));
	int32_t poly =
		MODEL_NODE(g, OP_ADD, x, MODEL_NODE(g, OP_MUL, cube, model_scalar(g, 0.044715f)));
	int32_t arg = MODEL_NODE(g, OP_MUL, model_scalar(g, 0.7978845608f), poly);
	int32_t gate = MODEL_NODE(g, OP_ADD, one, MODEL_NODE(g, OP_TANH, arg));
	return MODEL_NODE(g, OP_MUL, x, MODEL_NODE(g, OP_MUL, half, gate));
}

START_TEST(gelu_in_parts)
{
	model_output(g, gelu_parts(f32(shape_of(2, 9)), _i));
	expect_nodes(1);
	ck_assert_int_eq(model_count(g, OP_GELU), 1);
}
END_TEST

/* -- layer normalization --------------------------------------------------------------------- */

static int32_t reduce(enum op_id op, int32_t x, int64_t axis, int keepdims)
{
	int32_t v = MODEL_NODE(g, op, x, MODEL_INTS(g, axis));
	model_attr_int(g, "keepdims", keepdims);
	return v;
}

static int32_t layer_norm_parts(int32_t x, int form)
{
	int32_t scale = model_floats(g, shape_of(6), NULL),
		bias = model_floats(g, shape_of(6), NULL);
	int32_t eps = model_scalar(g, 1e-5f);
	int32_t d = MODEL_NODE(g, OP_SUB, x, reduce(OP_REDUCE_MEAN, x, -1, 1));
	if (form == 0 || form == 1) { /* PyTorch, Paddle: Pow; and two Subs */
		int32_t e =
			form == 1 ? MODEL_NODE(g, OP_SUB, x, reduce(OP_REDUCE_MEAN, x, -1, 1)) : d;
		int32_t var =
			reduce(OP_REDUCE_MEAN, MODEL_NODE(g, OP_POW, e, model_scalar(g, 2)), -1, 1);
		int32_t dev = MODEL_NODE(g, OP_SQRT, MODEL_NODE(g, OP_ADD, var, eps));
		int32_t n = MODEL_NODE(g, OP_DIV, d, dev);
		return MODEL_NODE(g, OP_ADD, MODEL_NODE(g, OP_MUL, n, scale), bias);
	}
	int32_t var = reduce(OP_REDUCE_MEAN, MODEL_NODE(g, OP_MUL, d, d), -1, 1);
	int32_t dev = MODEL_NODE(g, OP_SQRT, MODEL_NODE(g, OP_ADD, var, eps));
	int32_t inverse = MODEL_NODE(g, OP_RECIPROCAL, dev);
	if (form == 2) /* tf2onnx */
		return MODEL_NODE(g, OP_ADD,
			MODEL_NODE(g, OP_MUL, d, MODEL_NODE(g, OP_MUL, inverse, scale)), bias);
	return MODEL_NODE(
		g, OP_ADD, MODEL_NODE(g, OP_MUL, scale, MODEL_NODE(g, OP_MUL, d, inverse)), bias);
}

START_TEST(layer_norm_in_parts)
{
	model_output(g, layer_norm_parts(f32(shape_of(DIM_UNKNOWN, 5, 6)), _i));
	expect_nodes(1);
	ck_assert_int_eq(model_count(g, OP_LAYER_NORM), 1);
}
END_TEST

START_TEST(a_mean_over_another_axis_is_no_layer_norm)
{
	int32_t x = f32(shape_of(5, 6)), m = reduce(OP_REDUCE_MEAN, x, 0, 1);
	int32_t d = MODEL_NODE(g, OP_SUB, x, m);
	int32_t var = reduce(OP_REDUCE_MEAN, MODEL_NODE(g, OP_MUL, d, d), -1, 1);
	int32_t n = MODEL_NODE(g, OP_DIV, d,
		MODEL_NODE(g, OP_SQRT, MODEL_NODE(g, OP_ADD, var, model_scalar(g, 1e-5f))));
	model_output(g, MODEL_NODE(g, OP_ADD,
				MODEL_NODE(g, OP_MUL, n, model_floats(g, shape_of(6), NULL)),
				model_floats(g, shape_of(6), NULL)));
	expect_nodes(4); /* what is left is an RMSNormalization */
	ck_assert_int_eq(model_count(g, OP_LAYER_NORM), 0);
}
END_TEST

/* One over the root of the mean square of x. */
static int32_t root_mean_square(int32_t x, int form)
{
	int32_t square = form & 1 ? MODEL_NODE(g, OP_MUL, x, x)
				  : MODEL_NODE(g, OP_POW, x, model_scalar(g, 2));
	return MODEL_NODE(g, OP_SQRT,
		MODEL_NODE(
			g, OP_ADD, reduce(OP_REDUCE_MEAN, square, -1, 1), model_scalar(g, 1e-5f)));
}

static int32_t rms_norm_parts(int32_t x, int form)
{
	int32_t scale = model_floats(g, shape_of(6), NULL), root = root_mean_square(x, form);
	switch (form / 2) {
	case 0: /* PyTorch's rsqrt, and the older way to write it */
		return MODEL_NODE(g, OP_MUL, scale,
			MODEL_NODE(g, OP_MUL, x, MODEL_NODE(g, OP_RECIPROCAL, root)));
	case 1:
		return MODEL_NODE(g, OP_MUL,
			MODEL_NODE(g, OP_MUL, MODEL_NODE(g, OP_DIV, model_scalar(g, 1), root), x),
			scale);
	case 2: return MODEL_NODE(g, OP_MUL, MODEL_NODE(g, OP_DIV, x, root), scale);
	default:
		return MODEL_NODE(g, OP_MUL, x,
			MODEL_NODE(g, OP_MUL, MODEL_NODE(g, OP_RECIPROCAL, root), scale));
	}
}

START_TEST(rms_norm_in_parts)
{
	model_output(g, rms_norm_parts(f32(shape_of(DIM_UNKNOWN, 5, 6)), _i));
	expect_nodes(1);
	ck_assert_int_eq(model_count(g, OP_RMS_NORM), 1);
}
END_TEST

/* Of another value, without the mean over the last axis, with a scale that is computed. */
START_TEST(what_only_looks_like_an_rms_norm_stays)
{
	int32_t x = f32(shape_of(5, 6)), other = MODEL_NODE(g, OP_ABS, x),
		scale = model_floats(g, shape_of(6), NULL);
	int32_t of = _i == 0 ? other : x;
	int32_t mean = reduce(OP_REDUCE_MEAN, MODEL_NODE(g, OP_MUL, of, of), _i == 1 ? 0 : -1, 1);
	int32_t y = MODEL_NODE(g, OP_DIV, x,
		MODEL_NODE(g, OP_SQRT, MODEL_NODE(g, OP_ADD, mean, model_scalar(g, 1e-5f))));
	model_output(g, MODEL_NODE(g, OP_MUL, y, _i == 2 ? other : scale));
	model_output(g, other);
	expect_nodes(7);
	ck_assert_int_eq(model_count(g, OP_RMS_NORM), 0);
}
END_TEST

static int32_t cast(int32_t x, enum dtype to)
{
	int32_t y = MODEL_NODE(g, OP_CAST, x);
	model_attr_int(g, "to", to);
	return y;
}

START_TEST(an_rms_norm_of_halves_takes_its_casts)
{
	int32_t x = model_input(g, "x", DTYPE_F16, shape_of(5, 6)), f = cast(x, DTYPE_F32);
	int32_t y = MODEL_NODE(g, OP_MUL, f, MODEL_NODE(g, OP_RECIPROCAL, root_mean_square(f, 0)));
	int32_t scale = cast(model_floats(g, shape_of(6), NULL), DTYPE_F16);
	model_output(g, MODEL_NODE(g, OP_MUL, scale, cast(y, DTYPE_F16)));
	check_and_infer();
	run_cpu_passes(); /* rounds once, where its parts do twice */
	ck_assert_int_eq(model_count(g, OP_NONE), 1);
	ck_assert_int_eq(model_count(g, OP_RMS_NORM), 1);
}
END_TEST

/* -- convolutions ---------------------------------------------------------------------------- */

static int32_t conv(int32_t x, int64_t in, int64_t out, int64_t kernel, int64_t stride)
{
	int32_t y = MODEL_NODE(g, OP_CONV, x,
		model_floats(g, shape_of(out, in, kernel, kernel), NULL));
	MODEL_ATTR_INTS(g, "pads", kernel / 2, kernel / 2, kernel / 2, kernel / 2);
	MODEL_ATTR_INTS(g, "strides", stride, stride);
	return y;
}

static int32_t batch_norm(int32_t x, int64_t channels)
{
	float var[64];
	for (int i = 0; i < 64; i++)
		var[i] = 0.5f + (float)i / 16;
	struct shape s = shape_of(channels);
	return MODEL_NODE(g, OP_BATCH_NORM, x, model_floats(g, s, NULL), model_floats(g, s, NULL),
		model_floats(g, s, NULL), model_floats(g, s, var));
}

START_TEST(conv_takes_in_batch_norm_and_relu)
{
	model_output(g,
		MODEL_NODE(g, OP_RELU, batch_norm(conv(f32(shape_of(1, 3, 8, 8)), 3, 4, 3, 1), 4)));
	expect_nodes(1);
	ck_assert_int_eq(model_count(g, OP_FUSED_CONV), 1);
}
END_TEST

START_TEST(grouped_transposed_conv_takes_in_batch_norm)
{
	int32_t y = MODEL_NODE(g, OP_CONV_TRANSPOSE, f32(shape_of(1, 4, 5, 5)),
		model_floats(g, shape_of(4, 3, 2, 2), NULL));
	model_attr_int(g, "group", 2);
	model_output(g, batch_norm(y, 6));
	expect_nodes(1);
}
END_TEST

START_TEST(conv_takes_in_arithmetic_per_channel)
{
	int32_t v = conv(f32(shape_of(1, 3, 8, 8)), 3, 4, 3, 2);
	v = MODEL_NODE(g, OP_MUL, model_floats(g, shape_of(1, 4, 1, 1), NULL), v);
	v = MODEL_NODE(g, OP_ADD, v, model_floats(g, shape_of(4, 1, 1), NULL));
	v = MODEL_NODE(g, OP_SUB, model_scalar(g, 1), v);
	v = MODEL_NODE(g, OP_DIV, v, model_scalar(g, 3));
	model_output(g, v);
	expect_nodes(1);
}
END_TEST

START_TEST(a_factor_per_column_is_none_per_channel)
{
	int32_t v = conv(f32(shape_of(1, 3, 4, 4)), 3, 4, 3, 1);
	model_output(g, MODEL_NODE(g, OP_MUL, v, model_floats(g, shape_of(4), NULL)));
	expect_nodes(2);
}
END_TEST

START_TEST(a_conv_that_is_read_twice_keeps_its_weights)
{
	int32_t v = conv(f32(shape_of(1, 3, 4, 4)), 3, 4, 3, 1);
	model_output(g, batch_norm(v, 4));
	model_output(g, v);
	expect_nodes(2);
	ck_assert_int_eq(model_count(g, OP_BATCH_NORM), 1);
}
END_TEST

/* A residual block with named spatial dimensions: two halving convolutions meet. */
START_TEST(conv_takes_in_a_residual_and_its_activation)
{
	int64_t h = graph_symbol(g, SLICE_LIT("h"));
	int32_t x = f32(shape_of(1, 4, h, h));
	int32_t a = MODEL_NODE(g, OP_RELU, batch_norm(conv(x, 4, 6, 3, 2), 6));
	int32_t b = batch_norm(conv(a, 6, 6, 3, 1), 6);
	int32_t shortcut = batch_norm(conv(x, 4, 6, 1, 2), 6);
	model_output(g, MODEL_NODE(g, OP_RELU, MODEL_NODE(g, OP_ADD, b, shortcut)));
	expect_nodes(3);
}
END_TEST

START_TEST(a_residual_that_broadcasts_is_no_z)
{
	int32_t x = f32(shape_of(1, 4, 6, 6));
	int32_t z = MODEL_NODE(g, OP_RELU, f32(shape_of(1, 4, 1, 6)));
	model_output(g, MODEL_NODE(g, OP_ADD, conv(x, 4, 4, 3, 1), z));
	expect_nodes(3);
	ck_assert_int_eq(model_count(g, OP_FUSED_CONV), 0);
}
END_TEST

START_TEST(conv_takes_in_swish)
{
	int32_t v = conv(f32(shape_of(1, 3, 8, 8)), 3, 4, 3, 1);
	model_output(g, MODEL_NODE(g, OP_MUL, v, MODEL_NODE(g, OP_SIGMOID, v)));
	expect_nodes(1);
	ck_assert_int_eq(node_int(&g->node[0], "activation", 0), ACT_SWISH);
}
END_TEST

/* x * s + t after an activation goes into the weights that read it. */
START_TEST(conv_takes_in_what_scales_and_shifts_its_input)
{
	int32_t v = MODEL_NODE(g, OP_TANH, f32(shape_of(1, 4, 6, 6)));
	v = MODEL_NODE(g, OP_MUL, model_floats(g, shape_of(1, 4, 1, 1), NULL), v);
	v = MODEL_NODE(g, OP_ADD, v, model_scalar(g, 0.5f));
	int32_t y = MODEL_NODE(g, OP_CONV, v, model_floats(g, shape_of(6, 2, 1, 1), NULL));
	model_attr_int(g, "group", 2);
	model_output(g, y);
	expect_nodes(2);
}
END_TEST

START_TEST(a_padded_conv_takes_in_the_scale_alone)
{
	int32_t v = MODEL_NODE(g, OP_TANH, f32(shape_of(1, 4, 6, 6)));
	v = MODEL_NODE(g, OP_MUL, v, model_scalar(g, 1.5f));
	v = MODEL_NODE(g, OP_ADD, v, model_scalar(g, 0.5f));
	model_output(g, conv(v, 4, 3, 3, 1));
	expect_nodes(3);
	ck_assert_int_eq(model_count(g, OP_MUL), 0);
}
END_TEST

START_TEST(a_padded_conv_leaves_a_shift_where_it_is)
{
	int32_t v = MODEL_NODE(g, OP_TANH, f32(shape_of(1, 4, 6, 6)));
	v = MODEL_NODE(g, OP_ADD, v, model_floats(g, shape_of(4, 1, 1), NULL));
	model_output(g, conv(v, 4, 3, 3, 1));
	expect_nodes(3);
}
END_TEST

START_TEST(conv_takes_in_a_sign)
{
	model_output(g, MODEL_NODE(g, OP_NEG, conv(f32(shape_of(1, 3, 8, 8)), 3, 4, 3, 1)));
	expect_nodes(1);
}
END_TEST

START_TEST(conv_takes_in_zero_padding)
{
	int32_t v = MODEL_NODE(g, OP_PAD, f32(shape_of(1, 3, 8, 8)),
		MODEL_INTS(g, 0, 0, 0, 1, 0, 0, 1, 2), model_scalar(g, 0));
	model_output(g, conv(v, 3, 4, 3, 2));
	expect_nodes(1);
}
END_TEST

START_TEST(reflected_padding_stays)
{
	int32_t v = MODEL_NODE(g, OP_PAD, f32(shape_of(1, 3, 8, 8)),
		MODEL_INTS(g, 0, 0, 0, 1, 0, 0, 1, 2));
	model_attr_string(g, "mode", "reflect");
	model_output(g, conv(v, 3, 4, 3, 2));
	expect_nodes(2);
}
END_TEST

/* -- matrix products ------------------------------------------------------------------------- */

START_TEST(matmul_takes_in_bias_and_activation)
{
	int32_t v = MODEL_NODE(g, OP_MATMUL, f32(shape_of(DIM_UNKNOWN, 5, 8)),
		model_floats(g, shape_of(8, 6), NULL));
	v = MODEL_NODE(g, OP_ADD, model_floats(g, shape_of(6), NULL), v);
	model_output(g, gelu_parts(v, 0));
	expect_nodes(1);
	ck_assert_int_eq(model_count(g, OP_FUSED_MATMUL), 1);
}
END_TEST

START_TEST(matmul_takes_in_a_transpose_and_a_scale)
{
	int32_t k = MODEL_NODE(g, OP_TRANSPOSE, f32(shape_of(2, 3, 5, 4)));
	MODEL_ATTR_INTS(g, "perm", 0, 1, 3, 2);
	int32_t v = MODEL_NODE(g, OP_MATMUL, f32(shape_of(2, 3, 6, 4)), k);
	model_output(g, MODEL_NODE(g, OP_DIV, v, model_scalar(g, 2)));
	expect_nodes(1);
}
END_TEST

START_TEST(gemm_takes_in_batch_norm_and_relu)
{
	int32_t v = MODEL_NODE(g, OP_GEMM, f32(shape_of(DIM_UNKNOWN, 8)),
		model_floats(g, shape_of(6, 8), NULL), model_floats(g, shape_of(6), NULL));
	model_attr_int(g, "transB", 1);
	model_output(g, MODEL_NODE(g, OP_RELU, batch_norm(v, 6)));
	expect_nodes(1);
}
END_TEST

START_TEST(matmul_takes_in_what_keras_makes_of_batch_norm)
{
	int32_t v = MODEL_NODE(g, OP_MATMUL, f32(shape_of(DIM_UNKNOWN, 8)),
		model_floats(g, shape_of(8, 6), NULL));
	v = MODEL_NODE(g, OP_ADD, v, model_floats(g, shape_of(6), NULL));
	v = MODEL_NODE(g, OP_MUL, v, model_floats(g, shape_of(6), NULL));
	model_output(g, MODEL_NODE(g, OP_ADD, v, model_floats(g, shape_of(6), NULL)));
	expect_nodes(1);
}
END_TEST

START_TEST(a_mask_that_broadcasts_is_not_taken_in)
{
	int32_t v = MODEL_NODE(g, OP_MATMUL, f32(shape_of(2, 3, 5, 4)), f32(shape_of(2, 3, 4, 5)));
	model_output(g, MODEL_NODE(g, OP_ADD, v, f32(shape_of(2, 1, 1, 5))));
	expect_nodes(2);
}
END_TEST

START_TEST(exact_only_leaves_rounding_alone)
{
	model_output(g, batch_norm(conv(f32(shape_of(1, 3, 8, 8)), 3, 4, 3, 1), 4));
	ck_assert_int_eq(infer_graph(g, &err), ERR_OK);
	run_passes(&(struct passes_opts){ .backend = &cpu_backend, .exact_only = true });
	ck_assert_int_eq(model_count(g, OP_NONE), 2);
}
END_TEST

Suite *suite_pass_fusions(void);
Suite *suite_pass_fusions(void)
{
	Suite *s = suite_create("pass_fusions");
	TCase *t = tcase_create("fusion");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, hard_swish_in_parts, 0, 3);
	tcase_add_test(t, hard_swish_of_hard_sigmoid);
	tcase_add_test(t, a_clip_to_five_is_no_hard_swish);
	tcase_add_loop_test(t, gelu_in_parts, 0, 4);
	tcase_add_loop_test(t, layer_norm_in_parts, 0, 4);
	tcase_add_test(t, a_mean_over_another_axis_is_no_layer_norm);
	tcase_add_loop_test(t, rms_norm_in_parts, 0, 8);
	tcase_add_loop_test(t, what_only_looks_like_an_rms_norm_stays, 0, 3);
	tcase_add_test(t, an_rms_norm_of_halves_takes_its_casts);
	tcase_add_test(t, conv_takes_in_batch_norm_and_relu);
	tcase_add_test(t, grouped_transposed_conv_takes_in_batch_norm);
	tcase_add_test(t, conv_takes_in_arithmetic_per_channel);
	tcase_add_test(t, a_factor_per_column_is_none_per_channel);
	tcase_add_test(t, a_conv_that_is_read_twice_keeps_its_weights);
	tcase_add_test(t, conv_takes_in_a_residual_and_its_activation);
	tcase_add_test(t, a_residual_that_broadcasts_is_no_z);
	tcase_add_test(t, conv_takes_in_swish);
	tcase_add_test(t, conv_takes_in_what_scales_and_shifts_its_input);
	tcase_add_test(t, a_padded_conv_takes_in_the_scale_alone);
	tcase_add_test(t, a_padded_conv_leaves_a_shift_where_it_is);
	tcase_add_test(t, conv_takes_in_a_sign);
	tcase_add_test(t, conv_takes_in_zero_padding);
	tcase_add_test(t, reflected_padding_stays);
	tcase_add_test(t, matmul_takes_in_bias_and_activation);
	tcase_add_test(t, matmul_takes_in_a_transpose_and_a_scale);
	tcase_add_test(t, gemm_takes_in_batch_norm_and_relu);
	tcase_add_test(t, matmul_takes_in_what_keras_makes_of_batch_norm);
	tcase_add_test(t, a_mask_that_broadcasts_is_not_taken_in);
	tcase_add_test(t, exact_only_leaves_rounding_alone);
	suite_add_tcase(s, t);
	return s;
}
