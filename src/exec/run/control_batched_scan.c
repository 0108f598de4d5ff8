/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_batched_scan.c -- Scan as opset 8 has it: all inputs and outputs have a batch
 * dimension first, and each row of the batch a length of its own
 *
 * Inputs lengths?, s_1 ... s_n [batch, ...], x_1 ... x_m [batch, steps, ...]. Each row goes
 * through control_scan(); its results are the row of the outputs, with zeros behind the
 * results of a row that is shorter than the longest may be.
 */
#include <string.h>
#include "exec/run/control_impl.h"

struct batched {
	int n_own, n_state;
	int64_t rows, steps;
	struct control_call row; /* of one row */
	struct tensor *in, *out; /* its operands */
};

static enum err_code check_operands(struct batched *b, struct control_call *c)
{
	b->rows = b->steps = -1;
	for (int i = 1; i <= b->n_own; i++) {
		const struct tensor *t = &c->in[i];
		bool scanned = i > b->n_state;
		if (!t->data || t->shape.rank < 1 + scanned)
			return err_set(c->err, ERR_INVALID_ARGUMENT,
				"%s: input %d has no batch of %s", CALL_LABEL(c), i,
				scanned ? "steps" : "states");
		b->rows = b->rows < 0 ? t->shape.dim[0] : b->rows;
		if (scanned)
			b->steps = b->steps < 0 ? t->shape.dim[1] : b->steps;
		if (t->shape.dim[0] != b->rows || (scanned && t->shape.dim[1] != b->steps))
			return err_set(c->err, ERR_INVALID_ARGUMENT,
				"%s: input %d is %s, the others have %lld rows of %lld steps",
				CALL_LABEL(c), i, SHAPE_TEXT(&t->shape), (long long)b->rows,
				(long long)b->steps);
	}
	if (c->in[0].data && tensor_count(&c->in[0]) != b->rows)
		return err_set(c->err, ERR_INVALID_ARGUMENT, "%s: %lld lengths for %lld rows",
			CALL_LABEL(c), (long long)tensor_count(&c->in[0]), (long long)b->rows);
	return ERR_OK;
}

static enum err_code take_row(
	struct batched *b, struct control_call *c, int64_t row, int64_t length)
{
	if (length < 0 || length > b->steps)
		return err_set(c->err, ERR_INVALID_ARGUMENT,
			"%s: length %lld of row %lld, there are %lld steps", CALL_LABEL(c),
			(long long)length, (long long)row, (long long)b->steps);
	for (int i = 1; i <= b->n_own; i++) {
		struct tensor *t = &b->in[i];
		*t = c->in[i];
		t->shape.rank--;
		memmove(t->shape.dim, c->in[i].shape.dim + 1,
			(size_t)t->shape.rank * sizeof(*t->shape.dim));
		t->data = (char *)t->data + tensor_bytes(t) * (size_t)row;
		if (i > b->n_state)
			t->shape.dim[0] = length;
	}
	return ERR_OK;
}

/* The output for all rows, as the first row has it. */
static enum err_code new_output(struct batched *b, struct control_call *c, int i)
{
	const struct tensor *one = &b->out[i];
	struct tensor *all = &c->out[i];
	*all = *one;
	if (one->shape.rank == RANK_MAX)
		return err_set(c->err, ERR_INVALID_ARGUMENT,
			"%s: output %d would have more than %d dimensions", CALL_LABEL(c), i,
			RANK_MAX);
	all->shape.rank++;
	memmove(all->shape.dim + 1, one->shape.dim,
		(size_t)one->shape.rank * sizeof(*one->shape.dim));
	all->shape.dim[0] = b->rows;
	if (i >= b->n_state)
		all->shape.dim[1] = b->steps;
	TRY(control_room(c, all));
	memset(all->data, 0, tensor_bytes(all));
	return ERR_OK;
}

static enum err_code put_row(struct batched *b, struct control_call *c, int64_t row, int i)
{
	const struct tensor *one = &b->out[i];
	if (row == 0)
		TRY(new_output(b, c, i));
	struct shape want = c->out[i].shape, is = one->shape;
	want.rank--;
	memmove(want.dim, want.dim + 1, (size_t)want.rank * sizeof(*want.dim));
	size_t bytes = tensor_bytes(&(struct tensor){ .dtype = one->dtype, .shape = want });
	if (i >= b->n_state)
		is.dim[0] = want.dim[0];
	if (tensor_count(one) && !shape_equal(&is, &want))
		return err_set(c->err, ERR_INVALID_ARGUMENT,
			"%s: output %d is %s for row %lld, %s before", CALL_LABEL(c), i,
			SHAPE_TEXT(&one->shape), (long long)row, SHAPE_TEXT(&want));
	if (tensor_count(one))
		memcpy((char *)c->out[i].data + bytes * (size_t)row, one->data, tensor_bytes(one));
	return ERR_OK;
}

static enum err_code scan_row(struct batched *b, struct control_call *c, int64_t row)
{
	int64_t length = c->in[0].data ? tensor_int(&c->in[0], row) : b->steps;
	TRY(take_row(b, c, row, length));
	TRY(control_scan(&b->row));
	for (int i = 0; i < c->node->n_out; i++)
		TRY(put_row(b, c, row, i));
	return ERR_OK;
}

enum err_code control_batched_scan(struct control_call *c)
{
	const struct graph *body = node_graph(c->node, "body");
	struct batched b = { .n_own = body->n_input, .row = *c };
	b.n_state = body->n_input - (int)node_int(c->node, "num_scan_inputs", 0);
	b.in = ARENA_ARRAY(c->opts->arena, struct tensor, (size_t)c->node->n_in + 1);
	b.out = ARENA_ARRAY(c->opts->arena, struct tensor, (size_t)c->node->n_out + 1);
	if (!b.in || !b.out)
		return err_oom(c->err);
	memcpy(b.in, c->in, (size_t)c->node->n_in * sizeof(*b.in));
	b.row.in = b.in;
	b.row.out = b.out;
	TRY(check_operands(&b, c));
	if (b.rows < 1)
		return err_set(
			c->err, ERR_INVALID_ARGUMENT, "%s: its batch has no rows", CALL_LABEL(c));
	for (int64_t row = 0; row < b.rows; row++)
		TRY(scan_row(&b, c, row));
	return ERR_OK;
}
