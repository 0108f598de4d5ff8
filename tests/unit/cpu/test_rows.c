/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and LayerNormalization by rows against the reference. */
#include <check.h>
#include <math.h>
#include "exec/cpu/cpu.h"
#include "exec/infer/infer.h"
#include "support/models.h"

#ifdef __x86_64__
static const int64_t lengths[] = { 1, 2, 7, 15, 16, 17, 63, 64, 65, 100, 128, 197, 768, 1000 };
#define LENGTHS ((int)(sizeof(lengths) / sizeof(lengths[0])))
#define ROWS 5

static struct tensor run(struct graph *g, prepare_fn prepare)
{
	struct err err;
	const struct node *n = &g->node[0];
	struct tensor in[3], out = { .dtype = DTYPE_F32, .shape = g->value[n->out[0]].shape };
	for (int i = 0; i < n->n_in; i++)
		in[i] = *g->value[n->in[i]].constant;
	struct kernel k = { .units = 1 };
	struct prep p = { .graph = g, .node = n, .in = in, .out = &out, .n_in = n->n_in, .n_out = 1,
		.threads = 2, .arena = g->arena, .tmp = g->arena };
	ck_assert_msg(prepare(&p, &k, &err) == ERR_OK, "%s", err.msg);
	out.data = arena_alloc_aligned(g->arena, tensor_bytes(&out), 64);
	struct kernel_args a = { .in = in, .out = &out, .n_in = n->n_in, .n_out = 1,
		.state = k.state };
	for (int64_t u = 0; u < k.units; u++)
		k.run(&a, u, u + 1);
	return out;
}

static void then_equal(const struct tensor *got, const struct tensor *want, float bound)
{
	const float *x = got->data, *y = want->data;
	for (int64_t i = 0; i < tensor_count(want); i++)
		ck_assert_msg(fabsf(x[i] - y[i]) <= bound || (x[i] != x[i] && y[i] != y[i]),
			"element %d of %s: %g, not %g", (int)i, SHAPE_TEXT(&want->shape),
			(double)x[i], (double)y[i]);
}

START_TEST(softmax_equals_the_reference)
{
	struct err err;
	struct graph *g = model_new();
	int64_t n = lengths[_i];
	int32_t in = model_floats(g, shape_of(ROWS, n), NULL);
	model_output(g, MODEL_NODE(g, OP_SOFTMAX, in));
	ck_assert_int_eq(infer_graph(g, &err), ERR_OK);
	float *x = g->value[in].constant->data;
	for (int64_t i = 0; i < n; i++) {
		x[n + i] *= 60;              /* far apart */
		x[2 * n + i] = -INFINITY;    /* no answer */
		x[3 * n + i] += 1e4f;        /* overflows without the maximum */
	}
	x[4 * n] = NAN;
	x[n] = -INFINITY; /* masked */
	struct tensor want = run(g, prepare_softmax);
	struct tensor got = run(g, prepare_softmax_rows_avx2);
	then_equal(&got, &want, 1e-6f);
	if (cpu_features() & CPU_AVX512) {
		got = run(g, prepare_softmax_rows_avx512);
		then_equal(&got, &want, 1e-6f);
	}
	model_free(g);
}
END_TEST

START_TEST(layer_norm_equals_the_reference)
{
	struct err err;
	struct graph *g = model_new();
	int64_t n = lengths[_i / 2];
	int32_t in[3] = { model_floats(g, shape_of(ROWS, n), NULL),
		model_floats(g, shape_of(n), NULL), model_floats(g, shape_of(n), NULL) };
	model_output(g, model_node(g, OP_LAYER_NORM, 1, _i % 2 ? 3 : 2, in));
	model_attr_float(g, "epsilon", 1e-3f);
	ck_assert_int_eq(infer_graph(g, &err), ERR_OK);
	float *x = g->value[in[0]].constant->data;
	for (int64_t i = 0; i < n; i++) {
		x[n + i] += 100; /* mean far from zero */
		x[2 * n + i] = 3;
	}
	struct tensor want = run(g, prepare_layer_norm);
	struct tensor got = run(g, prepare_layer_norm_rows_avx2);
	then_equal(&got, &want, 1e-4f);
	if (cpu_features() & CPU_AVX512) {
		got = run(g, prepare_layer_norm_rows_avx512);
		then_equal(&got, &want, 1e-4f);
	}
	model_free(g);
}
END_TEST
#endif

Suite *suite_rows(void);
Suite *suite_rows(void)
{
	Suite *s = suite_create("rows");
	TCase *t = tcase_create("rows");
#ifdef __x86_64__
	if (cpu_features() & CPU_AVX2) {
		tcase_add_loop_test(t, softmax_equals_the_reference, 0, LENGTHS);
		tcase_add_loop_test(t, layer_norm_equals_the_reference, 0, 2 * LENGTHS);
	}
#endif
	suite_add_tcase(s, t);
	return s;
}
