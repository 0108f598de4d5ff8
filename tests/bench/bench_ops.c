/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_ops -- the kernels of kernels.def on the shapes of real networks, one thread
 *
 * usage: bench_ops [--seconds S] [--row NAME] [--bf16] [WORD]...
 *
 * Only the cases whose names contain a WORD, and the rows whose names contain NAME. --bf16: with
 * the rows for that precision, the peak still that of floats.
 *
 * Prints time, GFLOP/s and the share of what the processor can do at most, measured first
 * by a loop of multiply-adds on registers, for each kernel that a plan would choose from. Times
 * are the smallest of several rounds, with all that is read in the caches.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/parse.h"
#include "exec/attrs.h"
#include "exec/cpu/cpu.h"
#include "exec/infer/infer.h"
#include "exec/packs.h"
#include "support/models.h"

#define ROUNDS 5

enum bench_kind { BENCH_CONV, BENCH_MATMUL };

struct bench_case {
	const char *name;
	enum bench_kind kind;
	int64_t ic, hw, oc, kernel, stride, group; /* BENCH_CONV */
	bool sum;
	int64_t batch, m, k, n; /* BENCH_MATMUL; batch 0: b is constant */
};

#define CONV(name, ...) { name, BENCH_CONV, __VA_ARGS__, 0, 0, 0, 0 }
#define MATMUL(name, ...) { name, BENCH_MATMUL, 0, 0, 0, 0, 0, 0, 0, __VA_ARGS__ }

static const struct bench_case cases[] = {
	/*                           ic    hw  oc    k  s  group sum */
	CONV("resnet50 stem",        3,    224, 64,  7, 2, 1, false),
	CONV("resnet50 1x1 64-64",   64,   56, 64,   1, 1, 1, false),
	CONV("resnet50 3x3 64",      64,   56, 64,   3, 1, 1, false),
	CONV("resnet50 1x1 64-256",  64,   56, 256,  1, 1, 1, true),
	CONV("resnet50 1x1 256-64",  256,  56, 64,   1, 1, 1, false),
	CONV("resnet50 3x3 128 s2",  128,  56, 128,  3, 2, 1, false),
	CONV("resnet50 1x1 256-512 s2", 256, 56, 512, 1, 2, 1, false),
	CONV("resnet50 3x3 128",     128,  28, 128,  3, 1, 1, false),
	CONV("resnet50 1x1 128-512", 128,  28, 512,  1, 1, 1, true),
	CONV("resnet50 1x1 512-128", 512,  28, 128,  1, 1, 1, false),
	CONV("resnet50 3x3 256",     256,  14, 256,  3, 1, 1, false),
	CONV("resnet50 1x1 256-1024", 256, 14, 1024, 1, 1, 1, true),
	CONV("resnet50 1x1 1024-256", 1024, 14, 256, 1, 1, 1, false),
	CONV("resnet50 3x3 512",     512,  7,  512,  3, 1, 1, false),
	CONV("resnet50 1x1 512-2048", 512, 7,  2048, 1, 1, 1, true),
	CONV("resnet50 1x1 2048-512", 2048, 7, 512,  1, 1, 1, false),
	CONV("mobilenet dw 32",      32,   112, 32,  3, 1, 32, false),
	CONV("mobilenet dw 96 s2",   96,   112, 96,  3, 2, 96, false),
	CONV("mobilenet dw 144",     144,  56, 144,  3, 1, 144, false),
	CONV("mobilenet dw 576",     576,  14, 576,  3, 1, 576, false),
	CONV("mobilenet 1x1 32-16",  32,   112, 16,  1, 1, 1, false),
	CONV("mobilenet 1x1 16-96",  16,   112, 96,  1, 1, 1, false),
	CONV("mobilenet 1x1 96-24",  96,   56, 24,   1, 1, 1, false),
	CONV("mobilenet 1x1 24-144", 24,   56, 144,  1, 1, 1, false),
	CONV("mobilenet 1x1 320-1280", 320, 7, 1280, 1, 1, 1, false),
	/*                           batch m    k     n */
	MATMUL("mlp 1x64x256",       0,    1,   64,   256),
	MATMUL("mlp 1x256x256",      0,    1,   256,  256),
	MATMUL("mlp 1x256x10",       0,    1,   256,  10),
	MATMUL("mlp 8x256x256",      0,    8,   256,  256),
	MATMUL("mlp 32x256x256",     0,    32,  256,  256),
	MATMUL("resnet50 fc",        0,    1,   2048, 1000),
	MATMUL("bert qkv",           0,    128, 768,  768),
	MATMUL("bert ffn up",        0,    128, 768,  3072),
	MATMUL("bert ffn down",      0,    128, 3072, 768),
	MATMUL("encoder qkv",        0,    128, 384,  384),
	MATMUL("encoder ffn down",   0,    128, 1536, 384),
	MATMUL("bert scores",        12,   128, 64,   128),
	MATMUL("bert context",       12,   128, 128,  64),
	MATMUL("square 1024",        0,    1024, 1024, 1024),
};

