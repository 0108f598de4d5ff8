/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graphs as ONNX Runtime's tools quantize them: what is left between QuantizeLinear and
 * DequantizeLinear, and that results are within a step of the floats'.
 */
#include "support/graph_case.h"

#define SCALE 0.05f

static int32_t bytes(enum dtype dtype, struct shape shape, int spread, int from)
{
	struct tensor *t = graph_new_tensor(g, dtype, &shape);
	int32_t v;
	ck_assert_ptr_nonnull(t);
	for (int64_t i = 0; i < tensor_count(t); i++)
		tensor_set(t, i, (double)(i * 37 % spread + from));
	ck_assert_int_eq(graph_add_constant(g, "", t, &v, &err), ERR_OK);
	return v;
}

static int32_t zero(enum dtype dtype, int v)
{
	return bytes(dtype, SHAPE_SCALAR, 1, v);
}

static int32_t q(int32_t x, float scale, enum dtype dtype, int z)
{
	return MODEL_NODE(g, OP_QUANTIZE, x, model_scalar(g, scale), zero(dtype, z));
}

static int32_t dq(int32_t x, float scale, enum dtype dtype, int z)
{
	return MODEL_NODE(g, OP_DEQUANTIZE, x, model_scalar(g, scale), zero(dtype, z));
}

/* There and back again. */
static int32_t step(int32_t x, float scale, int z)
{
	return dq(q(x, scale, DTYPE_U8, z), scale, DTYPE_U8, z);
}

static const char *const names[] = { "a", "b", "c", "d" };

static int32_t input(struct shape s)
{
	return step(model_input(g, names[g->n_input], DTYPE_F32, s), SCALE, 100);
}

/* Weights with a scale per channel, the first axis or the second. */
static int32_t weights(struct shape s, int axis)
{
	int64_t n = s.dim[axis];
	float scale[64];
	for (int64_t i = 0; i < n; i++)
		scale[i] = 0.002f * (float)(1 + i % 3);
	int32_t w = MODEL_NODE(g, OP_DEQUANTIZE, bytes(DTYPE_I8, s, 255, -127),
		model_floats(g, shape_of(n), scale), bytes(DTYPE_I8, shape_of(n), 1, 0));
	model_attr_int(g, "axis", axis);
	return w;
}

static int32_t conv(int32_t x, int64_t in, int64_t out, int64_t k)
{
	int32_t y = MODEL_NODE(g, OP_CONV, x, weights(shape_of(out, in, k, k), 0),
		model_floats(g, shape_of(out), NULL));
	MODEL_ATTR_INTS(g, "pads", k / 2, k / 2, k / 2, k / 2);
	return y;
}

/* Between the quantized input and the dequantized output these operators are left, and
   results are within a step of the output. */
static void expect(int nodes, float scale, bool exact)
{
	struct arena *arena = arena_new(1 << 16, 0);
	struct passes_opts opts = { .backend = &cpu_backend, .exact_only = exact };
	ck_assert_msg(infer_graph(g, &err) == ERR_OK, "%s", err.msg);
	struct model_results before = model_run(g, 7, arena);
	run_passes(&opts);
	struct model_results after = model_run(g, 7, arena);
	for (int i = 0; i < after.n; i++)
		ck_assert_int_eq(
			model_first_difference(&after.t[i], &before.t[i], 0, 1.01 * (double)scale),
			-1);
	arena_free(arena);
	if (nodes)
		ck_assert_int_eq(model_count(g, OP_NONE), nodes);
}

START_TEST(conv_between_steps_is_one_on_integers)
{
	int32_t x = MODEL_NODE(g, OP_RELU, conv(input(shape_of(1, 3, 8, 9)), 3, 8, 3));
	model_output(g, step(x, 0.03f, 20));
	expect(3, 0.03f, false);
	ck_assert_int_eq(model_count(g, OP_QUANTIZED_CONV), 1);
}
END_TEST

START_TEST(a_clip_is_the_results_range)
{
	int32_t x = MODEL_NODE(g, OP_CLIP, conv(input(shape_of(1, 3, 8, 9)), 3, 8, 1),
		model_scalar(g, -0.5f), model_scalar(g, 1));
	model_output(g, step(x, 0.03f, 120));
	expect(3, 0.03f, false);
}
END_TEST

START_TEST(a_residual_goes_into_the_later_conv)
{
	int32_t a = step(conv(input(shape_of(2, 4, 7, 7)), 4, 4, 3), 0.03f, 128);
	int32_t b = step(conv(a, 4, 4, 1), 0.02f, 100);
	model_output(g, step(MODEL_NODE(g, OP_RELU, MODEL_NODE(g, OP_ADD, b, a)), 0.04f, 0));
	expect(4, 0.04f, false);
	ck_assert_int_eq(model_count(g, OP_QUANTIZED_CONV), 2);
}
END_TEST

START_TEST(what_moves_numbers_moves_integers)
{
	int32_t x = MODEL_NODE(g, OP_MAX_POOL, input(shape_of(1, 4, 8, 8)));
	MODEL_ATTR_INTS(g, "kernel_shape", 2, 2);
	x = step(x, SCALE, 100);
	x = step(MODEL_NODE(g, OP_GLOBAL_AVERAGE_POOL, x), 0.01f, 128);
	x = step(MODEL_NODE(g, OP_FLATTEN, x), 0.01f, 128);
	model_output(g, x);
	expect(5, 0.01f, false);
	ck_assert_int_eq(model_count(g, OP_DEQUANTIZE), 1);
}
END_TEST

