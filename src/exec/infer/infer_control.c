/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_control.c -- operators with bodies; infer_graph() has been through the bodies
 */
#include "exec/infer/infer.h"

/* Both branches take nothing but what they capture, and give n_out values, of the same types. */
static enum err_code check_branches(const struct infer *x, const struct graph *a,
	const struct graph *b, struct err *err)
{
	if (a->n_output != x->n_out || b->n_output != x->n_out)
		return infer_fail(x, err,
			"then_branch has %d outputs and else_branch %d, the node has %d",
			a->n_output, b->n_output, x->n_out);
	if (a->n_input || b->n_input)
		return infer_fail(x, err,
			"then_branch has %d inputs and else_branch %d, they must have none",
			a->n_input, b->n_input);
	if (x->n_in - 1 != a->n_capture + b->n_capture)
		return infer_fail(x, err, "%d values are captured, the branches take %d and %d",
			x->n_in - 1, a->n_capture, b->n_capture);
	for (int i = 0; i < x->n_out; i++) {
		const struct type *t = &a->value[a->output[i]].type,
				  *u = &b->value[b->output[i]].type;
		if (t->dtype != u->dtype || t->is_sequence != u->is_sequence ||
			t->is_optional != u->is_optional)
			return infer_fail(x, err,
				"output %d is %s%s in then_branch, %s%s in else_branch", i,
				t->is_sequence ? "a sequence of " : "", dtype_name(t->dtype),
				u->is_sequence ? "a sequence of " : "", dtype_name(u->dtype));
	}
	return ERR_OK;
}

struct shape infer_common_shape(const struct shape *a, const struct shape *b)
{
	struct shape out = *a;
	if (a->rank != b->rank)
		return SHAPE_UNKNOWN;
	for (int i = 0; i < a->rank; i++)
		if (a->dim[i] != b->dim[i])
			out.dim[i] = DIM_UNKNOWN;
	return out;
}

enum err_code infer_if(struct infer *x, struct err *err)
{
	const struct graph *a = node_graph(x->node, "then_branch");
	const struct graph *b = node_graph(x->node, "else_branch");
	TRY(infer_want_type(x, 0, T(BOOL), err));
	TRY(infer_want_scalar(x, 0, err));
	TRY(check_branches(x, a, b, err));
	for (int i = 0; i < x->n_out; i++) {
		const struct gvalue *u = &a->value[a->output[i]], *v = &b->value[b->output[i]];
		x->out[i].type = u->type;
		x->out[i].shape = infer_common_shape(&u->shape, &v->shape);
	}
	return ERR_OK;
}
