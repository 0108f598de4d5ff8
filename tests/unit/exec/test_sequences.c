/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequences and optionals through programs: as inputs and outputs, carried by loops, with
 * elements that outlive what made them.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "support/models.h"
#include "support/runner.h"

static int32_t sequence_input(struct graph *g, const char *name, bool is_optional)
{
	int32_t v = model_input(g, name, DTYPE_F32, SHAPE_UNKNOWN);
	g->value[v].type.is_sequence = true;
	g->value[v].type.is_optional = is_optional;
	return v;
}

static const struct tensor *item(const struct tensor *seq, int64_t i)
{
	ck_assert_int_eq(seq->dtype, DTYPE_TENSOR);
	ck_assert_int_lt(i, seq->shape.dim[0]);
	return (const struct tensor *)seq->data + i;
}

START_TEST(sequences_go_in_and_come_out_with_every_length_by_one_plan)
{
	/* the sequence itself, and its first element negated */
	struct graph *g = model_new();
	int32_t s = sequence_input(g, "s", false);
	model_output(g, MODEL_NODE(g, OP_IDENTITY, s));
	model_output(g, MODEL_NODE(g, OP_NEG, MODEL_NODE(g, OP_SEQUENCE_AT, s, MODEL_INTS(g, 0))));
	struct runner r = given_program(g, 0);
	float v[4] = { 1, 2, 3, 4 }, neg[2] = { -1, -2 };
	struct tensor items[3] = { floats(v, shape_of(2)), floats(v + 2, shape_of(1)),
		floats(v + 3, SHAPE_SCALAR) };
	struct tensor in = sequence(items, 1);
	run_ok(&r, &in);
	struct program_stats one, three;
	program_stats(r.p, &one);

	in.shape.dim[0] = 3;
	run_ok(&r, &in);

	ck_assert_int_eq(r.out[0].shape.dim[0], 3);
	expect(item(&r.out[0], 1), shape_of(1), v + 2);
	expect(&r.out[1], shape_of(2), neg);
	program_stats(r.p, &three);
	ck_assert_int_eq(three.plans_made, one.plans_made);
	done(&r);
}
END_TEST

START_TEST(an_element_of_another_type_is_refused)
{
	struct graph *g = model_new();
	model_output(g, MODEL_NODE(g, OP_SEQUENCE_LENGTH, sequence_input(g, "s", false)));
	struct runner r = given_program(g, 0);
	float v = 1;
	struct tensor items[2] = { floats(&v, SHAPE_SCALAR), floats(&v, SHAPE_SCALAR) };
	struct tensor in = sequence(items, 2), tensor = floats(&v, SHAPE_SCALAR);
	items[1].dtype = DTYPE_I32;

	ck_assert_int_eq(run(&r, &in), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(r.err.msg, "'s': element 1 of the sequence is int32"));
	ck_assert_int_eq(run(&r, &tensor), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(r.err.msg, "'s' is float32, the model takes sequence"));
	done(&r);
}
END_TEST

START_TEST(positions_out_of_range_fail_the_run_and_name_the_node)
{
	struct graph *g = model_new();
	int32_t at = model_input(g, "at", DTYPE_I64, SHAPE_SCALAR);
	model_output(g, MODEL_NODE(g, OP_SEQUENCE_AT, sequence_input(g, "s", false), at));
	struct runner r = given_program(g, 0);
	float v = 1;
	int64_t index = 1;
	struct tensor one = floats(&v, SHAPE_SCALAR);
	struct tensor in[2] = { { .data = &index, .dtype = DTYPE_I64, .shape = SHAPE_SCALAR },
		sequence(&one, 1) };

	ck_assert_int_eq(run(&r, in), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(r.err.msg, "(SequenceAt): index 1 is out of range"));
	index = -2;
	ck_assert_int_eq(run(&r, in), ERR_INVALID_ARGUMENT);
	index = -1;
	run_ok(&r, in);
	done(&r);
}
END_TEST

START_TEST(an_optional_is_there_or_not)
{
	/* Whether it is there; itself; what is in it. */
	struct graph *g = model_new();
	int32_t o = sequence_input(g, "o", true);
	model_output(g, MODEL_NODE(g, OP_OPTIONAL_HAS_ELEMENT, o));
	model_output(g, MODEL_NODE(g, OP_IDENTITY, o));
	struct runner r = given_program(g, 0);
	float v = 1;
	struct tensor one = floats(&v, SHAPE_SCALAR), in = sequence(&one, 1);

	run_ok(&r, &in);
	ck_assert(tensor_int(&r.out[0], 0));
	expect(item(&r.out[1], 0), SHAPE_SCALAR, &v);

	in = tensor_absent();
	run_ok(&r, &in);
	ck_assert(!tensor_int(&r.out[0], 0));
	ck_assert(tensor_is_absent(&r.out[1]));
	done(&r);
}
END_TEST

