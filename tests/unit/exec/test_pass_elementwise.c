/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise operators as one node: what is taken in, what is left, and that results stay. */
#include <check.h>
#include <string.h>
#include "exec/fused.h"
#include "exec/infer/infer.h"
#include "exec/pass/passes.h"
#include "support/model_run.h"
#include "support/models.h"

static struct graph *g;
static int32_t x, y;

static void setup(void)
{
	g = model_new();
	x = model_input(g, "x", DTYPE_F32, shape_of(graph_symbol(g, SLICE_LIT("n")), 8));
	y = model_input(g, "y", DTYPE_F32, shape_of(8));
}

static void teardown(void)
{
	model_free(g);
}

static void fuse(void)
{
	struct backend fusing = cpu_backend;
	struct err err;
	fusing.fuses = true;
	struct passes_opts opts = { .backend = &fusing, .compiled = true };
	ck_assert_msg(
		graph_check(g, &err) == ERR_OK && infer_graph(g, &err) == ERR_OK, "%s", err.msg);
	ck_assert_msg(passes_run(g, &opts, &err) == ERR_OK, "%s", err.msg);
}

/* So many nodes are left, so many of them fused, and the results have the same bits. */
static void then_left(int nodes, int fused)
{
	struct arena *arena = arena_new(1 << 16, 0);
	struct err err;
	ck_assert_msg(
		graph_compact(g, &err) == ERR_OK && infer_graph(g, &err) == ERR_OK, "%s", err.msg);
	struct model_results before = model_run(g, 3, arena);
	fuse();
	struct model_results after = model_run(g, 3, arena);
	ck_assert_int_eq(after.n, before.n);
	for (int i = 0; i < after.n; i++)
		ck_assert_int_eq(model_first_difference(&after.t[i], &before.t[i], 0, 0), -1);
	arena_free(arena);
	ck_assert_int_eq(model_count(g, OP_NONE), nodes);
	ck_assert_int_eq(model_count(g, OP_FUSED_ELEMENTWISE), fused);
}

static int32_t cast(int32_t v, enum dtype to)
{
	v = MODEL_NODE(g, OP_CAST, v);
	model_attr_int(g, "to", to);
	return v;
}

START_TEST(operators_that_feed_each_other_are_one_node)
{
	int32_t sum = MODEL_NODE(g, OP_ADD, x, y);
	int32_t less = MODEL_NODE(g, OP_LESS, sum, y);
	int32_t z = MODEL_NODE(g, OP_WHERE, less, MODEL_NODE(g, OP_EXP, sum),
		MODEL_NODE(g, OP_CLIP, sum, VALUE_NONE, model_scalar(g, 1)));
	model_output(g, MODEL_NODE(g, OP_MUL, z, cast(less, DTYPE_F32)));
	then_left(1, 1);
	ck_assert_int_eq(g->node[0].n_in, 3);
	ck_assert_int_eq(fused_body(&g->node[0])->n_node, 7);
}
END_TEST

START_TEST(what_others_read_stays_and_is_computed_once)
{
	int32_t a = MODEL_NODE(g, OP_SIGMOID, MODEL_NODE(g, OP_ADD, x, y));
	model_output(g, MODEL_NODE(g, OP_SOFTMAX, a));
	model_output(g, MODEL_NODE(g, OP_ABS, MODEL_NODE(g, OP_MUL, a, x)));
	then_left(3, 2);
}
END_TEST

START_TEST(an_output_of_the_graph_stays_one)
{
	int32_t a = MODEL_NODE(g, OP_ADD, x, y);
	model_output(g, a);
	model_output(g, MODEL_NODE(g, OP_RELU, MODEL_NODE(g, OP_NEG, a)));
	then_left(2, 1);
}
END_TEST

START_TEST(what_is_broadcast_is_not_computed_for_each_element)
{
	int32_t gate = MODEL_NODE(g, OP_SIGMOID, MODEL_NODE(g, OP_NEG, y));
	model_output(g, MODEL_NODE(g, OP_RELU, MODEL_NODE(g, OP_MUL, x, gate)));
	then_left(2, 2);
}
END_TEST

START_TEST(no_way_leads_out_of_a_region_and_in_again)
{
	int32_t a = MODEL_NODE(g, OP_NEG, MODEL_NODE(g, OP_ADD, x, y));
	model_output(
		g, MODEL_NODE(g, OP_ABS, MODEL_NODE(g, OP_ADD, a, MODEL_NODE(g, OP_SOFTMAX, a))));
	then_left(3, 2);
}
END_TEST

START_TEST(long_rows_are_cut)
{
	int32_t v = x;
	for (int i = 0; i < 3 * FUSED_NODES_MAX; i++)
		v = MODEL_NODE(g, OP_ABS, MODEL_NODE(g, OP_NEG, v));
	model_output(g, v);
	then_left(6, 6);
}
END_TEST

START_TEST(many_operands_are_cut)
{
	int32_t v = x;
	for (int i = 0; i < 2 * FUSED_INPUTS_MAX; i++)
		v = MODEL_NODE(g, OP_ADD, v, model_floats(g, shape_of(8), NULL));
	model_output(g, v);
	then_left(3, 3);
	for (int32_t i = 0; i < g->n_node; i++)
		ck_assert_int_le(g->node[i].n_in, FUSED_INPUTS_MAX);
}
END_TEST

