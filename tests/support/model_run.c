/* SPDX-License-Identifier: Apache-2.0 */
#include "support/model_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "exec/packs.h"
#include "exec/run/program.h"

#define INPUTS_MAX 16

static void fail(const char *what, const char *msg)
{
	fprintf(stderr, "model_run: %s: %s\n", what, msg);
	abort();
}

static void *take(struct arena *arena, const struct tensor *t)
{
	void *p = arena_alloc_aligned(arena, tensor_bytes(t) + 1, ARENA_ALIGN_TENSOR);
	if (!p)
		fail("memory", "none left");
	return p;
}

struct sink {
	struct model_results *r;
	struct arena *arena;
};

static void *on_output(void *ctx, int i, const struct tensor *t)
{
	struct sink *s = ctx;
	if (i >= MODEL_RUN_OUTPUTS_MAX)
		fail("outputs", "too many");
	s->r->t[i] = *t;
	if (t->dtype != DTYPE_TENSOR && !tensor_is_absent(t))
		s->r->t[i].data = take(s->arena, t);
	if (i >= s->r->n)
		s->r->n = i + 1;
	return s->r->t[i].data;
}

static struct tensor make_input(const struct gvalue *v, uint32_t seed, struct arena *arena)
{
	struct tensor t = { .dtype = v->type.dtype, .shape = v->shape };
	for (int i = 0; i < t.shape.rank; i++)
		if (t.shape.dim[i] < 0)
			t.shape.dim[i] = 2;
	t.data = take(arena, &t);
	for (int64_t i = 0; i < tensor_count(&t); i++) {
		seed = seed * 1664525u + 1013904223u;
		if (t.dtype == DTYPE_F32)
			((float *)t.data)[i] = (float)(seed >> 8) / (float)(1 << 22) - 2.0f;
		else if (t.dtype == DTYPE_I64)
			((int64_t *)t.data)[i] = (int64_t)(seed >> 28);
		else if (t.dtype == DTYPE_BOOL)
			((uint8_t *)t.data)[i] = seed >> 31;
		else
			fail("input", "of a type that is not made up");
	}
	return t;
}

static void run_once(
	struct program *p, uint32_t seed, struct arena *arena, struct model_results *ret)
{
	struct err err;
	struct sink sink = { ret, arena };
	struct tensor in[INPUTS_MAX];
	const struct graph *g = program_graph(p);
	struct run_opts opts = { .arena = arena, .output = on_output, .output_ctx = &sink };
	*ret = (struct model_results){ 0 };
	if (g->n_input > INPUTS_MAX)
		fail("inputs", "too many");
	for (int i = 0; i < g->n_input; i++)
		in[i] = make_input(&g->value[g->input[i]], seed + 7919u * (uint32_t)i, arena);
	if (program_run(p, in, &opts, &err) != ERR_OK)
		fail("run", err.msg);
}

static struct model_results run_after(int others, const struct backend *backend,
	const struct graph *g, uint32_t seed, struct arena *arena)
{
	struct err err;
	struct model_results r;
	struct program *p = NULL;
	struct packs *packs = packs_new();
	struct program_conf conf = { .backend = backend, .packs = packs, .threads = 1 };
	if (program_new(g, &conf, &p, &err) != ERR_OK)
		fail("program", err.msg);
	for (int i = others; i >= 0; i--)
		run_once(p, seed + (uint32_t)i, arena, &r);
	program_free(p);
	packs_free(packs);
	return r;
}

struct model_results model_run(const struct graph *g, uint32_t seed, struct arena *arena)
{
	return run_after(0, &cpu_backend, g, seed, arena);
}

struct model_results model_run_on(
	const struct backend *backend, const struct graph *g, uint32_t seed, struct arena *arena)
{
	return run_after(4, backend, g, seed, arena);
}

int64_t model_first_difference(
	const struct tensor *a, const struct tensor *b, double rtol, double atol)
{
	double largest = 0;
	if (a->dtype != b->dtype || !shape_equal(&a->shape, &b->shape))
		return 0;
	for (int64_t i = 0; i < tensor_count(b); i++) {
		double size = fabs(tensor_float(b, i));
		if (isfinite(size) && size > largest)
			largest = size;
	}
	for (int64_t i = 0; i < tensor_count(a); i++) {
		double x = tensor_float(a, i), y = tensor_float(b, i);
		bool same = x == y || (isnan(x) && isnan(y));
		if (!same && !(fabs(x - y) <= atol + rtol * largest))
			return i;
	}
	return -1;
}
