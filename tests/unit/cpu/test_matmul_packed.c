/* SPDX-License-Identifier: Apache-2.0 */
/* The packed product against the reference row, on every instruction set; and that a row
   of the result does not depend on the rows beside it. */
#include <check.h>
#include <math.h>
#include <string.h>
#include "exec/attrs.h"
#include "exec/cpu/cpu.h"
#include "exec/half.h"
#include "exec/infer/infer.h"
#include "exec/packs.h"
#include "support/models.h"

struct product_case {
	enum op_id op;
	int64_t a[5], b[5], c[5], z[5]; /* shapes, rank first; rank 0: absent */
	bool trans_a, trans_b, b_varies;
	float alpha, beta;
	enum activation act;
	int threads;
};

static const struct product_case cases[] = {
	{ OP_MATMUL, { 2, 1, 64 }, { 2, 64, 256 }, .threads = 1 },
	/* Eight panels at once, four, two and one, and half of one. */
	{ OP_MATMUL, { 2, 1, 30 }, { 2, 30, 496 }, .threads = 1 },
	{ OP_MATMUL, { 2, 2, 30 }, { 2, 30, 496 }, .threads = 1 },
	{ OP_FUSED_MATMUL, { 2, 3, 30 }, { 2, 30, 496 }, { 1, 496 }, .alpha = 1, .act = ACT_TANH,
		.threads = 1 },
	{ OP_MATMUL, { 2, 5, 7 }, { 2, 7, 3 }, .threads = 1 },
	{ OP_MATMUL, { 2, 33, 1 }, { 2, 1, 33 }, .threads = 1 },
	{ OP_MATMUL, { 1, 19 }, { 2, 19, 40 }, .threads = 1 },
	{ OP_MATMUL, { 2, 40, 19 }, { 1, 19 }, .threads = 1 },
	{ OP_MATMUL, { 1, 19 }, { 1, 19 }, .threads = 1 },
	{ OP_MATMUL, { 4, 2, 3, 17, 24 }, { 4, 2, 3, 24, 35 }, .b_varies = true, .threads = 2 },
	{ OP_MATMUL, { 4, 2, 3, 5, 8 }, { 3, 3, 8, 9 }, .threads = 1 },
	{ OP_MATMUL, { 3, 3, 5, 8 }, { 2, 8, 31 }, .threads = 1 },
	{ OP_MATMUL, { 2, 150, 2100 }, { 2, 2100, 70 }, .threads = 2 },
	{ OP_MATMUL, { 2, 300, 20 }, { 2, 20, 500 }, .b_varies = true, .threads = 4 },
	{ OP_FUSED_MATMUL, { 2, 370, 77 }, { 2, 77, 300 }, { 1, 300 }, .alpha = 1, .act = ACT_RELU,
		.threads = 1 },
	{ OP_MATMUL, { 2, 3, 0 }, { 2, 0, 5 }, .threads = 1 },
	{ OP_MATMUL, { 2, 0, 4 }, { 2, 4, 5 }, .threads = 2 },
	{ OP_GEMM, { 2, 9, 20 }, { 2, 20, 33 }, { 1, 33 }, .alpha = 0.5f, .beta = 2, .threads = 1 },
	{ OP_GEMM, { 2, 20, 9 }, { 2, 33, 20 }, { 2, 9, 1 }, .trans_a = true, .trans_b = true,
		.alpha = 1, .beta = 1, .threads = 1 },
	{ OP_GEMM, { 2, 14, 20 }, { 2, 33, 20 }, { 2, 14, 33 }, .trans_b = true, .alpha = 1,
		.beta = -1, .b_varies = true, .threads = 1 },
	{ OP_FUSED_MATMUL, { 2, 1, 256 }, { 2, 256, 10 }, { 1, 10 }, .alpha = 1, .act = ACT_RELU,
		.threads = 1 },
	{ OP_FUSED_MATMUL, { 3, 2, 13, 48 }, { 2, 48, 129 }, { 1, 129 }, { 3, 2, 13, 129 },
		.alpha = 1, .act = ACT_GELU, .threads = 2 },
	{ OP_FUSED_MATMUL, { 4, 2, 3, 16, 8 }, { 4, 2, 3, 20, 8 }, { 4, 2, 1, 1, 20 },
		.trans_b = true, .b_varies = true, .alpha = 0.125f, .threads = 1 },
	{ OP_FUSED_MATMUL, { 3, 4, 16, 8 }, { 2, 8, 20 }, { 3, 4, 1, 20 }, .alpha = 1,
		.act = ACT_TANH, .threads = 1 },
};
#define CASES ((int)(sizeof(cases) / sizeof(cases[0])))

static int32_t floats_of(struct graph *g, const int64_t *shape)
{
	return shape[0] ? model_floats(g, shape_from((int)shape[0], shape + 1), NULL) : VALUE_NONE;
}

static struct graph *given_graph(const struct product_case *c)
{
	struct graph *g = model_new();
	int32_t in[4] = { floats_of(g, c->a), floats_of(g, c->b), floats_of(g, c->c),
		floats_of(g, c->z) };
	model_output(g, model_node(g, c->op, 1, c->z[0] ? 4 : c->c[0] ? 3 : 2, in));
	if (c->op == OP_GEMM) {
		model_attr_float(g, "alpha", c->alpha);
		model_attr_float(g, "beta", c->beta);
		model_attr_int(g, "transA", c->trans_a);
		model_attr_int(g, "transB", c->trans_b);
	} else if (c->op == OP_FUSED_MATMUL) {
		model_attr_float(g, "scale", c->alpha);
		model_attr_int(g, "trans_b", c->trans_b);
		model_attr_int(g, "activation", c->act);
	}
	return g;
}

