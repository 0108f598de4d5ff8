/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_scan.c -- Scan: a body over the slices of its inputs, with state
 *
 * Inputs s_1 ... s_n, x_1 ... x_m; body (s.., slices of x..) -> (s.., y_1 ... y_k); outputs
 * the last s's, then the y's stacked along an axis. Each x may have its own axis and
 * direction, each y too (ONNX operator Scan, opset 9 on).
 */
#include <string.h>
#include "exec/run/control_impl.h"

struct scan {
	struct control_rounds rounds;
	struct control_stack *stack; /* per stacked output */
	int first; /* of the node's inputs that is a state */
	int n_state, n_x, n_y;
	int64_t length;
};

static int64_t list_at(const struct node *n, const char *attr, int i)
{
	int32_t count;
	const int64_t *list = node_ints(n, attr, &count);
	return i < count ? list[i] : 0;
}

static int axis_of(const struct node *n, const char *attr, int i, int rank)
{
	int axis = 0;
	return shape_axis(list_at(n, attr, i), rank, &axis) ? axis : 0;
}

/* Copies between slice k along an axis of a dense tensor and a dense slice. */
static void copy_slice(const struct tensor *whole, int axis, int64_t k, char *slice, bool to_slice)
{
	size_t inner = (size_t)shape_count_range(&whole->shape, axis + 1, whole->shape.rank) *
		       dtype_bytes(whole->dtype);
	int64_t outer = shape_count_range(&whole->shape, 0, axis);
	size_t stride = inner * (size_t)whole->shape.dim[axis];
	char *at = (char *)whole->data + inner * (size_t)k;
	for (int64_t o = 0; o < outer; o++, at += stride, slice += inner)
		memcpy(to_slice ? slice : at, to_slice ? at : slice, inner);
}

static enum err_code init_slices(struct scan *s, struct control_call *c)
{
	for (int i = 0; i < s->n_x; i++) {
		const struct tensor *x = &c->in[s->first + s->n_state + i];
		if (!x->data || x->shape.rank < 1)
			return err_set(c->err, ERR_INVALID_ARGUMENT,
				"%s: scanned input %d has no dimension to scan", CALL_LABEL(c), i);
		int axis = axis_of(c->node, "scan_input_axes", i, x->shape.rank);
		int64_t length = x->shape.dim[axis];
		if (i > 0 && length != s->length)
			return err_set(c->err, ERR_INVALID_ARGUMENT,
				"%s: scanned input %d is %lld long, the first is %lld",
				CALL_LABEL(c), i, (long long)length, (long long)s->length);
		s->length = length;
		struct tensor *in = &s->rounds.in[s->n_state + i];
		*in = *x;
		in->shape.rank--;
		memmove(in->shape.dim + axis, in->shape.dim + axis + 1,
			(size_t)(in->shape.rank - axis) * sizeof(*in->shape.dim));
		TRY(control_room(c, in));
	}
	return ERR_OK;
}

static enum err_code scan_init(struct scan *s, struct control_call *c)
{
	const struct graph *body = node_graph(c->node, "body");
	enum err_code rc = control_rounds_init(&s->rounds, c, body);
	if (rc != ERR_OK)
		return rc;
	s->n_x = (int)node_int(c->node, "num_scan_inputs", 0);
	s->n_state = body->n_input - s->n_x;
	s->n_y = body->n_output - s->n_state;
	if (s->n_state < 0 || s->n_y < 0)
		return err_set(c->err, ERR_INVALID_ARGUMENT,
			"%s: num_scan_inputs is %d, the body has %d inputs", CALL_LABEL(c), s->n_x,
			body->n_input);
	s->stack = ARENA_ARRAY(c->opts->arena, struct control_stack, (size_t)s->n_y + 1);
	if (!s->stack)
		return err_oom(c->err);
	s->first = c->node->op == OP_BATCHED_SCAN;
	memcpy(s->rounds.in, c->in + s->first, (size_t)s->n_state * sizeof(*c->in));
	return init_slices(s, c);
}

static enum err_code scan_round(struct scan *s, struct control_call *c, int64_t k)
{
	for (int i = 0; i < s->n_x; i++) {
		const struct tensor *x = &c->in[s->first + s->n_state + i];
		bool reverse = list_at(c->node, "scan_input_directions", i) == 1;
		copy_slice(x, axis_of(c->node, "scan_input_axes", i, x->shape.rank),
			reverse ? s->length - 1 - k : k, s->rounds.in[s->n_state + i].data, true);
	}
	enum err_code rc = control_round(&s->rounds, c);
	for (int i = 0; i < s->n_y && rc == ERR_OK; i++)
		rc = control_push(&s->stack[i], c, &s->rounds.out[s->n_state + i]);
	if (rc == ERR_OK)
		memcpy(s->rounds.in, s->rounds.out, (size_t)s->n_state * sizeof(*s->rounds.in));
	return rc;
}

/* The stacked results moved to their axis and direction. */
static enum err_code scan_output(struct scan *s, struct control_call *c, int i)
{
	struct control_stack *st = &s->stack[i];
	struct tensor *out = &c->out[s->n_state + i];
	*out = st->item;
	if (st->n == 0) {
		const struct gvalue *v =
			&s->rounds.body->value[s->rounds.body->output[s->n_state + i]];
		*out = (struct tensor){ .dtype = v->type.dtype, .shape = v->shape };
		out->shape.rank = out->shape.rank < 0 ? 0 : out->shape.rank;
		for (int d = 0; d < out->shape.rank; d++)
			out->shape.dim[d] = out->shape.dim[d] < 0 ? 0 : out->shape.dim[d];
	}
	if (out->shape.rank == RANK_MAX)
		return err_set(c->err, ERR_INVALID_ARGUMENT,
			"%s: output %d would have more than %d dimensions", CALL_LABEL(c), i,
			RANK_MAX);
	out->shape.rank++;
	int axis = axis_of(c->node, "scan_output_axes", i, out->shape.rank);
	memmove(out->shape.dim + axis + 1, out->shape.dim + axis,
		(size_t)(out->shape.rank - 1 - axis) * sizeof(*out->shape.dim));
	out->shape.dim[axis] = st->n;
	TRY(control_room(c, out));
	bool reverse = list_at(c->node, "scan_output_directions", i) == 1;
	size_t bytes = st->n ? tensor_bytes(&st->item) : 0;
	for (int64_t k = 0; k < st->n; k++) {
		int64_t at = reverse ? st->n - 1 - k : k;
		copy_slice(out, axis, at, st->data + bytes * (size_t)k, false);
	}
	return ERR_OK;
}

enum err_code control_scan(struct control_call *c)
{
	struct scan s = { 0 };
	enum err_code rc = scan_init(&s, c);
	for (int64_t k = 0; k < s.length && rc == ERR_OK; k++)
		rc = scan_round(&s, c, k);
	for (int i = 0; i < s.n_state && rc == ERR_OK; i++)
		rc = control_keep(c, &s.rounds.in[i], &c->out[i]);
	for (int i = 0; i < s.n_y && rc == ERR_OK; i++)
		rc = scan_output(&s, c, i);
	control_rounds_done(&s.rounds);
	return rc;
}
