/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_fused.c -- operators of com.microsoft that are ai.onnx's by the same or another name,
 * and products and convolutions with what stands around them
 */
#include "loader/onnx/lower/lower.h"

#define END { NULL, 0, false }

const struct attr_spec old_fused_conv[] = { { "activation", ATTR_STRING, false },
	{ "activation_params", ATTR_FLOATS, false }, END };
const struct attr_spec old_fused_gemm[] = { { "activation", ATTR_STRING, false },
	{ "activation_alpha", ATTR_FLOAT, false }, { "activation_beta", ATTR_FLOAT, false },
	{ "activation_gamma", ATTR_FLOAT, false }, END };
const struct attr_spec old_fused_matmul[] = { { "alpha", ATTR_FLOAT, false },
	{ "transA", ATTR_INT, false }, { "transB", ATTR_INT, false },
	{ "transBatchA", ATTR_INT, false }, { "transBatchB", ATTR_INT, false },
	{ "activation", ATTR_STRING, false }, { "activation_alpha", ATTR_FLOAT, false },
	{ "activation_beta", ATTR_FLOAT, false }, { "activation_gamma", ATTR_FLOAT, false },
	{ "activation_axis", ATTR_INT, false }, END };

const struct attr_spec old_linear_attention[] = { { "state_window", ATTR_INT, false }, END };
const struct attr_spec old_causal_conv[] = { { "channels_last", ATTR_INT, false },
	{ "dilation", ATTR_INT, false }, { "input_channel_offset", ATTR_INT, false },
	{ "input_channels", ATTR_INT, false }, { "ndim", ATTR_INT, false },
	{ "state_channels_last", ATTR_INT, false }, { "state_length", ATTR_INT, false },
	{ "state_update_capacity", ATTR_INT, false }, { "state_window", ATTR_INT, false }, END };

/* -- the same by another name ------------------------------------------------------------------ */

void lower_as_onnx(struct lower *x)
{
	x->op = op_find(slice_of(op_domain_name(DOMAIN_ONNX)), x->type);
}

/* The step may be absent: 1. */
void lower_range_ms(struct lower *x)
{
	lower_as_onnx(x);
	if (!lower_has_in(x, 2))
		lower_set_in(x, 2, LOWER_EMIT(x, CAST_LIKE, lower_scalar(x, 1), lower_in(x, 0)));
}

/* Attributes that what we have stands for one value of. */
static void want_int(struct lower *x, const char *name, int64_t want)
{
	int64_t is = lower_take_int(x, name, want);
	if (is != want)
		lower_fail(x, ERR_UNIMPLEMENTED, "%s is %lld, not %lld", name, (long long)is,
			(long long)want);
}

void lower_linear_attention_ms(struct lower *x)
{
	want_int(x, "state_window", 0);
	x->op = OP_LINEAR_ATTENTION;
}

void lower_causal_conv_ms(struct lower *x)
{
	static const char *const none[] = { "channels_last", "input_channel_offset",
		"input_channels", "state_length", "state_update_capacity", "state_window" };
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		want_int(x, none[i], 0);
	want_int(x, "dilation", 1);
	want_int(x, "ndim", 1);
	want_int(x, "state_channels_last", -1);
	x->op = OP_CAUSAL_CONV;
}

/* -- activations ------------------------------------------------------------------------------- */

/* The draft becomes the activation of v. Its parameters are those that the operator has, in
   the order of its attributes. */
static void activate(struct lower *x, int32_t v, struct slice name, const float *param, int n)
{
	static const char *const known[] = { "Relu", "Tanh", "Sigmoid", "LeakyRelu", "HardSigmoid",
		"HardSwish", "Elu", "Selu", "Celu", "Softplus", "Softsign", "ThresholdedRelu",
		"Gelu", "Clip" };
	lower_become(x, OP_NONE, 1, 1, &v);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_is(name, known[i]))
			x->op = op_find(slice_of(op_domain_name(DOMAIN_ONNX)), name);
	if (x->op == OP_NONE) {
		lower_fail(x, ERR_UNIMPLEMENTED, "the activation '%.*s' is not supported",
			SLICE_ARG(name));
		return;
	}
	const struct attr_spec *spec = op_info(x->op)->attrs;
	for (int i = 0; i < n; i++)
		if (x->op == OP_CLIP)
			lower_set_in(x, i + 1, lower_float(x, lower_dtype(x, v), (double)param[i]));
		else if (spec->name && spec->kind == ATTR_FLOAT)
			lower_default_float(x, spec++->name, param[i]);
}

