/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans that work on a device (of the toy's kind): what crosses, how often, and what is told
 * when the device or the data fails. That results are right is test_pass_random.c's.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "support/models.h"
#include "support/runner.h"
#include "support/toy_device.h"

struct steps {

	char text[400];
};

static void on_step(void *ctx, const struct step_text *t)
{
	struct steps *s = ctx;
	if (t->folded)
		return;
	size_t at = strlen(s->text);
	snprintf(s->text + at, sizeof(s->text) - at, "%s@%s ", t->op, t->backend);
}

static struct steps steps_of(struct runner *r, const struct tensor *in)
{
	struct steps s = { 0 };
	ck_assert_msg(program_explain(r->p, in, on_step, &s, &r->err) == ERR_OK, "%s", r->err.msg);
	return s;
}

/* The operator that the toy refuses with this seed, of the two; the other it takes. */
static uint32_t seed_that_refuses(enum op_id refused, enum op_id taken)
{
	for (uint32_t seed = 1;; seed++) {
		uint32_t a = ((uint32_t)refused * 2654435761u) ^ (seed * 40503u);
		uint32_t b = ((uint32_t)taken * 2654435761u) ^ (seed * 40503u);
		if ((a >> 7) % 3 == 0 && (b >> 7) % 3 != 0)
			return seed;
	}
}

START_TEST(a_chain_goes_up_once_and_comes_down_once)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(DIM_UNKNOWN, 2));
	int32_t y = MODEL_NODE(g, OP_ADD, x, model_floats(g, shape_of(2), (float[]){ 1, 2 }));
	model_output(g, MODEL_NODE(g, OP_NEG, y));
	struct runner r = given_program_on(toy_device(0), g, 0);
	struct tensor in = floats((float[]){ 1, 2, 3, 4 }, shape_of(2, 2));
	ck_assert_str_eq(steps_of(&r, &in).text, "copy@toy Add@toy Neg@toy copy@toy ");
	for (int i = 0; i < 5; i++) {
		run_ok(&r, &in);
		expect(&r.out[0], shape_of(2, 2), (float[]){ -2, -4, -4, -6 });
	}
	size_t held = toy_device_allocations();
	struct tensor longer = floats((float[]){ 1, 2, 3, 4, 5, 6 }, shape_of(3, 2));
	run_ok(&r, &longer);
	ck_assert_uint_eq(toy_device_allocations(), held + 1); /* a lane; the constant is there */
	done(&r);
	ck_assert_uint_eq(toy_device_allocations(), 0);
}
END_TEST

START_TEST(what_the_device_refuses_runs_on_the_host_between_two_crossings)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(3));
	int32_t a = MODEL_NODE(g, OP_NEG, x), e = MODEL_NODE(g, OP_EXP, a);
	model_output(g, MODEL_NODE(g, OP_NEG, e));
	model_output(g, e);
	struct runner r = given_program_on(toy_device(seed_that_refuses(OP_EXP, OP_NEG)), g, 0);
	struct tensor in = floats((float[]){ 0, -1, 1 }, shape_of(3));
	ck_assert_str_eq(steps_of(&r, &in).text,
		"copy@toy Neg@toy copy@toy Exp@cpu copy@toy Neg@toy copy@toy ");
	for (int i = 0; i < 5; i++) {
		run_ok(&r, &in);
		expect(&r.out[0], shape_of(3), (float[]){ -1, -2.71828183f, -0.36787944f });
		expect(&r.out[1], shape_of(3), (float[]){ 1, 2.71828183f, 0.36787944f });
	}
	done(&r);
}
END_TEST

START_TEST(a_value_wanted_on_both_sides_crosses_once)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(2));
	int32_t sum = MODEL_NODE(g, OP_ADD, MODEL_NODE(g, OP_EXP, x), MODEL_NODE(g, OP_EXP, x));
	model_output(g, MODEL_NODE(g, OP_ADD, sum, MODEL_NODE(g, OP_ADD, x, x)));
	struct runner r = given_program_on(toy_device(seed_that_refuses(OP_EXP, OP_ADD)), g, 0);
	struct tensor in = floats((float[]){ 0, 1 }, shape_of(2));
	ck_assert_str_eq(steps_of(&r, &in).text,
		"Exp@cpu Exp@cpu copy@toy copy@toy Add@toy copy@toy Add@toy Add@toy copy@toy ");
	run_ok(&r, &in);
	expect(&r.out[0], shape_of(2), (float[]){ 2, 7.43656366f });
	done(&r);
}
END_TEST

