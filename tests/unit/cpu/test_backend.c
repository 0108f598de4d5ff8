/* SPDX-License-Identifier: Apache-2.0 */
/* Which row is chosen, what is said when there is none, and the copies between layouts. */
#include <check.h>
#include <string.h>
#include "exec/backend.h"
#include "exec/cpu/cpu.h"
#include "exec/cpu/ncopy.h"
#include "support/models.h"
#include "support/tensors.h"

static struct graph *g;
static struct arena *arena;
static struct err err;

static void setup(void)
{
	g = model_new();
	arena = arena_new(1 << 16, 0);
}

static void teardown(void)
{
	cpu_features_limit(~0u);
	arena_free(arena);
	model_free(g);
}

/* Prepares a node of one input and one output of these tensors. */
static enum err_code prepare(enum op_id op, const struct tensor *in, const struct tensor *out,
	struct kernel *k, bool *want_plain)
{
	MODEL_NODE(g, op, model_input(g, "x", in->dtype, in->shape));
	struct prep p = { .graph = g, .node = &g->node[g->n_node - 1], .in = in, .out = out,
		.n_in = 1, .n_out = 1, .threads = 1, .arena = arena, .tmp = arena };
	return cpu_backend.prepare(&p, k, want_plain, &err);
}

START_TEST(the_best_row_that_the_machine_can_do_is_chosen)
{
	struct tensor t = { .dtype = DTYPE_F32, .shape = shape_of(4) };
	struct kernel k;
	bool want_plain;
	cpu_features_limit(CPU_BASE);
	ck_assert_int_eq(prepare(OP_EXP, &t, &t, &k, &want_plain), ERR_OK);
	ck_assert_str_eq(k.name, "prepare_unary_vec");
	cpu_features_limit(~0u);
	ck_assert_int_eq(prepare(OP_EXP, &t, &t, &k, &want_plain), ERR_OK);
	if (cpu_features() & CPU_AVX512)
		ck_assert_str_eq(k.name, "prepare_unary_avx512");
	else if (cpu_features() & CPU_AVX2)
		ck_assert_str_eq(k.name, "prepare_unary_avx2");
}
END_TEST

START_TEST(no_row_names_node_operator_and_types)
{
	struct tensor t = { .dtype = DTYPE_C64, .shape = shape_of(4) };
	struct kernel k;
	bool want_plain;
	ck_assert_int_eq(prepare(OP_EXP, &t, &t, &k, &want_plain), ERR_UNIMPLEMENTED);
	ck_assert_str_eq(err.msg, "node 'Exp_0' (Exp): no CPU kernel for (complex64)");
}
END_TEST

START_TEST(elementwise_rows_keep_a_blocked_layout)
{
	struct tensor t = { .dtype = DTYPE_F32, .shape = shape_of(1, 16, 2, 2),
		.layout = LAYOUT_NCHW16C };
	struct kernel k;
	bool want_plain;
	ck_assert_int_eq(prepare(OP_RELU, &t, &t, &k, &want_plain), ERR_OK);
	ck_assert(!want_plain);
	ck_assert_int_eq(k.out_layout, LAYOUT_NCHW16C);
}
END_TEST

START_TEST(rows_that_take_no_blocks_ask_for_plain_inputs)
{
	struct tensor t = { .dtype = DTYPE_F32, .shape = shape_of(1, 16, 2, 2),
		.layout = LAYOUT_NCHW8C };
	struct kernel k;
	bool want_plain;
	ck_assert_int_eq(prepare(OP_SOFTMAX, &t, &t, &k, &want_plain), ERR_OK);
	ck_assert(want_plain);
	ck_assert_int_eq(k.out_layout, LAYOUT_PLAIN);
}
END_TEST

START_TEST(copies_go_between_any_two_layouts)
{
	enum layout from = _i / LAYOUT_COUNT_, to = _i % LAYOUT_COUNT_;
	static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_I8, DTYPE_F16, DTYPE_F64 };
	for (size_t k = 0; k < sizeof(dtypes) / sizeof(dtypes[0]); k++) {
		struct tensor plain = tensors_new(dtypes[k], shape_of(2, 48, 5, 7));
		tensors_fill(&plain, TENSORS_ANY, 1);
		if (!tensors_can_have(&plain, from) || !tensors_can_have(&plain, to)) {
			tensors_free(&plain);
			continue;
		}
		struct tensor in = tensors_relayout(&plain, from), want = tensors_relayout(&in, to);
		struct tensor out = tensors_new(dtypes[k], plain.shape);
		out.layout = to;
		struct prep p = { .graph = g, .in = &in, .out = &out, .n_in = 1, .n_out = 1,
			.threads = 2, .arena = arena, .tmp = arena };
		struct kernel kernel = { 0 };
		ck_assert_int_eq(cpu_backend.prepare_copy(&p, &kernel, &err), ERR_OK);
		struct kernel_args a = { .in = &in, .out = &out, .n_in = 1, .n_out = 1,
			.state = kernel.state };
		kernel.run(&a, 0, kernel.units);
		ck_assert_mem_eq(
			out.data, want.data, tensor_bytes(&want) / (layout_is_bf16(to) ? 2 : 1));
		ck_assert(tensors_guards_hold(&out));
		tensors_free(&plain);
		tensors_free(&want);
		tensors_free(&in);
		tensors_free(&out);
	}
}
END_TEST

/* A box with negative and zero strides, item by item in any order. */
START_TEST(strided_copies_are_the_same_in_any_split)
{
	int32_t src[64], whole[60], parts[60];
	for (int i = 0; i < 64; i++)
		src[i] = i;
	const int64_t dim[] = { 3, 4, 5 }, s[] = { 0, -7, 1 }, d[] = { 20, 1, 4 };
	struct ncopy c;
	ncopy_init(&c, 3, dim, s, d, sizeof(int32_t));
	ncopy_run(&c, whole, src + 40, 0, c.items);
	for (int64_t i = c.items - 1; i >= 0; i--)
		ncopy_run(&c, parts, src + 40, i, i + 1);
	ck_assert_mem_eq(whole, parts, sizeof(whole));
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 4; j++)
			for (int k = 0; k < 5; k++)
				ck_assert_int_eq(whole[i * 20 + j + k * 4], 40 - 7 * j + k);
}
END_TEST

Suite *suite_backend(void);
Suite *suite_backend(void)
{
	Suite *s = suite_create("backend");
	TCase *t = tcase_create("all");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_best_row_that_the_machine_can_do_is_chosen);
	tcase_add_test(t, no_row_names_node_operator_and_types);
	tcase_add_test(t, elementwise_rows_keep_a_blocked_layout);
	tcase_add_test(t, rows_that_take_no_blocks_ask_for_plain_inputs);
	tcase_add_loop_test(t, copies_go_between_any_two_layouts, 0, LAYOUT_COUNT_ * LAYOUT_COUNT_);
	tcase_add_test(t, strided_copies_are_the_same_in_any_split);
	suite_add_tcase(s, t);
	return s;
}
