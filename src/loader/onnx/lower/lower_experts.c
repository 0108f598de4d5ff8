/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_experts.c -- com.microsoft's MoE and QMoE: each token goes through the layers of a few
 * experts, which a router chooses. What remains of them are products with the weights of chosen
 * experts (Experts) between ordinary operators.
 */
#include "loader/onnx/lower/lower.h"

#define END { NULL, 0, false }

#define MOE_ATTRS \
	{ "k", ATTR_INT, false }, { "activation_alpha", ATTR_FLOAT, false }, \
		{ "activation_beta", ATTR_FLOAT, false }, \
		{ "activation_type", ATTR_STRING, false }, \
		{ "normalize_routing_weights", ATTR_INT, false }, \
		{ "swiglu_fusion", ATTR_INT, false }, { "swiglu_limit", ATTR_FLOAT, false }, \
		{ "swiglu_limit_after_activation", ATTR_INT, false }, \
		{ "use_sparse_mixer", ATTR_INT, false }
const struct attr_spec old_moe[] = { MOE_ATTRS, END };
const struct attr_spec old_qmoe[] = { MOE_ATTRS, { "accuracy_level", ATTR_INT, false },
	{ "block_size", ATTR_INT, false }, { "expert_weight_bits", ATTR_INT, false },
	{ "fc1_expert_weight_bits", ATTR_INT, false },
	{ "fc2_expert_weight_bits", ATTR_INT, false },
	{ "fc3_expert_weight_bits", ATTR_INT, false }, { "quant_type", ATTR_STRING, false },
	{ "weights_prepacked", ATTR_INT, false }, END };

/* Which inputs a layer has; -1: none such. */
struct layer {
	int weights, scales, zeros, bias;
};

struct experts {
	struct layer fc[3];
	int64_t bits[3], block; /* bits are 0: floats */
	int32_t index;          /* experts of each token */
};

static int32_t in_or_none(const struct lower *x, int i)
{
	return i >= 0 && lower_has_in(x, i) ? x->in[i] : VALUE_NONE;
}

static int32_t reshape(struct lower *x, int32_t v, const int64_t *to, int32_t rank)
{
	return LOWER_EMIT(x, RESHAPE, v, lower_ints(x, to, rank));
}

/* Numbers of a row of a layer's weights; 0: not known, and said so. */
static int64_t row_length(struct lower *x, const struct experts *e, int layer)
{
	const struct shape *w = lower_shape(x, lower_in(x, e->fc[layer].weights));
	int64_t n = w->rank == 3 ? w->dim[2] : DIM_UNKNOWN, bits = e->bits[layer];
	if (n > 0 && n < INT64_MAX / 8)
		return bits ? n * 8 / bits : n;
	lower_fail(x, ERR_UNIMPLEMENTED, "weights %s of experts", SHAPE_TEXT(w));
	return 0;
}

/* One scale of each row becomes one of each of its blocks, which are as large as can be. */
static int32_t scales_by_block(
	struct lower *x, const struct experts *e, int layer, int64_t *ret_block)
{
	int32_t scales = lower_in(x, e->fc[layer].scales);
	int64_t k = row_length(x, e, layer);
	*ret_block = e->block;
	if (e->block || lower_shape(x, scales)->rank != 2)
		return scales;
	*ret_block = k & -k;
	if (in_or_none(x, e->fc[layer].zeros) != VALUE_NONE)
		lower_fail(x, ERR_UNIMPLEMENTED, "zero points, and no block_size");
	if (x->rc != ERR_OK)
		return VALUE_NONE;
	const int64_t to[] = { 1, 1, k / *ret_block };
	scales = LOWER_EMIT(x, UNSQUEEZE, scales, lower_int(x, 2));
	return LOWER_EMIT(x, EXPAND, scales, lower_ints(x, to, 3));
}

static int32_t product(struct lower *x, const struct experts *e, int layer, int32_t rows)
{
	const struct layer *l = &e->fc[layer];
	int64_t block = 0;
	int32_t in[6] = { rows, e->index, lower_in(x, l->weights), VALUE_NONE,
		in_or_none(x, l->zeros), in_or_none(x, l->bias) };
	if (e->bits[layer]) {
		in[3] = scales_by_block(x, e, layer, &block);
		lower_with_int(x, "bits", e->bits[layer]);
		lower_with_int(x, "block_size", block);
	}
	int n = in[5] != VALUE_NONE ? 6 : in[4] != VALUE_NONE ? 5 : in[3] != VALUE_NONE ? 4 : 3;
	return lower_emit(x, OP_EXPERTS, n, in);
}

