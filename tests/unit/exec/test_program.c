/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graphs run end to end: plans, their cache, views, results in place, outputs wherever they
 * come from, shapes that depend on data, bodies.
 */
#include <check.h>
#include <malloc.h>
#include <stdlib.h>
#include "base/clock.h"
#include "support/models.h"
#include "support/runner.h"

START_TEST(outputs_may_be_inputs_constants_views_and_the_same_twice)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(DIM_UNKNOWN, 2));
	int32_t y = MODEL_NODE(g, OP_NEG, x);
	int32_t flat = MODEL_NODE(g, OP_RESHAPE, y, MODEL_INTS(g, -1));
	model_output(g, x);
	model_output(g, y);
	model_output(g, y);
	model_output(g, flat);
	model_output(g, model_scalar(g, 7));
	struct runner r = given_program(g, 0);
	float v[4] = { 1, 2, 3, 4 }, neg[4] = { -1, -2, -3, -4 }, seven = 7;

	run_ok(&r, &(struct tensor){ .data = v, .dtype = DTYPE_F32, .shape = shape_of(2, 2) });

	expect(&r.out[0], shape_of(2, 2), v);
	expect(&r.out[1], shape_of(2, 2), neg);
	expect(&r.out[2], shape_of(2, 2), neg);
	expect(&r.out[3], shape_of(4), neg);
	expect(&r.out[4], SHAPE_SCALAR, &seven);
	done(&r);
}
END_TEST

START_TEST(a_result_never_overwrites_what_is_read_later)
{
	/* a = -x, b = relu(a), c = b + a: relu must not take a's place. */
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(4));
	int32_t a = MODEL_NODE(g, OP_NEG, x);
	int32_t view = MODEL_NODE(g, OP_UNSQUEEZE, a, MODEL_INTS(g, 0));
	int32_t b = MODEL_NODE(g, OP_RELU, a);
	int32_t c = MODEL_NODE(g, OP_ADD, b, a);
	int32_t d = MODEL_NODE(g, OP_MUL, c, MODEL_NODE(g, OP_SQUEEZE, view, MODEL_INTS(g, 0)));
	model_output(g, d);
	struct runner r = given_program(g, 0);
	float v[4] = { 1, -2, 3, -4 }, want[4] = { 1, 8, 9, 32 };

	run_ok(&r, &(struct tensor){ .data = v, .dtype = DTYPE_F32, .shape = shape_of(4) });

	expect(&r.out[0], shape_of(4), want);
	done(&r);
}
END_TEST

START_TEST(shape_arithmetic_disappears_while_planning)
{
	/* y = reshape(x, concat(shape(x)[0], -1)), as exporters write a flatten. */
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(DIM_UNKNOWN, 2, 3));
	int32_t rows = MODEL_NODE(g, OP_GATHER, MODEL_NODE(g, OP_SHAPE, x), MODEL_INTS(g, 0));
	int32_t to = MODEL_NODE(g, OP_CONCAT, rows, MODEL_INTS(g, -1));
	model_attr_int(g, "axis", 0);
	model_output(g, MODEL_NODE(g, OP_NEG, MODEL_NODE(g, OP_RESHAPE, x, to)));
	struct runner r = given_program(g, 0);
	float v[12] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };

	run_ok(&r, &(struct tensor){ .data = v, .dtype = DTYPE_F32, .shape = shape_of(2, 2, 3) });

	ck_assert_int_eq(r.out[0].shape.rank, 2);
	ck_assert_int_eq(r.out[0].shape.dim[1], 6);
	struct program_stats stats;
	program_stats(r.p, &stats);
	ck_assert_int_eq(stats.plans, 1);
	done(&r);
}
END_TEST

START_TEST(a_convolution_of_constants_is_as_plain_as_they_are)
{
	/* y = x + conv(c, identity): the convolution leaves blocks of channels if it may. */
	enum { CHANNELS = 8, PIXELS = 4, COUNT = CHANNELS * PIXELS };
	struct graph *g = model_new();
	float c[COUNT], identity[CHANNELS * CHANNELS] = { 0 }, zeros[COUNT] = { 0 };
	for (int i = 0; i < COUNT; i++)
		c[i] = (float)i;
	for (int i = 0; i < CHANNELS; i++)
		identity[i * CHANNELS + i] = 1;
	struct shape s = shape_of(1, CHANNELS, 2, 2);
	int32_t x = model_input(g, "x", DTYPE_F32, s), image = model_floats(g, s, c);
	int32_t w = model_floats(g, shape_of(CHANNELS, CHANNELS, 1, 1), identity);
	model_output(g, MODEL_NODE(g, OP_ADD, x, MODEL_NODE(g, OP_CONV, image, w)));
	struct runner r = given_program(g, 0);

	struct tensor in = floats(zeros, s);
	run_ok(&r, &in);

	expect(&r.out[0], s, c);
	done(&r);
}
END_TEST

