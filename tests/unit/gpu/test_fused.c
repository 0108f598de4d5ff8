/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elementwise operators as one generated kernel: the same numbers as from their own kernels, and
 * how often something is compiled.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "exec/fused.h"
#include "exec/infer/infer.h"
#include "exec/module.h"
#include "exec/pass/passes.h"
#include "support/gpu_device.h"
#include "support/models.h"
#include "support/runner.h"
#include "support/tempdir.h"
#include "support/tensors.h"

/* The graph with nothing done to it but fusing, on the device. */
static struct runner given_fused(struct graph *g)
{
	struct passes_opts opts = { .backend = gpu_device(), .compiled = true };
	struct err err;
	ck_assert_msg(infer_graph(g, &err) == ERR_OK && passes_run(g, &opts, &err) == ERR_OK, "%s",
		err.msg);
	return given_program_on(gpu_device(), g, 0);
}

/* What only rounding tells apart: a GPU joins products and sums within a static kernel. */
static double rounding(void)
{
	return gpu_driver() ? 1e-6 : 0;
}

static void expect_same(const struct runner *got, const struct runner *want, int n_out, int seed)
{
	char why[200];
	for (int i = 0; i < n_out; i++)
		ck_assert_msg(tensors_close(&got->out[i], &want->out[i], rounding(), rounding(),
				      why, sizeof(why)),
			"graph %d, output %d: %s", seed, i, why);
}

/* -- random graphs ------------------------------------------------------------------------------
 */

#define STEPS 24
#define INPUTS 6

/* Values of a graph by what they are. */
struct pool {
	struct graph *g;
	uint32_t state;
	enum dtype real, whole;
	int32_t reals[STEPS + INPUTS], wholes[STEPS + INPUTS], bools[STEPS + INPUTS];
	int n_real, n_whole, n_bool;
};

static uint32_t draw(struct pool *p, uint32_t n)
{
	p->state = p->state * 1664525 + 1013904223;
	return (p->state >> 8) % n;
}

static int32_t real(struct pool *p)
{
	return p->reals[draw(p, (uint32_t)p->n_real)];
}
static int32_t whole(struct pool *p)
{
	return p->wholes[draw(p, (uint32_t)p->n_whole)];
}
static int32_t yes(struct pool *p)
{
	return p->bools[draw(p, (uint32_t)p->n_bool)];
}
/* One of the result's shape, so that all values have it; mostly the last one, for long rows. */
static int32_t full(struct pool *p)
{
	return p->reals[draw(p, 4) ? p->n_real - 1 : 3 + (int)draw(p, (uint32_t)p->n_real - 3)];
}

static int32_t cast(struct pool *p, int32_t v, enum dtype to)
{
	v = MODEL_NODE(p->g, OP_CAST, v);
	model_attr_int(p->g, "to", to);
	return v;
}

static void step(struct pool *p)
{
	static const enum op_id unary[] = { OP_ABS, OP_NEG, OP_SIGN, OP_RELU, OP_SIGMOID, OP_TANH,
		OP_EXP, OP_ERF, OP_GELU, OP_SQRT, OP_FLOOR, OP_ROUND, OP_SOFTPLUS, OP_HARD_SWISH,
		OP_SELU, OP_LEAKY_RELU };
	static const enum op_id two[] = {
		OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MAX, OP_MIN, OP_POW, OP_PRELU };
	static const enum op_id of_ints[] = {
		OP_ADD, OP_SUB, OP_MUL, OP_MAX, OP_MIN, OP_BITWISE_AND, OP_BITWISE_XOR };
	static const enum op_id compare[] = { OP_EQUAL, OP_GREATER, OP_LESS_OR_EQUAL };
	static const enum op_id logic[] = { OP_AND, OP_OR, OP_XOR };
	struct graph *g = p->g;
	switch (draw(p, 11)) {
	case 0:
	case 1:
		p->reals[p->n_real++] = MODEL_NODE(g, unary[draw(p, 16)], full(p));
		break;
	case 2:
	case 3:
	case 4:
		p->reals[p->n_real++] = MODEL_NODE(g, two[draw(p, 8)], full(p), real(p));
		break;
	case 5:
		p->wholes[p->n_whole++] = MODEL_NODE(g, of_ints[draw(p, 7)], whole(p), whole(p));
		break;
	case 6:
		p->bools[p->n_bool++] = MODEL_NODE(g, compare[draw(p, 3)], full(p), real(p));
		break;
	case 7:
		p->bools[p->n_bool++] =
			MODEL_NODE(g, logic[draw(p, 3)], yes(p), MODEL_NODE(g, OP_NOT, yes(p)));
		break;
	case 8:
		p->reals[p->n_real++] = MODEL_NODE(g, OP_WHERE, yes(p), full(p), real(p));
		break;
	case 9: {
		int32_t scale = cast(p, model_scalar(g, 0.125f), p->real);
		int32_t q = MODEL_NODE(g, OP_QUANTIZE, full(p), scale);
		p->reals[p->n_real++] = MODEL_NODE(g, OP_DEQUANTIZE, q, scale);
		break;
	}
	case 10:
		p->wholes[p->n_whole++] = cast(p, full(p), p->whole);
		p->reals[p->n_real++] = cast(p, whole(p), p->real);
		break;
	}
}

