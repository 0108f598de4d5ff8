/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every row of kernels.def on the cases of tests/ops/op_cases.def: against what the case
 * wants, else against the reference, which is the last row of the operator and type;
 * whole, split into units, in place where the kernel allows it, and with input 0 (and
 * others of its shape) in each layout that the row takes.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "exec/cpu/cpu.h"
#include "ops/op_case.h"
#include "support/models.h"
#include "support/tensors.h"

/* A row prepared for a node, and where it lives. */
struct rig {
	struct arena *plan, *tmp, *run;
	struct packs *packs;
	struct kernel kernel;
	struct tensor seen[OP_CASE_IO_MAX]; /* inputs as prepare sees them */
};

enum way { WHOLE, UNIT_BY_UNIT, IN_PLACE };

static void rig_init(struct rig *r)
{
	*r = (struct rig){ .plan = arena_new(1 << 16, 0), .tmp = arena_new(1 << 16, 0),
		.run = arena_new(1 << 16, 0), .packs = packs_new() };
	ck_assert_ptr_nonnull(r->packs);
}

static void rig_done(struct rig *r)
{
	arena_free(r->run);
	arena_free(r->tmp);
	arena_free(r->plan);
	packs_free(r->packs);
}

static bool rig_prepare(struct rig *r, const struct cpu_row *row, const struct op_node *n)
{
	struct err err = { 0 };
	for (int i = 0; i < n->n_in; i++) {
		r->seen[i] = n->in[i]; /* with its layout */
		if (!n->known[i])
			r->seen[i].data = NULL;
	}
	struct prep p = { .graph = n->graph, .node = n->node, .in = r->seen, .out = n->out,
		.n_in = n->n_in, .n_out = n->n_out, .threads = 4, .arena = r->plan,
		.packs = r->packs, .tmp = r->tmp,
		.precision = row->needs & CPU_BF16 ? PRECISION_BF16 : PRECISION_FAST };
	r->kernel = (struct kernel){ .units = 1 };
	enum err_code rc = row->prepare(&p, &r->kernel, &err);
	ck_assert_msg(rc == ERR_OK || rc == ERR_UNIMPLEMENTED, "%s, %s: %s", op_node_text(n), row->name,
		err.msg);
	return rc == ERR_OK;
}

/* out: with data, or for the kernel to find. */
static void rig_run(struct rig *r, const struct op_node *n, struct tensor *in, struct tensor *out, enum way way)
{
	size_t scratch = r->kernel.scratch_bytes;
	struct tensor mem = tensors_new(DTYPE_U8, shape_of((int64_t)scratch));
	struct fault fault = { 0 };
	struct kernel_args a = { .in = in, .out = out, .n_in = n->n_in, .n_out = n->n_out,
		.state = r->kernel.state, .scratch = mem.data, .fault = &fault, .arena = r->run };
	if (way == UNIT_BY_UNIT)
		for (int64_t u = r->kernel.units - 1; u >= 0; u--)
			r->kernel.run(&a, u, u + 1);
	else
		r->kernel.run(&a, 0, r->kernel.units);
	ck_assert_msg(tensors_guards_hold(&mem), "%s: writes beyond its scratch", op_node_text(n));
	tensors_free(&mem);
}

/* Outputs of data-dependent operators are their kernels' own. */
static bool has_room(const struct op_node *n, int i)
{
	return shape_is_static(&n->out[i].shape) && !(op_info(n->c->op)->flags & OP_DATA_DEPENDENT);
}

/* Runs the row a way into new outputs. */
static void rig_outputs(struct rig *r, const struct op_node *n, struct tensor *out, enum way way)
{
	struct tensor in[OP_CASE_IO_MAX];
	memcpy(in, n->in, sizeof(in));
	for (int i = 0; i < n->n_out; i++) {
		out[i] = n->out[i];
		out[i].data = r->run; /* that there is one */
		if (has_room(n, i))
			out[i] = tensors_new(n->out[i].dtype, n->out[i].shape);
		if (i == 0)
			out[i].layout = r->kernel.out_layout;
	}
	if (way == IN_PLACE) {
		struct tensor *over = &in[r->kernel.inplace_in];
		memcpy(out[0].data, over->data, tensor_bytes(over));
		over->data = out[0].data;
	}
	rig_run(r, n, in, out, way);
	for (int i = 0; i < n->n_out; i++)
		ck_assert_msg(!has_room(n, i) || tensors_guards_hold(&out[i]),
			"%s: writes beyond output %d", op_node_text(n), i);
	for (int i = 0; i < n->n_in; i++)
		ck_assert_msg(!n->in[i].data || tensors_guards_hold(&n->in[i]),
			"%s: writes beyond input %d", op_node_text(n), i);
	if (out[0].layout != LAYOUT_PLAIN) {
		struct tensor plain = tensors_relayout(&out[0], LAYOUT_PLAIN);
		tensors_free(&out[0]);
		out[0] = plain;
	}
}