/* The same with the parameters that the draft has in attributes of their own. */
static void activate_by_name(
	struct lower *x, int32_t v, struct slice name, const struct attr *const a[3])
{
	static const char *const names[3] = { "alpha", "beta", "gamma" };
	activate(x, v, name, NULL, 0);
	if (x->rc != ERR_OK)
		return;
	for (const struct attr_spec *spec = op_info(x->op)->attrs; spec->name; spec++)
		for (int i = 0; i < 3; i++)
			if (a[i] && strcmp(spec->name, names[i]) == 0)
				lower_default_float(x, spec->name, a[i]->f);
}

/* An attribute that is taken out, kept. */
static const struct attr *take_kept(struct lower *x, const char *name, struct attr *room)
{
	const struct attr *a = lower_take(x, name);
	if (!a)
		return NULL;
	*room = *a;
	return room;
}

/* What activate_by_name() needs, out of the draft. */
struct activation_attrs {
	struct attr room[4];
	const struct attr *name, *param[3];
};

static void take_activation(struct lower *x, struct activation_attrs *a)
{
	static const char *const names[3] = { "activation_alpha", "activation_beta",
		"activation_gamma" };
	a->name = take_kept(x, "activation", &a->room[3]);
	for (int i = 0; i < 3; i++)
		a->param[i] = take_kept(x, names[i], &a->room[i]);
}

/* -- products and convolutions with more ------------------------------------------------------- */

void lower_fused_conv(struct lower *x)
{
	struct attr name, params;
	const struct attr *a = take_kept(x, "activation", &name);
	const struct attr *p = take_kept(x, "activation_params", &params);
	int32_t z = lower_has_in(x, 3) ? x->in[3] : VALUE_NONE;
	const int32_t in[3] = { lower_in(x, 0), lower_in(x, 1),
		lower_has_in(x, 2) ? x->in[2] : VALUE_NONE };
	int32_t v = lower_emit_draft(x, OP_CONV, in[2] == VALUE_NONE ? 2 : 3, in);
	if (z != VALUE_NONE)
		v = LOWER_EMIT(x, ADD, v, z);
	if (a) {
		activate(x, v, a->s, p ? p->floats : NULL, p ? p->n : 0);
		return;
	}
	LOWER_BECOME(x, IDENTITY, 1, v);
}

void lower_fused_gemm(struct lower *x)
{
	struct activation_attrs a;
	take_activation(x, &a);
	x->op = OP_GEMM;
	if (a.name && a.name->s.len)
		activate_by_name(
			x, lower_emit_draft(x, OP_GEMM, x->n_in, x->in), a.name->s, a.param);
}

/* Operand i with its last two dimensions swapped, or with its first one moved behind those
   of the batch. A vector has neither. */
static int32_t turned(struct lower *x, int i, bool swap, bool batch)
{
	int32_t v = lower_in(x, i);
	int rank = lower_shape(x, v)->rank;
	int64_t *perm = ARENA_ARRAY(x->graph->arena, int64_t, RANK_MAX);
	if ((!swap && !batch) || rank == 1)
		return v;
	if (!perm || rank == RANK_UNKNOWN) {
		lower_fail(x, ERR_UNIMPLEMENTED, "the rank of input %d is not known", i);
		return VALUE_NONE;
	}
	for (int k = 0; k < rank; k++)
		perm[k] = !batch || k == rank - 1 ? k : k == rank - 2 ? 0 : k + 1;
	if (swap) {
		int64_t last = perm[rank - 1];
		perm[rank - 1] = perm[rank - 2];
		perm[rank - 2] = last;
	}
	lower_with(x, (struct attr){ .name = "perm", .kind = ATTR_INTS, .n = rank, .ints = perm });
	return LOWER_EMIT(x, TRANSPOSE, v);
}

/* Ours takes a transposed B itself. */
void lower_fused_matmul(struct lower *x)
{
	struct activation_attrs a;
	float alpha = lower_take_float(x, "alpha", 1);
	bool trans_a = lower_take_int(x, "transA", 0) != 0,
	     trans_b = lower_take_int(x, "transB", 0) != 0;
	bool batch_a = lower_take_int(x, "transBatchA", 0) != 0;
	bool batch_b = lower_take_int(x, "transBatchB", 0) != 0;
	take_activation(x, &a);
	lower_take_rest(x);
	int32_t in[2] = { turned(x, 0, trans_a, batch_a), turned(x, 1, false, batch_b) };
	lower_become(x, OP_FUSED_MATMUL, 1, 2, in);
	lower_default_float(x, "scale", alpha);
	lower_default_int(x, "trans_b", trans_b && lower_shape(x, in[1])->rank != 1);
	if (a.name && a.name->s.len)
		activate_by_name(
			x, lower_emit_draft(x, OP_FUSED_MATMUL, 2, in), a.name->s, a.param);
}