/* -- what the processor can do ----------------------------------------------------------------- */

#define PEAK_STEPS 100000

/* Ten independent sums hide the latency of a multiply-add on two ports. */
#define EACH_SUM(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)
#define SUM_START(i) s##i = x * (float)i,
#define SUM_STEP(i) s##i = s##i * x + x;
#define SUM_KEEP(i) __asm__ volatile("" : "+v"(s##i));
#define PEAK(isa, target_, width) \
	typedef float vec_##isa __attribute__((vector_size(width))); \
	__attribute__((target(target_), noinline)) static double flops_##isa(void) \
	{ \
		vec_##isa x = { 0 }; \
		x += 0.5f; \
		vec_##isa EACH_SUM(SUM_START) end = x; \
		for (int k = 0; k < PEAK_STEPS; k++) { \
			EACH_SUM(SUM_STEP) \
			EACH_SUM(SUM_KEEP) \
		} \
		return 2.0 * 10 * PEAK_STEPS * (width) / sizeof(float) + 0 * (double)end[0]; \
	}
#ifdef __x86_64__
PEAK(avx512, "avx512f", 64)
PEAK(avx2, "avx2,fma", 32)
#endif

static double measure_peak(void)
{
	double best = 0;
	for (int i = 0; i < 50; i++) {
		int64_t began = clock_now_ns();
		double flops = 0;
#ifdef __x86_64__
		if (cpu_features() & CPU_AVX512)
			flops = flops_avx512();
		else if (cpu_features() & CPU_AVX2)
			flops = flops_avx2();
#endif
		double rate = flops / (double)(clock_now_ns() - began + 1);
		best = rate > best ? rate : best;
	}
	return best;
}

/* -- one case ---------------------------------------------------------------------------------- */

static void die(const struct bench_case *c, const struct err *err)
{
	fprintf(stderr, "%s: %s\n", c->name, err->msg);
	exit(EXIT_FAILURE);
}

static struct graph *conv_graph(const struct bench_case *c)
{
	struct graph *g = model_new();
	int64_t pad = c->kernel / 2, out = (c->hw + 2 * pad - c->kernel) / c->stride + 1;
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(1, c->ic, c->hw, c->hw));
	int32_t w = model_floats(g, shape_of(c->oc, c->ic / c->group, c->kernel, c->kernel), NULL);
	int32_t b = model_floats(g, shape_of(c->oc), NULL);
	int32_t z =
		c->sum ? model_input(g, "z", DTYPE_F32, shape_of(1, c->oc, out, out)) : VALUE_NONE;
	model_output(g, MODEL_NODE(g, OP_FUSED_CONV, x, w, b, z));
	MODEL_ATTR_INTS(g, "pads", pad, pad, pad, pad);
	MODEL_ATTR_INTS(g, "strides", c->stride, c->stride);
	model_attr_int(g, "group", c->group);
	model_attr_int(g, "activation", ACT_RELU);
	return g;
}

