/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every row of kernels_gpu.def on the cases of tests/ops/op_cases.def, against the host's
 * reference: operands each in memory of their own, in place where the kernel allows it, and
 * channels last where the row takes it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ops/op_rig.h"
#include "support/gpu_device.h"
#include "support/tensors.h"

/* What one run on the device needs. */
struct run_on_device {
	const struct backend *b;
	struct lane *lane;
	struct fault fault;
	struct tensor in[OP_CASE_IO_MAX], out[OP_CASE_IO_MAX];
};

static void expect_ok(enum err_code rc, const struct op_node *n, const struct err *err)
{
	ck_assert_msg(rc == ERR_OK, "%s: %s", op_node_text(n), err->msg);
}

static void *upload(const struct run_on_device *r, const struct op_node *n, const struct tensor *t)
{
	void *mem;
	struct err err = { 0 };
	expect_ok(r->b->device->upload(r->b, t->data, tensor_bytes(t), &mem, &err), n, &err);
	return mem;
}

/* Copies into t's own data. */
static void fetch(struct run_on_device *r, const struct op_rig *rig, const struct op_node *n,
	const void *mem, struct tensor *t)
{
	struct tensor from = *t, to = *t;
	struct kernel k = { 0 };
	struct err err = { 0 };
	from.data = (void *)mem;
	to.data = r->lane->host_mem;
	struct prep p = { .backend = r->b, .in = &from, .out = &to, .n_in = 1, .n_out = 1,
		.arena = rig->plan };
	expect_ok(r->b->device->prepare_cross(&p, TO_HOST, &k, &err), n, &err);
	struct device_args d = { r->lane->stream, r->lane->fault, 0, r->lane };
	struct kernel_args a = { .in = &from, .out = &to, .n_in = 1, .n_out = 1, .state = k.state,
		.fault = &r->fault, .device = &d };
	if (tensor_bytes(t) == 0)
		return;
	k.run(&a, 0, 1);
	expect_ok(r->b->device->wait(r->lane, &err), n, &err);
	memcpy(t->data, to.data, tensor_bytes(t));
}

static size_t largest_output(const struct op_node *n)
{
	size_t most = 1;
	for (int i = 0; i < n->n_out; i++)
		if (op_has_room(n, i) && tensor_bytes(&n->out[i]) > most)
			most = tensor_bytes(&n->out[i]);
	return most;
}

/* The tensor's rows, and between them what no kernel may read. */
static void *upload_columns(
	struct run_on_device *r, const struct op_node *n, const struct tensor *t)
{
	int64_t cols = t->shape.dim[t->shape.rank - 1], rows = tensor_count(t) / cols;
	struct tensor wide = tensors_new(t->dtype, shape_of(rows, t->pitch));
	size_t size = dtype_bytes(t->dtype);
	memset(wide.data, 0x7f, tensor_bytes(&wide));
	for (int64_t i = 0; i < rows; i++)
		memcpy((char *)wide.data + (size_t)(i * t->pitch) * size,
			(const char *)t->data + (size_t)(i * cols) * size, (size_t)cols * size);
	void *mem = upload(r, n, &wide);
	tensors_free(&wide);
	return mem;
}

static void begin(
	struct run_on_device *r, const struct op_rig *rig, const struct op_node *n, bool in_place)
{
	struct err err = { 0 };
	*r = (struct run_on_device){ .b = gpu_device() };
	expect_ok(r->b->device->lane_new(
			  r->b, rig->kernel.scratch_bytes, largest_output(n), 1, &r->lane, &err),
		n, &err);
	for (int i = 0; i < n->n_in; i++) {
		r->in[i] = n->in[i];
		bool read = n->in[i].data && !(i < 32 && rig->kernel.unread >> i & 1);
		r->in[i].data = !read ? NULL
			: n->in[i].layout == LAYOUT_COLUMNS ? upload_columns(r, n, &n->in[i])
							    : upload(r, n, &n->in[i]);
	}
	for (int i = 0; i < n->n_out; i++) {
		r->out[i] = n->out[i];
		if (i == 0)
			r->out[i].layout = rig->kernel.out_layout;
		struct tensor dirt = tensors_new(n->out[i].dtype, n->out[i].shape);
		memset(dirt.data, 0xa5, tensor_bytes(&dirt));
		r->out[i].data = i == 0 && in_place ? r->in[rig->kernel.inplace_in].data
						    : upload(r, n, &dirt);
		tensors_free(&dirt);
	}
}