static struct graph *negate_any_rows(void)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(DIM_UNKNOWN, 2));
	model_output(g, MODEL_NODE(g, OP_EXP, MODEL_NODE(g, OP_NEG, x)));
	return g;
}

START_TEST(plans_are_kept_by_shape_and_the_least_recent_goes)
{
	struct runner r = given_program(negate_any_rows(), 3);
	float v[64] = { 0 };
	struct program_stats s;

	for (int rows = 1; rows <= 5; rows++) {
		struct tensor in = floats(v, shape_of(rows, 2));
		run_ok(&r, &in);
		run_ok(&r, &in);
	}
	program_stats(r.p, &s);
	ck_assert_int_eq(s.plans, 3);
	ck_assert_uint_eq(s.plans_made, 5);
	struct tensor recent = floats(v, shape_of(4, 2)), gone = floats(v, shape_of(1, 2));
	run_ok(&r, &recent);
	program_stats(r.p, &s);
	ck_assert_uint_eq(s.plans_made, 5);
	run_ok(&r, &gone);
	program_stats(r.p, &s);

	ck_assert_uint_eq(s.plans_made, 6);
	done(&r);
}
END_TEST

START_TEST(memory_that_runs_left_is_given_back_and_taken_anew)
{
	struct runner r = given_program(negate_any_rows(), 3);
	float v[64] = { 0 };
	struct program_stats large, none, small;
	struct tensor in = floats(v, shape_of(32, 2)), row = floats(v, shape_of(1, 2));

	run_ok(&r, &in);
	program_stats(r.p, &large);
	program_drop_workspaces(r.p);
	program_stats(r.p, &none);
	run_ok(&r, &row);
	program_stats(r.p, &small);

	ck_assert_uint_gt(large.workspace_bytes, 0);
	ck_assert_uint_eq(none.workspace_bytes, 0);
	ck_assert_uint_gt(small.workspace_bytes, 0);
	ck_assert_int_eq(small.plans, 2);
	done(&r);
}
END_TEST

START_TEST(strings_outlive_the_plan_that_could_have_made_them)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(DIM_UNKNOWN, 2));
	model_output(g, MODEL_NODE(g, OP_CAST, MODEL_NODE(g, OP_SHAPE, x)));
	model_attr_int(g, "to", DTYPE_STRING);
	struct runner r = given_program(g, 1);
	float v[8] = { 0 };
	struct tensor in = floats(v, shape_of(3, 2)), other = floats(v, shape_of(4, 2));
	mallopt(M_PERTURB, '?'); /* what is freed is overwritten */

	run_ok(&r, &in);
	struct slice *text = r.out[0].data;
	run_ok(&r, &other);

	ck_assert_msg(slice_is(text[0], "3") && slice_is(text[1], "2"), "[%.*s,%.*s]",
		SLICE_ARG(text[0]), SLICE_ARG(text[1]));
	mallopt(M_PERTURB, 0);
	done(&r);
}
END_TEST

START_TEST(a_wrong_input_is_refused_by_name)
{
	struct runner r = given_program(negate_any_rows(), 0);
	float v[6] = { 0 };
	struct tensor wrong_dim = floats(v, shape_of(2, 3)), wrong_type = floats(v, shape_of(3, 2));
	wrong_type.dtype = DTYPE_I32;

	ck_assert_int_eq(run(&r, &wrong_dim), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(r.err.msg, "'x' is [2,3]"));
	ck_assert_int_eq(run(&r, &wrong_type), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(r.err.msg, "int32"));
	done(&r);
}
END_TEST

START_TEST(zero_rows_run)
{
	struct runner r = given_program(negate_any_rows(), 0);
	float v[1];
	struct tensor none = floats(v, shape_of(0, 2));

	run_ok(&r, &none);

	ck_assert_int_eq(r.out[0].shape.dim[0], 0);
	done(&r);
}
END_TEST