/* -- the router -------------------------------------------------------------------------------- */

/* The shares of the chosen experts, [tokens, k], which e->index names. mix: input whose
   numbers are the shares as they are; VALUE_NONE: the router's, by Softmax. */
static int32_t route(struct lower *x, struct experts *e, int32_t mix)
{
	int64_t k = lower_take_int(x, "k", 1);
	/* ONNX Runtime's QMoE does not ask where the shares are its own. */
	bool normalize = lower_take_int(x, "normalize_routing_weights", 0) != 0 ||
			 (e->bits[0] && mix == VALUE_NONE);
	int32_t scores = lower_in(x, 1);
	if (mix == VALUE_NONE) {
		lower_with_int(x, "axis", -1);
		scores = LOWER_EMIT(x, SOFTMAX, scores);
	}
	const int32_t in[2] = { scores, lower_int(x, k) };
	lower_with_int(x, "axis", -1);
	int32_t share = lower_emit_outs(x, OP_TOP_K, 2, in, 2);
	e->index = share + 1;
	if (mix != VALUE_NONE) {
		lower_with_int(x, "axis", -1);
		share = LOWER_EMIT(x, GATHER_ELEMENTS, mix, e->index);
	}
	if (!normalize)
		return share;
	int32_t axis = lower_int(x, -1);
	return LOWER_EMIT(x, DIV, share, LOWER_EMIT(x, REDUCE_SUM, share, axis));
}

/* -- activations ------------------------------------------------------------------------------- */

/* Gates and what they let through, of one product: side by side, or by turns. */
static void split_gates(struct lower *x, const struct experts *e, bool turns, int32_t *gate,
	int32_t *up)
{
	int64_t n = row_length(x, e, 1);
	const int64_t pairs[] = { 0, 0, n, 2 }, halves[] = { 0, 0, 2, n };
	int32_t both = reshape(x, *gate, turns ? pairs : halves, 4);
	int32_t axis = lower_scalar(x, 0), other = lower_scalar(x, 1);
	lower_with_int(x, "axis", turns ? 3 : 2);
	*gate = LOWER_EMIT(x, GATHER, both, axis);
	lower_with_int(x, "axis", turns ? 3 : 2);
	*up = LOWER_EMIT(x, GATHER, both, other);
}

static int32_t swish(struct lower *x, int32_t v, float alpha)
{
	lower_with(x, (struct attr){ .name = "alpha", .kind = ATTR_FLOAT, .f = alpha });
	return LOWER_EMIT(x, SWISH, v);
}

static int32_t gelu_tanh(struct lower *x, int32_t v)
{
	lower_with(x,
		(struct attr){ .name = "approximate", .kind = ATTR_STRING, .s = slice_of("tanh") });
	return LOWER_EMIT(x, GELU, v);
}

/* swish(gate) * (up + beta), both held to the limit before. */
static int32_t swiglu(struct lower *x, int32_t gate, int32_t up)
{
	float alpha = lower_take_float(x, "activation_alpha", 1);
	double beta = (double)lower_take_float(x, "activation_beta", 0);
	const struct attr *said = lower_take(x, "swiglu_limit");
	enum dtype dtype = lower_dtype(x, lower_in(x, 0));
	if (said) {
		double limit = (double)said->f;
		int32_t most = lower_float(x, dtype, limit), least = lower_float(x, dtype, -limit);
		gate = LOWER_EMIT(x, MIN, gate, most);
		up = LOWER_EMIT(x, CLIP, up, least, most);
	}
	gate = swish(x, gate, alpha);
	if (beta != 0)
		up = LOWER_EMIT(x, ADD, up, lower_float(x, dtype, beta));
	return LOWER_EMIT(x, MUL, gate, up);
}