/* Inputs are the same in number and kind for all seeds. */
static struct graph *random_graph(uint32_t seed, int64_t last)
{
	static const enum dtype types[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16 };
	struct pool p = { .g = model_new(),
		.state = seed * 7919 + 1,
		.real = types[seed % 3],
		.whole = seed % 2 ? DTYPE_I32 : DTYPE_I64 };
	p.reals[p.n_real++] = model_input(p.g, "s", p.real, SHAPE_SCALAR);
	p.reals[p.n_real++] = model_input(p.g, "b", p.real, shape_of(last));
	p.reals[p.n_real++] = model_input(p.g, "c", p.real, shape_of(3, 1));
	p.reals[p.n_real++] = model_input(p.g, "x", p.real, shape_of(2, 3, last));
	p.wholes[p.n_whole++] = model_input(p.g, "i", p.whole, shape_of(2, 3, last));
	p.bools[p.n_bool++] = model_input(p.g, "m", DTYPE_BOOL, shape_of(2, 3, last));
	for (int i = 0; i < STEPS; i++)
		step(&p);
	model_output(p.g, p.reals[p.n_real - 1]);
	model_output(p.g, p.wholes[p.n_whole - 1]);
	model_output(p.g, p.bools[p.n_bool - 1]);
	return p.g;
}

START_TEST(fused_operators_give_the_numbers_of_their_own_kernels)
{
	int64_t last = _i % 4 == 3 ? 5 : 8;
	struct runner apart = given_program_on(gpu_device(), random_graph((uint32_t)_i, last), 0);
	struct runner fused = given_fused(random_graph((uint32_t)_i, last));
	struct tensor in[INPUTS];
	ck_assert_int_ge(model_count(fused.g, OP_FUSED_ELEMENTWISE), 1);
	ck_assert_int_lt(fused.g->n_node, apart.g->n_node);
	for (int i = 0; i < INPUTS; i++) {
		const struct gvalue *v = &apart.g->value[apart.g->input[i]];
		in[i] = tensors_new(v->type.dtype, v->shape);
		tensors_fill(&in[i], TENSORS_SPECIAL, (uint32_t)(_i * INPUTS + i));
	}
	for (int i = 0; i < 4; i++) {
		run_ok(&apart, in);
		run_ok(&fused, in);
		expect_same(&fused, &apart, 3, _i);
	}
	for (int i = 0; i < INPUTS; i++)
		tensors_free(&in[i]);
	done(&fused);
	done(&apart);
}
END_TEST

/* -- how often something is compiled ------------------------------------------------------------
 */

static char log_path[96];

/* false: a GPU's own compiler writes no log. */
static bool given_log(const struct tempdir *d)
{
	snprintf(log_path, sizeof(log_path), "%s/log", d->path);
	setenv("STAND_IN_NVRTC_LOG", log_path, 1);
	return !gpu_driver();
}

/* Since the last time. */
static int compilations(void)
{
	int n = 0;
	FILE *f = fopen(log_path, "r");
	for (int c = f ? getc(f) : EOF; c != EOF; c = getc(f))
		n += c == '\n';
	if (f)
		fclose(f);
	unlink(log_path);
	return n;
}

static struct graph *gated(void)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(graph_symbol(g, SLICE_LIT("n")), 8));
	for (int i = 0; i < 3; i++) {
		x = MODEL_NODE(g, OP_MUL, x,
			MODEL_NODE(g, OP_SIGMOID,
				MODEL_NODE(g, OP_ADD, x, model_scalar(g, (float)i))));
		x = MODEL_NODE(g, OP_SOFTMAX, x);
	}
	model_output(g, x);
	return g;
}

static void run_gated(int64_t rows)
{
	static float numbers[64] = { 1, -2, 3 };
	struct tensor in = floats(numbers, shape_of(rows, 8));
	struct runner r = given_fused(gated());
	ck_assert_int_eq(model_count(r.g, OP_FUSED_ELEMENTWISE), 3);
	run_ok(&r, &in);
	if (rows > 1) {
		in.shape.dim[0] = rows - 1;
		run_ok(&r, &in);
	}
	done(&r);
}

START_TEST(equal_rows_and_other_batches_share_a_kernel)
{
	struct tempdir d = tempdir_new();
	if (given_log(&d)) {
		gpu_device();
		ck_assert_int_eq(compilations(), 1); /* the trial */
		run_gated(4);
		ck_assert_int_eq(compilations(), 1);
	}
	tempdir_free(&d);
}
END_TEST

/* The one file of the folder, opened; its name goes to ret if there is room. */
static int open_kept(const struct tempdir *d, int flags)
{
	int fd = -1, folder = openat(d->fd, "compiled", O_RDONLY | O_DIRECTORY);
	DIR *dir = fdopendir(folder);
	ck_assert_ptr_nonnull(dir);
	for (struct dirent *e = readdir(dir); e && fd < 0; e = readdir(dir))
		if (*e->d_name != '.')
			fd = openat(folder, e->d_name, flags);
	ck_assert_int_ge(fd, 0);
	closedir(dir);
	return fd;
}

