/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sizes, ranks and arities that a request or a file may bring, at the edge of what is allowed: they
 * are run or refused, and nothing is touched beyond its memory.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "support/models.h"
#include "support/runner.h"

static void expect_refused(
	struct runner *r, const struct tensor *in, enum err_code code, const char *says)
{
	enum err_code rc = run(r, in);
	ck_assert_msg(
		rc == code && strstr(r->err.msg, says), "code %d: %s", rc, rc ? r->err.msg : "");
	done(r);
}

START_TEST(twelve_axes_that_are_all_resized_are_refused)
{
	struct graph *g = model_new();
	struct shape dims = shape_of(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1000);
	int32_t x = model_input(g, "x", DTYPE_F32, dims);
	float scales[12] = { 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0.5f, 0.001f };
	model_output(
		g, MODEL_NODE(g, OP_RESIZE, x, VALUE_NONE, model_floats(g, shape_of(12), scales)));
	struct runner r = given_program(g, 0);
	float v[2000] = { 0 };
	expect_refused(&r, &(struct tensor){ .data = v, .dtype = DTYPE_F32, .shape = dims },
		ERR_INVALID_ARGUMENT, "last of 12 axes");
}
END_TEST

/* The region is so large and the scale so small that the output has 2^20 elements of 2^44 taps. */
START_TEST(taps_that_no_memory_holds_are_refused)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(8));
	int32_t roi = model_input(g, "roi", DTYPE_F32, shape_of(2));
	int32_t scales = model_input(g, "scales", DTYPE_F32, shape_of(1));
	model_output(g, MODEL_NODE(g, OP_RESIZE, x, roi, scales));
	model_attr_string(g, "mode", "linear");
	model_attr_string(g, "coordinate_transformation_mode", "tf_crop_and_resize");
	model_attr_int(g, "antialias", 1);
	struct runner r = given_program(g, 0);
	float v[8] = { 0 }, region[2] = { 0, 0x1p60f }, scale = 0x1p-43f;
	struct tensor in[3] = { floats(v, shape_of(8)), floats(region, shape_of(2)),
		floats(&scale, shape_of(1)) };
	expect_refused(&r, in, ERR_RESOURCE_EXHAUSTED, "");
}
END_TEST

/* Scores of nothing: heads of 2^31 - 1 and of 2^31 make a state whose size is 0 in 64 bits. */
START_TEST(empty_tensors_have_no_dimensions_that_overflow_together)
{
	struct graph *g = model_new();
	int64_t head = INT32_MAX;
	struct shape dims[3] = { shape_of(1, 0, head), shape_of(1, 0, head),
		shape_of(1, 0, head + 1) };
	int32_t v[3];
	struct tensor in[3];
	for (int i = 0; i < 3; i++) {
		v[i] = model_input(
			g, "", DTYPE_F32, shape_of(DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN));
		in[i] = floats((float[1]){ 0 }, dims[i]);
	}
	model_output(g, model_node(g, OP_LINEAR_ATTENTION, 1, 3, v));
	model_attr_int(g, "q_num_heads", 1);
	model_attr_int(g, "kv_num_heads", 1);
	model_attr_string(g, "update_rule", "linear");
	struct runner r = given_program(g, 0);
	expect_refused(&r, in, ERR_INVALID_ARGUMENT, "which is empty and too large");
}
END_TEST

/* 2^20 + 1 results of [2^28,0] behind each other. */
START_TEST(a_stack_of_nothing_is_refused_when_it_is_too_large)
{
	struct graph *g = model_new();
	int32_t s = model_input(g, "s", DTYPE_F32, shape_of(DIM_UNKNOWN, 0));
	int32_t x = model_input(g, "x", DTYPE_BOOL, shape_of(DIM_UNKNOWN));
	struct graph *body = model_body(g, "body");
	int32_t state = model_input(body, "state", DTYPE_F32, shape_of(DIM_UNKNOWN, 0));
	model_input(body, "slice", DTYPE_BOOL, SHAPE_SCALAR);
	model_output(body, state);
	model_output(body, state);
	int32_t y = MODEL_NODE_OUT(g, OP_SCAN, 2, s, x);
	model_attr_graph(g, "body", body);
	model_attr_int(g, "num_scan_inputs", 1);
	model_output(g, y + 1);
	struct runner r = given_program(g, 0);
	int64_t rounds = (1 << 20) + 1;
	bool *slices = calloc((size_t)rounds, sizeof(*slices));
	struct tensor in[2] = { floats((float[1]){ 0 }, shape_of(1 << 28, 0)),
		{ .data = slices, .dtype = DTYPE_BOOL, .shape = shape_of(rounds) } };
	expect_refused(&r, in, ERR_RESOURCE_EXHAUSTED, "[1048577,268435456,0]");
	free(slices);
}
END_TEST

/* Outputs at the end may be left out: what is remembered has none here. */
START_TEST(training_writes_to_the_outputs_that_there_are)
{
	struct graph *g = model_new();
	float rate = 0.5f, x[2] = { 1, 2 }, gradient[2] = { 1, -1 }, memory[2] = { 0 };
	int64_t count = 0;
	struct tensor in[5] = { floats(&rate, SHAPE_SCALAR),
		{ .data = &count, .dtype = DTYPE_I64, .shape = SHAPE_SCALAR },
		floats(x, shape_of(2)), floats(gradient, shape_of(2)),
		floats(memory, shape_of(2)) };
	int32_t v[5];
	for (int i = 0; i < 5; i++)
		v[i] = model_input(g, "", in[i].dtype, in[i].shape);
	int32_t y = model_node(g, OP_MOMENTUM, 1, 5, v);
	model_attr_float(g, "alpha", 0);
	model_attr_float(g, "beta", 1);
	model_attr_float(g, "norm_coefficient", 0);
	model_attr_string(g, "mode", "standard");
	model_output(g, MODEL_NODE(g, OP_NEG, y));
	struct runner r = given_program(g, 0);

	run_ok(&r, in);

	expect(&r.out[0], shape_of(2), (float[]){ -0.5f, -2.5f });
	done(&r);
}
END_TEST

START_TEST(a_part_that_nobody_wants_is_skipped)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(5));
	int32_t y = MODEL_NODE_OUT(g, OP_SPLIT, 3, x, MODEL_INTS(g, 2, 1, 2));
	g->node[g->value[y].producer].out[0] = VALUE_NONE;
	model_output(g, y + 1);
	model_output(g, y + 2);
	struct runner r = given_program(g, 0);
	float v[5] = { 1, 2, 3, 4, 5 };

	run_ok(&r, &(struct tensor){ .data = v, .dtype = DTYPE_F32, .shape = shape_of(5) });

	expect(&r.out[0], shape_of(1), v + 2);
	expect(&r.out[1], shape_of(2), v + 3);
	done(&r);
}
END_TEST

Suite *suite_sizes(void);
Suite *suite_sizes(void)
{
	Suite *s = suite_create("sizes");
	TCase *t = tcase_create("sizes");
	tcase_add_test(t, twelve_axes_that_are_all_resized_are_refused);
	tcase_add_test(t, taps_that_no_memory_holds_are_refused);
	tcase_add_test(t, empty_tensors_have_no_dimensions_that_overflow_together);
	tcase_add_test(t, a_stack_of_nothing_is_refused_when_it_is_too_large);
	tcase_add_test(t, training_writes_to_the_outputs_that_there_are);
	tcase_add_test(t, a_part_that_nobody_wants_is_skipped);
	suite_add_tcase(s, t);
	return s;
}