static double tolerance(const struct op_node *n)
{
	double type = n->dtype == DTYPE_F16 ? 0x1p-9 : n->dtype == DTYPE_BF16 ? 0x1p-6 : 0;
	return fmax(n->c->rtol, type);
}

static double largest(const struct tensor *t)
{
	double most = 1;
	for (int64_t i = 0; i < tensor_count(t); i++)
		most = fmax(most, fabs(tensor_float(t, i)));
	return isfinite(most) ? most : 1;
}

/* Rows that are timed may round more, as a part of what is largest: trial.c looks at that. */
static void expect_close(const struct op_node *n, const struct cpu_row *row, const struct tensor *got,
	const struct tensor *want, int count)
{
	char why[200];
	for (int i = 0; i < count; i++) {
		double rtol = tolerance(n), atol = rtol;
		if (want[i].data && row->needs & CPU_TIMED)
			atol = fmax(atol, largest(&want[i]) * (row->needs & CPU_BF16 ? 0.1 : 1e-4));
		ck_assert_msg(!want[i].data || tensors_close(&got[i], &want[i], rtol, atol, why, sizeof(why)),
			"%s, %s: output %d: %s", op_node_text(n), row->name, i, why);
	}
}

static void free_outputs(const struct op_node *n, struct tensor *t)
{
	for (int i = 0; i < n->n_out; i++)
		if (has_room(n, i))
			tensors_free(&t[i]);
}

static const struct cpu_row *reference_of(const struct op_node *n, enum dtype key)
{
	for (int i = cpu_rows_count - 1; i >= 0; i--) {
		struct rig r;
		if (cpu_rows[i].op != n->c->op || !dtype_in(key, cpu_rows[i].types))
			continue;
		rig_init(&r);
		bool takes = rig_prepare(&r, &cpu_rows[i], n);
		rig_done(&r);
		if (takes)
			return &cpu_rows[i];
	}
	return NULL;
}

static bool may_be_in_place(const struct rig *r, const struct op_node *n)
{
	const struct tensor *over = &n->in[r->kernel.inplace_in];
	return r->kernel.inplace && n->n_out > 0 && over->data && has_room(n, 0) &&
	       tensor_bytes(over) == tensor_bytes(&n->out[0]);
}

/* true: the row took the node, and was right. */
static bool check_layout(const struct cpu_row *row, const struct op_node *n, const struct tensor *want)
{
	struct rig r;
	struct tensor out[OP_CASE_IO_MAX];
	rig_init(&r);
	bool takes = rig_prepare(&r, row, n);
	for (enum way way = WHOLE; takes && way <= IN_PLACE; way++) {
		if (way == IN_PLACE && !may_be_in_place(&r, n))
			break;
		rig_outputs(&r, n, out, way);
		expect_close(n, row, out, want, n->n_out);
		free_outputs(n, out);
	}
	rig_done(&r);
	return takes;
}

static bool check_row(const struct cpu_row *row, const struct op_node *n, const struct tensor *want)
{
	bool took = check_layout(row, n, want);
	for (enum layout l = LAYOUT_PLAIN + 1; row->blocked && l < LAYOUT_COUNT_; l++) {
		struct op_node blocked = *n;
		if (!tensors_can_have(&n->in[0], l))
			continue;
		for (int i = 0; i < n->n_in; i++)
			if (tensors_can_have(&n->in[i], l) && !n->known[i])
				blocked.in[i] = tensors_relayout(&n->in[i], l);
		took |= check_layout(row, &blocked, want);
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
	const struct cpu_row *reference = reference_of(&n, key);
	ck_assert_msg(reference != NULL, "%s: no row takes it", op_node_text(&n));

	struct rig r;
	struct tensor want[OP_CASE_IO_MAX];
	rig_init(&r);
	ck_assert(rig_prepare(&r, reference, &n));
	rig_outputs(&r, &n, want, WHOLE);
	if (c->want)
		expect_close(&n, reference, want, n.want, n.n_out);
	for (int i = 0; i < cpu_rows_count; i++) {
		const struct cpu_row *row = &cpu_rows[i];
		if (row->op == c->op && dtype_in(key, row->types) && cpu_row_runs_here(row))
			covered[i] |= check_row(row, &n, want);
	}
	free_outputs(&n, want);
	rig_done(&r);
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
		fprintf(stderr, "no case for %s, row %s, types %llx\n", op_info(row->op)->name, row->name,
			(unsigned long long)row->types);
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
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, rows_agree_with_the_reference, 0, op_cases_count);
	tcase_add_test(t, every_row_has_a_case);
	suite_add_tcase(s, t);
	return s;
}