START_TEST(a_device_that_fails_is_unavailable)
{
	struct graph *g = model_new();
	model_output(g, MODEL_NODE(g, OP_NEG, model_input(g, "x", DTYPE_F32, shape_of(2))));
	struct runner r = given_program_on(toy_device(0), g, 0);
	struct tensor in = floats((float[]){ 0, 1 }, shape_of(2));
	run_ok(&r, &in);
	toy_device_break();
	ck_assert_int_eq(run(&r, &in), ERR_UNAVAILABLE);
	ck_assert_str_eq(r.err.msg, "the toy is broken");
	done(&r);
}
END_TEST

START_TEST(data_that_is_wrong_is_the_nodes_fault_and_passes)
{
	struct graph *g = model_new();
	int32_t data = model_floats(g, shape_of(3), (float[]){ 5, 6, 7 });
	int32_t at = model_input(g, "at", DTYPE_I64, shape_of(2));
	model_output(g, MODEL_NODE(g, OP_GATHER, data, at));
	struct runner r = given_program_on(toy_device(0), g, 0);
	for (int i = 0; i < 5; i++) { /* recorded by then */
		struct tensor bad = { .data = (int64_t[]){ 1, 9 }, .dtype = DTYPE_I64,
			.shape = shape_of(2) };
		ck_assert_int_eq(run(&r, &bad), ERR_INVALID_ARGUMENT);
		ck_assert_msg(
			strstr(r.err.msg, "(Gather): index 9 is out of range"), "%s", r.err.msg);
		struct tensor good = { .data = (int64_t[]){ 2, 0 }, .dtype = DTYPE_I64,
			.shape = shape_of(2) };
		run_ok(&r, &good);
		expect(&r.out[0], shape_of(2), (float[]){ 7, 5 });
	}
	done(&r);
}
END_TEST

static struct tensor out_of_rows;

static void *keep_exactly(void *ctx, int i, const struct tensor *t)
{
	(void)ctx, (void)i;
	out_of_rows = *t;
	out_of_rows.data = malloc(tensor_bytes(t)); /* a byte more written is seen by sanitizers */
	return out_of_rows.data;
}

START_TEST(fewer_rows_run_as_many_and_come_back_alone)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(DIM_UNKNOWN, 2));
	int32_t e = MODEL_NODE(g, OP_EXP, x);
	model_output(g, MODEL_NODE(g, OP_NEG, MODEL_NODE(g, OP_ADD, e, x)));
	struct runner r = given_program_on(toy_device(seed_that_refuses(OP_EXP, OP_NEG)), g, 0);
	struct run_opts opts = { .output = keep_exactly, .rows_as = 8 };
	for (int rows = 1; rows < 8; rows++) {
		float in[14], want[14];
		for (int i = 0; i < 2 * rows; i++) {
			in[i] = (float)(i % 2);
			want[i] = i % 2 ? -3.71828183f : -1;
		}
		struct tensor t = floats(in, shape_of(rows, 2));
		ck_assert_msg(program_run(r.p, &t, &opts, &r.err) == ERR_OK, "%s", r.err.msg);
		expect(&out_of_rows, shape_of(rows, 2), want);
		free(out_of_rows.data);
	}
	struct program_stats stats;
	program_stats(r.p, &stats);
	ck_assert_int_eq(stats.plans, 1);
	done(&r);
}
END_TEST

struct pieces {
	const float *row[2];
	void *at; /* where they were written */
};

/* The input's two rows, which lie apart. */
static void write_pieces(void *ctx, int i, void *dst)
{
	struct pieces *p = ctx;
	ck_assert_int_eq(i, 0);
	for (int k = 0; k < 2; k++)
		memcpy((float *)dst + 2 * k, p->row[k], 2 * sizeof(float));
	p->at = dst;
}

/* 0: straight to where the device copies from, 1: so for a plan of more rows, 2: where shapes hang
   on data. */
