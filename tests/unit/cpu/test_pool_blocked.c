/* SPDX-License-Identifier: Apache-2.0 */
/* Pools of blocked images against the reference on plain ones. */
#include <check.h>
#include <math.h>
#include "exec/cpu/cpu.h"
#include "exec/cpu/ncopy.h"
#include "exec/infer/infer.h"
#include "support/models.h"

struct pool_case {
	enum op_id op;
	int64_t n, c, h, w, kernel, stride, dilation, pads[4];
	bool ceil_mode, count_pad;
};

#ifdef __x86_64__
static const struct pool_case cases[] = {
	{ OP_MAX_POOL, 1, 32, 9, 11, 3, 2, 1, .pads = { 1, 1, 1, 1 } },
	{ OP_MAX_POOL, 2, 16, 8, 8, 2, 2, 1, .pads = { 0 } },
	{ OP_MAX_POOL, 1, 16, 10, 7, 2, 1, 3, .pads = { 1, 0, 0, 1 } },
	{ OP_MAX_POOL, 1, 16, 7, 7, 3, 2, 1, .pads = { 0 }, .ceil_mode = true },
	{ OP_AVERAGE_POOL, 1, 48, 9, 9, 3, 2, 1, .pads = { 1, 1, 1, 1 } },
	{ OP_AVERAGE_POOL, 2, 16, 9, 6, 3, 1, 1, .pads = { 1, 0, 2, 1 }, .count_pad = true },
	{ OP_AVERAGE_POOL, 1, 16, 8, 8, 3, 2, 1, .pads = { 0 }, .ceil_mode = true,
		.count_pad = true },
	{ OP_GLOBAL_AVERAGE_POOL, 3, 64, 7, 7, 0, 0, 0, .pads = { 0 } },
	{ OP_GLOBAL_MAX_POOL, 1, 16, 5, 3, 0, 0, 0, .pads = { 0 } },
};
#define CASES ((int)(sizeof(cases) / sizeof(cases[0])))

static struct graph *given_graph(const struct pool_case *c)
{
	struct graph *g = model_new();
	int32_t x = model_floats(g, shape_of(c->n, c->c, c->h, c->w), NULL);
	model_output(g, MODEL_NODE(g, c->op, x));
	if (!c->kernel)
		return g;
	MODEL_ATTR_INTS(g, "kernel_shape", c->kernel, c->kernel);
	MODEL_ATTR_INTS(g, "strides", c->stride, c->stride);
	MODEL_ATTR_INTS(g, "dilations", c->dilation, c->dilation);
	model_attr_ints(g, "pads", 4, c->pads);
	model_attr_int(g, "ceil_mode", c->ceil_mode);
	if (c->op == OP_AVERAGE_POOL)
		model_attr_int(g, "count_include_pad", c->count_pad);
	return g;
}

static void run(struct graph *g, prepare_fn prepare, const struct tensor *in, struct tensor *out)
{
	struct err err;
	struct kernel k = { .units = 1 };
	struct prep p = { .graph = g, .node = g->n_node ? &g->node[0] : NULL, .in = in, .out = out,
		.n_in = 1, .n_out = 1, .threads = 2, .bf16_wanted = true, .arena = g->arena,
		.tmp = g->arena };
	ck_assert_msg(prepare(&p, &k, &err) == ERR_OK, "%s", err.msg);
	out->layout = k.out_layout;
	out->data = arena_alloc_aligned(g->arena, tensor_bytes(out), 64);
	struct kernel_args a = { .in = in, .out = out, .n_in = 1, .n_out = 1, .state = k.state,
		.scratch = arena_alloc_aligned(g->arena, k.scratch_bytes + 1, 64) };
	for (int64_t u = 0; u < k.units; u++)
		k.run(&a, u, u + 1);
}

static struct tensor copied(struct graph *g, const struct tensor *t, enum layout layout)
{
	struct tensor to = { .dtype = t->dtype, .shape = t->shape, .layout = layout };
	run(g, prepare_copy, t, &to);
	return to;
}

static void check_case(
	const struct pool_case *c, prepare_fn prepare, enum layout layout, bool with_nan)
{
	struct err err;
	struct graph *g = given_graph(c);
	ck_assert_msg(infer_graph(g, &err) == ERR_OK, "%s", err.msg);
	struct tensor in = *g->value[g->node[0].in[0]].constant;
	if (with_nan)
		((float *)in.data)[c->w + 2] = NAN;
	struct tensor want = { .dtype = DTYPE_F32, .shape = g->value[g->node[0].out[0]].shape },
		got = want;
	struct tensor blocked = copied(g, &in, layout), seen = copied(g, &blocked, LAYOUT_PLAIN);
	run(g, prepare_pool_ref, &seen, &want);
	run(g, prepare, &blocked, &got);
	struct tensor plain = copied(g, &got, LAYOUT_PLAIN);
	const float *x = plain.data, *y = want.data;
	for (int64_t i = 0; i < tensor_count(&want); i++)
		ck_assert_msg(fabsf(x[i] - y[i]) <= 1e-5f || (x[i] != x[i] && y[i] != y[i]),
			"case %d, element %d: %g, not %g", (int)(c - cases), (int)i, (double)x[i],
			(double)y[i]);
	model_free(g);
}

START_TEST(equals_the_reference)
{
	const struct pool_case *c = &cases[_i / 2];
	if (cpu_features() & CPU_AVX512) {
		check_case(c, prepare_pool_blocked_avx512, LAYOUT_NCHW16C, _i % 2);
		check_case(c, prepare_pool_blocked_avx512, LAYOUT_NCHW16C_BF16, _i % 2);
	}
	if (cpu_features() & CPU_AVX2)
		check_case(c, prepare_pool_blocked_avx2, LAYOUT_NCHW8C, _i % 2);
}
END_TEST
#endif

Suite *suite_pool_blocked(void);
Suite *suite_pool_blocked(void)
{
	Suite *s = suite_create("pool_blocked");
	TCase *t = tcase_create("pool_blocked");
#ifdef __x86_64__
	tcase_add_loop_test(t, equals_the_reference, 0, 2 * CASES);
#endif
	suite_add_tcase(s, t);
	return s;
}
