/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_iterate.c -- Loop and Scan; infer_graph() has been through the bodies
 */
#include "exec/infer/infer.h"

#include <string.h>

static enum err_code carried_output(struct infer *x, int out, const struct ivalue *initial,
	const struct gvalue *result, struct err *err)
{
	if (!initial)
		return infer_fail(x, err, "carried value %d has no initial value", out);
	if (initial->type.dtype != result->type.dtype ||
		initial->type.is_sequence != result->type.is_sequence)
		return infer_fail(x, err, "carried value %d begins as %s and the body makes it %s",
			out, dtype_name(initial->type.dtype), dtype_name(result->type.dtype));
	x->out[out].type = result->type;
	/* No iteration may be run, or some. */
	x->out[out].shape = infer_common_shape(&initial->shape, &result->shape);
	return ERR_OK;
}

/* One more dimension, as long as there are iterations. */
static enum err_code
stacked_output(struct infer *x, int out, const struct gvalue *item, int axis, struct err *err)
{
	struct shape s = item->shape;
	if (!type_is_tensor(&item->type))
		return infer_fail(
			x, err, "output %d is stacked, so its parts must be tensors", out);
	if (s.rank == RANK_MAX)
		return infer_fail(
			x, err, "output %d would have more than %d dimensions", out, RANK_MAX);
	if (s.rank >= 0) {
		s.rank++;
		memmove(s.dim + axis + 1, s.dim + axis,
			(size_t)(s.rank - 1 - axis) * sizeof(*s.dim));
		s.dim[axis] = DIM_UNKNOWN;
	}
	x->out[out].type = item->type;
	x->out[out].shape = s;
	return ERR_OK;
}

/* The bound and the condition, if they are there, and the condition that the body makes. */
static enum err_code check_loop_head(
	const struct infer *x, const struct graph *body, struct err *err)
{
	static const uint64_t types[] = { T(I64), T(BOOL) };
	for (int i = 0; i < 2; i++)
		if (infer_has(x, i)) {
			TRY(infer_want_type(x, i, types[i], err));
			TRY(infer_want_scalar(x, i, err));
		}
	const struct type *cond = &body->value[body->output[0]].type;
	if (!type_is_tensor(cond) || cond->dtype != DTYPE_BOOL)
		return infer_fail(x, err, "output 0 of its body is %s, the condition must be bool",
			dtype_name(cond->dtype));
	return ERR_OK;
}

enum err_code infer_loop(struct infer *x, struct err *err)
{
	const struct graph *body = node_graph(x->node, "body");
	int carried = body->n_input - 2, stacked = body->n_output - 1 - carried;
	if (carried < 0 || stacked < 0)
		return infer_fail(x, err, "its body has %d inputs and %d outputs", body->n_input,
			body->n_output);
	if (x->n_in != 2 + carried + body->n_capture)
		return infer_fail(x, err, "it has %d inputs, its body takes %d carried values",
			x->n_in - body->n_capture, carried);
	if (x->n_out != carried + stacked)
		return infer_fail(x, err, "it has %d outputs, its body gives %d", x->n_out,
			carried + stacked);
	TRY(check_loop_head(x, body, err));
	for (int i = 0; i < x->n_out; i++) {
		const struct gvalue *v = &body->value[body->output[1 + i]];
		enum err_code rc = i < carried ? carried_output(x, i, x->in[2 + i], v, err)
					       : stacked_output(x, i, v, 0, err);
		if (rc != ERR_OK)
			return rc;
	}
	return ERR_OK;
}

/* first: the input that is the first state. */
static enum err_code check_scan(const struct infer *x, int first, int *ret_state, struct err *err)
{
	const struct graph *body = node_graph(x->node, "body");
	int64_t scanned = node_int(x->node, "num_scan_inputs", 0);
	int state = body->n_input - (int)scanned;
	if (scanned < 1 || scanned > body->n_input || state > body->n_output)
		return infer_fail(x, err,
			"num_scan_inputs is %lld, its body has %d inputs and %d outputs",
			(long long)scanned, body->n_input, body->n_output);
	if (x->n_in != first + body->n_input + body->n_capture || x->n_out != body->n_output)
		return infer_fail(x, err, "it has %d inputs and %d outputs, its body %d and %d",
			x->n_in - first - body->n_capture, x->n_out, body->n_input, body->n_output);
	for (int i = 0; i < body->n_input; i++)
		if (x->in[first + i])
			TRY(infer_want_type(x, first + i, T_ALL, err));
	for (int i = 0; i < body->n_output; i++)
		if (!type_is_tensor(&body->value[body->output[i]].type))
			return infer_fail(x, err, "output %d of its body is no tensor", i);
	*ret_state = state;
	return ERR_OK;
}

enum err_code infer_batched_scan(struct infer *x, struct err *err)
{
	const struct graph *body = node_graph(x->node, "body");
	int state;
	TRY(check_scan(x, 1, &state, err));
	if (infer_has(x, 0)) {
		TRY(infer_want_type(x, 0, T(I64), err));
		TRY(infer_want_rank(x, 0, 1, 1, err));
	}
	for (int i = 1; i <= body->n_input; i++) {
		if (!infer_has(x, i))
			return infer_fail(x, err, "input %d is required", i);
		TRY(infer_want_rank(x, i, i <= state ? 1 : 2, RANK_MAX, err));
	}
	for (int i = 0; i < x->n_out; i++)
		infer_set(x, i, body->value[body->output[i]].type.dtype, &SHAPE_UNKNOWN);
	return ERR_OK;
}

enum err_code infer_scan(struct infer *x, struct err *err)
{
	const struct graph *body = node_graph(x->node, "body");
	int state;
	TRY(check_scan(x, 0, &state, err));
	int32_t n_axes;
	const int64_t *axes = node_ints(x->node, "scan_output_axes", &n_axes);
	for (int i = 0; i < x->n_out; i++) {
		const struct gvalue *v = &body->value[body->output[i]];
		int axis = 0, k = i - state;
		if (k >= 0 && k < n_axes && v->shape.rank >= 0 &&
			!shape_axis(axes[k], v->shape.rank + 1, &axis))
			return infer_fail(x, err,
				"scan_output_axes[%d] is %lld, the output has rank %d", k,
				(long long)axes[k], v->shape.rank + 1);
		enum err_code rc = i < state ? carried_output(x, i, x->in[i], v, err)
					     : stacked_output(x, i, v, axis, err);
		if (rc != ERR_OK)
			return rc;
	}
	return ERR_OK;
}
