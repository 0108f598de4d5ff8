/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/unary.h"

/* Operators whose function is of floats, with the defaults of their attributes. */
struct unary_op {
	bool real;
	enum unary_id id;
	float alpha, beta;
};

static const struct unary_op unary_ops[OP_COUNT_] = {
#define OPF(id, ...) [OP_##id] = { true, UNARY_##id, __VA_ARGS__ }
	OPF(ABS, 0, 0), OPF(ACOS, 0, 0), OPF(ACOSH, 0, 0), OPF(ASIN, 0, 0), OPF(ASINH, 0, 0),
	OPF(ATAN, 0, 0), OPF(ATANH, 0, 0), OPF(CEIL, 0, 0), OPF(COS, 0, 0), OPF(COSH, 0, 0),
	OPF(ERF, 0, 0), OPF(EXP, 0, 0), OPF(SINH, 0, 0), OPF(SWISH, 1, 0), OPF(TAN, 0, 0),
	OPF(FLOOR, 0, 0), OPF(LOG, 0, 0), OPF(NEG, 0, 0), OPF(RECIPROCAL, 0, 0),
	OPF(ROUND, 0, 0), OPF(SIGN, 0, 0), OPF(SIN, 0, 0), OPF(SQRT, 0, 0),
	OPF(CELU, 1, 0), OPF(ELU, 1, 0), OPF(GELU, 0, 0), OPF(HARD_SIGMOID, 0.2f, 0.5f),
	OPF(HARD_SWISH, 0, 0), OPF(LEAKY_RELU, 0.01f, 0), OPF(MISH, 0, 0), OPF(RELU, 0, 0),
	OPF(SELU, 1.67326319217681884765625f, 1.05070102214813232421875f),
	OPF(SIGMOID, 0, 0), OPF(SOFTPLUS, 0, 0), OPF(SOFTSIGN, 0, 0), OPF(TANH, 0, 0),
	OPF(THRESHOLDED_RELU, 1, 0),
#undef OPF
};

static const enum unary_id activations[ACT_COUNT_] = {
	[ACT_RELU] = UNARY_RELU,
	[ACT_LEAKY_RELU] = UNARY_LEAKY_RELU,
	[ACT_CLIP] = UNARY_CLIP,
	[ACT_SIGMOID] = UNARY_SIGMOID,
	[ACT_TANH] = UNARY_TANH,
	[ACT_HARD_SIGMOID] = UNARY_HARD_SIGMOID,
	[ACT_HARD_SWISH] = UNARY_HARD_SWISH,
	[ACT_SWISH] = UNARY_SWISH,
	[ACT_GELU] = UNARY_GELU,
	[ACT_GELU_TANH] = UNARY_GELU_TANH,
};

bool unary_of(const struct node *n, struct unary_call *ret)
{
	const struct unary_op *u = &unary_ops[n->op];
	if (!u->real)
		return false;
	ret->id = u->id;
	if (u->id == UNARY_GELU && slice_is(node_string(n, "approximate", "none"), "tanh"))
		ret->id = UNARY_GELU_TANH;
	ret->alpha = node_float(n, "alpha", u->alpha);
	ret->beta = node_float(n, n->op == OP_SELU ? "gamma" : "beta", u->beta);
	return true;
}

bool unary_of_activation(const struct node *n, struct unary_call *ret)
{
	int64_t act = node_int(n, "activation", ACT_NONE);
	if (act <= ACT_NONE || act >= ACT_COUNT_)
		return false;
	ret->id = activations[act];
	ret->alpha = node_float(n, "alpha", 0);
	ret->beta = node_float(n, "beta", 0);
	return true;
}

enum unary_id unary_of_rnn(enum rnn_function_id id)
{
	static const enum unary_id ids[RNN_FUNCTION_COUNT_] = {
		[RNN_AFFINE] = UNARY_AFFINE,
		[RNN_ELU] = UNARY_ELU,
		[RNN_HARD_SIGMOID] = UNARY_HARD_SIGMOID,
		[RNN_LEAKY_RELU] = UNARY_LEAKY_RELU,
		[RNN_RELU] = UNARY_RELU,
		[RNN_SCALED_TANH] = UNARY_SCALED_TANH,
		[RNN_SIGMOID] = UNARY_SIGMOID,
		[RNN_SOFTPLUS] = UNARY_SOFTPLUS,
		[RNN_SOFTSIGN] = UNARY_SOFTSIGN,
		[RNN_TANH] = UNARY_TANH,
		[RNN_THRESHOLDED_RELU] = UNARY_THRESHOLDED_RELU,
	};
	return ids[id];
}
