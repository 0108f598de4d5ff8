/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole programs on the device: their answers are the host's, also when segments are
 * replayed, and what the libraries' algorithms are is remembered.
 */
#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "exec/attrs.h"
#include "exec/infer/infer.h"
#include "exec/packs.h"
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

static void rig_init(struct rig *r, const struct graph *g, const struct backend *b,
	struct choices *choices, const atomic_bool *settled)
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
		ck_assert_msg(tensors_close(&device.out, &host.out, 1e-4, 1e-4, why, sizeof(why)),
			"run %u: %s", i, why);
		tensors_free(&in);
	}
	rig_done(&device);
	rig_done(&host);
}

static struct graph *given_layers(void)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(3, 20));
	x = MODEL_NODE(g, OP_GEMM, x, model_floats(g, shape_of(20, 9), NULL),
		model_floats(g, shape_of(9), NULL));
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
	x = MODEL_NODE(g, OP_CONV, x,
		model_floats(g, shape_of(filters, channels, size, size), NULL),
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
	int32_t y = MODEL_NODE(
		g, OP_RELU, conv(g, MODEL_NODE(g, OP_RELU, conv(g, x, 8, 4, 1)), 4, 8, 3));
	model_output(g, MODEL_NODE(g, OP_RELU, MODEL_NODE(g, OP_ADD, y, x)));
	expect_the_hosts_answers(g, shape_of(2, 3, 9, 7));
	ck_assert_msg(infer_graph(g, &err) == ERR_OK && passes_run(g, &fuse, &err) == ERR_OK, "%s",
		err.msg);
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

/* -- columns of a product ---------------------------------------------------------------------- */

#define WIDTH 64

static int32_t project(struct graph *g, int32_t x)
{
	return MODEL_NODE(g, OP_FUSED_MATMUL, x, model_floats(g, shape_of(WIDTH, WIDTH), NULL),
		model_floats(g, shape_of(WIDTH), NULL));
}

/* Its Q, K and V are one product's. others: an operator that wants columns plain reads the keys,
   too. */
static struct graph *given_attention(bool others)
{
	struct graph *g = model_new();
	struct passes_opts opts = passes_opts_for(gpu_device(), PRECISION_EXACT);
	struct err err = { 0 };
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(2, 7, WIDTH));
	/* Scores of a size that rounding leaves alone. */
	x = MODEL_NODE(g, OP_MUL, x, model_scalar(g, 0.05F));
	int32_t q = project(g, x), k = project(g, x), v = project(g, x);
	int32_t y = MODEL_NODE(g, OP_ATTENTION, q, k, v);
	model_attr_int(g, "q_num_heads", 4);
	model_attr_int(g, "kv_num_heads", 4);
	model_output(g, y);
	ck_assert_msg(infer_graph(g, &err) == ERR_OK && passes_run(g, &opts, &err) == ERR_OK, "%s",
		err.msg);
	if (others) {
		for (int32_t i = 0; i < g->n_node; i++)
			if (g->node[i].op == OP_SPLIT)
				k = g->node[i].out[1];
		g->output[0] = MODEL_NODE(g, OP_ADD, y, MODEL_NODE(g, OP_TANH, k));
		ck_assert_msg(infer_graph(g, &err) == ERR_OK, "%s", err.msg);
	}
	ck_assert_int_eq(model_count(g, OP_FUSED_MATMUL), 1);
	ck_assert_int_eq(model_count(g, OP_SPLIT), 1);
	return g;
}

START_TEST(columns_of_one_product_are_the_hosts)
{
	struct graph *g = given_attention(_i);
	expect_the_hosts_answers(g, shape_of(2, 7, WIDTH));
	model_free(g);
}
END_TEST

static void count_moves(void *ctx, const struct step_text *s)
{
	*(int *)ctx += strcmp(s->op, "Split") == 0 || strcmp(s->op, "copy") == 0;
}

START_TEST(attention_reads_columns_where_they_lie)
{
	struct graph *g = given_attention(_i);
	struct tensor in = numbers(DTYPE_F32, shape_of(2, 7, WIDTH), 1);
	int moves = 0;
	struct rig r;
	rig_init(&r, g, gpu_device(), NULL, NULL);
	ck_assert_msg(
		program_explain(r.p, &in, count_moves, &moves, &r.err) == ERR_OK, "%s", r.err.msg);
	/* What enters and leaves, and one that wants columns plain. */
	ck_assert_int_eq(moves, 2 + _i);
	rig_done(&r);
	tensors_free(&in);
	model_free(g);
}
END_TEST

/* -- over a restart ---------------------------------------------------------------------------- */