static void end(
	struct run_on_device *r, const struct op_rig *rig, const struct op_node *n, bool in_place)
{
	struct err err = { 0 };
	for (int i = 0; i < n->n_in; i++)
		if (r->in[i].data)
			r->b->device->release(r->b, r->in[i].data);
	for (int i = in_place ? 1 : 0; i < n->n_out; i++)
		r->b->device->release(r->b, r->out[i].data);
	(void)rig;
	/* Releasing finds out what was written behind an operand. */
	expect_ok(r->b->device->wait(r->lane, &err), n, &err);
	r->b->device->lane_free(r->lane);
}

static void run_on_device(
	const struct op_rig *rig, const struct op_node *n, struct tensor *out, bool in_place)
{
	struct run_on_device r;
	struct err err = { 0 };
	begin(&r, rig, n, in_place);
	struct device_args d = { r.lane->stream, r.lane->fault, 0, r.lane };
	struct kernel_args a = { .in = r.in, .out = r.out, .n_in = n->n_in, .n_out = n->n_out,
		.state = rig->kernel.state, .scratch = r.lane->device_mem, .fault = &r.fault,
		.device = &d };
	rig->kernel.run(&a, 0, rig->kernel.units);
	ck_assert_msg(atomic_load(&r.fault.code) == FAULT_NONE,
		"%s: the device refuses the work (%lld)", op_node_text(n),
		(long long)atomic_load(&r.fault.value));
	expect_ok(r.b->device->wait(r.lane, &err), n, &err);
	ck_assert_msg(r.lane->fault->code == FAULT_NONE, "%s: fault %d", op_node_text(n),
		r.lane->fault->code);
	for (int i = 0; i < n->n_out; i++) {
		out[i] = tensors_new(n->out[i].dtype, n->out[i].shape);
		out[i].layout = r.out[i].layout;
		fetch(&r, rig, n, r.out[i].data, &out[i]);
		if (out[i].layout == LAYOUT_PLAIN)
			continue;
		struct tensor plain = tensors_relayout(&out[i], LAYOUT_PLAIN);
		tensors_free(&out[i]);
		out[i] = plain;
	}
	end(&r, rig, n, in_place);
}

/* Of the largest value: a device sums in an order of its own, and floats as floats. */
#define ROUNDING 1e-6

static bool may_be_in_place(const struct kernel *k, const struct op_node *n)
{
	if (!k->inplace || n->n_in == 0)
		return false;
	const struct tensor *over = &n->in[k->inplace_in];
	return over->data && tensor_bytes(over) == tensor_bytes(&n->out[0]);
}

/* true: the row took the node, and was right. */
static bool check_layout(
	const struct op_row *row, const struct op_node *n, const struct tensor *want)
{
	struct op_rig rig;
	struct tensor out[OP_CASE_IO_MAX];
	op_rig_init(&rig);
	bool takes = op_rig_prepare(&rig, row, n);
	int ways = takes ? 1 + may_be_in_place(&rig.kernel, n) : 0;
	for (int in_place = 0; in_place < ways; in_place++) {
		run_on_device(&rig, n, out, in_place);
		op_expect_close(n, row->name, out, want, ROUNDING);
		op_free_outputs(n, out);
	}
	op_rig_done(&rig);
	return takes;
}

static bool check_channels_last(
	const struct op_row *row, const struct op_node *n, const struct tensor *want)
{
	struct op_node last = *n;
	if (n->n_in == 0 || !tensors_can_have(&n->in[0], LAYOUT_NHWC))
		return false;
	for (int i = 0; i < n->n_in; i++)
		if (tensors_can_have(&n->in[i], LAYOUT_NHWC) && !n->known[i])
			last.in[i] = tensors_relayout(&n->in[i], LAYOUT_NHWC);
	bool took = check_layout(row, &last, want);
	for (int i = 0; i < n->n_in; i++)
		if (last.in[i].data != n->in[i].data)
			tensors_free(&last.in[i]);
	return took;
}

