/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every row of kernels.def on the cases of tests/ops/op_cases.def: against what the case
 * wants, else against the reference, which is the last row of the operator and type;
 * whole, split into units, in place where the kernel allows it, and with input 0 (and
 * others of its shape) in each layout that the row takes. Rows that multiply matrices of floats
 * once more where products of bfloat16 are allowed.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "ops/op_rig.h"
#include "support/models.h"
#include "support/tensors.h"

#define ROUNDING_BF16 0.1

/* Rows that are timed may round more, as a part of what is largest: contest.c looks at that. */
static double rounding(const struct cpu_row *row)
{
	return !(row->needs & CPU_TIMED) ? 0 : row->needs & CPU_BF16 ? ROUNDING_BF16 : 1e-4;
}

static bool may_be_in_place(const struct op_rig *r, const struct op_node *n)
{
	const struct tensor *over = &n->in[r->kernel.inplace_in];
	return r->kernel.inplace && n->n_out > 0 && over->data && op_has_room(n, 0) &&
	       tensor_bytes(over) == tensor_bytes(&n->out[0]);
}

/* A row, and what it may be off by. */
struct asked {
	struct op_row row;
	double rounding;
};

/* true: the row took the node, and was right. */
static bool check_layout(const struct asked *a, const struct op_node *n, const struct tensor *want)
{
	struct op_rig r;
	struct tensor out[OP_CASE_IO_MAX];
	op_rig_init(&r);
	bool takes = op_rig_prepare(&r, &a->row, n);
	for (enum way way = WHOLE; takes && way <= IN_PLACE; way++) {
		if (way == IN_PLACE && !may_be_in_place(&r, n))
			break;
		op_rig_outputs(&r, n, out, way);
		op_expect_close(n, a->row.name, out, want, a->rounding);
		op_free_outputs(n, out);
	}
	op_rig_done(&r);
	return takes;
}

static bool check_row(const struct cpu_row *row, const struct op_node *n, const struct tensor *want)
{
	struct asked a = { op_row_of(row), rounding(row) };
	bool took = check_layout(&a, n, want);
	a.row.bf16_wanted = true;
	took |= row->takes == TAKES_BF16 && check_layout(&a, n, want);
	for (enum layout l = LAYOUT_PLAIN + 1; row->takes >= TAKES_BLOCKED && l < LAYOUT_COUNT_;
		l++) {
		struct op_node blocked = *n;
		if (!tensors_can_have(&n->in[0], l) ||
			(layout_is_bf16(l) && row->takes < TAKES_BF16))
			continue;
		a.rounding = layout_is_bf16(l) ? ROUNDING_BF16 : rounding(row);
		for (int i = 0; i < n->n_in; i++)
			if (tensors_can_have(&n->in[i], l) && !n->known[i])
				blocked.in[i] = tensors_relayout(&n->in[i], l);
		took |= check_layout(&a, &blocked, want);
		for (int i = 0; i < n->n_in; i++)
			if (blocked.in[i].data != n->in[i].data)
				tensors_free(&blocked.in[i]);
	}
	return took;
}

/* One case in one type through all its rows; marks those that took it. */
static void check_case(const struct op_case *c, enum dtype dtype, bool *covered)
{
	struct op_node n;
	if (!op_node_init(&n, c, dtype)) {
		op_node_done(&n);
		ck_abort_msg("%s: inference refuses it", op_node_text(&n));
	}
	struct prep p = { .node = n.node, .in = n.in, .out = n.out, .n_in = n.n_in };
	enum dtype key = cpu_key_dtype(&p);
	struct op_rig r;
	struct tensor want[OP_CASE_IO_MAX];
	op_reference_outputs(&r, &n, want);
	for (int i = 0; i < cpu_rows_count; i++) {
		const struct cpu_row *row = &cpu_rows[i];
		if (row->op == c->op && dtype_in(key, row->types) && cpu_row_runs_here(row))
			covered[i] |= check_row(row, &n, want);
	}
	op_free_outputs(&n, want);
	op_rig_done(&r);
	op_node_done(&n);
}

static void check_types(const struct op_case *c, bool *covered)
{
	for (enum dtype d = DTYPE_UNDEFINED + 1; d < DTYPE_TENSOR; d++)
		if (dtype_in(d, c->types))
			check_case(c, d, covered);
}

START_TEST(rows_agree_with_the_reference)
{
	bool *covered = calloc((size_t)cpu_rows_count, sizeof(*covered));
	check_types(&op_cases[_i], covered);
	free(covered);
}
END_TEST

/* Rows that run anywhere may choose among loops for one instruction set each. */
START_TEST(rows_agree_with_the_reference_on_lesser_machines)
{
	static const unsigned lesser[] = { CPU_BASE, CPU_AVX2 };
	bool *covered = calloc((size_t)cpu_rows_count, sizeof(*covered));
	for (size_t i = 0; i < sizeof(lesser) / sizeof(lesser[0]); i++) {
		cpu_features_limit(lesser[i]);
		check_types(&op_cases[_i], covered);
	}
	cpu_features_limit(~0u);
	free(covered);
}
END_TEST

/* Of kernels that have such products inside. */
static bool multiplies(enum op_id op)
{
	return op == OP_GEMM || op == OP_MATMUL || op == OP_FUSED_MATMUL || op == OP_ATTENTION ||
	       op == OP_GROUP_QUERY;
}

START_TEST(products_of_bfloat16_are_near_the_reference)
{
	const struct op_case *c = &op_cases[_i];
	struct op_node n;
	struct op_rig r;
	struct tensor want[OP_CASE_IO_MAX];
	if (!multiplies(c->op) || !dtype_in(DTYPE_F32, c->types))
		return;
	ck_assert(op_node_init(&n, c, DTYPE_F32));
	op_reference_outputs(&r, &n, want);
	for (int i = 0; i < cpu_rows_count; i++) {
		const struct cpu_row *row = &cpu_rows[i];
		struct asked a = { op_row_of(row), ROUNDING_BF16 };
		a.row.precision = PRECISION_BF16;
		if (row->op == c->op && dtype_in(DTYPE_F32, row->types) && cpu_row_runs_here(row))
			check_layout(&a, &n, want);
	}
	op_free_outputs(&n, want);
	op_rig_done(&r);
	op_node_done(&n);
}
END_TEST

START_TEST(every_row_has_a_case)
{
	bool *covered = calloc((size_t)cpu_rows_count, sizeof(*covered));
	int missing = 0;
	for (int i = 0; i < op_cases_count; i++)
		check_types(&op_cases[i], covered);
	for (int i = 0; i < cpu_rows_count; i++) {
		const struct cpu_row *row = &cpu_rows[i];
		if (covered[i] || !cpu_row_runs_here(row))
			continue;
		fprintf(stderr, "no case for %s, row %s, types %llx\n", op_info(row->op)->name,
			row->name, (unsigned long long)row->types);
		missing++;
	}
	ck_assert_int_eq(missing, 0);
	free(covered);
}
END_TEST

Suite *suite_ops(void);
Suite *suite_ops(void)
{
	Suite *s = suite_create("ops");
	TCase *t = tcase_create("cases");
	tcase_add_loop_test(t, rows_agree_with_the_reference, 0, op_cases_count);
	tcase_add_loop_test(t, rows_agree_with_the_reference_on_lesser_machines, 0, op_cases_count);
	tcase_add_loop_test(t, products_of_bfloat16_are_near_the_reference, 0, op_cases_count);
	tcase_add_test(t, every_row_has_a_case);
	suite_add_tcase(s, t);
	return s;
}
