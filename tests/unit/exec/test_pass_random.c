/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random small graphs mean the same before and after the passes. Nodes are drawn from the
 * shapes that passes look for, and from what makes their conditions fail: values read
 * twice, outputs in the middle, constants that broadcast the wrong way. A device that takes
 * some of their operators gives the same.
 */
#include <check.h>
#include <string.h>
#include "exec/infer/infer.h"
#include "exec/pass/passes.h"
#include "support/model_run.h"
#include "support/models.h"
#include "support/toy_device.h"

#define SEEDS 400
#define SEEDS_PER_TEST 20
#define NODES 14
#define C 4 /* channels of every [N,C,H,W] value */

struct gen {
	struct graph *g;
	uint32_t seed;
	int32_t image[64], row[64]; /* values [1,C,h,w] and [n,8] drawn so far */
	int n_image, n_row;
};

static uint32_t draw(struct gen *r, uint32_t below)
{
	r->seed = r->seed * 1664525u + 1013904223u;
	return (r->seed >> 10) % below;
}

static int32_t any_image(struct gen *r)
{
	return r->image[draw(r, (uint32_t)r->n_image)];
}

/* The newest more often than others, so that chains are made. */
static int32_t some_image(struct gen *r)
{
	return draw(r, 4) ? r->image[r->n_image - 1] : any_image(r);
}

static int32_t some_row(struct gen *r)
{
	return r->row[draw(r, 4) ? (uint32_t)r->n_row - 1 : draw(r, (uint32_t)r->n_row)];
}

static int32_t channel_constant(struct gen *r)
{
	switch (draw(r, 5)) {
	case 0: return model_scalar(r->g, 1.5f);
	case 1: return model_floats(r->g, shape_of(C, 1, 1), NULL);
	case 2: return model_floats(r->g, shape_of(1, C, 1, 1), NULL);
	case 3: return model_floats(r->g, shape_of(1), NULL);
	default: return model_scalar(r->g, draw(r, 2) ? 1 : 0);
	}
}

static int32_t gen_conv(struct gen *r)
{
	static const int64_t kernels[] = { 1, 3, 3 };
	int64_t k = kernels[draw(r, 3)], group = draw(r, 3) ? 1 : 2;
	int32_t w = model_floats(r->g, shape_of(C, C / group, k, k), NULL);
	int32_t b = draw(r, 2) ? model_floats(r->g, shape_of(C), NULL) : VALUE_NONE;
	int32_t x = some_image(r);
	int32_t y = b == VALUE_NONE ? MODEL_NODE(r->g, OP_CONV, x, w)
				    : MODEL_NODE(r->g, OP_CONV, x, w, b);
	model_attr_int(r->g, "group", group);
	MODEL_ATTR_INTS(r->g, "pads", k / 2, k / 2, k / 2, k / 2);
	return y;
}

static int32_t gen_norm(struct gen *r)
{
	float var[C] = { 0.5f, 1, 2, 3 };
	struct shape s = shape_of(C);
	return MODEL_NODE(r->g, OP_BATCH_NORM, some_image(r), model_floats(r->g, s, NULL),
		model_floats(r->g, s, NULL), model_floats(r->g, s, NULL),
		model_floats(r->g, s, var));
}

static int32_t gen_arith(struct gen *r)
{
	static const enum op_id ops[] = { OP_ADD, OP_SUB, OP_MUL, OP_ADD };
	enum op_id op = ops[draw(r, 4)];
	int32_t x = some_image(r), y = draw(r, 3) ? channel_constant(r) : any_image(r);
	if (draw(r, 6) == 0) /* of the same rank, to be broadcast */
		y = MODEL_NODE(r->g, OP_GLOBAL_AVERAGE_POOL, any_image(r));
	if (draw(r, 6) == 0)
		y = MODEL_NODE(r->g, OP_CONV,
			MODEL_NODE(r->g, OP_GLOBAL_AVERAGE_POOL, any_image(r)),
			model_floats(r->g, shape_of(C, C, 1, 1), NULL));
	return draw(r, 2) ? MODEL_NODE(r->g, op, x, y) : MODEL_NODE(r->g, op, y, x);
}

static int32_t gen_activation(struct gen *r)
{
	static const enum op_id ops[] = { OP_RELU, OP_SIGMOID, OP_TANH, OP_HARD_SWISH,
		OP_HARD_SIGMOID, OP_LEAKY_RELU, OP_NEG, OP_IDENTITY };
	return MODEL_NODE(r->g, ops[draw(r, 8)], some_image(r));
}