/* Every input that may be is columns of something wider, one after the other and all at once. */
static bool check_columns(
	const struct op_row *row, const struct op_node *n, const struct tensor *want)
{
	bool took = false;
	for (int only = -1; only < n->n_in; only++) {
		struct op_node columns = *n;
		bool any = false;
		for (int i = 0; i < n->n_in; i++) {
			struct tensor *t = &columns.in[i];
			if (!t->data || t->shape.rank < 2 || n->known[i] || tensor_count(t) == 0 ||
				(only >= 0 && i != only))
				continue;
			any = true;
			t->layout = LAYOUT_COLUMNS;
			t->pitch = t->shape.dim[t->shape.rank - 1] / 16 * 16 + 32;
		}
		if (any)
			took |= check_layout(row, &columns, want);
	}
	return took;
}

static bool check_row(const struct gpu_row *row, const struct op_node *n, const struct tensor *want)
{
	struct op_row as_row = { .name = row->name, .prepare = row->prepare,
		.backend = gpu_device(),
		.precision = PRECISION_EXACT };
	bool took = check_layout(&as_row, n, want);
	if (row->layouts & 1U << LAYOUT_NHWC)
		took |= check_channels_last(&as_row, n, want);
	if (row->layouts & 1U << LAYOUT_COLUMNS)
		took &= check_columns(&as_row, n, want);
	return took;
}

static bool has_row(const struct gpu_row *rows, int n_rows, const struct op_node *n, enum dtype key)
{
	for (int i = 0; i < n_rows; i++)
		if (rows[i].op == n->c->op && dtype_in(key, rows[i].types))
			return true;
	return false;
}

static void check_case(const struct op_case *c, enum dtype dtype, bool *covered)
{
	struct op_node n;
	struct op_rig reference;
	struct tensor want[OP_CASE_IO_MAX];
	int n_rows;
	const struct gpu_row *rows = gpu_device_rows(&n_rows);
	ck_assert(op_node_init(&n, c, dtype));
	enum dtype key = n.n_in ? n.in[c->op == OP_WHERE].dtype : n.out[0].dtype;
	if (!has_row(rows, n_rows, &n, key)) {
		op_node_done(&n);
		return;
	}
	op_reference_outputs(&reference, &n, want);
	for (int i = 0; i < n_rows; i++)
		if (rows[i].op == c->op && dtype_in(key, rows[i].types))
			covered[i] |= check_row(&rows[i], &n, want);
	op_free_outputs(&n, want);
	op_rig_done(&reference);
	op_node_done(&n);
}

static void check_types(const struct op_case *c, bool *covered)
{
	for (enum dtype d = DTYPE_UNDEFINED + 1; d < DTYPE_TENSOR; d++)
		if (dtype_in(d, c->types))
			check_case(c, d, covered);
}

/* CASES=K/N: of each N cases the Kth, from 0, for tools under which all of them take long. */
static bool is_wanted(int i)
{
	int k, n;
	const char *cases = getenv("CASES");
	return !cases || sscanf(cases, "%d/%d", &k, &n) != 2 || n < 1 || i % n == k;
}

START_TEST(rows_agree_with_the_reference)
{
	int n_rows;
	if (!is_wanted(_i))
		return;
	gpu_device_rows(&n_rows);
	bool *covered = calloc((size_t)n_rows + 1, sizeof(*covered));
	check_types(&op_cases[_i], covered);
	free(covered);
}
END_TEST

START_TEST(every_row_has_a_case)
{
	int n_rows, missing = 0;
	const struct gpu_row *rows = gpu_device_rows(&n_rows);
	bool *covered = calloc((size_t)n_rows + 1, sizeof(*covered));
	for (int i = 0; i < op_cases_count; i++)
		check_types(&op_cases[i], covered);
	for (int i = 0; i < n_rows; i++) {
		if (covered[i])
			continue;
		fprintf(stderr, "no case for %s, row %s, types %llx\n", op_info(rows[i].op)->name,
			rows[i].name, (unsigned long long)rows[i].types);
		missing++;
	}
	ck_assert_int_eq(missing, 0);
	free(covered);
}
END_TEST

Suite *suite_gpu_rows(void);
Suite *suite_gpu_rows(void)
{
	Suite *s = suite_create("gpu_rows");
	TCase *t = tcase_create("cases");
	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, rows_agree_with_the_reference, 0, op_cases_count);
	suite_add_tcase(s, t);
	t = tcase_create("coverage");
	tcase_set_timeout(t, 300);
	tcase_add_test(t, every_row_has_a_case);
	suite_add_tcase(s, t);
	return s;
}
