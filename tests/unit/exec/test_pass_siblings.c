/* SPDX-License-Identifier: Apache-2.0 */
/* Products that make an attention's Q, K and V of one input: which become one, and that the results
   stay. */
#include "support/graph_case.h"

#define HEADS 4
#define WIDTH 32
#define LEN 5

/* The pass is a device's; here its result runs on the CPU. */
static void apply(void)
{
	struct backend b = cpu_backend;
	b.columns = true;
	struct passes_opts opts = { .backend = &b, .compiled = true };
	run_passes(&opts);
}

static int32_t input(const char *name)
{
	return model_input(g, name, DTYPE_F32, shape_of(2, LEN, WIDTH));
}

/* trans_b: [columns, WIDTH]; bias: it has one. */
static int32_t product(int32_t x, int64_t columns, bool trans_b, bool bias)
{
	int32_t w = model_floats(
		g, trans_b ? shape_of(columns, WIDTH) : shape_of(WIDTH, columns), NULL);
	if (!bias && !trans_b)
		return MODEL_NODE(g, OP_MATMUL, x, w);
	int32_t y = bias ? MODEL_NODE(g, OP_FUSED_MATMUL, x, w,
				   model_floats(g, shape_of(columns), NULL))
			 : MODEL_NODE(g, OP_FUSED_MATMUL, x, w);
	model_attr_int(g, "trans_b", trans_b);
	return y;
}

static int32_t attention(int32_t q, int32_t k, int32_t v, int64_t kv_heads)
{
	int32_t y = MODEL_NODE(g, OP_ATTENTION, q, k, v);
	model_attr_int(g, "q_num_heads", HEADS);
	model_attr_int(g, "kv_num_heads", kv_heads);
	return y;
}

/* So many products are left, and so many of them were dealt out. */
static void expect(int32_t y, int products, int splits)
{
	model_output(g, y);
	expect_same_results(apply);
	ck_assert_int_eq(model_count(g, OP_FUSED_MATMUL) + model_count(g, OP_MATMUL), products);
	ck_assert_int_eq(model_count(g, OP_SPLIT), splits);
}

START_TEST(three_of_one_input_are_one)
{
	int32_t x = input("x");
	bool trans_b = _i & 1, bias = _i & 2;
	int32_t q = product(x, WIDTH, trans_b, bias), k = product(x, WIDTH, trans_b, bias);
	expect(attention(q, k, product(x, WIDTH, trans_b, bias), HEADS), 1, 1);
}
END_TEST

START_TEST(who_has_no_bias_gets_zeros)
{
	int32_t x = input("x");
	int32_t q = product(x, WIDTH, false, true), k = product(x, WIDTH, false, false);
	expect(attention(q, k, product(x, WIDTH, false, true), HEADS), 1, 1);
}
END_TEST

START_TEST(queries_of_another_input_stay)
{
	int32_t x = input("x"), y = input("y");
	int32_t k = product(y, WIDTH, false, true), v = product(y, WIDTH, false, true);
	expect(attention(product(x, WIDTH, false, true), k, v, HEADS), 2, 1);
}
END_TEST

START_TEST(they_may_be_of_several_widths)
{
	int32_t x = input("x");
	int32_t q = product(x, 4 * WIDTH, false, true), k = product(x, WIDTH, false, true);
	expect(attention(q, k, product(x, WIDTH, false, true), 1), 1, 1);
}
END_TEST

START_TEST(what_others_read_too_stays)
{
	int32_t x = input("x"), q = product(x, WIDTH, false, true),
		k = product(x, WIDTH, false, true);
	model_output(g, k);
	expect(attention(q, k, product(x, WIDTH, false, true), HEADS), 2, 1);
}
END_TEST

START_TEST(weights_that_are_not_known_stay)
{
	int32_t x = input("x"), w = model_input(g, "w", DTYPE_F32, shape_of(WIDTH, WIDTH));
	int32_t q = MODEL_NODE(g, OP_MATMUL, x, w), k = MODEL_NODE(g, OP_MATMUL, x, w);
	expect(attention(q, k, product(x, WIDTH, false, true), HEADS), 3, 0);
}
END_TEST

START_TEST(columns_that_begin_at_odd_places_stay)
{
	int32_t x = input("x");
	int32_t q = product(x, 24, false, true), k = product(x, 24, false, true);
	expect(attention(q, k, product(x, 24, false, true), HEADS), 3, 0);
}
END_TEST

Suite *suite_pass_siblings(void);
Suite *suite_pass_siblings(void)
{
	Suite *s = suite_create("pass_siblings");
	TCase *t = tcase_create("siblings");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, three_of_one_input_are_one, 0, 4);
	tcase_add_test(t, who_has_no_bias_gets_zeros);
	tcase_add_test(t, queries_of_another_input_stay);
	tcase_add_test(t, they_may_be_of_several_widths);
	tcase_add_test(t, what_others_read_too_stays);
	tcase_add_test(t, weights_that_are_not_known_stay);
	tcase_add_test(t, columns_that_begin_at_odd_places_stay);
	suite_add_tcase(s, t);
	return s;
}
