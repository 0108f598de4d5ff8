/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole programs on the device: their answers are the host's, also when segments are
 * replayed, and what the libraries' algorithms are is remembered.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "exec/infer/infer.h"
#include "exec/pass/passes.h"
#include "exec/run/program.h"
#include "support/gpu_device.h"
#include "support/models.h"
#include "support/tensors.h"

/* More than a segment runs before it is recorded. */
#define RUNS 5

struct rig {
	struct packs *packs;
	struct program *p;
	struct tensor out;
	struct err err;
};

static void rig_init(struct rig *r, const struct graph *g, const struct backend *b, struct choices *choices,
	const atomic_bool *settled)
{
	*r = (struct rig){ .packs = packs_new() };
	struct program_conf conf = { .backend = b, .packs = r->packs, .precision = PRECISION_EXACT,
		.choices = choices, .settled = settled, .threads = 1 };
	ck_assert_msg(program_new(g, &conf, &r->p, &r->err) == ERR_OK, "%s", r->err.msg);
}

static void rig_done(struct rig *r)
{
	tensors_free(&r->out);
	program_free(r->p);
	packs_free(r->packs);
}

static void *take(void *ctx, int i, const struct tensor *t)
{
	struct rig *r = ctx;
	ck_assert_int_eq(i, 0);
	tensors_free(&r->out);
	r->out = tensors_new(t->dtype, t->shape);
	return r->out.data;
}

static void run(struct rig *r, const struct tensor *in)
{
	struct run_opts opts = { .output = take, .output_ctx = r };
	ck_assert_msg(program_run(r->p, in, &opts, &r->err) == ERR_OK, "%s", r->err.msg);
}

static struct tensor numbers(enum dtype dtype, struct shape shape, uint32_t seed)
{
	struct tensor t = tensors_new(dtype, shape);
	tensors_fill(&t, TENSORS_ANY, seed);
	return t;
}

/* The device's answers to several inputs, each of them asked often. */
static void expect_the_hosts_answers(const struct graph *g, struct shape shape)
{
	struct rig host, device;
	char why[200];
	rig_init(&host, g, &cpu_backend, NULL, NULL);
	rig_init(&device, g, gpu_device(), NULL, NULL);
	for (uint32_t i = 0; i < RUNS; i++) {
		struct tensor in = numbers(DTYPE_F32, shape, i + 1);
		run(&host, &in);
		run(&device, &in);
		ck_assert_msg(tensors_close(&device.out, &host.out, 1e-4, 1e-4, why, sizeof(why)), "run %u: %s", i, why);
		tensors_free(&in);
	}
	rig_done(&device);
	rig_done(&host);
}

static struct graph *given_layers(void)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(3, 20));
	x = MODEL_NODE(g, OP_GEMM, x, model_floats(g, shape_of(20, 9), NULL), model_floats(g, shape_of(9), NULL));
	x = MODEL_NODE(g, OP_RELU, x);
	x = MODEL_NODE(g, OP_MATMUL, x, model_floats(g, shape_of(9, 5), NULL));
	model_output(g, x);
	return g;
}

START_TEST(layers_of_products_are_the_hosts)
{
	struct graph *g = given_layers();
	expect_the_hosts_answers(g, shape_of(3, 20));
	model_free(g);
}
END_TEST

static int32_t conv(struct graph *g, int32_t x, int64_t channels, int64_t filters, int64_t size)
{
	x = MODEL_NODE(g, OP_CONV, x, model_floats(g, shape_of(filters, channels, size, size), NULL),
		model_floats(g, shape_of(filters), NULL));
	MODEL_ATTR_INTS(g, "pads", size / 2, size / 2, size / 2, size / 2);
	return x;
}

START_TEST(a_block_with_a_shortcut_is_the_hosts)
{
	struct graph *g = model_new();
	struct passes_opts fuse = { .backend = &cpu_backend };
	struct err err = { 0 };
	int32_t x = conv(g, model_input(g, "x", DTYPE_F32, shape_of(2, 3, 9, 7)), 3, 8, 3);
	int32_t y = MODEL_NODE(g, OP_RELU, conv(g, MODEL_NODE(g, OP_RELU, conv(g, x, 8, 4, 1)), 4, 8, 3));
	model_output(g, MODEL_NODE(g, OP_RELU, MODEL_NODE(g, OP_ADD, y, x)));
	expect_the_hosts_answers(g, shape_of(2, 3, 9, 7));
	ck_assert_msg(infer_graph(g, &err) == ERR_OK && passes_run(g, &fuse, &err) == ERR_OK, "%s", err.msg);
	ck_assert_int_eq(model_count(g, OP_FUSED_CONV), 2);
	expect_the_hosts_answers(g, shape_of(2, 3, 9, 7));
	model_free(g);
}
END_TEST

START_TEST(algorithms_are_timed_once_and_remembered)
{
	struct graph *g = given_layers();
	struct choices *c = choices_new();
	struct tensor in = numbers(DTYPE_F32, shape_of(3, 20), 1);
	uint64_t count[2];
	for (int i = 0; i < 2; i++) {
		struct rig r;
		rig_init(&r, g, gpu_device(), c, NULL);
		run(&r, &in);
		rig_done(&r);
		count[i] = choices_count(c);
	}
	ck_assert_uint_eq(count[0], 2);
	ck_assert_uint_eq(count[1], 2);
	tensors_free(&in);
	choices_free(c);
	model_free(g);
}
END_TEST

START_TEST(nothing_is_timed_while_requests_wait)
{
	struct graph *g = given_layers();
	struct choices *c = choices_new();
	struct tensor in = numbers(DTYPE_F32, shape_of(3, 20), 1);
	const atomic_bool settled = true;
	struct rig r;
	rig_init(&r, g, gpu_device(), c, &settled);
	run(&r, &in);
	ck_assert_uint_eq(choices_count(c), 0);
	rig_done(&r);
	tensors_free(&in);
	choices_free(c);
	model_free(g);
}
END_TEST

Suite *suite_gpu_programs(void);
Suite *suite_gpu_programs(void)
{
	Suite *s = suite_create("gpu_programs");
	TCase *t = tcase_create("programs");
	tcase_set_timeout(t, 120);
	tcase_add_test(t, layers_of_products_are_the_hosts);
	tcase_add_test(t, a_block_with_a_shortcut_is_the_hosts);
	tcase_add_test(t, algorithms_are_timed_once_and_remembered);
	tcase_add_test(t, nothing_is_timed_while_requests_wait);
	suite_add_tcase(s, t);
	return s;
}
