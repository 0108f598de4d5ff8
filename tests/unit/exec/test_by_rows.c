/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large batches part by part: that all rows are what they are alone, and which graphs are run so.
 */
#include <check.h>
#include <stdlib.h>
#include "support/models.h"
#include "support/runner.h"

enum { WIDTH = 2048, HALF = WIDTH / 2, CLASSES = 32, ROWS = 101 };

static struct graph *g;

static int32_t input(const char *name, int64_t width)
{
	return model_input(g, name, DTYPE_F32, shape_of(graph_symbol(g, slice_of("n")), width));
}

static void setup(void)
{
	g = model_new();
}

/* Classes of a wide row: 16 of them are a part. */
static struct runner given_classifier(void)
{
	int32_t x = input("x", WIDTH), w = model_floats(g, shape_of(WIDTH, CLASSES), NULL);
	int32_t y = MODEL_NODE(g, OP_ADD, MODEL_NODE(g, OP_MATMUL, x, w),
		model_floats(g, shape_of(CLASSES), NULL));
	model_output(g, MODEL_NODE(g, OP_SOFTMAX, y));
	model_output(g, MODEL_NODE(g, OP_RELU, x));
	return given_program(g, 0);
}

static float *some_floats(int64_t n)
{
	float *v = calloc((size_t)n, sizeof(*v));
	ck_assert_ptr_nonnull(v);
	for (int64_t i = 0; i < n; i++)
		v[i] = (float)(i * 37 % 101 - 50) / 50;
	return v;
}

static void expect_rows(struct runner *r, float *x, const struct tensor all[2])
{
	for (int row = 0; row < ROWS; row++) {
		run_ok(r, &(struct tensor){ .data = x + row * WIDTH, .dtype = DTYPE_F32,
			.shape = shape_of(1, WIDTH) });
		for (int i = 0; i < CLASSES; i++)
			ck_assert_double_eq_tol(tensor_float(&all[0], row * CLASSES + i),
				tensor_float(&r->out[0], i), 1e-6);
		for (int i = 0; i < WIDTH; i++)
			ck_assert(tensor_float(&all[1], row * WIDTH + i) ==
				  tensor_float(&r->out[1], i));
	}
}

START_TEST(each_row_is_what_it_is_alone)
{
	struct runner r = given_classifier();
	float *x = some_floats(ROWS * WIDTH);
	struct program_stats stats;
	ck_assert_int_eq(program_part_rows(r.p, ROWS), 16);
	run_ok(&r, &(struct tensor){ .data = x, .dtype = DTYPE_F32,
		.shape = shape_of(ROWS, WIDTH) });

	ck_assert_int_eq(r.out[0].shape.dim[0], ROWS);
	program_stats(r.p, &stats);
	ck_assert_int_eq(stats.plans, 1);
	const struct tensor all[2] = { r.out[0], r.out[1] };
	expect_rows(&r, x, all);
	free(x);
	done(&r);
}
END_TEST

static void *keep(void *ctx, int i, const struct tensor *t)
{
	struct runner *r = ctx;
	r->out[i] = *t;
	return r->out[i].data = arena_alloc_aligned(r->arena, tensor_bytes(t), 64);
}

static enum err_code run_with(struct runner *r, struct pool *pool, const struct tensor *in)
{
	struct run_opts opts = { .arena = r->arena, .output = keep, .output_ctx = r, .pool = pool };
	return program_run(r->p, in, &opts, &r->err);
}

START_TEST(threads_take_parts)
{
	struct runner r = given_classifier();
	struct pool *pool;
	float *x = some_floats(ROWS * WIDTH);
	ck_assert_int_eq(pool_new(3, NULL, &pool, &r.err), ERR_OK);
	ck_assert_int_eq(run_with(&r, pool,
		&(struct tensor){ .data = x, .dtype = DTYPE_F32, .shape = shape_of(ROWS, WIDTH) }),
		ERR_OK);

	const struct tensor all[2] = { r.out[0], r.out[1] };
	expect_rows(&r, x, all);
	pool_free(pool);
	free(x);
	done(&r);
}
END_TEST