START_TEST(shapes_that_depend_on_data_are_settled_on_the_way)
{
	/* y = gather(-x, nonzero(x)[0]) + 1: two cuts. */
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(DIM_UNKNOWN));
	int32_t where = MODEL_NODE(g, OP_NON_ZERO, MODEL_NODE(g, OP_RELU, x));
	int32_t picked = MODEL_NODE(g, OP_GATHER, MODEL_NODE(g, OP_NEG, x),
		MODEL_NODE(g, OP_SQUEEZE, where, MODEL_INTS(g, 0)));
	model_output(g, MODEL_NODE(g, OP_ADD, picked, model_scalar(g, 1)));
	struct runner r = given_program(g, 0);
	float v[5] = { 3, -1, 0, 5, 2 }, want[3] = { -2, -4, -1 };
	float none[2] = { -1, -2 };
	struct tensor in = floats(v, shape_of(5)), nothing = floats(none, shape_of(2));

	run_ok(&r, &in);
	expect(&r.out[0], shape_of(3), want);
	run_ok(&r, &nothing);
	ck_assert_int_eq(r.out[0].shape.dim[0], 0);
	done(&r);
}
END_TEST

START_TEST(a_shape_given_as_an_input_is_obeyed)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(6));
	int32_t to = model_input(g, "to", DTYPE_I64, shape_of(2));
	model_output(g, MODEL_NODE(g, OP_NEG, MODEL_NODE(g, OP_RESHAPE, x, to)));
	struct runner r = given_program(g, 0);
	float v[6] = { 1, 2, 3, 4, 5, 6 };
	int64_t dims[2] = { 2, 3 };
	struct tensor in[2] = { floats(v, shape_of(6)),
		{ .data = dims, .dtype = DTYPE_I64, .shape = shape_of(2) } };

	run_ok(&r, in);
	ck_assert_int_eq(r.out[0].shape.dim[0], 2);
	dims[0] = 3;
	dims[1] = 2;
	run_ok(&r, in);
	ck_assert_int_eq(r.out[0].shape.dim[0], 3);
	dims[0] = 4;
	ck_assert_int_eq(run(&r, in), ERR_INVALID_ARGUMENT);
	done(&r);
}
END_TEST

/* if (c) then -x else x + outer, where outer is computed outside. */
START_TEST(if_runs_the_branch_taken_with_its_captures)
{
	struct graph *g = model_new();
	int32_t c = model_input(g, "c", DTYPE_BOOL, SHAPE_SCALAR);
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(2));
	int32_t outer = MODEL_NODE(g, OP_MUL, x, model_scalar(g, 10));
	struct graph *yes = model_body(g, "yes"), *no = model_body(g, "no");
	model_output(yes, MODEL_NODE(yes, OP_NEG, model_capture(yes)));
	int32_t a = model_capture(no), b = model_capture(no);
	model_output(no, MODEL_NODE(no, OP_ADD, a, b));
	int32_t y = MODEL_NODE(g, OP_IF, c, x, x, outer);
	model_attr_graph(g, "then_branch", yes);
	model_attr_graph(g, "else_branch", no);
	model_output(g, MODEL_NODE(g, OP_ADD, y, model_scalar(g, 1)));
	struct runner r = given_program(g, 0);
	float v[2] = { 1, 2 }, then[2] = { 0, -1 }, otherwise[2] = { 12, 23 };
	bool cond = true;
	struct tensor in[2] = { { .data = &cond, .dtype = DTYPE_BOOL, .shape = SHAPE_SCALAR },
		floats(v, shape_of(2)) };

	run_ok(&r, in);
	expect(&r.out[0], shape_of(2), then);
	cond = false;
	run_ok(&r, in);
	expect(&r.out[0], shape_of(2), otherwise);
	done(&r);
}
END_TEST

