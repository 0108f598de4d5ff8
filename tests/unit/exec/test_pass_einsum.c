/* SPDX-License-Identifier: Apache-2.0 */
/* Einsum of two tensors: a matrix product where it is one, with the same results. */
#include "support/graph_case.h"

static int32_t einsum(const char *equation, int32_t a, int32_t b)
{
	int32_t v = MODEL_NODE(g, OP_EINSUM, a, b);
	model_attr_string(g, "equation", equation);
	return v;
}

#define N DIM_UNKNOWN /* 2 when it is run */
#define SHAPE(...) { sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), { __VA_ARGS__ } }

static const struct {
	const char *equation;
	struct shape a, b;
	bool stays;
} cases[] = {
	{ "ij,jk->ik", SHAPE(3, 5), SHAPE(5, 4), false },
	{ "ij,jk->ki", SHAPE(3, 5), SHAPE(5, 4), false },
	{ "ij,jk", SHAPE(N, 5), SHAPE(5, 4), false },
	{ "ji,kj->ik", SHAPE(5, 3), SHAPE(4, 5), false },
	{ "bij,bjk->bik", SHAPE(N, 3, 5), SHAPE(N, 5, 4), false },
	{ "bij,bjk->ibk", SHAPE(N, 3, 5), SHAPE(N, 5, 4), false },
	{ "abc,cde->abde", SHAPE(N, N, 6), SHAPE(6, 2, 3), false }, /* Keras's projections */
	{ "aecd,abcd->acbe", SHAPE(N, 5, 3, 4), SHAPE(N, 7, 3, 4), false },
	{ "acbe,aecd->abcd", SHAPE(N, 3, 7, N), SHAPE(N, N, 3, 4), false },
	{ "abcd,cde->abe", SHAPE(N, 5, 2, 3), SHAPE(2, 3, 6), false },
	{ "abij,bjk->abik", SHAPE(4, N, 3, 5), SHAPE(N, 5, 6), false }, /* rows apart */
	/* and of two unknown sizes. */
	{ "abij,bjk->abik", SHAPE(N, 3, N, 5), SHAPE(3, 5, 6), true },
	{ "bd,bde->be", SHAPE(N, 5), SHAPE(N, 5, 3), false },
	{ "bij,bij->b", SHAPE(N, 3, 4), SHAPE(N, 3, 4), false },
	{ "ij,j->i", SHAPE(3, 5), SHAPE(5), false },
	{ "j,ij->i", SHAPE(5), SHAPE(3, 5), false },
	{ "i,i->", SHAPE(5), SHAPE(5), false },
	{ "...ij,...jk->...ik", SHAPE(2, 3, 4), SHAPE(2, 4, 5), false },
	{ "...ij,...jk->...ik", SHAPE(1, 3, 4), SHAPE(2, 4, 5), false }, /* spreads */
	/* LongT5's */
	{ "...qhd,...khd->...hqk", SHAPE(N, N, N, N, N), SHAPE(N, N, N, N, N), false },
	{ "...qhd,...khd->...hqk", SHAPE(2, 1, 3, 2, 4), SHAPE(N, 7, 5, 2, 4), false },
	{ "...i,...i->i", SHAPE(N, 5), SHAPE(N, 5), true }, /* may spread where it is summed */
	{ "...ij,jk->...ik", SHAPE(N, 2, 3, 4), SHAPE(4, 5), false },
	{ "ai,bj->abij", SHAPE(2, 3), SHAPE(4, 5), true }, /* nothing is summed */
	{ "ii,ij->j", SHAPE(3, 3), SHAPE(3, 4), true },	   /* a diagonal */
	{ "ij,jk->i", SHAPE(2, 3), SHAPE(3, 4), true },	   /* k is summed alone */
};

START_TEST(a_product_of_two_is_a_matrix_product)
{
	model_output(g, einsum(cases[_i].equation, f32(cases[_i].a), f32(cases[_i].b)));
	expect_same_results(run_cpu_passes);
	ck_assert_msg(model_count(g, OP_EINSUM) == cases[_i].stays, "%s", cases[_i].equation);
}
END_TEST

START_TEST(three_factors_stay)
{
	int32_t v = MODEL_NODE(
		g, OP_EINSUM, f32(shape_of(2, 3)), f32(shape_of(3, 4)), f32(shape_of(4, 2)));
	model_attr_string(g, "equation", "ij,jk,kl->il");
	model_output(g, v);
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, OP_EINSUM), 1);
}
END_TEST

/* Of what is split into heads the bias is as well. */
START_TEST(a_bias_goes_into_the_product)
{
	int32_t v = einsum(
		"abc,cde->abde", f32(shape_of(N, N, 6)), model_floats(g, shape_of(6, 2, 3), NULL));
	model_output(g, MODEL_NODE(g, OP_ADD, v, model_floats(g, shape_of(2, 3), NULL)));
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, OP_ADD), 0);
	ck_assert_int_eq(model_count(g, OP_FUSED_MATMUL), 1);
	ck_assert_int_eq(model_count(g, OP_NONE), 2); /* and a Reshape */
}
END_TEST

START_TEST(a_bias_of_some_columns_stays)
{
	int32_t v = einsum(
		"abc,cde->abde", f32(shape_of(N, N, 6)), model_floats(g, shape_of(6, 2, 3), NULL));
	model_output(g, MODEL_NODE(g, OP_ADD, v, model_floats(g, shape_of(3), NULL)));
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, OP_ADD), 1);
}
END_TEST

static int32_t with_bias(int32_t v, struct shape s)
{
	return MODEL_NODE(g, OP_ADD, v, model_floats(g, s, NULL));
}

START_TEST(attention_as_keras_writes_it_is_found)
{
	int32_t x = f32(shape_of(N, 5, 6)), part[3];
	for (int i = 0; i < 3; i++)
		part[i] = with_bias(
			einsum("abc,cde->abde", x, model_floats(g, shape_of(6, 2, 4), NULL)),
			shape_of(2, 4));
	int32_t q = MODEL_NODE(g, OP_MUL, part[0], model_scalar(g, 0.5f));
	int32_t p = MODEL_NODE(g, OP_SOFTMAX, einsum("aecd,abcd->acbe", part[1], q));
	model_attr_int(g, "axis", -1);
	int32_t v = einsum("acbe,aecd->abcd", p, part[2]);
	v = einsum("abcd,cde->abe", v, model_floats(g, shape_of(2, 4, 6), NULL));
	model_output(g, with_bias(v, shape_of(6)));
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, OP_ATTENTION), 1);
	ck_assert_int_eq(model_count(g, OP_FUSED_MATMUL), 4);
}
END_TEST

Suite *suite_pass_einsum(void);
Suite *suite_pass_einsum(void)
{
	Suite *s = suite_create("pass_einsum");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(
		t, a_product_of_two_is_a_matrix_product, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(t, three_factors_stay);
	tcase_add_test(t, a_bias_goes_into_the_product);
	tcase_add_test(t, a_bias_of_some_columns_stays);
	tcase_add_test(t, attention_as_keras_writes_it_is_found);
	suite_add_tcase(s, t);
	return s;
}