static int32_t gen_gate(struct gen *r)
{
	int32_t x = some_image(r);
	if (draw(r, 2))
		return MODEL_NODE(r->g, OP_MUL, x, MODEL_NODE(r->g, OP_SIGMOID, x));
	int32_t clip = MODEL_NODE(r->g, OP_CLIP, MODEL_NODE(r->g, OP_ADD, x, model_scalar(r->g, 3)),
		model_scalar(r->g, 0), model_scalar(r->g, 6));
	return MODEL_NODE(r->g, OP_DIV, MODEL_NODE(r->g, OP_MUL, x, clip), model_scalar(r->g, 6));
}

/* There and back again, or not quite. */
static int32_t gen_transposes(struct gen *r)
{
	int32_t v = MODEL_NODE(r->g, OP_TRANSPOSE, some_image(r));
	MODEL_ATTR_INTS(r->g, "perm", 0, 2, 3, 1);
	if (draw(r, 2))
		v = MODEL_NODE(r->g, OP_RELU, v);
	v = MODEL_NODE(r->g, OP_TRANSPOSE, v);
	MODEL_ATTR_INTS(r->g, "perm", 0, 3, 1, 2);
	return v;
}

static int32_t gen_views(struct gen *r)
{
	int32_t v = MODEL_NODE(r->g, OP_UNSQUEEZE, some_image(r), MODEL_INTS(r->g, 1));
	if (draw(r, 2))
		return MODEL_NODE(r->g, OP_SQUEEZE, v, MODEL_INTS(r->g, 1));
	return MODEL_NODE(
		r->g, OP_RESHAPE, MODEL_NODE(r->g, OP_FLATTEN, v), MODEL_INTS(r->g, 1, C, 6, -1));
}

static int32_t gen_matmul(struct gen *r)
{
	int32_t x = some_row(r), w = model_floats(r->g, shape_of(8, 8), NULL);
	if (draw(r, 2)) {
		int32_t y = MODEL_NODE(r->g, OP_GEMM, x, w, model_floats(r->g, shape_of(8), NULL));
		model_attr_int(r->g, "transB", draw(r, 2));
		return y;
	}
	return MODEL_NODE(r->g, OP_MATMUL, x, w);
}

static int32_t gen_row_arith(struct gen *r)
{
	static const enum op_id ops[] = { OP_ADD, OP_MUL, OP_SUB };
	int32_t x = some_row(r), y = draw(r, 3) == 0 ? r->row[draw(r, (uint32_t)r->n_row)]
				     : draw(r, 2)    ? model_floats(r->g, shape_of(8), NULL)
						     : model_scalar(r->g, 0.5f);
	return draw(r, 2) ? MODEL_NODE(r->g, ops[draw(r, 3)], x, y)
			  : MODEL_NODE(r->g, ops[draw(r, 3)], y, x);
}

static int32_t gen_layer_norm(struct gen *r)
{
	int32_t x = some_row(r),
		m = MODEL_NODE(r->g, OP_REDUCE_MEAN, x, MODEL_INTS(r->g, draw(r, 4) ? 1 : 0));
	int32_t d = MODEL_NODE(r->g, OP_SUB, x, m);
	int32_t v = MODEL_NODE(
		r->g, OP_REDUCE_MEAN, MODEL_NODE(r->g, OP_MUL, d, d), MODEL_INTS(r->g, -1));
	int32_t s =
		MODEL_NODE(r->g, OP_SQRT, MODEL_NODE(r->g, OP_ADD, v, model_scalar(r->g, 0.01f)));
	int32_t n = MODEL_NODE(r->g, OP_MUL, MODEL_NODE(r->g, OP_DIV, d, s),
		model_floats(r->g, shape_of(8), NULL));
	return MODEL_NODE(r->g, OP_ADD, n, model_floats(r->g, shape_of(8), NULL));
}

static int32_t gen_gelu(struct gen *r)
{
	int32_t x = some_row(r);
	int32_t e = MODEL_NODE(
		r->g, OP_ERF, MODEL_NODE(r->g, OP_DIV, x, model_scalar(r->g, 1.41421354f)));
	int32_t gate = MODEL_NODE(r->g, OP_ADD, e, model_scalar(r->g, 1));
	return MODEL_NODE(
		r->g, OP_MUL, MODEL_NODE(r->g, OP_MUL, x, gate), model_scalar(r->g, 0.5f));
}