static struct graph *given_halves(enum activation act)
{
	struct graph *g = model_new();
	int32_t x = MODEL_NODE(g, OP_CAST, model_input(g, "x", DTYPE_F32, shape_of(1, 8, 6, 5)));
	model_attr_int(g, "to", DTYPE_F16);
	int32_t w = MODEL_NODE(g, OP_CAST, model_floats(g, shape_of(8, 8, 3, 3), NULL));
	model_attr_int(g, "to", DTYPE_F16);
	x = MODEL_NODE(g, OP_FUSED_CONV, x, w);
	model_attr_int(g, "activation", act);
	x = MODEL_NODE(g, OP_CAST, x);
	model_attr_int(g, "to", DTYPE_F32);
	x = MODEL_NODE(g, OP_FLATTEN, x);
	model_output(g, MODEL_NODE(g, OP_MATMUL, x, model_floats(g, shape_of(96, 7), NULL)));
	return g;
}

/* What a stand-in counts; of a GPU's own libraries: not known. */
static long counted(const char *library, const char *counter)
{
	if (gpu_driver())
		return 0;
	void *lib = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
	ck_assert_msg(lib != NULL, "%s", dlerror());
	return *(const long *)dlsym(lib, counter);
}

/* How often the libraries were asked for engines and algorithms. */
static long questions(void)
{
	return counted("libcublasLt.so.13", "stand_in_blas_questions") +
	       counted("libcudnn_graph.so.9", "stand_in_dnn_questions");
}

static void answer(const struct graph *g, struct choices *c, struct tensor *ret)
{
	struct tensor in = numbers(DTYPE_F32, shape_of(1, 8, 6, 5), 1);
	struct rig r;
	rig_init(&r, g, gpu_device(), c, NULL);
	run(&r, &in);
	*ret = r.out;
	r.out = (struct tensor){ 0 };
	rig_done(&r);
	tensors_free(&in);
}

/* What the next start finds: as it was written, or each line with another choice in it. */
static struct choices *next_start(struct choices *c, struct arena *arena, const char *instead)
{
	struct choices *next = choices_new();
	struct buf b = buf_of(arena, 0);
	struct slice text;
	choices_write(c, "gpu", &b);
	ck_assert_int_eq(buf_finish(&b, &text, NULL), ERR_OK);
	if (!instead) {
		ck_assert(choices_read(next, "gpu", text));
		return next;
	}
	char *copy = arena_strndup(arena, text.ptr, text.len), *rest;
	for (char *line = strtok_r(copy, "\n", &rest);
		(line = strtok_r(NULL, "\n", &rest)) != NULL;) {
		char *tab = strchr(line, '\t');
		*tab = '\0';
		choices_put(next, line, instead);
	}
	return next;
}

START_TEST(the_next_start_asks_no_library)
{
	struct graph *g = given_halves(ACT_NONE);
	struct choices *first = choices_new();
	struct arena *arena = arena_new(1 << 16, 0);
	struct tensor want, got;
	long before = questions();
	answer(g, first, &want);
	ck_assert(gpu_driver() || questions() > before);
	struct choices *second = next_start(first, arena, NULL);
	before = questions();
	answer(g, second, &got);
	ck_assert_int_eq(questions(), before);
	ck_assert_uint_eq(choices_count(second), choices_count(first));
	ck_assert_mem_eq(got.data, want.data, tensor_bytes(&want));
	tensors_free(&got);
	tensors_free(&want);
	choices_free(second);
	choices_free(first);
	arena_free(arena);
	model_free(g);
}
END_TEST

START_TEST(few_engines_are_compiled_to_be_timed)
{
	static const char *const counter[] = { "libcudnn_graph.so.9", "stand_in_dnn_compiled" };
	struct graph *g = given_halves(ACT_GELU);
	struct choices *c = choices_new();
	struct tensor got;
	long before = counted(counter[0], counter[1]);
	answer(g, c, &got);
	long compiled = counted(counter[0], counter[1]) - before;
	ck_assert(gpu_driver() || (compiled > 0 && compiled <= 2));
	tensors_free(&got);
	choices_free(c);
	model_free(g);
}
END_TEST

/* Nothing, no choice of ours, an engine that there is not, of one a knob that there is not, an
   algorithm that is none. */
static const char *const damaged[] = { "", "x", "123456", "3 9=9",
	"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" };
#define N_DAMAGED (int)(sizeof(damaged) / sizeof(damaged[0]))

START_TEST(what_is_damaged_is_asked_anew)
{
	struct graph *g = given_halves(ACT_NONE);
	struct choices *first = choices_new();
	struct arena *arena = arena_new(1 << 16, 0);
	struct tensor want, got;
	char why[200];
	answer(g, first, &want);
	struct choices *second = next_start(first, arena, damaged[_i]);
	long before = questions();
	answer(g, second, &got);
	ck_assert(gpu_driver() || questions() > before);
	ck_assert_msg(tensors_close(&got, &want, 1e-3, 1e-3, why, sizeof(why)), "'%s': %s",
		damaged[_i], why);
	struct choices *third = next_start(second, arena, NULL);
	before = questions();
	tensors_free(&got);
	answer(g, third, &got);
	ck_assert_int_eq(questions(), before);
	tensors_free(&got);
	tensors_free(&want);
	choices_free(third);
	choices_free(second);
	choices_free(first);
	arena_free(arena);
	model_free(g);
}
END_TEST

/* -- rivals ------------------------------------------------------------------------------------ */