START_TEST(few_rows_are_run_at_once)
{
	struct runner r = given_classifier();
	ck_assert_int_eq(program_part_rows(r.p, 63), 63);
	ck_assert_int_eq(program_part_rows(r.p, 64), 16);
	done(&r);
}
END_TEST

START_TEST(shapes_that_are_planned_are_the_batchs)
{
	struct runner r = given_classifier();
	struct tensor out[2], in = { .data = NULL, .dtype = DTYPE_F32,
		.shape = shape_of(ROWS, WIDTH) };
	ck_assert_int_eq(program_plan(r.p, &in, out, &r.err), ERR_OK);
	ck_assert_int_eq(out[0].shape.dim[0], ROWS);
	ck_assert_int_eq(out[1].shape.dim[0], ROWS);
	done(&r);
}
END_TEST

/* The zero is in a part in the middle, and then among the rows behind the last whole one. */
START_TEST(what_fails_in_a_part_fails_the_run)
{
	const int64_t at[] = { 50 * HALF, ROWS * HALF - 1 };
	struct shape dims = shape_of(graph_symbol(g, slice_of("n")), HALF),
		     all = shape_of(ROWS, HALF);
	int32_t x = model_input(g, "x", DTYPE_I32, dims);
	int32_t y = model_input(g, "y", DTYPE_I32, dims);
	model_output(g, MODEL_NODE(g, OP_DIV, x, y));
	struct runner r = given_program(g, 0);
	int32_t *v = calloc(ROWS * HALF, sizeof(*v));
	struct pool *pool;
	ck_assert_int_eq(pool_new(2, NULL, &pool, &r.err), ERR_OK);
	for (int i = 0; i < ROWS * HALF; i++)
		v[i] = 1;
	struct tensor t = { .data = v, .dtype = DTYPE_I32, .shape = all };
	ck_assert(program_part_rows(r.p, ROWS) < ROWS);
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		v[at[i]] = 0;
		ck_assert_int_eq(
			run_with(&r, pool, (struct tensor[]){ t, t }), ERR_INVALID_ARGUMENT);
		ck_assert_str_eq(r.err.msg, "node 'Div_0' (Div): integer division by zero");
		v[at[i]] = 1;
	}
	ck_assert_int_eq(run_with(&r, pool, (struct tensor[]){ t, t }), ERR_OK);
	pool_free(pool);
	free(v);
	done(&r);
}
END_TEST

/* -- which graphs ------------------------------------------------------------------------------ */

static int32_t with_attr(int32_t v, const char *name, int64_t i)
{
	model_attr_int(g, name, i);
	return v;
}

static int32_t image(int32_t x)
{
	return MODEL_NODE(g, OP_RESHAPE, x, MODEL_INTS(g, -1, 4, 8, 8));
}

static int32_t of_each(int32_t x)
{
	int32_t y = MODEL_NODE(g, OP_CONV, image(x), model_floats(g, shape_of(8, 4, 3, 3), NULL));
	y = MODEL_NODE(g, OP_GLOBAL_AVERAGE_POOL,
		MODEL_NODE(g, OP_MUL, y, model_floats(g, shape_of(1, 8, 1, 1), NULL)));
	y = with_attr(MODEL_NODE(g, OP_CONCAT, y, y), "axis", 1);
	return MODEL_NODE(
		g, OP_MATMUL, MODEL_NODE(g, OP_FLATTEN, y), model_floats(g, shape_of(16, 5), NULL));
}

static int32_t of_pairs(int32_t x)
{
	int32_t y = MODEL_NODE(g, OP_RESHAPE, x, MODEL_INTS(g, -1, 16, 16)),
		t = MODEL_NODE(g, OP_TRANSPOSE, y);
	MODEL_ATTR_INTS(g, "perm", 0, 2, 1);
	return MODEL_NODE(g, OP_MATMUL, y, t);
}

static int32_t softmax_down(int32_t x)
{
	return with_attr(MODEL_NODE(g, OP_SOFTMAX, x), "axis", 0);
}

static int32_t layer_norm_of_all(int32_t x)
{
	return with_attr(MODEL_NODE(g, OP_LAYER_NORM, x, model_floats(g, shape_of(1, 256), NULL)),
		"axis", -2);
}

