/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the passes that only tidy a graph make of those that exporters write: which nodes are
 * left, and that the results are the same. For those that fuse operators: test_pass_fusions.c.
 */
#include "exec/attrs.h"
#include "support/graph_case.h"

/* -- folding ------------------------------------------------------------------------------- */

/* A merge of two branches can leave a row in the table twice. */
START_TEST(each_pass_is_there_once)
{
	const char *const *name = passes_names();
	for (int i = 0; name[i]; i++)
		for (int k = 0; k < i; k++)
			ck_assert_str_ne(name[i], name[k]);
}
END_TEST

START_TEST(nodes_of_constants_are_computed)
{
	int32_t sum = MODEL_NODE(g, OP_ADD, model_floats(g, shape_of(3), NULL), model_scalar(g, 2));
	model_output(g, MODEL_NODE(g, OP_SUB, f32(shape_of(2, 3)), MODEL_NODE(g, OP_EXP, sum)));
	expect_nodes(1);
}
END_TEST

START_TEST(a_constant_output_stays_an_output)
{
	int32_t y = MODEL_NODE(g, OP_EXP, model_floats(g, shape_of(3), NULL));
	g->value[y].name = "y";
	model_output(g, MODEL_NODE(g, OP_RELU, f32(shape_of(2))));
	model_output(g, y);
	expect_nodes(1);
	ck_assert_str_eq(g->value[g->output[1]].name, "y");
}
END_TEST

START_TEST(a_shape_chain_on_known_dimensions_is_a_constant)
{
	int64_t n = graph_symbol(g, SLICE_LIT("batch"));
	int32_t x = f32(shape_of(n, 6, 4));
	int32_t dim = MODEL_NODE(g, OP_GATHER, MODEL_NODE(g, OP_SHAPE, x),
		model_int64s(g, SHAPE_SCALAR, (int64_t[]){ 2 }));
	int32_t list = MODEL_NODE(g, OP_CONCAT, MODEL_INTS(g, 2, -1),
		MODEL_NODE(g, OP_UNSQUEEZE, dim, MODEL_INTS(g, 0)));
	model_attr_int(g, "axis", 0);
	model_output(g, MODEL_NODE(g, OP_RESHAPE, x, list));
	expect_nodes(1);
}
END_TEST

START_TEST(a_batch_dimension_in_a_shape_chain_becomes_minus_one)
{
	int64_t n = graph_symbol(g, SLICE_LIT("batch"));
	int32_t x = f32(shape_of(n, 6, 4));
	int32_t dim = MODEL_NODE(g, OP_SLICE, MODEL_NODE(g, OP_SHAPE, x), MODEL_INTS(g, 0),
		MODEL_INTS(g, 1));
	int32_t list = MODEL_NODE(g, OP_CONCAT, dim, MODEL_INTS(g, 3, 8));
	model_attr_int(g, "axis", 0);
	model_output(g, MODEL_NODE(g, OP_RESHAPE, x, list));
	expect_nodes(1);
}
END_TEST

/* -- nodes that change nothing ------------------------------------------------------------- */

START_TEST(what_changes_nothing_goes)
{
	int32_t x = f32(shape_of(2, 3, 4));
	int32_t v = MODEL_NODE(g, OP_IDENTITY, MODEL_NODE(g, OP_DROPOUT, x));
	v = MODEL_NODE(g, OP_ADD, v, model_scalar(g, 0));
	v = MODEL_NODE(g, OP_MUL, model_scalar(g, 1), v);
	v = MODEL_NODE(g, OP_PAD, v, MODEL_INTS(g, 0, 0, 0, 0, 0, 0));
	v = MODEL_NODE(g, OP_RESHAPE, v, MODEL_INTS(g, 2, 3, 4));
	v = MODEL_NODE(
		g, OP_SLICE, v, MODEL_INTS(g, 0), MODEL_INTS(g, INT64_MAX), MODEL_INTS(g, 1));
	v = MODEL_NODE(g, OP_CAST, v);
	model_attr_int(g, "to", DTYPE_F32);
	model_output(g, MODEL_NODE(g, OP_RELU, v));
	expect_nodes(1);
}
END_TEST

START_TEST(a_slice_that_reverses_stays)
{
	model_output(g, MODEL_NODE(g, OP_SLICE, f32(shape_of(2, 3)), MODEL_INTS(g, -1),
				MODEL_INTS(g, INT64_MIN), MODEL_INTS(g, 1), MODEL_INTS(g, -1)));
	expect_nodes(1);
}
END_TEST

START_TEST(an_addition_of_zeros_that_broadcasts_stays)
{
	model_output(g, MODEL_NODE(g, OP_ADD, f32(shape_of(1, 3)),
				model_floats(g, shape_of(2, 1), (float[]){ 0, 0 })));
	expect_nodes(1);
}
END_TEST

START_TEST(an_identity_between_input_and_output_stays)
{
	model_output(g, MODEL_NODE(g, OP_IDENTITY, f32(shape_of(2, 3))));
	expect_nodes(1);
}
END_TEST

START_TEST(an_output_keeps_its_name_when_its_identity_goes)
{
	int32_t y = MODEL_NODE(g, OP_IDENTITY, MODEL_NODE(g, OP_RELU, f32(shape_of(2, 3))));
	g->value[y].name = "y";
	model_output(g, y);
	expect_nodes(1);
	ck_assert_str_eq(g->value[g->output[0]].name, "y");
}
END_TEST

