/* SPDX-License-Identifier: Apache-2.0 */
/* Weights that go once they are packed, and those that must not. */
#include <check.h>
#include <string.h>
#include "exec/packs.h"
#include "support/models.h"
#include "support/runner.h"

#define N 160 /* N x N floats are enough to be worth it */

static struct graph *g;
static int32_t x, w;
static float rows[4 * N];

static void setup(void)
{
	g = model_new();
	for (int i = 0; i < 4 * N; i++)
		rows[i] = (float)(i % 13) - 6;
}

static void given_product(struct shape in)
{
	x = model_input(g, "x", DTYPE_F32, in);
	w = model_floats(g, shape_of(N, N), NULL);
	model_output(g, MODEL_NODE(g, OP_MATMUL, x, w));
}

static bool is_gone(const struct runner *r)
{
	return packs_retired(r->packs, r->g->value[w].constant->data);
}

static struct tensor input(int64_t n)
{
	return floats(rows, shape_of(n, N));
}

/* Of the first output, for n rows, with the weights kept. */
static float *kept_result(int64_t n)
{
	static float result[4 * N];
	struct graph *before = g;
	g = model_new();
	given_product(shape_of(DIM_UNKNOWN, N));
	struct runner r = given_program(g, 0);
	struct tensor in = input(n);
	run_ok(&r, &in);
	memcpy(result, r.out[0].data, tensor_bytes(&r.out[0]));
	done(&r);
	g = before;
	return result;
}

START_TEST(a_product_needs_its_packed_weights_alone_whatever_the_rows)
{
	given_product(shape_of(DIM_UNKNOWN, N));
	struct runner r = given_forgetful_program(g);
	for (int64_t n = 1; n <= 4; n++) {
		struct tensor in = input(n);

		run_ok(&r, &in);

		ck_assert(is_gone(&r));
		expect(&r.out[0], shape_of(n, N), kept_result(n));
	}
	ck_assert_uint_eq(packs_retired_bytes(r.packs), N * N * sizeof(float));
	done(&r);
}
END_TEST

START_TEST(weights_that_another_node_reads_stay)
{
	given_product(shape_of(DIM_UNKNOWN, N));
	model_output(g, MODEL_NODE(g, OP_GATHER, w, MODEL_INTS(g, 3)));
	struct runner r = given_forgetful_program(g);
	struct tensor in = input(1);

	run_ok(&r, &in);

	ck_assert(!is_gone(&r));
	expect(&r.out[1], shape_of(1, N), (const float *)g->value[w].constant->data + 3 * N);
	done(&r);
}
END_TEST

START_TEST(weights_that_are_an_output_stay)
{
	given_product(shape_of(DIM_UNKNOWN, N));
	model_output(g, w);
	struct runner r = given_forgetful_program(g);
	struct tensor in = input(1);

	run_ok(&r, &in);

	ck_assert(!is_gone(&r));
	done(&r);
}
END_TEST

/* A Reshape that was folded leaves two constants of the same bytes. */
START_TEST(weights_that_another_constant_shares_stay)
{
	given_product(shape_of(DIM_UNKNOWN, N));
	int32_t view = model_floats(g, shape_of(N * N), NULL);
	struct tensor *t = (struct tensor *)g->value[view].constant;
	t->data = g->value[w].constant->data;
	model_output(g, MODEL_NODE(g, OP_NEG, view));
	struct runner r = given_forgetful_program(g);
	struct tensor in = input(1);

	run_ok(&r, &in);

	ck_assert(!is_gone(&r));
	done(&r);
}
END_TEST

static void given_convolution(struct shape in)
{
	x = model_input(g, "x", DTYPE_F32, in);
	w = model_floats(g, shape_of(32, 32, 5, 5), NULL);
	model_output(g, MODEL_NODE(g, OP_CONV, x, w));
}

static bool convolution_forgets(struct shape in)
{
	static float image[32 * 9 * 9];
	given_convolution(in);
	struct runner r = given_forgetful_program(g);
	struct tensor t = floats(image, shape_of(1, 32, 9, 9));
	run_ok(&r, &t);
	bool gone = is_gone(&r);
	done(&r);
	return gone;
}

/* Another size may get another kernel, with weights packed in another way. */
START_TEST(a_convolution_keeps_its_weights_where_sizes_may_change)
{
	ck_assert(!convolution_forgets(shape_of(1, 32, DIM_UNKNOWN, 9)));
}
END_TEST

START_TEST(a_convolution_of_fixed_size_forgets_them)
{
	ck_assert(convolution_forgets(shape_of(1, 32, 9, 9)));
}
END_TEST

/* -- memory -------------------------------------------------------------------------------- */

static void fill(void *dst, void *ctx)
{
	memset(dst, *(int *)ctx, 4096);
}

START_TEST(what_is_packed_next_takes_the_place)
{
	static _Alignas(64) char old[8192];
	struct packs *p = packs_new();
	struct err err;
	const char *key[2] = { "source a", "source b" }, *wrong = old + 100;
	const void *got[2];
	int ones = 1;
	ck_assert_int_eq(packs_retire(p, old, 4096, &err), ERR_OK);
	ck_assert_int_eq(packs_retire(p, old + 4096, 4096, &err), ERR_OK);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(
			packs_get(p, &key[i], sizeof(key[i]), 4096, fill, &ones, &got[i], &err),
			ERR_OK);

	ck_assert_ptr_eq(got[0], old);
	ck_assert_ptr_eq(got[1], old + 4096);

	/* What was there cannot be packed any more: an error, never another one's bytes. */
	ck_assert_int_eq(
		packs_get(p, &wrong, sizeof(wrong), 64, fill, &ones, &got[0], &err), ERR_INTERNAL);
	packs_free(p);
	model_free(g);
}
END_TEST

Suite *suite_forget(void);
Suite *suite_forget(void)
{
	Suite *s = suite_create("forget");
	TCase *t = tcase_create("forget");
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_product_needs_its_packed_weights_alone_whatever_the_rows);
	tcase_add_test(t, weights_that_another_node_reads_stay);
	tcase_add_test(t, weights_that_are_an_output_stay);
	tcase_add_test(t, weights_that_another_constant_shares_stay);
	tcase_add_test(t, a_convolution_keeps_its_weights_where_sizes_may_change);
	tcase_add_test(t, a_convolution_of_fixed_size_forgets_them);
	tcase_add_test(t, what_is_packed_next_takes_the_place);
	suite_add_tcase(s, t);
	return s;
}