static struct graph *given_depthwise(void)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(1, 8, 6, 5));
	x = MODEL_NODE(g, OP_CONV, x, model_floats(g, shape_of(8, 1, 3, 3), NULL),
		model_floats(g, shape_of(8), NULL));
	model_attr_int(g, "group", 8);
	model_output(g, x);
	return g;
}

START_TEST(each_rival_is_right_and_what_was_chosen_is_taken)
{
	static const char *const name[] = { "own", "library" };
	struct graph *g = given_depthwise();
	struct choices *first = choices_new();
	struct arena *arena = arena_new(1 << 16, 0);
	struct tensor want, got;
	char why[200];
	answer(g, first, &want);
	ck_assert_uint_ge(choices_count(first), 1);
	struct choices *next = next_start(first, arena, name[_i]);
	long before = questions();
	answer(g, next, &got);
	ck_assert(gpu_driver() || (questions() > before) == _i); /* "own" spares asking */
	ck_assert_msg(
		tensors_close(&got, &want, 1e-5, 1e-5, why, sizeof(why)), "%s: %s", name[_i], why);
	tensors_free(&got);
	tensors_free(&want);
	choices_free(next);
	choices_free(first);
	arena_free(arena);
	model_free(g);
}
END_TEST

/* A product with Gelu behind it, whole multiples of what cuDNN reads at a time. */
static struct graph *given_gelu(void)
{
	struct graph *g = model_new();
	int32_t x = MODEL_NODE(g, OP_RESHAPE, model_input(g, "x", DTYPE_F32, shape_of(1, 8, 6, 5)),
		MODEL_INTS(g, 15, 16));
	int32_t in[3] = { x, model_floats(g, shape_of(16, 24), NULL),
		model_floats(g, shape_of(24), NULL) };
	struct passes_opts lower = { .backend = gpu_device(), .compiled = true,
		.lower_to = DTYPE_F16 };
	struct err err = { 0 };
	x = MODEL_NODE(g, OP_FUSED_MATMUL, in[0], in[1], in[2]);
	model_attr_int(g, "activation", ACT_GELU);
	model_output(g, x);
	ck_assert_msg(infer_graph(g, &err) == ERR_OK && passes_run(g, &lower, &err) == ERR_OK, "%s",
		err.msg);
	return g;
}

/* Does a choice of this name stand in the text that is written? */
static bool was_chosen(struct choices *c, struct arena *arena, const char *name)
{
	struct buf b = buf_of(arena, 0);
	struct slice text;
	char line[32];
	choices_write(c, "gpu", &b);
	ck_assert_int_eq(buf_finish(&b, &text, NULL), ERR_OK);
	snprintf(line, sizeof(line), "\t%s\n", name);
	return memmem(text.ptr, text.len, line, strlen(line)) != NULL;
}

START_TEST(gelu_in_the_products_kernel_or_behind_it_is_right)
{
	static const char *const name[] = { "two", "fused" };
	struct graph *g = given_gelu();
	struct choices *first = choices_new();
	struct arena *arena = arena_new(1 << 16, 0);
	struct tensor want, got;
	char why[200];
	struct rig host;
	struct tensor in = numbers(DTYPE_F32, shape_of(1, 8, 6, 5), 1);
	rig_init(&host, g, &cpu_backend, NULL, NULL);
	run(&host, &in);
	answer(g, first, &want);
	ck_assert_msg(tensors_close(&want, &host.out, 1e-2, 1e-2, why, sizeof(why)),
		"the first: %s", why);
	ck_assert(was_chosen(first, arena, "two") || was_chosen(first, arena, "fused"));
	struct choices *next = next_start(first, arena, name[_i]);
	answer(g, next, &got);
	ck_assert(was_chosen(next, arena, name[_i]));
	ck_assert_msg(tensors_close(&got, &host.out, 1e-2, 1e-2, why, sizeof(why)), "%s: %s",
		name[_i], why);
	tensors_free(&got);
	tensors_free(&want);
	tensors_free(&in);
	rig_done(&host);
	choices_free(next);
	choices_free(first);
	arena_free(arena);
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
	tcase_add_test(t, layers_of_products_are_the_hosts);
	tcase_add_test(t, a_block_with_a_shortcut_is_the_hosts);
	tcase_add_test(t, algorithms_are_timed_once_and_remembered);
	tcase_add_loop_test(t, columns_of_one_product_are_the_hosts, 0, 2);
	tcase_add_loop_test(t, attention_reads_columns_where_they_lie, 0, 2);
	tcase_add_test(t, the_next_start_asks_no_library);
	tcase_add_test(t, few_engines_are_compiled_to_be_timed);
	tcase_add_loop_test(t, what_is_damaged_is_asked_anew, 0, N_DAMAGED);
	tcase_add_loop_test(t, each_rival_is_right_and_what_was_chosen_is_taken, 0, 2);
	tcase_add_loop_test(t, gelu_in_the_products_kernel_or_behind_it_is_right, 0, 2);
	tcase_add_test(t, nothing_is_timed_while_requests_wait);
	suite_add_tcase(s, t);
	return s;
}