START_TEST(an_absent_optional_has_nothing_to_get)
{
	struct graph *g = model_new();
	model_output(g, MODEL_NODE(g, OP_OPTIONAL_GET_ELEMENT, sequence_input(g, "o", true)));
	struct runner r = given_program(g, 0);
	struct tensor in = tensor_absent();

	ck_assert_int_eq(run(&r, &in), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(r.err.msg, "the optional has no element"));
	done(&r);
}
END_TEST

/* A loop that puts what `made` is in its body behind a sequence, starting with an empty one. */
static struct runner given_collecting_loop(
	enum dtype dtype, int32_t (*make)(struct graph *body, int32_t round))
{
	struct graph *g = model_new();
	int32_t m = model_input(g, "m", DTYPE_I64, SHAPE_SCALAR);
	int32_t empty = model_node(g, OP_SEQUENCE_EMPTY, 1, 0, NULL);
	model_attr_int(g, "dtype", dtype);
	struct graph *body = model_body(g, "body");
	int32_t round = model_input(body, "round", DTYPE_I64, SHAPE_SCALAR);
	int32_t cond = model_input(body, "cond", DTYPE_BOOL, SHAPE_SCALAR);
	int32_t seq = sequence_input(body, "seq", false);
	body->value[seq].type.dtype = dtype;
	int32_t next = MODEL_NODE(body, OP_SEQUENCE_INSERT, seq, make(body, round));
	model_output(body, MODEL_NODE(body, OP_IDENTITY, cond));
	model_output(body, next);
	int32_t out = MODEL_NODE(g, OP_LOOP, m, VALUE_NONE, empty);
	model_attr_graph(g, "body", body);
	model_output(g, out);
	return given_program(g, 0);
}

static int32_t make_round(struct graph *body, int32_t round)
{
	(void)body;
	return round;
}

static int32_t make_string(struct graph *body, int32_t round)
{
	int32_t v = MODEL_NODE(body, OP_CAST, MODEL_NODE(body, OP_ADD, round, round));
	model_attr_int(body, "to", DTYPE_STRING);
	return v;
}

START_TEST(a_loop_may_keep_its_counter)
{
	struct runner r = given_collecting_loop(DTYPE_I64, make_round);
	int64_t m = 200;

	run_ok(&r, &(struct tensor){ .data = &m, .dtype = DTYPE_I64, .shape = SHAPE_SCALAR });

	ck_assert_int_eq(r.out[0].shape.dim[0], 200);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(tensor_int(item(&r.out[0], i), 0), i);
	done(&r);
}
END_TEST

START_TEST(strings_outlive_the_round_that_made_them)
{
	struct runner r = given_collecting_loop(DTYPE_STRING, make_string);
	int64_t m = 50;

	run_ok(&r, &(struct tensor){ .data = &m, .dtype = DTYPE_I64, .shape = SHAPE_SCALAR });

	for (int i = 0; i < 50; i++) {
		char want[8];
		snprintf(want, sizeof(want), "%d", 2 * i);
		ck_assert(slice_is(*(struct slice *)item(&r.out[0], i)->data, want));
	}
	done(&r);
}
END_TEST

START_TEST(a_carried_string_outlives_its_round)
{
	/* s = string(round), stacked and carried */
	struct graph *g = model_new();
	int32_t m = model_input(g, "m", DTYPE_I64, SHAPE_SCALAR);
	int32_t s = model_input(g, "s", DTYPE_STRING, SHAPE_SCALAR);
	struct graph *body = model_body(g, "body");
	int32_t round = model_input(body, "round", DTYPE_I64, SHAPE_SCALAR);
	int32_t cond = model_input(body, "cond", DTYPE_BOOL, SHAPE_SCALAR);
	model_input(body, "s", DTYPE_STRING, SHAPE_SCALAR);
	int32_t text = make_string(body, round);
	model_output(body, MODEL_NODE(body, OP_IDENTITY, cond));
	model_output(body, text);
	model_output(body, MODEL_NODE(body, OP_IDENTITY, text));
	int32_t out = MODEL_NODE_OUT(g, OP_LOOP, 2, m, VALUE_NONE, s);
	model_attr_graph(g, "body", body);
	model_output(g, out);
	model_output(g, out + 1);
	struct runner r = given_program(g, 0);
	int64_t rounds = 9;
	struct slice first = SLICE_LIT("first");
	struct tensor in[2] = { { .data = &rounds, .dtype = DTYPE_I64, .shape = SHAPE_SCALAR },
		{ .data = &first, .dtype = DTYPE_STRING, .shape = SHAPE_SCALAR } };

	run_ok(&r, in);

	ck_assert(slice_is(*(struct slice *)r.out[0].data, "16"));
	for (int i = 0; i < 9; i++)
		ck_assert_int_eq(atoi(((struct slice *)r.out[1].data)[i].ptr), 2 * i);
	done(&r);
}
END_TEST

