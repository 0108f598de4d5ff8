/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers: the generator against the published answers, distributions by their
 * moments and by Kolmogorov and Smirnov's distance, with fixed seeds; and what a seed means.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include "exec/cpu/math/philox.h"
#include "support/models.h"
#include "support/runner.h"

#define N 40000

START_TEST(philox_gives_the_answers_of_its_authors)
{
	static const struct {
		uint64_t key, high, low;
		uint32_t want[4];
	} known[] = {
		{ 0, 0, 0, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
		{ UINT64_MAX, UINT64_MAX, UINT64_MAX,
			{ 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
		{ 0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88,
			{ 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct philox p = philox(known[i].key, known[i].high, known[i].low);
		ck_assert_mem_eq(p.v, known[i].want, sizeof(p.v));
	}
}
END_TEST

/* A graph of one node that draws N numbers, with the attributes given to it afterwards. */
static struct graph *given_draw(enum op_id op)
{
	struct graph *g = model_new();
	model_output(g, model_node(g, op, 1, 0, NULL));
	MODEL_ATTR_INTS(g, "shape", N);
	return g;
}

static void expect_moments(const struct tensor *t, double mean, double deviation)
{
	double sum = 0, squares = 0;
	for (int i = 0; i < N; i++)
		sum += tensor_float(t, i);
	for (int i = 0; i < N; i++)
		squares += pow(tensor_float(t, i) - sum / N, 2);
	/* Five standard errors of the mean; of the deviation, for anything not heavy-tailed. */
	ck_assert_double_eq_tol(sum / N, mean, 5 * deviation / sqrt(N));
	ck_assert_double_eq_tol(sqrt(squares / N), deviation, 5 * deviation / sqrt(N));
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

/* The distance of the two distribution functions; 1.95 / sqrt(N) is passed once in 1000. */
static void expect_distribution(struct tensor *t, double (*cdf)(double))
{
	float *v = t->data;
	double worst = 0;
	qsort(v, N, sizeof(*v), by_value);
	for (int i = 0; i < N; i++)
		worst = fmax(worst, fmax(fabs(cdf((double)v[i]) - (double)i / N),
					    fabs(cdf((double)v[i]) - (double)(i + 1) / N)));
	ck_assert_double_lt(worst, 1.95 / sqrt(N));
}

static double uniform_cdf(double x)
{
	return (x + 2) / 5;
}

static double normal_cdf(double x)
{
	return 0.5 * erfc(-(x - 3) / (2 * sqrt(2)));
}

START_TEST(uniform_numbers_are_uniform_and_within_bounds)
{
	struct graph *g = given_draw(OP_RANDOM_UNIFORM);
	model_attr_float(g, "low", -2);
	model_attr_float(g, "high", 3);
	model_attr_float(g, "seed", (float)_i);
	struct runner r = given_program(g, 0);

	run_ok(&r, NULL);

	expect_moments(&r.out[0], 0.5, 5 / sqrt(12));
	expect_distribution(&r.out[0], uniform_cdf);
	ck_assert_double_ge(tensor_float(&r.out[0], 0), -2);
	ck_assert_double_le(tensor_float(&r.out[0], N - 1), 3);
	done(&r);
}
END_TEST

START_TEST(normal_numbers_are_normal)
{
	struct graph *g = given_draw(OP_RANDOM_NORMAL);
	model_attr_float(g, "mean", 3);
	model_attr_float(g, "scale", 2);
	model_attr_float(g, "seed", (float)_i);
	struct runner r = given_program(g, 0);

	run_ok(&r, NULL);

	expect_moments(&r.out[0], 3, 2);
	expect_distribution(&r.out[0], normal_cdf);
	done(&r);
}
END_TEST

/* Neighbours, and numbers that share a block, have nothing to do with each other. */
START_TEST(normal_numbers_are_not_correlated)
{
	struct graph *g = given_draw(OP_RANDOM_NORMAL);
	model_attr_float(g, "seed", 11);
	struct runner r = given_program(g, 0);

	run_ok(&r, NULL);

	for (int lag = 1; lag <= 4; lag++) {
		double sum = 0;
		for (int i = 0; i + lag < N; i++)
			sum += tensor_float(&r.out[0], i) * tensor_float(&r.out[0], i + lag);
		ck_assert_double_eq_tol(sum / N, 0, 5 / sqrt(N));
	}
	done(&r);
}
END_TEST

START_TEST(a_coin_falls_as_often_as_its_probability_says)
{
	static float p[N];
	struct graph *g = model_new();
	model_output(g, MODEL_NODE(g, OP_BERNOULLI, model_input(g, "p", DTYPE_F32, shape_of(N))));
	model_attr_float(g, "seed", 5);
	struct runner r = given_program(g, 0);
	for (int i = 0; i < N; i++)
		p[i] = 0.3f;
	struct tensor in = floats(p, shape_of(N));

	run_ok(&r, &in);

	expect_moments(&r.out[0], 0.3, sqrt(0.3 * 0.7));
	done(&r);
}
END_TEST

START_TEST(classes_are_drawn_by_their_probabilities)
{
	/* 1 : 2 : 5 as logarithms, once with 1000 added, which changes nothing */
	float weight[6] = { 0, logf(2), logf(5), 1000, 1000 + logf(2), 1000 + logf(5) };
	double want[3] = { 0.125, 0.25, 0.625 };
	struct graph *g = model_new();
	model_output(
		g, MODEL_NODE(g, OP_MULTINOMIAL, model_input(g, "w", DTYPE_F32, shape_of(2, 3))));
	model_attr_int(g, "sample_size", N);
	model_attr_float(g, "seed", 5);
	struct runner r = given_program(g, 0);
	struct tensor in = floats(weight, shape_of(2, 3));

	run_ok(&r, &in);

	for (int row = 0; row < 2; row++) {
		int count[3] = { 0 };
		for (int i = 0; i < N; i++)
			count[tensor_int(&r.out[0], row * N + i)]++;
		for (int k = 0; k < 3; k++)
			ck_assert_double_eq_tol((double)count[k] / N, want[k],
				5 * sqrt(want[k] * (1 - want[k]) / N));
	}
	weight[1] = NAN;
	ck_assert_int_eq(run(&r, &in), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(r.err.msg, "row 0 is no distribution"));
	done(&r);
}
END_TEST

START_TEST(dropout_drops_the_ratio_and_scales_the_rest)
{
	static float x[N];
	struct graph *g = model_new();
	uint8_t yes = 1;
	struct tensor train = { .data = &yes, .dtype = DTYPE_BOOL, .shape = SHAPE_SCALAR };
	int32_t ratio = model_input(g, "ratio", DTYPE_F32, SHAPE_SCALAR), on;
	int32_t v = model_input(g, "x", DTYPE_F32, shape_of(N));
	struct err err;
	ck_assert_int_eq(graph_add_constant(g, "on", &train, &on, &err), ERR_OK);
	int32_t out = MODEL_NODE_OUT(g, OP_DROPOUT, 2, v, ratio, on);
	model_attr_int(g, "seed", 9);
	model_output(g, out);
	model_output(g, out + 1);
	struct runner r = given_program(g, 0);
	float quarter = 0.25f;
	for (int i = 0; i < N; i++)
		x[i] = 3;
	struct tensor in[2] = { floats(&quarter, SHAPE_SCALAR), floats(x, shape_of(N)) };

	run_ok(&r, in);

	expect_moments(&r.out[1], 0.75, sqrt(0.75 * 0.25));
	for (int i = 0; i < N; i++)
		ck_assert_double_eq(tensor_float(&r.out[0], i), tensor_int(&r.out[1], i) ? 4 : 0);
	quarter = 1.5f;
	ck_assert_int_eq(run(&r, in), ERR_INVALID_ARGUMENT);
	done(&r);
}
END_TEST

static bool same(const struct tensor *a, const struct tensor *b)
{
	return memcmp(a->data, b->data, tensor_bytes(a)) == 0;
}

START_TEST(a_seed_gives_the_same_numbers_in_every_run_and_none_gives_others)
{
	struct graph *g = given_draw(OP_RANDOM_UNIFORM);
	model_attr_float(g, "seed", 1);
	for (int i = 0; i < 2; i++) {
		model_output(g, model_node(g, OP_RANDOM_UNIFORM, 1, 0, NULL));
		MODEL_ATTR_INTS(g, "shape", N);
	}
	struct runner r = given_program(g, 0);
	run_ok(&r, NULL);
	struct tensor seeded = r.out[0], first = r.out[1], second = r.out[2];
	ck_assert(!same(&first, &second));

	run_ok(&r, NULL);

	ck_assert(same(&r.out[0], &seeded));
	ck_assert(!same(&r.out[1], &first));
	expect_moments(&r.out[1], 0.5, 1 / sqrt(12));
	done(&r);
}
END_TEST

Suite *suite_random(void);
Suite *suite_random(void)
{
	Suite *s = suite_create("random");
	TCase *t = tcase_create("random");
	tcase_add_test(t, philox_gives_the_answers_of_its_authors);
	tcase_add_loop_test(t, uniform_numbers_are_uniform_and_within_bounds, 0, 4);
	tcase_add_loop_test(t, normal_numbers_are_normal, 0, 4);
	tcase_add_test(t, normal_numbers_are_not_correlated);
	tcase_add_test(t, a_coin_falls_as_often_as_its_probability_says);
	tcase_add_test(t, classes_are_drawn_by_their_probabilities);
	tcase_add_test(t, dropout_drops_the_ratio_and_scales_the_rest);
	tcase_add_test(t, a_seed_gives_the_same_numbers_in_every_run_and_none_gives_others);
	suite_add_tcase(s, t);
	return s;
}