START_TEST(the_next_start_compiles_nothing)
{
	struct tempdir d = tempdir_new();
	if (given_log(&d)) {
		gpu_device();
		backend_keep_in(d.fd);
		run_gated(4);
		(void)compilations();
		run_gated(4);
		ck_assert_int_eq(compilations(), 0);
	}
	backend_keep_in(-1);
	tempdir_free(&d);
}
END_TEST

START_TEST(what_was_kept_and_is_damaged_is_compiled_again)
{
	struct tempdir d = tempdir_new();
	if (given_log(&d)) {
		gpu_device();
		backend_keep_in(d.fd);
		run_gated(4);
		(void)compilations();
		int fd = open_kept(&d, O_RDWR);
		if (_i == 0)
			ck_assert_int_eq(pwrite(fd, "?", 1, 100), 1);
		else
			ck_assert_int_eq(ftruncate(fd, 1000), 0);
		close(fd);
		run_gated(4);
		ck_assert_int_eq(compilations(), 1);
		run_gated(4);
		ck_assert_int_eq(compilations(), 0);
	}
	backend_keep_in(-1);
	tempdir_free(&d);
}
END_TEST

START_TEST(a_compiler_that_does_not_work_is_said_and_done_without)
{
	setenv("STAND_IN_NVRTC", "broken", 1);
	if (gpu_driver())
		return;
	struct passes_opts opts = { .backend = gpu_device(), .compiled = true };
	struct graph *g = gated();
	struct err err;
	ck_assert(!opts.backend->fuses);
	ck_assert_msg(strstr(opts.backend->without,
			      "run one by one: NVRTC: NVRTC_ERROR: the stand-in is broken"),
		"%s", opts.backend->without);
	ck_assert(infer_graph(g, &err) == ERR_OK && passes_run(g, &opts, &err) == ERR_OK);
	ck_assert_int_eq(model_count(g, OP_FUSED_ELEMENTWISE), 0);
	model_free(g);
}
END_TEST

/* -- what is shown ------------------------------------------------------------------------------
 */

static void note_step(void *ctx, const struct step_text *s)
{
	char *all = ctx;
	size_t n = strlen(all);
	snprintf(all + n, 400 - n, "%s %.6s (%s)\n", s->op, s->kernel, s->inner);
}

START_TEST(explain_names_the_kernel_and_its_operators)
{
	char text[400] = "";
	static float numbers[16];
	struct tensor in = floats(numbers, shape_of(2, 8));
	struct runner r = given_fused(gated());
	ck_assert(program_explain(r.p, &in, note_step, text, &r.err) == ERR_OK);
	ck_assert_msg(
		strstr(text, "FusedElementwise fused_ (Add,Sigmoid,Mul)\nSoftmax "), "%s", text);
	done(&r);
}
END_TEST

START_TEST(a_division_by_zero_is_the_nodes_fault)
{
	struct graph *g = model_new();
	int64_t a[] = { 1, 2, 3 }, b[] = { 1, 0, 3 };
	struct tensor in[2] = {{ .data = a, .dtype = DTYPE_I64, .shape = shape_of(3) },
		{ .data = b, .dtype = DTYPE_I64, .shape = shape_of(3) }};
	int32_t x = model_input(g, "x", DTYPE_I64, shape_of(3)),
		y = model_input(g, "y", DTYPE_I64, shape_of(3));
	int32_t z = MODEL_NODE(g, OP_NEG, MODEL_NODE(g, OP_DIV, x, y));
	g->node[g->value[z].producer].name = "neg";
	model_output(g, z);
	struct runner r = given_fused(g);
	ck_assert_int_eq(model_count(r.g, OP_FUSED_ELEMENTWISE), 1);
	ck_assert_int_eq(run(&r, in), ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(r.err.msg, "node 'neg' (FusedElementwise): integer division by zero");
	b[1] = 2;
	run_ok(&r, in);
	ck_assert_int_eq(tensor_int(&r.out[0], 1), -1);
	done(&r);
}
END_TEST

Suite *suite_gpu_fused(void);
Suite *suite_gpu_fused(void)
{
	Suite *s = suite_create("gpu_fused");
	TCase *t = tcase_create("fused");
	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, fused_operators_give_the_numbers_of_their_own_kernels, 0, 12);
	tcase_add_test(t, equal_rows_and_other_batches_share_a_kernel);
	tcase_add_test(t, the_next_start_compiles_nothing);
	tcase_add_loop_test(t, what_was_kept_and_is_damaged_is_compiled_again, 0, 2);
	tcase_add_test(t, a_compiler_that_does_not_work_is_said_and_done_without);
	tcase_add_test(t, explain_names_the_kernel_and_its_operators);
	tcase_add_test(t, a_division_by_zero_is_the_nodes_fault);
	suite_add_tcase(s, t);
	return s;
}