static int32_t sums_down(int32_t x)
{
	return MODEL_NODE(g, OP_CUM_SUM, x, model_int64s(g, SHAPE_SCALAR, (int64_t[]){ 0 }));
}

static int32_t less_the_mean_row(int32_t x)
{
	return MODEL_NODE(g, OP_SUB, x, MODEL_NODE(g, OP_REDUCE_MEAN, x, MODEL_INTS(g, 0)));
}

static int32_t of_each_with_each(int32_t x)
{
	int32_t t = MODEL_NODE(g, OP_TRANSPOSE, x);
	MODEL_ATTR_INTS(g, "perm", 1, 0);
	return MODEL_NODE(g, OP_MATMUL, MODEL_NODE(g, OP_MATMUL, x, t), x);
}

static int32_t by_their_number(int32_t x)
{
	int32_t n = MODEL_NODE(g, OP_CAST, MODEL_NODE(g, OP_SHAPE, x));
	model_attr_int(g, "to", DTYPE_F32);
	return MODEL_NODE(g, OP_MUL, x, MODEL_NODE(g, OP_REDUCE_SUM, n));
}

static int32_t other_rows(int32_t x)
{
	return MODEL_NODE(g, OP_RESHAPE, x, MODEL_INTS(g, -1, 128));
}

static int32_t with_places(int32_t x)
{
	int32_t y = MODEL_NODE_OUT(g, OP_MAX_POOL, 2, image(x));
	MODEL_ATTR_INTS(g, "kernel_shape", 2, 2);
	model_output(g, y + 1);
	return y;
}

static int32_t with_a_constant(int32_t x)
{
	model_output(g, model_scalar(g, 7));
	return MODEL_NODE(g, OP_RELU, x);
}

static int32_t with_what_is_alike_for_all(int32_t x)
{
	return MODEL_NODE(g, OP_ADD, x, model_input(g, "z", DTYPE_F32, shape_of(256)));
}

static int32_t with_other_rows(int32_t x)
{
	int32_t z = model_input(g, "z", DTYPE_F32, shape_of(graph_symbol(g, slice_of("m")), 4));
	model_output(g, MODEL_NODE(g, OP_RELU, z));
	return MODEL_NODE(g, OP_RELU, x);
}

static int32_t with_large_weights(int32_t x)
{
	return MODEL_NODE(g, OP_MATMUL, x, model_floats(g, shape_of(256, 1025), NULL));
}

static int32_t of_words(int32_t x)
{
	int32_t y = MODEL_NODE(g, OP_CAST, x);
	model_attr_int(g, "to", DTYPE_STRING);
	return y;
}

static const struct {
	int32_t (*build)(int32_t x);
	bool parts;
} graphs[] = { { of_each, true }, { of_pairs, true }, { softmax_down, false },
	{ layer_norm_of_all, false }, { sums_down, false }, { less_the_mean_row, false },
	{ of_each_with_each, false }, { by_their_number, false }, { other_rows, false },
	{ with_places, false }, { with_a_constant, false }, { with_what_is_alike_for_all, false },
	{ with_other_rows, false }, { with_large_weights, false }, { of_words, false } };

START_TEST(only_graphs_that_go_by_rows_are_cut)
{
	model_output(g, graphs[_i].build(input("x", 256)));
	struct runner r = given_program(g, 0);
	ck_assert_msg(
		(program_part_rows(r.p, 100000) < 100000) == graphs[_i].parts, "graph %d", _i);
	done(&r);
}
END_TEST

Suite *suite_by_rows(void);
Suite *suite_by_rows(void)
{
	Suite *s = suite_create("by_rows");
	TCase *t = tcase_create("parts");
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, each_row_is_what_it_is_alone);
	tcase_add_test(t, threads_take_parts);
	tcase_add_test(t, few_rows_are_run_at_once);
	tcase_add_test(t, shapes_that_are_planned_are_the_batchs);
	tcase_add_test(t, what_fails_in_a_part_fails_the_run);
	tcase_add_loop_test(
		t, only_graphs_that_go_by_rows_are_cut, 0, sizeof(graphs) / sizeof(graphs[0]));
	suite_add_tcase(s, t);
	return s;
}