/* gate: the product with the first layer. */
static int32_t activated(struct lower *x, const struct experts *e, int32_t gate, int32_t rows)
{
	const struct attr *said = lower_take(x, "activation_type");
	struct slice name = said ? said->s : slice_of("relu");
	int64_t fusion = lower_take_int(x, "swiglu_fusion", 0);
	bool third = in_or_none(x, e->fc[2].weights) != VALUE_NONE;
	int32_t up = VALUE_NONE;
	if (slice_is(name, "swiglu") && third == (fusion != 0))
		lower_fail(x, ERR_INVALID_ARGUMENT,
			"swiglu takes a third layer, or swiglu_fusion of 1 or 2");
	if (x->rc != ERR_OK)
		return VALUE_NONE;
	if (third)
		up = product(x, e, 2, rows);
	if (slice_is(name, "swiglu")) {
		if (!third)
			split_gates(x, e, fusion == 1, &gate, &up);
		return swiglu(x, gate, up);
	}
	if (slice_is(name, "relu"))
		gate = LOWER_EMIT(x, RELU, gate);
	else if (slice_is(name, "gelu"))
		gate = gelu_tanh(x, gate);
	else if (slice_is(name, "silu"))
		gate = swish(x, gate, 1);
	else if (!slice_is(name, "identity"))
		lower_fail(x, ERR_UNIMPLEMENTED, "activation_type is '%.*s'", SLICE_ARG(name));
	return third ? LOWER_EMIT(x, MUL, gate, up) : gate;
}

/* -- the whole --------------------------------------------------------------------------------- */

static void refuse_int(struct lower *x, const char *name)
{
	if (lower_take_int(x, name, 0))
		lower_fail(x, ERR_UNIMPLEMENTED, "%s", name);
}

static void become_experts(struct lower *x, struct experts *e, int32_t mix)
{
	refuse_int(x, "use_sparse_mixer");
	refuse_int(x, "swiglu_limit_after_activation");
	int32_t share = route(x, e, mix), shape = LOWER_EMIT(x, SHAPE, lower_in(x, 0));
	const int64_t tokens[] = { -1, 1, row_length(x, e, 0) };
	int32_t rows = reshape(x, lower_in(x, 0), tokens, 3);
	int32_t v = activated(x, e, product(x, e, 0, rows), rows);
	v = product(x, e, 1, v);
	int32_t last = lower_int(x, 2), slots = lower_int(x, 1);
	v = LOWER_EMIT(x, MUL, v, LOWER_EMIT(x, UNSQUEEZE, share, last));
	lower_with_int(x, "keepdims", 0);
	v = LOWER_EMIT(x, REDUCE_SUM, v, slots);
	lower_take_rest(x);
	LOWER_BECOME(x, RESHAPE, 1, v, shape);
}

void lower_moe(struct lower *x)
{
	struct experts e = { .fc = { { 2, -1, -1, 3 }, { 4, -1, -1, 5 }, { 6, -1, -1, 7 } } };
	become_experts(x, &e, VALUE_NONE);
}

/* ONNX Runtime's CPU takes weights as they are whatever weights_prepacked says. */
void lower_qmoe(struct lower *x)
{
	static const char *const bits_of[] = { "fc1_expert_weight_bits", "fc2_expert_weight_bits",
		"fc3_expert_weight_bits" };
	struct experts e = { .fc = { { 2, 3, 11, 4 }, { 5, 6, 12, 7 }, { 8, 9, 13, 10 } } };
	int64_t bits = lower_take_int(x, "expert_weight_bits", 4);
	const struct attr *type = lower_take(x, "quant_type");
	if (type && !slice_is(type->s, "int"))
		lower_fail(x, ERR_UNIMPLEMENTED, "quant_type is '%.*s'", SLICE_ARG(type->s));
	for (int i = 0; i < 3; i++) {
		e.bits[i] = lower_take_int(x, bits_of[i], bits);
		if (e.bits[i] != 2 && e.bits[i] != 4 && e.bits[i] != 8)
			lower_fail(x, ERR_UNIMPLEMENTED, "weights of %lld bits, not 2, 4 or 8",
				(long long)e.bits[i]);
	}
	e.block = lower_take_int(x, "block_size", 0);
	for (int i = 15; i < x->n_in; i++)
		if (lower_has_in(x, i))
			lower_fail(x, ERR_UNIMPLEMENTED, "input %d, of weights that are floats", i);
	if (x->rc == ERR_OK)
		become_experts(x, &e, in_or_none(x, 14));
}
