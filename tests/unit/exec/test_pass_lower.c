/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs computed in half types: where the casts are, and how near the results stay. */
#include "exec/half.h"
#include "support/graph_case.h"

/* Only what lowers: the rest would fuse what the CPU does not compute in halves. */
static void lower(enum dtype to)
{
	struct passes_opts opts = { .backend = &cpu_backend, .compiled = true, .lower_to = to };
	check_and_infer();
	run_passes(&opts);
}

static enum dtype type_of_first(enum op_id op)
{
	for (int32_t i = 0; i < g->n_node; i++)
		if (g->node[i].op == op)
			return g->value[g->node[i].out[0]].type.dtype;
	return DTYPE_UNDEFINED;
}

static void then_near(enum dtype to, double rtol)
{
	struct arena *arena = arena_new(1 << 16, 0);
	ck_assert_msg(infer_graph(g, &err) == ERR_OK, "%s", err.msg);
	struct model_results before = model_run(g, 3, arena);
	lower(to);
	struct model_results after = model_run(g, 3, arena);
	for (int i = 0; i < after.n; i++)
		ck_assert_int_eq(model_first_difference(&after.t[i], &before.t[i], rtol, 0), -1);
	arena_free(arena);
}

static void given_mlp(void)
{
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(4, 8));
	int32_t w = model_floats(g, shape_of(8, 8), NULL);
	int32_t h = MODEL_NODE(g, OP_RELU, MODEL_NODE(g, OP_MATMUL, x, w));
	int32_t y = MODEL_NODE(g, OP_ADD, MODEL_NODE(g, OP_MATMUL, h, w), h);
	model_output(g, MODEL_NODE(g, OP_SOFTMAX, y));
}

START_TEST(a_chain_is_cast_at_its_ends_only)
{
	given_mlp();
	then_near(_i ? DTYPE_BF16 : DTYPE_F16, _i ? 4e-2 : 5e-3);
	ck_assert_int_eq(model_count(g, OP_CAST), 2);
	ck_assert_int_eq(type_of_first(OP_MATMUL), _i ? DTYPE_BF16 : DTYPE_F16);
	ck_assert_int_eq(g->value[g->output[0]].type.dtype, DTYPE_F32);
}
END_TEST

START_TEST(an_operator_that_stays_gets_floats)
{
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(4, 8));
	int32_t y = MODEL_NODE(g, OP_CUM_SUM, MODEL_NODE(g, OP_RELU, x),
		model_int64s(g, SHAPE_SCALAR, (int64_t[]){ 1 }));
	model_output(g, MODEL_NODE(g, OP_NEG, y));
	then_near(DTYPE_F16, 1e-2);
	ck_assert_int_eq(type_of_first(OP_CUM_SUM), DTYPE_F32);
	ck_assert_int_eq(type_of_first(OP_RELU), DTYPE_F16);
	ck_assert_int_eq(model_count(g, OP_CAST), 4);
}
END_TEST

START_TEST(who_reads_a_shape_alone_needs_no_floats)
{
	int32_t x =
		MODEL_NODE(g, OP_RELU, model_input(g, "x", DTYPE_F32, shape_of(DIM_UNKNOWN, 6)));
	model_output(g, MODEL_NODE(g, OP_NEG, x));
	model_output(g, MODEL_NODE(g, OP_SHAPE, x));
	lower(DTYPE_F16);
	ck_assert_int_eq(model_count(g, OP_CAST), 2);
}
END_TEST

START_TEST(a_mask_of_the_lowest_float_stays_finite)
{
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(4));
	model_output(g, MODEL_NODE(g, OP_ADD, x, model_scalar(g, -3.4e38f)));
	lower(DTYPE_F16);
	for (int32_t v = 0; v < g->n_value; v++)
		if (g->value[v].constant && g->value[v].constant->dtype == DTYPE_F16)
			ck_assert_float_eq(
				half_to_float(*(uint16_t *)g->value[v].constant->data), -65504);
	ck_assert_int_eq(type_of_first(OP_ADD), DTYPE_F16);
}
END_TEST

START_TEST(integers_that_pass_by_stay_what_they_are)
{
	int32_t x = model_input(g, "x", DTYPE_I64, shape_of(2, 3));
	model_output(g, MODEL_NODE(g, OP_ADD, MODEL_NODE(g, OP_RESHAPE, x, MODEL_INTS(g, 6)),
				model_int64s(g, shape_of(1), (int64_t[]){ 1 })));
	lower(DTYPE_F16);
	ck_assert_int_eq(model_count(g, OP_CAST), 0);
}
END_TEST

START_TEST(a_graph_may_grow_to_more_than_twice_its_values)
{
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(4));
	for (int i = 0; i < 1000; i++)
		x = MODEL_NODE(g, OP_ABS, x);
	model_output(g, x);
	then_near(DTYPE_F16, 1e-3);
	ck_assert_int_eq(model_count(g, OP_CAST), 2);
}
END_TEST

Suite *suite_pass_lower(void);
Suite *suite_pass_lower(void)
{
	Suite *s = suite_create("pass_lower");
	TCase *t = tcase_create("lower");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, a_chain_is_cast_at_its_ends_only, 0, 2);
	tcase_add_test(t, an_operator_that_stays_gets_floats);
	tcase_add_test(t, who_reads_a_shape_alone_needs_no_floats);
	tcase_add_test(t, a_mask_of_the_lowest_float_stays_finite);
	tcase_add_test(t, integers_that_pass_by_stay_what_they_are);
	tcase_add_test(t, a_graph_may_grow_to_more_than_twice_its_values);
	suite_add_tcase(s, t);
	return s;
}
