/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_contrib.c -- com.microsoft's activations, softmax and normalizations in terms of
 * ai.onnx's
 */
#include "loader/onnx/lower/lower.h"

#define END { NULL, 0, false }

const struct attr_spec old_bias_softmax[] = { { "axis", ATTR_INT, false },
	{ "is_inner_broadcast", ATTR_INT, false }, END };
const struct attr_spec old_embed_layer_norm[] = { { "mask_index_type", ATTR_INT, false }, END };

/* -- activations ----------------------------------------------------------------------------- */

/* Input 0 with input 1 added, if there is one. */
static int32_t biased(struct lower *x)
{
	int32_t v = lower_in(x, 0);
	return lower_has_in(x, 1) ? LOWER_EMIT(x, ADD, v, x->in[1]) : v;
}

void lower_gelu_contrib(struct lower *x)
{
	LOWER_BECOME(x, GELU, 1, biased(x));
}

void lower_fast_gelu(struct lower *x)
{
	lower_set(x,
		(struct attr){ .name = "approximate", .kind = ATTR_STRING, .s = slice_of("tanh") });
	LOWER_BECOME(x, GELU, 1, biased(x));
}

void lower_quick_gelu(struct lower *x)
{
	lower_default_float(x, "alpha", 1.702f);
	x->op = OP_SWISH;
}

/* is_inner_broadcast says which dimensions of the bias are one, which shows by itself. */
void lower_bias_softmax(struct lower *x)
{
	lower_take(x, "is_inner_broadcast");
	lower_in(x, 1);
	LOWER_BECOME(x, SOFTMAX, 1, biased(x));
	lower_softmax(x);
}

/* -- normalizations -------------------------------------------------------------------------- */

/* One over the root of the mean square along the last axes, as output i of the draft. */
static void emit_inverse_rms(struct lower *x, int32_t v, float epsilon, int64_t axis, int i)
{
	int64_t axes[RANK_MAX];
	int32_t n = 0, rank = axis == -1 ? 0 : lower_shape(x, v)->rank;
	if (rank == RANK_UNKNOWN)
		lower_fail(x, ERR_UNIMPLEMENTED, "the rank of its input is not known");
	for (int64_t k = axis < 0 ? axis : axis - rank; k < 0 && n < RANK_MAX; k++)
		axes[n++] = k;
	int32_t f = lower_as(x, v, DTYPE_F32);
	int32_t mean = LOWER_EMIT(x, REDUCE_MEAN, LOWER_EMIT(x, MUL, f, f), lower_ints(x, axes, n));
	int32_t sum = LOWER_EMIT(x, ADD, mean, lower_float(x, DTYPE_F32, (double)epsilon));
	lower_emit_out(x, OP_RECIPROCAL, LOWER_EMIT(x, SQRT, sum), i);
}

static float epsilon_of(const struct lower *x)
{
	for (int32_t i = 0; i < x->n_attr; i++)
		if (strcmp(x->attr[i].name, "epsilon") == 0 && x->attr[i].kind == ATTR_FLOAT)
			return x->attr[i].f;
	return 0;
}

static int64_t axis_of(const struct lower *x)
{
	for (int32_t i = 0; i < x->n_attr; i++)
		if (strcmp(x->attr[i].name, "axis") == 0 && x->attr[i].kind == ATTR_INT)
			return x->attr[i].i;
	return -1;
}

void lower_simplified_norm(struct lower *x)
{
	lower_default_float(x, "epsilon", 1e-5f);
	int32_t v = lower_in(x, 0), scale = lower_in(x, 1);
	if (lower_wants_out(x, 1))
		emit_inverse_rms(x, v, epsilon_of(x), axis_of(x), 1);
	LOWER_BECOME(x, RMS_NORM, 1, v, scale);
}

/* Input, skip and bias added up, which may be asked for as output 3. */
static int32_t skip_sum(struct lower *x, int bias)
{
	int32_t sum = LOWER_EMIT(x, ADD, lower_in(x, 0), lower_in(x, 1));
	if (lower_has_in(x, bias))
		sum = LOWER_EMIT(x, ADD, sum, x->in[bias]);
	if (lower_wants_out(x, 3))
		lower_emit_out(x, OP_IDENTITY, sum, 3);
	return sum;
}