START_TEST(rows_that_lie_apart_are_written_where_they_are_read)
{
	float a[] = { 1, 0 }, b[] = { 0, -2 };
	struct pieces pieces = { { a, b }, NULL };
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(DIM_UNKNOWN, 2)),
		y = MODEL_NODE(g, OP_NEG, x);
	model_output(g, _i == 2 ? MODEL_NODE(g, OP_NON_ZERO, y) : y);
	struct runner r = given_program_on(toy_device(0), g, 0);
	struct run_opts opts = { .arena = r.arena, .output = keep_exactly,
		.rows_as = _i == 1 ? 8 : 0, .input = write_pieces,
		.input_ctx = &pieces };
	struct tensor in = floats(NULL, shape_of(2, 2));
	void *first = NULL;
	for (int i = 0; i < 5; i++) {
		ck_assert_msg(program_run(r.p, &in, &opts, &r.err) == ERR_OK, "%s", r.err.msg);
		if (_i == 2)
			/* [0, 0] and [1, 1] are not 0. */
			ck_assert_int_eq(tensor_int(&out_of_rows, 3), 1);
		else
			expect(&out_of_rows, shape_of(2, 2), (float[]){ -1, 0, 0, 2 });
		free(out_of_rows.data);
		ck_assert(_i == 2 || !first || first == pieces.at);
		first = pieces.at;
		pieces.at = NULL;
	}
	ck_assert_ptr_nonnull(first);
	done(&r);
}
END_TEST

START_TEST(warm_up_makes_every_lane_that_there_is_room_for)
{
	struct graph *g = model_new();
	model_output(g, MODEL_NODE(g, OP_NEG, model_input(g, "x", DTYPE_F32, shape_of(2))));
	struct runner r = given_program_on(toy_device(0), g, 0);
	struct run_opts opts = { .output = keep_exactly, .every_lane = true };
	struct tensor in = floats((float[]){ 0, 1 }, shape_of(2));
	toy_device_limit(_i ? 2 : 100);
	ck_assert_msg(program_run(r.p, &in, &opts, &r.err) == ERR_OK, "%s", r.err.msg);
	ck_assert_uint_eq(toy_device_allocations(), _i ? 2 : 3);
	expect(&out_of_rows, shape_of(2), (float[]){ 0, -1 });
	free(out_of_rows.data);
	for (int i = 0; i < 5; i++)
		run_ok(&r, &in);
	ck_assert_uint_eq(toy_device_allocations(), _i ? 2 : 3);
	done(&r);
}
END_TEST

START_TEST(a_device_without_room_for_one_lane_refuses)
{
	struct graph *g = model_new();
	model_output(g, MODEL_NODE(g, OP_NEG, model_input(g, "x", DTYPE_F32, shape_of(2))));
	struct runner r = given_program_on(toy_device(0), g, 0);
	struct tensor in = floats((float[]){ 0, 1 }, shape_of(2));
	toy_device_limit(0);
	ck_assert_int_eq(run(&r, &in), ERR_RESOURCE_EXHAUSTED);
	ck_assert_str_eq(r.err.msg, "the toy is full");
	toy_device_limit(1);
	run_ok(&r, &in);
	done(&r);
}
END_TEST

Suite *suite_device(void);
Suite *suite_device(void)
{
	Suite *s = suite_create("device");
	TCase *t = tcase_create("device");
	tcase_add_test(t, a_chain_goes_up_once_and_comes_down_once);
	tcase_add_test(t, what_the_device_refuses_runs_on_the_host_between_two_crossings);
	tcase_add_test(t, a_value_wanted_on_both_sides_crosses_once);
	tcase_add_test(t, a_device_that_fails_is_unavailable);
	tcase_add_test(t, fewer_rows_run_as_many_and_come_back_alone);
	tcase_add_loop_test(t, warm_up_makes_every_lane_that_there_is_room_for, 0, 2);
	tcase_add_loop_test(t, rows_that_lie_apart_are_written_where_they_are_read, 0, 3);
	tcase_add_test(t, a_device_without_room_for_one_lane_refuses);
	tcase_add_test(t, data_that_is_wrong_is_the_nodes_fault_and_passes);
	suite_add_tcase(s, t);
	return s;
}