static struct graph *matmul_graph(const struct bench_case *c)
{
	struct graph *g = model_new();
	int32_t in[3];
	if (c->batch) {
		in[0] = model_input(g, "a", DTYPE_F32, shape_of(c->batch, c->m, c->k));
		in[1] = model_input(g, "b", DTYPE_F32, shape_of(c->batch, c->k, c->n));
		model_output(g, model_node(g, OP_MATMUL, 1, 2, in));
		return g;
	}
	in[0] = model_input(g, "a", DTYPE_F32, shape_of(c->m, c->k));
	in[1] = model_floats(g, shape_of(c->k, c->n), NULL);
	in[2] = model_floats(g, shape_of(c->n), NULL);
	model_output(g, model_node(g, OP_FUSED_MATMUL, 1, 3, in));
	model_attr_int(g, "activation", ACT_RELU);
	return g;
}

/* As the step before would have left it: blocked where the channels fill the blocks. */
static enum layout layout_of(const struct bench_case *c, const struct tensor *t)
{
	int64_t block = cpu_features() & CPU_AVX512 ? 16 : 8;
	if (c->kind != BENCH_CONV || t->shape.rank != 4 || t->data || t->shape.dim[1] % block)
		return LAYOUT_PLAIN;
	return block == 16 ? LAYOUT_NCHW16C : LAYOUT_NCHW8C;
}

static void *filled(struct arena *a, const struct tensor *t)
{
	float *v = arena_alloc_aligned(a, tensor_bytes(t), ARENA_ALIGN_TENSOR);
	for (int64_t i = 0; v && i < tensor_count(t); i++)
		v[i] = (float)(i % 13) / 13 - 0.5f;
	return v;
}

static double flops_of(const struct bench_case *c, const struct tensor *out)
{
	if (c->kind == BENCH_CONV)
		return 2.0 *
		       (double)(tensor_count(out) * (c->ic / c->group) * c->kernel * c->kernel);
	return 2.0 * (double)(tensor_count(out) * c->k);
}

static int64_t time_once(const struct kernel *k, const struct kernel_args *a, int64_t times)
{
	int64_t began = clock_now_ns();
	for (int64_t i = 0; i < times; i++)
		k->run(a, 0, k->units);
	return (clock_now_ns() - began) / times;
}

/* A step with its operands, as the planner would hand it to the rows. */
struct bench_step {
	struct graph *g;
	struct tensor t[8]; /* inputs, then the output */
	int n_in;
};

static void make_step(const struct bench_case *c, struct bench_step *s)
{
	struct err err;
	*s = (struct bench_step){ .g = c->kind == BENCH_CONV ? conv_graph(c) : matmul_graph(c) };
	const struct graph *g = s->g;
	const struct node *n = &g->node[0];
	if (infer_graph(s->g, &err) != ERR_OK)
		die(c, &err);
	s->n_in = n->n_in;
	for (int i = 0; i < n->n_in + n->n_out; i++) {
		int32_t v = i < n->n_in ? n->in[i] : n->out[i - n->n_in];
		s->t[i].shape = SHAPE_UNKNOWN;
		if (v == VALUE_NONE)
			continue;
		if (g->value[v].constant)
			s->t[i] = *g->value[v].constant;
		else
			s->t[i] = (struct tensor){ .dtype = g->value[v].type.dtype,
				.shape = g->value[v].shape };
		s->t[i].layout = i < n->n_in ? layout_of(c, &s->t[i]) : LAYOUT_PLAIN;
	}
}

