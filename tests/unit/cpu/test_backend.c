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
static enum err_code
prepare(enum op_id op, const struct tensor *in, const struct tensor *out, struct kernel *k, bool *want_plain)
{
	MODEL_NODE(g, op, model_input(g, "x", in->dtype, in->shape));
	struct prep p = { .graph = g, .node = &g->node[g->n_node - 1], .in = in, .out = out, .n_in = 1,
		.n_out = 1, .threads = 1, .arena = arena, .tmp = arena };
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
	struct tensor t = { .dtype = DTYPE_F32, .shape = shape_of(1, 16, 2, 2), .layout = LAYOUT_NCHW16C };
	struct kernel k;
	bool want_plain;
	ck_assert_int_eq(prepare(OP_RELU, &t, &t, &k, &want_plain), ERR_OK);
	ck_assert(!want_plain);
	ck_assert_int_eq(k.out_layout, LAYOUT_NCHW16C);
}
END_TEST

START_TEST(rows_that_take_no_blocks_ask_for_plain_inputs)
{
	struct tensor t = { .dtype = DTYPE_F32, .shape = shape_of(1, 16, 2, 2), .layout = LAYOUT_NCHW8C };
	struct kernel k;
	bool want_plain;
	ck_assert_int_eq(prepare(OP_SOFTMAX, &t, &t, &k, &want_plain), ERR_OK);
	ck_assert(want_plain);
	ck_assert_int_eq(k.out_layout, LAYOUT_PLAIN);
}
END_TEST

/* Where element (n, c, h, w) lies, worked out from what tensor.h says. */
static int64_t place(const struct tensor *t, const int64_t *i)
{
	const int64_t *d = t->shape.dim;
	int64_t b = t->layout == LAYOUT_NCHW8C ? 8 : t->layout == LAYOUT_NCHW16C ? 16 : 1;
	if (t->layout == LAYOUT_NHWC)
		return ((i[0] * d[2] + i[2]) * d[3] + i[3]) * d[1] + i[1];
	return (((i[0] * (d[1] / b) + i[1] / b) * d[2] + i[2]) * d[3] + i[3]) * b + i[1] % b;
}

static void expect_same_elements(const struct tensor *a, const struct tensor *b)
{
	const int64_t *d = a->shape.dim;
	int64_t i[4];
	for (i[0] = 0; i[0] < d[0]; i[0]++)
		for (i[1] = 0; i[1] < d[1]; i[1]++)
			for (i[2] = 0; i[2] < d[2]; i[2]++)
				for (i[3] = 0; i[3] < d[3]; i[3]++)
					ck_assert_double_eq(tensors_get(a, place(a, i)),
						tensors_get(b, place(b, i)));
}

START_TEST(copies_go_between_any_two_layouts)
{
	enum layout from = _i / LAYOUT_COUNT_, to = _i % LAYOUT_COUNT_;
	static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_I8, DTYPE_F16, DTYPE_F64 };
	for (size_t k = 0; k < sizeof(dtypes) / sizeof(dtypes[0]); k++) {
		struct tensor in = tensors_new(dtypes[k], shape_of(2, 48, 5, 7)), out = in;
		out = tensors_new(dtypes[k], in.shape);
		in.layout = from;
		out.layout = to;
		tensors_fill(&in, TENSORS_ANY, 1);
		struct prep p = { .graph = g, .in = &in, .out = &out, .n_in = 1, .n_out = 1, .threads = 2,
			.arena = arena, .tmp = arena };
		struct kernel kernel = { 0 };
		ck_assert_int_eq(cpu_backend.prepare_copy(&p, &kernel, &err), ERR_OK);
		struct kernel_args a = { .in = &in, .out = &out, .n_in = 1, .n_out = 1,
			.state = kernel.state };
		kernel.run(&a, 0, kernel.units);
		expect_same_elements(&in, &out);
		ck_assert(tensors_guards_hold(&out));
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
