/* SPDX-License-Identifier: Apache-2.0 */
#include "support/runner.h"

#include <check.h>
#include "exec/infer/infer.h"
#include "exec/packs.h"
#include "support/models.h"

static struct runner given(struct graph *g, struct program_conf conf)
{
	struct runner r = { .g = g, .packs = packs_new(), .arena = arena_new(1 << 16, 0) };
	conf.packs = r.packs;
	conf.threads = 1;
	ck_assert_int_eq(graph_compact(g, &r.err), ERR_OK);
	ck_assert_msg(graph_check(g, &r.err) == ERR_OK, "%s", r.err.msg);
	ck_assert_msg(infer_graph(g, &r.err) == ERR_OK, "%s", r.err.msg);
	ck_assert_msg(program_new(g, &conf, &r.p, &r.err) == ERR_OK, "%s", r.err.msg);
	return r;
}

struct runner given_program(struct graph *g, int plans_max)
{
	return given_program_on(&cpu_backend, g, plans_max);
}

struct runner given_program_on(const struct backend *backend, struct graph *g, int plans_max)
{
	return given(g, (struct program_conf){ .backend = backend, .plans_max = plans_max });
}

struct runner given_forgetful_program(struct graph *g)
{
	return given(g, (struct program_conf){ .backend = &cpu_backend, .forget = true });
}

void done(struct runner *r)
{
	program_free(r->p);
	packs_free(r->packs);
	arena_free(r->arena);
	model_free(r->g);
}

static void *keep_output(void *ctx, int i, const struct tensor *t)
{
	struct runner *r = ctx;
	ck_assert_int_lt(i, RUNNER_OUTPUTS_MAX);
	r->out[i] = *t;
	if (t->dtype != DTYPE_TENSOR && !tensor_is_absent(t))
		r->out[i].data = arena_alloc_aligned(r->arena, tensor_bytes(t) + 1, 64);
	return r->out[i].data;
}

enum err_code run(struct runner *r, const struct tensor *in)
{
	struct run_opts opts = { .arena = r->arena, .output = keep_output, .output_ctx = r };
	return program_run(r->p, in, &opts, &r->err);
}

void run_ok(struct runner *r, const struct tensor *in)
{
	ck_assert_msg(run(r, in) == ERR_OK, "%s", r->err.msg);
}

struct tensor floats(float *v, struct shape s)
{
	return (struct tensor){ .data = v, .dtype = DTYPE_F32, .shape = s };
}

struct tensor sequence(struct tensor *item, int64_t n)
{
	return (struct tensor){ .data = item, .dtype = DTYPE_TENSOR, .shape = shape_of(n) };
}

void expect(const struct tensor *t, struct shape s, const float *v)
{
	ck_assert_msg(shape_equal(&t->shape, &s), "shape is %s", SHAPE_TEXT(&t->shape));
	for (int64_t i = 0; i < shape_count(&s); i++)
		ck_assert_msg(tensor_float(t, i) == (double)v[i], "element %d is %g, expected %g",
			(int)i, tensor_float(t, i), (double)v[i]);
}