/* A Reshape to a computed shape. */
static int32_t gen_shape_chain(struct gen *r)
{
	int32_t x = some_row(r);
	int32_t n = MODEL_NODE(r->g, OP_GATHER, MODEL_NODE(r->g, OP_SHAPE, x),
		model_int64s(r->g, SHAPE_SCALAR, (int64_t[]){ 0 }));
	int32_t list = MODEL_NODE(r->g, OP_CONCAT,
		MODEL_NODE(r->g, OP_UNSQUEEZE, n, MODEL_INTS(r->g, 0)), MODEL_INTS(r->g, 2, 4));
	model_attr_int(r->g, "axis", 0);
	return MODEL_NODE(
		r->g, OP_RESHAPE, MODEL_NODE(r->g, OP_RESHAPE, x, list), MODEL_INTS(r->g, -1, 8));
}

static void gen_node(struct gen *r)
{
	static int32_t (*const images[])(struct gen *) = { gen_conv, gen_norm, gen_arith,
		gen_activation, gen_gate, gen_transposes, gen_views, gen_conv, gen_arith };
	static int32_t (*const rows[])(struct gen *) = { gen_matmul, gen_row_arith, gen_layer_norm,
		gen_gelu, gen_shape_chain, gen_row_arith };
	if (draw(r, 3)) {
		int32_t (*const fn)(struct gen *) = images[draw(r, 9)];
		r->image[r->n_image] = fn(r);
		r->n_image++;
	} else {
		int32_t (*const fn)(struct gen *) = rows[draw(r, 6)];
		r->row[r->n_row] = fn(r);
		r->n_row++;
	}
}

static struct graph *gen_graph(uint32_t seed)
{
	struct gen r = { .g = model_new(), .seed = seed * 2654435761u + 1 };
	int64_t h = draw(&r, 2) ? 6 : graph_symbol(r.g, SLICE_LIT("h"));
	r.image[r.n_image++] = model_input(r.g, "image", DTYPE_F32, shape_of(1, C, 6, h));
	r.row[r.n_row++] = model_input(r.g, "row", DTYPE_F32, shape_of(DIM_UNKNOWN, 8));
	for (int i = 0; i < NODES; i++)
		gen_node(&r);
	if (draw(&r, 2))
		model_output(r.g, r.image[draw(&r, (uint32_t)r.n_image - 1) + 1]);
	if (r.n_row > 1)
		model_output(r.g, r.row[r.n_row - 1]);
	if (r.g->n_output == 0 || r.g->output[0] != r.image[r.n_image - 1])
		model_output(r.g, r.image[r.n_image - 1]);
	return r.g;
}

static void check_seed(uint32_t seed)
{
	struct err err;
	struct graph *g = gen_graph(seed);
	struct arena *arena = arena_new(1 << 16, 0);
	struct passes_opts opts = { .backend = &cpu_backend };
	ck_assert_msg(graph_check(g, &err) == ERR_OK, "%s", err.msg);
	ck_assert_msg(infer_graph(g, &err) == ERR_OK, "%s", err.msg);
	struct model_results before = model_run(g, 5, arena);

	ck_assert_msg(passes_run(g, &opts, &err) == ERR_OK, "%s", err.msg);

	struct model_results after = model_run(g, 5, arena);
	ck_assert_int_eq(after.n, before.n);
	for (int i = 0; i < after.n; i++)
		ck_assert_msg(model_first_difference(&after.t[i], &before.t[i], 1e-4, 1e-5) < 0,
			"seed %u, output %d", seed, i);
	struct model_results on_device = model_run_on(toy_device(seed), g, 5, arena);
	for (int i = 0; i < after.n; i++)
		ck_assert_msg(model_first_difference(&on_device.t[i], &after.t[i], 1e-5, 1e-6) < 0,
			"seed %u, output %d, on a device", seed, i);
	ck_assert_uint_eq(toy_device_allocations(), 0);
	arena_free(arena);
	model_free(g);
}

START_TEST(random_graphs_keep_their_results)
{
	for (uint32_t k = 0; k < SEEDS_PER_TEST; k++)
		check_seed((uint32_t)_i * SEEDS_PER_TEST + k);
}
END_TEST

Suite *suite_pass_random(void);
Suite *suite_pass_random(void)
{
	Suite *s = suite_create("pass_random");
	TCase *t = tcase_create("random");
	tcase_add_loop_test(t, random_graphs_keep_their_results, 0, SEEDS / SEEDS_PER_TEST);
	suite_add_tcase(s, t);
	return s;
}