static enum precision precision = PRECISION_FAST;

/* Numbers that bfloat16 holds: their products are exact, so that sums alone may differ. */
static void round_factors(struct graph *g)
{
	for (int i = 0; i < 2; i++) {
		const struct tensor *t = g->value[g->node[0].in[i]].constant;
		for (int64_t k = 0; k < tensor_count(t); k++)
			((float *)t->data)[k] =
				bfloat_to_float(float_to_bfloat(((float *)t->data)[k]));
	}
}

/* Runs one row on the graph's only node, unit by unit; returns the result. */
static struct tensor run_row(struct graph *g, struct packs *packs, prepare_fn prepare,
	const struct product_case *c)
{
	struct err err;
	const struct node *n = &g->node[0];
	struct tensor in[4], out = { .dtype = DTYPE_F32, .shape = g->value[n->out[0]].shape };
	for (int i = 0; i < n->n_in; i++)
		in[i] = *g->value[n->in[i]].constant;
	void *b = in[1].data;
	if (c->b_varies)
		in[1].data = NULL;
	struct prep p = { .graph = g, .node = n, .in = in, .out = &out, .n_in = n->n_in, .n_out = 1,
		.threads = c->threads, .precision = precision, .arena = g->arena, .packs = packs,
		.tmp = g->arena };
	struct kernel k = { .units = 1 };
	ck_assert_msg(prepare(&p, &k, &err) == ERR_OK, "%s", err.msg);
	in[1].data = b;
	out.data = arena_alloc_aligned(g->arena, tensor_bytes(&out) + 1, 64);
	struct kernel_args a = { .in = in, .out = &out, .n_in = n->n_in, .n_out = 1,
		.state = k.state,
		.scratch = arena_alloc_aligned(g->arena, k.scratch_bytes + 1, 64) };
	for (int64_t u = 0; u < k.units; u++)
		k.run(&a, u, u + 1);
	return out;
}

static void check_case(const struct product_case *c, unsigned features)
{
	struct err err;
	struct graph *g = given_graph(c);
	ck_assert_msg(infer_graph(g, &err) == ERR_OK, "%s", err.msg);
	struct packs *packs = packs_new();
	if (precision == PRECISION_BF16)
		round_factors(g);
	cpu_features_limit(features);
	struct tensor want = run_row(g, packs, prepare_matmul_ref, c);
	struct tensor got = run_row(g, packs, prepare_matmul_packed, c);
	cpu_features_limit(~0u);
	const float *x = got.data, *y = want.data;
	for (int64_t i = 0; i < tensor_count(&want); i++)
		ck_assert_msg(fabsf(x[i] - y[i]) <= 2e-4f * (1 + fabsf(y[i])),
			"case %d, element %d: %g, not %g", (int)(c - cases), (int)i, (double)x[i],
			(double)y[i]);
	packs_free(packs);
	model_free(g);
}

START_TEST(equals_the_reference)
{
	check_case(&cases[_i], ~0u);
}
END_TEST

START_TEST(equals_the_reference_on_avx2)
{
	check_case(&cases[_i], CPU_AVX2);
}
END_TEST

START_TEST(equals_the_reference_in_plain_c)
{
	check_case(&cases[_i], CPU_BASE);
}
END_TEST

/* On processors without it, floats once more. */
START_TEST(equals_the_reference_in_bfloat16)
{
	precision = PRECISION_BF16;
	check_case(&cases[_i], ~(unsigned)CPU_AMX);
}
END_TEST

START_TEST(equals_the_reference_by_tiles)
{
	precision = PRECISION_BF16;
	check_case(&cases[_i], ~0u);
}
END_TEST

/* Batch proofs rely on it. */
START_TEST(row_has_the_same_bits_in_every_batch)
{
	float single[70];
	precision = _i ? PRECISION_BF16 : PRECISION_FAST;
	cpu_features_limit(_i == 1 ? ~(unsigned)CPU_AMX : ~0u);
	for (int64_t m = 1; m <= 40; m++) {
		struct product_case c = { OP_FUSED_MATMUL, { 2, m, 1100 }, { 2, 1100, 70 },
			{ 1, 70 }, .alpha = 0.5f, .act = ACT_TANH, .threads = 1 };
		struct err err;
		struct graph *g = given_graph(&c);
		ck_assert_int_eq(infer_graph(g, &err), ERR_OK);
		struct packs *packs = packs_new();
		struct tensor got = run_row(g, packs, prepare_matmul_packed, &c);
		if (m == 1)
			memcpy(single, got.data, sizeof(single));
		/* Constants depend on the value's index alone, so row 0 is always the same. */
		ck_assert_mem_eq(got.data, single, sizeof(single));
		packs_free(packs);
		model_free(g);
	}
}
END_TEST

Suite *suite_matmul_packed(void);
Suite *suite_matmul_packed(void)
{
	Suite *s = suite_create("matmul_packed");
	TCase *t = tcase_create("matmul_packed");
	tcase_add_loop_test(t, equals_the_reference, 0, CASES);
	tcase_add_loop_test(t, equals_the_reference_on_avx2, 0, CASES);
	tcase_add_loop_test(t, equals_the_reference_in_plain_c, 0, CASES);
	tcase_add_loop_test(t, equals_the_reference_in_bfloat16, 0, CASES);
	tcase_add_loop_test(t, equals_the_reference_by_tiles, 0, CASES);
	tcase_add_loop_test(t, row_has_the_same_bits_in_every_batch, 0, 3);
	suite_add_tcase(s, t);
	return s;
}