/* v starts at x, doubles each round while it is below a limit; each v is kept. */
START_TEST(loop_carries_stops_and_stacks)
{
	struct graph *g = model_new();
	int32_t trips = model_input(g, "trips", DTYPE_I64, SHAPE_SCALAR);
	int32_t x = model_input(g, "x", DTYPE_F32, SHAPE_SCALAR);
	struct graph *body = model_body(g, "body");
	model_input(body, "round", DTYPE_I64, SHAPE_SCALAR);
	model_input(body, "go", DTYPE_BOOL, SHAPE_SCALAR);
	int32_t v = model_input(body, "v", DTYPE_F32, SHAPE_SCALAR);
	int32_t doubled = MODEL_NODE(body, OP_ADD, v, v);
	model_output(body, MODEL_NODE(body, OP_LESS, doubled, model_capture(body)));
	model_output(body, doubled);
	model_output(body, MODEL_NODE(body, OP_NEG, v));
	int32_t y = MODEL_NODE_OUT(g, OP_LOOP, 2, trips, VALUE_NONE, x, model_scalar(g, 100));
	model_attr_graph(g, "body", body);
	model_output(g, y);
	model_output(g, y + 1);
	struct runner r = given_program(g, 0);
	int64_t n = 1000;
	float start = 3, last = 192, stack[6] = { -3, -6, -12, -24, -48, -96 };
	struct tensor in[2] = { { .data = &n, .dtype = DTYPE_I64, .shape = SHAPE_SCALAR },
		floats(&start, SHAPE_SCALAR) };

	run_ok(&r, in);
	expect(&r.out[0], SHAPE_SCALAR, &last);
	expect(&r.out[1], shape_of(6), stack);
	n = 2;
	last = 12;
	run_ok(&r, in);
	expect(&r.out[0], SHAPE_SCALAR, &last);
	expect(&r.out[1], shape_of(2), stack);
	for (n = 0; n >= -2; n--) { /* less than none is none, as in ONNX Runtime */
		run_ok(&r, in);
		expect(&r.out[0], SHAPE_SCALAR, &start);
		ck_assert_int_eq(r.out[1].shape.dim[0], 0);
	}
	done(&r);
}
END_TEST

START_TEST(a_loop_without_end_ends_with_the_deadline)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, SHAPE_SCALAR);
	struct graph *body = model_body(g, "body");
	model_input(body, "round", DTYPE_I64, SHAPE_SCALAR);
	model_output(body,
		MODEL_NODE(body, OP_IDENTITY, model_input(body, "go", DTYPE_BOOL, SHAPE_SCALAR)));
	model_output(
		body, MODEL_NODE(body, OP_NEG, model_input(body, "v", DTYPE_F32, SHAPE_SCALAR)));
	model_output(g, MODEL_NODE(g, OP_LOOP, VALUE_NONE, VALUE_NONE, x));
	model_attr_graph(g, "body", body);
	struct runner r = given_program(g, 0);
	float v = 1;
	struct tensor in = floats(&v, SHAPE_SCALAR);
	struct run_opts opts = { .arena = r.arena, .deadline_ns = clock_now_ns() + 20 * NS_PER_MS };

	ck_assert_int_eq(program_run(r.p, &in, &opts, &r.err), ERR_DEADLINE_EXCEEDED);

	ck_assert_msg(
		strstr(r.err.msg, "(Loop): the request's deadline passed after "), "%s", r.err.msg);
	done(&r);
}
END_TEST

/* Running sums over the columns of x, backwards. */
START_TEST(scan_walks_an_axis_and_stacks_along_one)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(2, 3));
	int32_t zero = model_floats(g, shape_of(2), (float[]){ 0, 0 });
	struct graph *body = model_body(g, "body");
	int32_t sum = model_input(body, "sum", DTYPE_F32, shape_of(2));
	int32_t column = model_input(body, "column", DTYPE_F32, shape_of(2));
	int32_t next = MODEL_NODE(body, OP_ADD, sum, column);
	model_output(body, next);
	model_output(body, next);
	int32_t y = MODEL_NODE_OUT(g, OP_SCAN, 2, zero, x);
	model_attr_graph(g, "body", body);
	model_attr_int(g, "num_scan_inputs", 1);
	MODEL_ATTR_INTS(g, "scan_input_axes", 1);
	MODEL_ATTR_INTS(g, "scan_input_directions", 1);
	MODEL_ATTR_INTS(g, "scan_output_axes", 1);
	model_output(g, y);
	model_output(g, y + 1);
	struct runner r = given_program(g, 0);
	float v[6] = { 1, 2, 3, 10, 20, 30 }, last[2] = { 6, 60 },
	      sums[6] = { 3, 5, 6, 30, 50, 60 };
	struct tensor in = floats(v, shape_of(2, 3));

	run_ok(&r, &in);

	expect(&r.out[0], shape_of(2), last);
	expect(&r.out[1], shape_of(2, 3), sums);
	done(&r);
}
END_TEST