void lower_skip_norm(struct lower *x)
{
	int32_t sum = skip_sum(x, 4), scale = lower_in(x, 2);
	lower_default_float(x, "epsilon", 1e-12f);
	LOWER_BECOME(x, LAYER_NORM, 3, sum, scale, lower_has_in(x, 3) ? x->in[3] : VALUE_NONE);
}

/* There is no mean; output 1 only keeps the place. */
void lower_skip_simplified_norm(struct lower *x)
{
	int32_t sum = skip_sum(x, 3), scale = lower_in(x, 2);
	lower_default_float(x, "epsilon", 1e-12f);
	if (lower_wants_out(x, 1))
		lower_fail(x, ERR_UNIMPLEMENTED, "output 1, a mean that is not taken");
	if (lower_wants_out(x, 2))
		emit_inverse_rms(x, sum, epsilon_of(x), -1, 2);
	LOWER_BECOME(x, RMS_NORM, 1, sum, scale);
}

/* -- EmbedLayerNormalization ----------------------------------------------------------------- */

static int32_t look_up(struct lower *x, int32_t table, int32_t index)
{
	lower_with_int(x, "axis", 0);
	return LOWER_EMIT(x, GATHER, table, index);
}

/* How many ones the mask has per row; zeros without a mask. */
static void emit_mask_index(struct lower *x, int32_t ids)
{
	int32_t has;
	if (lower_has_in(x, 7))
		has = LOWER_EMIT(x, EQUAL, x->in[7], lower_as(x, lower_scalar(x, 1), DTYPE_I32));
	else
		has = LOWER_EMIT(x, SUB, ids, ids);
	has = lower_as(x, has, DTYPE_I32);
	int32_t axis = lower_int(x, 1);
	lower_with_int(x, "keepdims", 0);
	lower_emit_out(x, OP_IDENTITY, LOWER_EMIT(x, REDUCE_SUM, has, axis), 1);
}

/* The first of the positions, one for each of the ids. */
static int32_t first_positions(struct lower *x, int32_t ids)
{
	return LOWER_EMIT(x, SLICE, lower_in(x, 3), lower_int(x, 0), lower_dims(x, ids, 1, 2),
		lower_int(x, 0));
}

/* The draft becomes the sum's normalization. */
static void become_embedding(struct lower *x, int32_t sum, int32_t gamma, int32_t beta)
{
	if (lower_wants_out(x, 1))
		emit_mask_index(x, lower_in(x, 0));
	if (lower_wants_out(x, 2))
		lower_emit_out(x, OP_IDENTITY, sum, 2);
	lower_take_rest(x);
	lower_default_float(x, "epsilon", 1e-12f);
	LOWER_BECOME(x, LAYER_NORM, 1, sum, gamma, beta);
}

void lower_embed_layer_norm(struct lower *x)
{
	int32_t ids = lower_in(x, 0), at;
	if (lower_has_in(x, 8))
		at = look_up(x, lower_in(x, 3), x->in[8]);
	else
		at = first_positions(x, ids);
	int32_t sum = LOWER_EMIT(x, ADD, look_up(x, lower_in(x, 2), ids), at);
	if (lower_has_in(x, 1) && lower_has_in(x, 4))
		sum = LOWER_EMIT(x, ADD, sum, look_up(x, x->in[4], x->in[1]));
	become_embedding(x, sum, lower_in(x, 5), lower_in(x, 6));
}

/* v, that is some of input i's 8-bit numbers, as floats. */
static int32_t embedded(struct lower *x, int i, int32_t v)
{
	int32_t scale = lower_in(x, i + 6), zero = lower_in(x, i + 11);
	return LOWER_EMIT(x, DEQUANTIZE, v, scale, zero);
}

void lower_q_embed_layer_norm(struct lower *x)
{
	int32_t ids = lower_in(x, 0);
	int32_t word = embedded(x, 2, look_up(x, lower_in(x, 2), ids));
	int32_t sum = LOWER_EMIT(x, ADD, word, embedded(x, 3, first_positions(x, ids)));
	if (lower_has_in(x, 1) && lower_has_in(x, 4))
		sum = LOWER_EMIT(x, ADD, sum, embedded(x, 4, look_up(x, x->in[4], x->in[1])));
	int32_t gamma = embedded(x, 5, lower_in(x, 5)), beta = embedded(x, 6, lower_in(x, 6));
	become_embedding(x, sum, gamma, beta);
}