START_TEST(two_outputs_of_one_value_stay_two)
{
	int32_t r = MODEL_NODE(g, OP_RELU, f32(shape_of(2, 3)));
	model_output(g, r);
	model_output(g, MODEL_NODE(g, OP_IDENTITY, r));
	expect_nodes(2);
	ck_assert_int_ne(g->output[0], g->output[1]);
}
END_TEST

START_TEST(two_transposes_become_one)
{
	int32_t v = MODEL_NODE(g, OP_TRANSPOSE, f32(shape_of(2, 3, 4)));
	MODEL_ATTR_INTS(g, "perm", 1, 2, 0);
	v = MODEL_NODE(g, OP_TRANSPOSE, v);
	MODEL_ATTR_INTS(g, "perm", 1, 0, 2);
	model_output(g, v);
	expect_nodes(1);
}
END_TEST

START_TEST(transposes_that_undo_each_other_go)
{
	int32_t v = MODEL_NODE(g, OP_TRANSPOSE, f32(shape_of(2, 3, 4)));
	MODEL_ATTR_INTS(g, "perm", 1, 2, 0);
	v = MODEL_NODE(g, OP_TRANSPOSE, v);
	MODEL_ATTR_INTS(g, "perm", 2, 0, 1);
	model_output(g, MODEL_NODE(g, OP_RELU, v));
	expect_nodes(1);
}
END_TEST

START_TEST(views_of_views_are_one)
{
	int32_t v = MODEL_NODE(g, OP_UNSQUEEZE, f32(shape_of(DIM_UNKNOWN, 6, 4)), MODEL_INTS(g, 0));
	v = MODEL_NODE(g, OP_SQUEEZE, v, MODEL_INTS(g, 0));
	v = MODEL_NODE(g, OP_FLATTEN, v);
	model_output(g, MODEL_NODE(g, OP_RESHAPE, v, MODEL_INTS(g, -1, 8, 3)));
	expect_nodes(1);
}
END_TEST

START_TEST(equal_nodes_are_one)
{
	int32_t x = f32(shape_of(2, 3));
	int32_t a = MODEL_NODE(g, OP_SUB, x, model_scalar(g, 2));
	int32_t b = MODEL_NODE(g, OP_SUB, x, model_scalar(g, 2));
	model_output(g, MODEL_NODE(g, OP_MUL, a, b));
	expect_nodes(2);
}
END_TEST

START_TEST(what_nobody_reads_goes)
{
	int32_t x = f32(shape_of(2, 3));
	MODEL_NODE(g, OP_EXP, MODEL_NODE(g, OP_EXP, x));
	model_output(g, MODEL_NODE(g, OP_RELU, x));
	expect_nodes(1);
}
END_TEST

/* -- bodies ----------------------------------------------------------------------------------- */

START_TEST(bodies_are_rewritten_and_their_constants_come_in)
{
	int32_t cond = model_input(g, "cond", DTYPE_BOOL, SHAPE_SCALAR), x = f32(shape_of(3, 4));
	int32_t k = model_scalar(g, 1);
	struct graph *then_branch = model_body(g, "then"), *else_branch = model_body(g, "else");
	int32_t a = model_capture(then_branch), one = model_capture(then_branch);
	model_output(then_branch,
		MODEL_NODE(then_branch, OP_EXP, MODEL_NODE(then_branch, OP_MUL, a, one)));
	int32_t b = model_capture(else_branch);
	model_output(else_branch, MODEL_NODE(else_branch, OP_NEG, b));
	int32_t y = MODEL_NODE(g, OP_IF, cond, x, k, x);
	model_attr_graph(g, "then_branch", then_branch);
	model_attr_graph(g, "else_branch", else_branch);
	model_output(g, y);
	expect_nodes(1);
	ck_assert_int_eq(then_branch->n_node, 1);
	ck_assert_int_eq(then_branch->n_capture, 1);
	ck_assert_int_eq(g->node[0].n_in, 3);
}
END_TEST

Suite *suite_passes(void);
Suite *suite_passes(void)
{
	Suite *s = suite_create("passes");
	TCase *t = tcase_create("graph");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, each_pass_is_there_once);
	tcase_add_test(t, nodes_of_constants_are_computed);
	tcase_add_test(t, a_constant_output_stays_an_output);
	tcase_add_test(t, a_shape_chain_on_known_dimensions_is_a_constant);
	tcase_add_test(t, a_batch_dimension_in_a_shape_chain_becomes_minus_one);
	tcase_add_test(t, what_changes_nothing_goes);
	tcase_add_test(t, a_slice_that_reverses_stays);
	tcase_add_test(t, an_addition_of_zeros_that_broadcasts_stays);
	tcase_add_test(t, an_identity_between_input_and_output_stays);
	tcase_add_test(t, an_output_keeps_its_name_when_its_identity_goes);
	tcase_add_test(t, two_outputs_of_one_value_stay_two);
	tcase_add_test(t, two_transposes_become_one);
	tcase_add_test(t, transposes_that_undo_each_other_go);
	tcase_add_test(t, views_of_views_are_one);
	tcase_add_test(t, equal_nodes_are_one);
	tcase_add_test(t, what_nobody_reads_goes);
	tcase_add_test(t, bodies_are_rewritten_and_their_constants_come_in);
	suite_add_tcase(s, t);
	return s;
}