START_TEST(a_map_gives_a_sequence_for_each_output_of_its_body)
{
	/* each element + a tensor that all get + a captured one; and each element's shape */
	struct graph *g = model_new();
	int32_t s = sequence_input(g, "s", false);
	int32_t add = model_input(g, "add", DTYPE_F32, SHAPE_SCALAR);
	int32_t outer = model_input(g, "outer", DTYPE_F32, SHAPE_SCALAR);
	struct graph *body = model_body(g, "body");
	int32_t x = model_input(body, "x", DTYPE_F32, SHAPE_UNKNOWN);
	int32_t a = model_input(body, "a", DTYPE_F32, SHAPE_SCALAR);
	int32_t c = model_capture(body);
	model_output(body, MODEL_NODE(body, OP_ADD, MODEL_NODE(body, OP_ADD, x, a), c));
	model_output(body, MODEL_NODE(body, OP_SHAPE, x));
	int32_t out = MODEL_NODE_OUT(g, OP_SEQUENCE_MAP, 2, s, add, outer);
	model_attr_graph(g, "body", body);
	model_output(g, out);
	model_output(g, out + 1);
	struct runner r = given_program(g, 0);
	float v[3] = { 1, 2, 3 }, ten = 10, hundred = 100, want[3] = { 111, 112, 113 };
	struct tensor items[2] = { floats(v, shape_of(2)), floats(v + 2, shape_of(1)) };
	struct tensor in[3] = { sequence(items, 2), floats(&ten, SHAPE_SCALAR),
		floats(&hundred, SHAPE_SCALAR) };

	run_ok(&r, in);

	expect(item(&r.out[0], 0), shape_of(2), want);
	expect(item(&r.out[0], 1), shape_of(1), want + 2);
	ck_assert_int_eq(tensor_int(item(&r.out[1], 0), 0), 2);
	in[0].shape.dim[0] = 0;
	run_ok(&r, in);
	ck_assert_int_eq(r.out[0].shape.dim[0], 0);
	done(&r);
}
END_TEST

START_TEST(a_batched_scan_gives_each_row_its_length)
{
	/* running sums of rows that are 3 and 1 steps long */
	struct graph *g = model_new();
	int32_t lengths = model_input(g, "lengths", DTYPE_I64, shape_of(2));
	int32_t s = model_input(g, "s", DTYPE_F32, shape_of(2, 1));
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(2, 3, 1));
	struct graph *body = model_body(g, "body");
	int32_t sum = model_input(body, "sum", DTYPE_F32, shape_of(1));
	int32_t step = model_input(body, "step", DTYPE_F32, shape_of(1));
	int32_t next = MODEL_NODE(body, OP_ADD, sum, step);
	model_output(body, next);
	model_output(body, MODEL_NODE(body, OP_IDENTITY, next));
	int32_t out = MODEL_NODE_OUT(g, OP_BATCHED_SCAN, 2, lengths, s, x);
	model_attr_graph(g, "body", body);
	model_attr_int(g, "num_scan_inputs", 1);
	model_output(g, out);
	model_output(g, out + 1);
	struct runner r = given_program(g, 0);
	int64_t len[2] = { 3, 1 };
	float init[2] = { 0, 100 }, v[6] = { 1, 2, 3, 4, 5, 6 };
	float last[2] = { 6, 104 }, all[6] = { 1, 3, 6, 104, 0, 0 };
	struct tensor in[3] = { { .data = len, .dtype = DTYPE_I64, .shape = shape_of(2) },
		floats(init, shape_of(2, 1)), floats(v, shape_of(2, 3, 1)) };

	run_ok(&r, in);
	expect(&r.out[0], shape_of(2, 1), last);
	expect(&r.out[1], shape_of(2, 3, 1), all);

	len[1] = 4;
	ck_assert_int_eq(run(&r, in), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(r.err.msg, "length 4 of row 1, there are 3 steps"));
	done(&r);
}
END_TEST

Suite *suite_sequences(void);
Suite *suite_sequences(void)
{
	Suite *s = suite_create("sequences");
	TCase *t = tcase_create("sequences");
	tcase_add_test(t, sequences_go_in_and_come_out_with_every_length_by_one_plan);
	tcase_add_test(t, an_element_of_another_type_is_refused);
	tcase_add_test(t, positions_out_of_range_fail_the_run_and_name_the_node);
	tcase_add_test(t, an_optional_is_there_or_not);
	tcase_add_test(t, an_absent_optional_has_nothing_to_get);
	tcase_add_test(t, a_loop_may_keep_its_counter);
	tcase_add_test(t, strings_outlive_the_round_that_made_them);
	tcase_add_test(t, a_carried_string_outlives_its_round);
	tcase_add_test(t, a_map_gives_a_sequence_for_each_output_of_its_body);
	tcase_add_test(t, a_batched_scan_gives_each_row_its_length);
	suite_add_tcase(s, t);
	return s;
}