START_TEST(products_are_of_integers)
{
	int32_t x = MODEL_NODE(g, OP_GEMM, input(shape_of(DIM_UNKNOWN, 16)),
		weights(shape_of(24, 16), 0), model_floats(g, shape_of(24), NULL));
	model_attr_int(g, "transB", 1);
	x = step(MODEL_NODE(g, OP_RELU, x), 0.02f, 0);
	x = MODEL_NODE(g, OP_MATMUL, x, weights(shape_of(24, 10), 1));
	model_output(g, step(x, 0.05f, 128));
	/* A step of the first product is worth several of the second's. */
	expect(4, 0.1f, false);
	ck_assert_int_eq(model_count(g, OP_QUANTIZED_MATMUL), 2);
}
END_TEST

START_TEST(signed_activations_and_a_dequantized_bias)
{
	int32_t x = dq(q(model_input(g, "a", DTYPE_F32, shape_of(3, 16)), SCALE, DTYPE_I8, -3),
		SCALE, DTYPE_I8, -3);
	int32_t bias = MODEL_NODE(g, OP_DEQUANTIZE, bytes(DTYPE_I32, shape_of(5), 1000, -500),
		model_floats(g, shape_of(1), (float[]){ SCALE * 0.002f }));
	model_attr_int(g, "axis", 0);
	x = MODEL_NODE(g, OP_GEMM, x, weights(shape_of(16, 5), 1), bias);
	model_output(g, dq(q(x, 0.03f, DTYPE_I8, 5), 0.03f, DTYPE_I8, 5));
	expect(3, 0.03f, false);
	ck_assert_int_eq(model_count(g, OP_QUANTIZED_MATMUL), 1);
}
END_TEST

START_TEST(weights_may_be_unsigned_and_have_zero_points)
{
	int32_t x = step(
		MODEL_NODE(g, OP_CONV, input(shape_of(2, 4, 7, 7)),
			MODEL_NODE(g, OP_DEQUANTIZE, bytes(DTYPE_U8, shape_of(8, 4, 3, 3), 256, 0),
				model_scalar(g, 0.002f), zero(DTYPE_U8, 117))),
		0.03f, 128);
	float scale[6] = { 0.001f, 0.002f, 0.003f, 0.001f, 0.002f, 0.003f };
	int32_t w = MODEL_NODE(g, OP_DEQUANTIZE, bytes(DTYPE_I8, shape_of(6, 8, 1, 1), 256, -128),
		model_floats(g, shape_of(6), scale), bytes(DTYPE_I8, shape_of(6), 30, -15));
	model_attr_int(g, "axis", 0);
	x = step(MODEL_NODE(g, OP_CONV, x, w), 0.02f, 100);
	model_output(g, x);
	expect(4, 0.02f, false);
	ck_assert_int_eq(model_count(g, OP_QUANTIZED_CONV), 2);
}
END_TEST

START_TEST(groups_are_quantized_like_others)
{
	int32_t x = MODEL_NODE(
		g, OP_CONV, input(shape_of(1, 8, 7, 7)), weights(shape_of(8, 1, 3, 3), 0));
	model_attr_int(g, "group", 8);
	model_output(g, step(x, 0.03f, 100));
	expect(3, 0.03f, false);
	ck_assert_int_eq(model_count(g, OP_QUANTIZED_CONV), 1);
}
END_TEST

START_TEST(exact_leaves_floats)
{
	model_output(g, step(conv(input(shape_of(1, 3, 8, 9)), 3, 8, 3), 0.03f, 20));
	expect(0, 0.03f, true);
	ck_assert_int_eq(model_count(g, OP_CONV), 1);
}
END_TEST

/* Read as a float, too; another scale behind the pool; a scale along another axis. */
START_TEST(what_is_no_pattern_stays)
{
	int32_t y = conv(input(shape_of(1, 3, 8, 9)), 3, 8, 3);
	int32_t pool = MODEL_NODE(g, OP_MAX_POOL, input(shape_of(1, 4, 8, 8)));
	MODEL_ATTR_INTS(g, "kernel_shape", 2, 2);
	int32_t other = MODEL_NODE(g, OP_MATMUL, input(shape_of(2, 8)), weights(shape_of(8, 8), 0));
	model_output(g, y);
	model_output(g, step(y, 0.03f, 20));
	model_output(g, step(pool, 0.02f, 100));
	model_output(g, step(other, 0.02f, 100));
	expect(0, 0.03f, false);
	ck_assert_int_eq(model_count(g, OP_QUANTIZED_CONV), 0);
	ck_assert_int_eq(model_count(g, OP_QUANTIZED_MATMUL), 0);
	ck_assert_int_eq(model_count(g, OP_MAX_POOL), 1);
}
END_TEST

Suite *suite_pass_quantize(void);
Suite *suite_pass_quantize(void)
{
	Suite *s = suite_create("pass_quantize");
	TCase *t = tcase_create("patterns");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, conv_between_steps_is_one_on_integers);
	tcase_add_test(t, a_clip_is_the_results_range);
	tcase_add_test(t, a_residual_goes_into_the_later_conv);
	tcase_add_test(t, what_moves_numbers_moves_integers);
	tcase_add_test(t, products_are_of_integers);
	tcase_add_test(t, signed_activations_and_a_dequantized_bias);
	tcase_add_test(t, weights_may_be_unsigned_and_have_zero_points);
	tcase_add_test(t, groups_are_quantized_like_others);
	tcase_add_test(t, exact_leaves_floats);
	tcase_add_test(t, what_is_no_pattern_stays);
	suite_add_tcase(s, t);
	return s;
}
