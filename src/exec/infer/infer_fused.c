/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_fused.c -- FusedElementwise: what its body makes of its inputs
 */
#include "exec/fused.h"
#include "exec/infer/infer.h"

static enum err_code check_body(const struct infer *x, const struct graph *body, struct err *err)
{
	if (body->n_input != x->node->n_in || body->n_input > FUSED_INPUTS_MAX ||
		body->n_output != 1 || body->n_capture || body->n_node < 1 ||
		body->n_node > FUSED_NODES_MAX || body->n_value > FUSED_VALUES_MAX)
		return infer_fail(x, err,
			"its body has %d inputs, %d outputs and %d nodes, which it must not have",
			body->n_input, body->n_output, body->n_node);
	for (int32_t i = 0; i < body->n_input; i++) {
		enum dtype has = body->value[body->input[i]].type.dtype;
		if (!infer_has(x, i))
			return infer_fail(x, err, "input %d is required", i);
		TRY(infer_want_type(x, i, UINT64_C(1) << has, err));
	}
	return ERR_OK;
}

static enum err_code infer_inner(const struct infer *x, const struct graph *body,
	const struct node *n, struct ivalue *v, struct err *err)
{
	const struct ivalue *in[FUSED_INPUTS_MAX] = {NULL};
	if (fused_form(n->op) == FUSED_NONE || n->n_in > FUSED_INPUTS_MAX || n->n_out != 1 ||
		n->out[0] == VALUE_NONE)
		return infer_fail(x, err, "its body has an operator %s, or one of so many operands",
			op_info(n->op)->name);
	for (int32_t k = 0; k < n->n_in; k++)
		in[k] = n->in[k] == VALUE_NONE ? NULL : &v[n->in[k]];
	struct infer inner = {.graph = body,
		.node = n,
		.n_in = FUSED_INPUTS_MAX,
		.n_out = 1,
		.in = in,
		.out = &v[n->out[0]],
		.symbols = x->symbols};
	return infer_node(&inner, err);
}

/* Types are what the body says. Each element of the result is made of one of each value, none of
   which is broadcast but inputs. */
static enum err_code check_results(
	const struct infer *x, const struct graph *body, const struct ivalue *v, struct err *err)
{
	const struct shape *want = &v[body->output[0]].shape;
	for (int32_t i = 0; i < body->n_node; i++) {
		const struct ivalue *is = &v[body->node[i].out[0]];
		enum dtype says = body->value[body->node[i].out[0]].type.dtype;
		if (is->type.dtype != says)
			return infer_fail(x, err, "node %d of its body gives %s, not %s", i,
				dtype_name(is->type.dtype), dtype_name(says));
		if (shape_is_static(&is->shape) && shape_is_static(want) &&
			!shape_equal(&is->shape, want))
			return infer_fail(x, err, "node %d of its body gives %s, the last one %s",
				i, SHAPE_TEXT(&is->shape), SHAPE_TEXT(want));
	}
	return ERR_OK;
}

enum err_code infer_fused_elementwise(struct infer *x, struct err *err)
{
	const struct graph *body = fused_body(x->node);
	struct ivalue v[FUSED_VALUES_MAX] = {0};
	TRY(check_body(x, body, err));
	for (int32_t i = 0; i < body->n_value; i++)
		v[i] = (struct ivalue){.type = body->value[i].type, .shape = SHAPE_UNKNOWN};
	for (int32_t i = 0; i < body->n_input; i++)
		v[body->input[i]] = *x->in[i];
	for (int32_t i = 0; i < body->n_node; i++)
		TRY(infer_inner(x, body, &body->node[i], v, err));
	TRY(check_results(x, body, v, err));
	x->out[0].type = v[body->output[0]].type;
	x->out[0].shape = v[body->output[0]].shape;
	return ERR_OK;
}