START_TEST(an_index_out_of_range_fails_the_run_and_names_the_node)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(3));
	int32_t i = model_input(g, "i", DTYPE_I64, shape_of(1));
	model_output(g, MODEL_NODE(g, OP_GATHER, x, i));
	struct runner r = given_program(g, 0);
	float v[3] = { 1, 2, 3 }, want = 3;
	int64_t index = 3;
	struct tensor in[2] = { floats(v, shape_of(3)),
		{ .data = &index, .dtype = DTYPE_I64, .shape = shape_of(1) } };

	ck_assert_int_eq(run(&r, in), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(r.err.msg, "(Gather): index 3 is out of range"));
	index = -1;
	run_ok(&r, in);
	expect(&r.out[0], shape_of(1), &want);
	done(&r);
}
END_TEST

START_TEST(a_warm_run_allocates_nothing)
{
	struct runner r = given_program(negate_any_rows(), 0);
	static float v[64], y[64];
	struct tensor in = floats(v, shape_of(32, 2));
	run_ok(&r, &in);
	struct mallinfo2 before = mallinfo2();
	unsigned long chunks = arena_chunk_count();

	for (int i = 0; i < 100; i++)
		run_ok(&r, &in);

	struct mallinfo2 after = mallinfo2();
	ck_assert_uint_eq(after.uordblks, before.uordblks);
	ck_assert_uint_le(arena_chunk_count(), chunks + 1);
	(void)y;
	done(&r);
}
END_TEST

static const char *lacks_all(enum precision precision)
{
	return precision == PRECISION_BF16 ? "no such numbers here" : NULL;
}

START_TEST(a_precision_that_the_machine_lacks_is_refused_with_its_words)
{
	struct backend backend = cpu_backend;
	struct program *p;
	struct err why;
	backend.lacks = lacks_all;
	struct program_conf conf = { .backend = &backend, .threads = 1,
		.precision = PRECISION_BF16 };
	struct graph *g = model_new();
	model_output(g, model_node(g, OP_RELU, 1, 1,
				(int32_t[]){ model_input(g, "x", DTYPE_F32, shape_of(2)) }));
	ck_assert_int_eq(program_new(g, &conf, &p, &why), ERR_FAILED_PRECONDITION);
	ck_assert_str_eq(why.msg, "no such numbers here");
	model_free(g);
}
END_TEST

Suite *suite_program(void);
Suite *suite_program(void)
{
	Suite *s = suite_create("program");
	TCase *t = tcase_create("program");
	tcase_add_test(t, outputs_may_be_inputs_constants_views_and_the_same_twice);
	tcase_add_test(t, a_result_never_overwrites_what_is_read_later);
	tcase_add_test(t, shape_arithmetic_disappears_while_planning);
	tcase_add_test(t, a_convolution_of_constants_is_as_plain_as_they_are);
	tcase_add_test(t, plans_are_kept_by_shape_and_the_least_recent_goes);
	tcase_add_test(t, memory_that_runs_left_is_given_back_and_taken_anew);
	tcase_add_test(t, strings_outlive_the_plan_that_could_have_made_them);
	tcase_add_test(t, a_wrong_input_is_refused_by_name);
	tcase_add_test(t, zero_rows_run);
	tcase_add_test(t, shapes_that_depend_on_data_are_settled_on_the_way);
	tcase_add_test(t, a_shape_given_as_an_input_is_obeyed);
	tcase_add_test(t, if_runs_the_branch_taken_with_its_captures);
	tcase_add_test(t, loop_carries_stops_and_stacks);
	tcase_add_test(t, a_loop_without_end_ends_with_the_deadline);
	tcase_add_test(t, scan_walks_an_axis_and_stacks_along_one);
	tcase_add_test(t, an_index_out_of_range_fails_the_run_and_names_the_node);
	tcase_add_test(t, a_warm_run_allocates_nothing);
	tcase_add_test(t, a_precision_that_the_machine_lacks_is_refused_with_its_words);
	suite_add_tcase(s, t);
	return s;
}