static void time_kernel(const struct bench_case *c, const struct bench_step *s,
	const struct kernel *k, double seconds, double peak)
{
	struct arena *arena = s->g->arena;
	struct tensor t[8];
	memcpy(t, s->t, sizeof(t));
	for (int i = 0; i <= s->n_in; i++)
		if (!t[i].data && t[i].shape.rank >= 0)
			t[i].data = filled(arena, &t[i]);
	struct kernel_args a = { .in = t, .out = &t[s->n_in], .n_in = s->n_in, .n_out = 1,
		.state = k->state,
		.scratch = arena_alloc_aligned(arena, k->scratch_bytes + 1, ARENA_ALIGN_TENSOR),
		.fault = &(struct fault){ 0 } };

	int64_t once = time_once(k, &a, 3), best = INT64_MAX;
	int64_t times = (int64_t)(seconds * 1e9 / ROUNDS / (double)(once + 1)) + 1;
	for (int i = 0; i < ROUNDS; i++) {
		int64_t ns = time_once(k, &a, times);
		best = ns < best ? ns : best;
	}
	double rate = flops_of(c, a.out) / (double)(best + 1);
	printf("%-26s %10.1f us %8.1f GFLOP/s %5.1f%%  %s\n", c->name, (double)best / 1e3, rate,
		peak > 0 ? 100 * rate / peak : 0.0, k->name);
}

struct bench {
	double seconds, peak;
	const char *row; /* part of its name */
	enum precision precision;
};

/* All rows that would be timed against each other, the one to be trusted last. */
static void run_case(const struct bench_case *c, const struct bench *b)
{
	struct bench_step s;
	struct err err;
	enum err_code rc = ERR_UNIMPLEMENTED;
	make_step(c, &s);
	const struct node *n = &s.g->node[0];
	for (int i = 0; i < cpu_rows_count; i++) {
		const struct cpu_row *row = &cpu_rows[i];
		if (row->op != n->op || !dtype_in(DTYPE_F32, row->types) || !cpu_row_runs_here(row))
			continue;
		struct packs *packs = packs_new();
		struct prep p = { .graph = s.g, .node = n, .in = s.t, .out = &s.t[s.n_in],
			.n_in = s.n_in, .n_out = 1, .threads = 1, .arena = s.g->arena,
			.packs = packs, .tmp = s.g->arena, .precision = b->precision };
		struct kernel k = { .name = row->name, .units = 1 };
		rc = row->prepare(&p, &k, &err);
		if (rc == ERR_OK && strstr(row->name, b->row))
			time_kernel(c, &s, &k, b->seconds, b->peak);
		packs_free(packs);
		if (rc == ERR_OK && !(row->needs & CPU_TIMED))
			break;
	}
	if (rc != ERR_OK)
		die(c, &err);
	model_free(s.g);
}

static bool is_wanted(const char *name, int n, char **word)
{
	for (int i = 0; i < n; i++)
		if (strstr(name, word[i]))
			return true;
	return n == 0;
}

int main(int argc, char **argv)
{
	struct bench b = { .seconds = 0.2, .row = "", .precision = PRECISION_FAST };
	int at = 1;
	if (argc > at + 1 && strcmp(argv[at], "--seconds") == 0) {
		if (!parse_double(slice_of(argv[at + 1]), &b.seconds) || b.seconds <= 0) {
			fprintf(stderr, "--seconds %s: a number above 0 is needed\n", argv[at + 1]);
			return EXIT_FAILURE;
		}
		at += 2;
	}
	if (argc > at + 1 && strcmp(argv[at], "--row") == 0) {
		b.row = argv[at + 1];
		at += 2;
	}
	if (argc > at && strcmp(argv[at], "--bf16") == 0) {
		b.precision = PRECISION_BF16;
		at++;
	}
	b.peak = measure_peak();
	printf("%-26s %10s    %8.1f GFLOP/s\n", "peak", "", b.peak);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (is_wanted(cases[i].name, argc - at, argv + at))
			run_case(&cases[i], &b);
	return EXIT_SUCCESS;
}