START_TEST(types_that_no_kernel_computes_with_stay_apart)
{
	int32_t wide = cast(MODEL_NODE(g, OP_ADD, x, y), DTYPE_F64);
	model_output(g, MODEL_NODE(g, OP_NEG, MODEL_NODE(g, OP_ABS, wide)));
	then_left(4, 0);
}
END_TEST

/* Reshape must still see that the first dimension is x's. */
START_TEST(numbers_that_shapes_are_made_of_stay)
{
	int32_t n = MODEL_NODE(g, OP_GATHER, MODEL_NODE(g, OP_SHAPE, x), MODEL_INTS(g, 0));
	int32_t shape =
		MODEL_NODE(g, OP_MUL, MODEL_NODE(g, OP_ADD, n, MODEL_INTS(g, 0)), MODEL_INTS(g, 1));
	shape = MODEL_NODE(g, OP_CONCAT, shape, MODEL_INTS(g, 8));
	model_attr_int(g, "axis", 0);
	model_output(g, MODEL_NODE(g, OP_EXPAND, y, shape));
	fuse();
	ck_assert_int_eq(model_count(g, OP_FUSED_ELEMENTWISE), 0);
}
END_TEST

START_TEST(bodies_of_control_flow_have_them_too)
{
	int32_t yes = model_input(g, "yes", DTYPE_BOOL, SHAPE_SCALAR);
	struct graph *branch[2];
	for (int i = 0; i < 2; i++) {
		branch[i] = model_body(g, i ? "else" : "then");
		int32_t v = MODEL_NODE(
			branch[i], OP_ADD, model_capture(branch[i]), model_capture(branch[i]));
		model_output(branch[i], MODEL_NODE(branch[i], i ? OP_NEG : OP_ABS, v));
	}
	model_output(g, MODEL_NODE(g, OP_IF, yes, x, y, x, y));
	model_attr_graph(g, "then_branch", branch[0]);
	model_attr_graph(g, "else_branch", branch[1]);
	then_left(1, 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(model_count(branch[i], OP_FUSED_ELEMENTWISE), 1);
}
END_TEST

static void expect_refused(const char *why)
{
	struct err err;
	ck_assert_int_eq(infer_graph(g, &err), ERR_INVALID_ARGUMENT);
	ck_assert_msg(strstr(err.msg, why), "%s", err.msg);
}

/* A file could say so. */
START_TEST(bodies_that_kernels_could_not_run_are_refused)
{
	struct graph *body = model_body(g, "fused");
	int32_t a = model_input(body, "", DTYPE_F32, SHAPE_UNKNOWN);
	int32_t b = model_input(body, "", DTYPE_F32, SHAPE_UNKNOWN);
	int32_t sum = MODEL_NODE(body, OP_ADD, a, b);
	model_output(body, sum);
	model_output(g, MODEL_NODE(g, OP_FUSED_ELEMENTWISE, x, y));
	model_attr_graph(g, "body", body);
	struct err err;
	ck_assert_msg(infer_graph(g, &err) == ERR_OK, "%s", err.msg);

	body->output[0] = a;
	expect_refused("a result that no node of it makes");
	body->output[0] = sum;
	body->node[0].op = OP_MATMUL;
	expect_refused("its body has an operator MatMul");
	body->node[0].op = OP_ADD;
	body->value[b].type.dtype = DTYPE_F16;
	expect_refused("they must be of one type");
	body->value[b].type.dtype = DTYPE_F32;
	body->n_input = 1;
	expect_refused("its body has 1 inputs");
	body->n_input = 2;
	body->node[0].in[1] = model_scalar(body, 1);
	expect_refused("its body has a constant");
}
END_TEST

START_TEST(only_who_gains_by_it_gets_it)
{
	struct passes_opts opts = { .backend = &cpu_backend, .compiled = true };
	struct err err;
	model_output(g, MODEL_NODE(g, OP_NEG, MODEL_NODE(g, OP_ADD, x, y)));
	ck_assert(infer_graph(g, &err) == ERR_OK && passes_run(g, &opts, &err) == ERR_OK);
	ck_assert_int_eq(model_count(g, OP_FUSED_ELEMENTWISE), 0);
}
END_TEST

Suite *suite_pass_elementwise(void);
Suite *suite_pass_elementwise(void)
{
	Suite *s = suite_create("pass_elementwise");
	TCase *t = tcase_create("fuse");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, operators_that_feed_each_other_are_one_node);
	tcase_add_test(t, what_others_read_stays_and_is_computed_once);
	tcase_add_test(t, an_output_of_the_graph_stays_one);
	tcase_add_test(t, what_is_broadcast_is_not_computed_for_each_element);
	tcase_add_test(t, no_way_leads_out_of_a_region_and_in_again);
	tcase_add_test(t, long_rows_are_cut);
	tcase_add_test(t, many_operands_are_cut);
	tcase_add_test(t, types_that_no_kernel_computes_with_stay_apart);
	tcase_add_test(t, numbers_that_shapes_are_made_of_stay);
	tcase_add_test(t, bodies_of_control_flow_have_them_too);
	tcase_add_test(t, bodies_that_kernels_could_not_run_are_refused);
	tcase_add_test(t, only_who_gains_by_it_gets_it);
	suite_add_tcase(s, t);
	return s;
}
