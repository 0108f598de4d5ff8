/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_rig.h"

#include <check.h>
#include <math.h>
#include <string.h>
#include "exec/packs.h"
#include "support/tensors.h"

void op_rig_init(struct op_rig *r)
{
	*r = (struct op_rig){ .plan = arena_new(1 << 16, 0), .tmp = arena_new(1 << 16, 0),
		.run = arena_new(1 << 16, 0), .packs = packs_new() };
	ck_assert_ptr_nonnull(r->packs);
}

void op_rig_done(struct op_rig *r)
{
	arena_free(r->run);
	arena_free(r->tmp);
	arena_free(r->plan);
	packs_free(r->packs);
}

bool op_rig_prepare(struct op_rig *r, const struct op_row *row, const struct op_node *n)
{
	struct err err = { 0 };
	for (int i = 0; i < n->n_in; i++) {
		r->seen[i] = n->in[i]; /* with its layout */
		if (!n->known[i])
			r->seen[i].data = NULL;
	}
	struct prep p = { .backend = row->backend, .graph = n->graph, .node = n->node,
		.in = r->seen, .out = n->out,
		.n_in = n->n_in, .n_out = n->n_out, .threads = 4, .arena = r->plan,
		.packs = r->packs, .tmp = r->tmp,
		.precision = row->precision, .bf16_wanted = row->bf16_wanted };
	r->kernel = (struct kernel){ .units = 1 };
	enum err_code rc = row->prepare(&p, &r->kernel, &err);
	ck_assert_msg(rc == ERR_OK || rc == ERR_UNIMPLEMENTED, "%s, %s: %s", op_node_text(n),
		row->name, err.msg);
	return rc == ERR_OK;
}

/* out: with data, or for the kernel to find. */
static void rig_run(struct op_rig *r, const struct op_node *n, struct tensor *in,
	struct tensor *out, enum way way)
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

bool op_has_room(const struct op_node *n, int i)
{
	return shape_is_static(&n->out[i].shape) && !(op_info(n->c->op)->flags & OP_DATA_DEPENDENT);
}

void op_rig_outputs(struct op_rig *r, const struct op_node *n, struct tensor *out, enum way way)
{
	struct tensor in[OP_CASE_IO_MAX];
	memcpy(in, n->in, sizeof(in));
	for (int i = 0; i < n->n_out; i++) {
		out[i] = n->out[i];
		out[i].data = r->run; /* that there is one */
		if (op_has_room(n, i))
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
		ck_assert_msg(!op_has_room(n, i) || tensors_guards_hold(&out[i]),
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

void op_expect_close(const struct op_node *n, const char *row, const struct tensor *got,
	const struct tensor *want, double rounding)
{
	char why[200];
	for (int i = 0; i < n->n_out; i++) {
		double rtol = tolerance(n), atol = rtol;
		if (want[i].data && dtype_in(want[i].dtype, T_FLOAT)) {
			atol = fmax(atol, largest(&want[i]) * rounding);
			rtol = fmax(rtol, rounding); /* where the largest one is infinite */
		}
		ck_assert_msg(!want[i].data || tensors_close(&got[i], &want[i], rtol, atol, why,
						       sizeof(why)),
			"%s, %s: output %d: %s", op_node_text(n), row, i, why);
	}
}

void op_free_outputs(const struct op_node *n, struct tensor *t)
{
	for (int i = 0; i < n->n_out; i++)
		if (op_has_room(n, i))
			tensors_free(&t[i]);
}

struct op_row op_row_of(const struct cpu_row *row)
{
	return (struct op_row){ row->name, row->prepare, &cpu_backend,
		row->needs & CPU_BF16 ? PRECISION_BF16 : PRECISION_FAST, false };
}

const struct cpu_row *op_reference(const struct op_node *n)
{
	struct prep p = { .node = n->node, .in = n->in, .out = n->out, .n_in = n->n_in };
	enum dtype key = cpu_key_dtype(&p);
	for (int i = cpu_rows_count - 1; i >= 0; i--) {
		struct op_rig r;
		if (cpu_rows[i].op != n->c->op || !dtype_in(key, cpu_rows[i].types))
			continue;
		struct op_row row = op_row_of(&cpu_rows[i]);
		op_rig_init(&r);
		bool takes = op_rig_prepare(&r, &row, n);
		op_rig_done(&r);
		if (takes)
			return &cpu_rows[i];
	}
	return NULL;
}

void op_reference_outputs(struct op_rig *r, const struct op_node *n, struct tensor *out)
{
	const struct cpu_row *reference = op_reference(n);
	ck_assert_msg(reference != NULL, "%s: no row takes it", op_node_text(n));
	struct op_row row = op_row_of(reference);
	op_rig_init(r);
	ck_assert(op_rig_prepare(r, &row, n));
	op_rig_outputs(r, n, out, WHOLE);
	if (n->c->want)
		op_expect_close(n, row.name, out, n->want, 0);
}
