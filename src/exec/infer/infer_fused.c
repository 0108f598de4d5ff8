/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_fused.c -- FusedElementwise: what its body makes of its inputs
 */
#include "exec/infer/infer_fused.h"

/* Every value is an input or a node's, and the result is a node's. */
static bool is_closed(const struct graph *body)
{
	bool makes_result = false;
	for (int32_t i = 0; i < body->n_value; i++)
		if (body->value[i].constant)
			return false;
	for (int32_t i = 0; i < body->n_node; i++)
		makes_result |= body->node[i].n_out == 1 && body->node[i].out[0] == body->output[0];
	return makes_result;
}

static enum err_code check_body(const struct infer *x, const struct graph *body, struct err *err)
{
	if (body->n_input != x->node->n_in || body->n_input > FUSED_INPUTS_MAX ||
		body->n_output != 1 || body->n_capture || body->n_node < 1 ||
		body->n_node > FUSED_NODES_MAX || body->n_value > FUSED_VALUES_MAX)
		return infer_fail(x, err,
			"its body has %d inputs, %d outputs and %d nodes, which it must not have",
			body->n_input, body->n_output, body->n_node);
	if (!is_closed(body))
		return infer_fail(
			x, err, "its body has a constant, or a result that no node of it makes");
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
	const struct ivalue *in[FUSED_INPUTS_MAX] = { NULL };
	if (fused_form(n->op) == FUSED_NONE || n->n_in > FUSED_INPUTS_MAX || n->n_out != 1 ||
		n->out[0] == VALUE_NONE)
		return infer_fail(x, err, "its body has an operator %s, or one of so many operands",
			op_info(n->op)->name);
	for (int32_t k = 0; k < n->n_in; k++)
		in[k] = n->in[k] == VALUE_NONE ? NULL : &v[n->in[k]];
	struct infer inner = { .graph = body,
		.node = n,
		.n_in = FUSED_INPUTS_MAX,
		.n_out = 1,
		.in = in,
		.out = &v[n->out[0]],
		.symbols = x->symbols };
	return infer_node(&inner, err);
}

/* Types are what the body says. */
static enum err_code check_type(const struct infer *x, const struct graph *body, int32_t i,
	const struct ivalue *is, struct err *err)
{
	enum dtype says = body->value[body->node[i].out[0]].type.dtype;
	if (is->type.dtype == says)
		return ERR_OK;
	return infer_fail(x, err, "node %d of its body gives %s, not %s", i,
		dtype_name(is->type.dtype), dtype_name(says));
}

enum err_code infer_fused_body(
	const struct infer *x, struct ivalue ret[FUSED_VALUES_MAX], struct err *err)
{
	const struct graph *body = fused_body(x->node);
	TRY(check_body(x, body, err));
	for (int32_t i = 0; i < body->n_value; i++)
		ret[i] = (struct ivalue){ .type = body->value[i].type, .shape = SHAPE_UNKNOWN };
	for (int32_t i = 0; i < body->n_input; i++)
		ret[body->input[i]] = *x->in[i];
	for (int32_t i = 0; i < body->n_node; i++) {
		TRY(infer_inner(x, body, &body->node[i], ret, err));
		TRY(check_type(x, body, i, &ret[body->node[i].out[0]], err));
	}
	return ERR_OK;
}

enum err_code infer_fused_elementwise(struct infer *x, struct err *err)
{
	struct ivalue v[FUSED_VALUES_MAX];
	TRY(infer_fused_body(x, v, err));
	x->out[0] = v[fused_body(x->node)->output[0]];
	return ERR_OK;
}
