/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_heads.c -- com.microsoft's Attention, QAttention, MultiHeadAttention and RotaryEmbedding
 * in terms of ai.onnx's
 *
 * Theirs differ in what comes before: projections, biases, packed operands, and masks of many
 * forms, whose hidden keys get a large negative number added (mask_filter_value).
 */
#include "loader/onnx/lower/lower.h"

#define END { NULL, 0, false }

#define HEADS_ATTRS \
	{ "mask_filter_value", ATTR_FLOAT, false }, { "num_heads", ATTR_INT, true }, \
		{ "scale", ATTR_FLOAT, false }, { "unidirectional", ATTR_INT, false }
const struct attr_spec old_attention_contrib[] = { HEADS_ATTRS, { "do_rotary", ATTR_INT, false },
	{ "past_present_share_buffer", ATTR_INT, false }, { "qkv_hidden_sizes", ATTR_INTS, false },
	{ "rotary_embedding_dim", ATTR_INT, false }, END };
const struct attr_spec old_qattention[] = { HEADS_ATTRS, { "do_rotary", ATTR_INT, false },
	{ "past_present_share_buffer", ATTR_INT, false }, END };
const struct attr_spec old_multi_head_attention[] = { HEADS_ATTRS, END };
const struct attr_spec old_rotary_contrib[] = { { "is_packed_batching", ATTR_INT, false },
	{ "scale", ATTR_FLOAT, false }, END };

/* What they have in common, as its parts are found. */
struct heads {
	int32_t q, k, v;
	int32_t past_k, past_v; /* VALUE_NONE: none */
	int32_t mask;           /* keys that count: of many forms */
	int32_t bias;           /* added to the scores */
	int64_t num;
};

static int32_t in_or_none(const struct lower *x, int i)
{
	return lower_has_in(x, i) ? x->in[i] : VALUE_NONE;
}

static int32_t slice(struct lower *x, int32_t v, int64_t from, int64_t to, int64_t axis)
{
	return LOWER_EMIT(x, SLICE, v, lower_int(x, from), lower_int(x, to), lower_int(x, axis));
}

/* Without dimension `axis`, of which index i is taken. */
static int32_t pick(struct lower *x, int32_t v, int64_t axis, int64_t i)
{
	lower_with_int(x, "axis", axis);
	return LOWER_EMIT(x, GATHER, v, lower_scalar(x, i));
}

static int32_t transpose(struct lower *x, int32_t v)
{
	static const int64_t swapped[] = { 0, 2, 1, 3 };
	lower_with(x, (struct attr){ .name = "perm", .kind = ATTR_INTS, .ints = swapped, .n = 4 });
	return LOWER_EMIT(x, TRANSPOSE, v);
}

/* [batch, length, heads * size] and [batch, heads, length, size], there and back. */
static int32_t split_heads(struct lower *x, int32_t v, int64_t heads)
{
	const int64_t to[] = { 0, 0, heads, -1 };
	return transpose(x, LOWER_EMIT(x, RESHAPE, v, lower_ints(x, to, 4)));
}

static int32_t join_heads(struct lower *x, int32_t v)
{
	const int64_t to[] = { 0, 0, -1 };
	return LOWER_EMIT(x, RESHAPE, v, lower_ints(x, to, 3));
}

static void refuse_int(struct lower *x, const char *name)
{
	if (lower_take_int(x, name, 0))
		lower_fail(x, ERR_UNIMPLEMENTED, "%s", name);
}

static void refuse_in(struct lower *x, int i, const char *name)
{
	if (lower_has_in(x, i))
		lower_fail(x, ERR_UNIMPLEMENTED, "input %d (%s)", i, name);
}

/* -- masks ----------------------------------------------------------------------------------- */

static int32_t unsqueeze(struct lower *x, int32_t v, int n, int64_t a, int64_t b)
{
	const int64_t axes[] = { a, b };
	return LOWER_EMIT(x, UNSQUEEZE, v, lower_ints(x, axes, n));
}

/* Keys before one end each, or between a start and an end: [batch], or [2 * batch] with the
   starts behind the ends. */
static int32_t mask_of_lengths(struct lower *x, const struct heads *h)
{
	int axis = lower_shape(x, h->k)->rank == 4 ? 2 : 1;
	int32_t keys = lower_dims(x, h->k, axis, axis + 1);
	if (h->past_k != VALUE_NONE)
		keys = LOWER_EMIT(x, ADD, keys, lower_dims(x, h->past_k, 2, 3));
	keys = lower_as(x, LOWER_EMIT(x, SQUEEZE, keys), DTYPE_I32);
	int32_t zero = lower_as(x, lower_scalar(x, 0), DTYPE_I32);
	int32_t one = lower_as(x, lower_scalar(x, 1), DTYPE_I32);
	int32_t at = LOWER_EMIT(x, RANGE, zero, keys, one);

	int64_t n = lower_shape(x, h->mask)->dim[0], batch = lower_shape(x, h->q)->dim[0];
	if (n < 0 || batch < 0 || n == batch)
		return LOWER_EMIT(x, LESS, at, unsqueeze(x, h->mask, 1, 1, 0));
	if (n != 2 * batch) {
		lower_fail(x, ERR_UNIMPLEMENTED, "a mask of %lld elements for %lld sequences",
			(long long)n, (long long)batch);
		return VALUE_NONE;
	}
	int32_t ends = unsqueeze(x, slice(x, h->mask, 0, batch, 0), 1, 1, 0);
	int32_t starts = unsqueeze(x, slice(x, h->mask, batch, n, 0), 1, 1, 0);
	return LOWER_EMIT(x, AND, LOWER_EMIT(x, LESS, at, ends),
		LOWER_EMIT(x, GREATER_OR_EQUAL, at, starts));
}

/* As attn_mask: numbers that are added to the scores; VALUE_NONE: none. */
static int32_t added_mask(struct lower *x, const struct heads *h)
{
	const struct attr *said = lower_take(x, "mask_filter_value");
	double filter = said ? (double)said->f : -10000;
	if (h->mask == VALUE_NONE)
		return h->bias;
	int rank = lower_shape(x, h->mask)->rank;
	if (rank < 1 || rank > 3) {
		lower_fail(x, ERR_UNIMPLEMENTED, "a mask of rank %d", rank);
		return VALUE_NONE;
	}
	int32_t keep = rank == 1 ? mask_of_lengths(x, h)
				 : LOWER_EMIT(x, GREATER, h->mask,
					   LOWER_EMIT(x, CAST_LIKE, lower_scalar(x, 0), h->mask));
	keep = rank == 3 ? unsqueeze(x, keep, 1, 1, 0) : unsqueeze(x, keep, 2, 1, 2);
	enum dtype dtype = lower_dtype(x, h->q);
	int32_t mask =
		LOWER_EMIT(x, WHERE, keep, lower_float(x, dtype, 0), lower_float(x, dtype, filter));
	return h->bias == VALUE_NONE ? mask : LOWER_EMIT(x, ADD, mask, h->bias);
}

/* -- Attention ------------------------------------------------------------------------------- */

static void with_attention_attrs(struct lower *x, const struct heads *h)
{
	float scale = lower_take_float(x, "scale", 0);
	lower_with_int(x, "is_causal", lower_take_int(x, "unidirectional", 0) != 0);
	lower_with_int(x, "q_num_heads", h->num);
	lower_with_int(x, "kv_num_heads", h->num);
	if (scale != 0)
		lower_with(x, (struct attr){ .name = "scale", .kind = ATTR_FLOAT, .f = scale });
}

/* Returns the answer, which the two presents follow. */
static int32_t emit_attention(struct lower *x, const struct heads *h, int32_t n_out)
{
	int32_t mask = added_mask(x, h);
	const int32_t in[] = { h->q, h->k, h->v, mask, h->past_k, h->past_v };
	int32_t n_in = h->past_k != VALUE_NONE ? 6 : mask != VALUE_NONE ? 4 : 3;
	with_attention_attrs(x, h);
	return lower_emit_outs(x, OP_ATTENTION, n_in, in, n_out);
}

/* The input times the columns [from, to) of the weights, with their bias. */
static int32_t project(struct lower *x, int64_t from, int64_t to)
{
	int32_t y = LOWER_EMIT(x, MATMUL, lower_in(x, 0), slice(x, lower_in(x, 1), from, to, 1));
	return lower_has_in(x, 2) ? LOWER_EMIT(x, ADD, y, slice(x, x->in[2], from, to, 0)) : y;
}

/* How wide queries (and keys) and values are. */
static void widths(struct lower *x, int64_t *q, int64_t *v)
{
	const struct attr *said = lower_take(x, "qkv_hidden_sizes");
	const struct shape *w = lower_shape(x, lower_in(x, 1));
	int64_t all = w->rank == 2 ? w->dim[1] : DIM_UNKNOWN;
	*q = said && said->n == 3 ? said->ints[0] : all / 3;
	*v = said && said->n == 3 ? said->ints[2] : all / 3;
	if (said && (said->n != 3 || said->ints[0] != said->ints[1] || *q < 1 || *v < 1))
		lower_fail(x, ERR_INVALID_ARGUMENT,
			"qkv_hidden_sizes must be three positive numbers, the first two equal");
	else if (!said && (all < 0 || all % 3))
		lower_fail(x, ERR_UNIMPLEMENTED, "weights of shape %s", SHAPE_TEXT(w));
}

/* With the past at input `past`, both halves of which are stacked, as those of output 1 are. */
static void become_attention(struct lower *x, struct heads *h, int past)
{
	if (lower_has_in(x, past)) {
		h->past_k = pick(x, x->in[past], 0, 0);
		h->past_v = pick(x, x->in[past], 0, 1);
	}
	int32_t y = emit_attention(x, h, lower_wants_out(x, 1) ? 3 : 1);
	if (lower_wants_out(x, 1)) {
		int32_t k = unsqueeze(x, y + 1, 1, 0, 0), value = unsqueeze(x, y + 2, 1, 0, 0);
		lower_with_int(x, "axis", 0);
		lower_emit_out(x, OP_IDENTITY, LOWER_EMIT(x, CONCAT, k, value), 1);
	}
	lower_take_rest(x);
	LOWER_BECOME(x, IDENTITY, 1, y);
}

void lower_attention_contrib(struct lower *x)
{
	struct heads h = { .past_k = VALUE_NONE, .past_v = VALUE_NONE, .mask = in_or_none(x, 3),
		.bias = in_or_none(x, 5), .num = lower_take_int(x, "num_heads", 0) };
	int64_t q, v;
	refuse_int(x, "do_rotary");
	refuse_int(x, "past_present_share_buffer");
	refuse_in(x, 6, "past_sequence_length");
	widths(x, &q, &v);
	h.q = project(x, 0, q);
	h.k = project(x, q, 2 * q);
	h.v = project(x, 2 * q, 2 * q + v);
	become_attention(x, &h, 4);
}

/* Of 8-bit numbers; they are multiplied once, as the input would be packed for each product. */
void lower_qattention(struct lower *x)
{
	static const struct lower_product at = { 3, 4, 6, 7, 2 };
	struct heads h = { .past_k = VALUE_NONE, .past_v = VALUE_NONE, .mask = in_or_none(x, 5),
		.bias = VALUE_NONE, .num = lower_take_int(x, "num_heads", 0) };
	int64_t q, v;
	refuse_int(x, "do_rotary");
	refuse_int(x, "past_present_share_buffer");
	widths(x, &q, &v);
	int32_t all = lower_product_to_float(x, &at);
	h.q = slice(x, all, 0, q, -1);
	h.k = slice(x, all, q, 2 * q, -1);
	h.v = slice(x, all, 2 * q, 2 * q + v, -1);
	become_attention(x, &h, 8);
}

/* -- MultiHeadAttention ---------------------------------------------------------------------- */

static void add_biases(struct lower *x, struct heads *h, int32_t bias)
{
	const struct shape *q = lower_shape(x, h->q);
	int64_t n = q->rank == 3 ? q->dim[2] : DIM_UNKNOWN;
	const struct shape *b = lower_shape(x, bias);
	/* All three are as wide where nothing else is known. */
	if (n < 0)
		n = b->rank == 1 && b->dim[0] >= 0 ? b->dim[0] / 3 : DIM_UNKNOWN;
	if (n < 0) {
		lower_fail(x, ERR_UNIMPLEMENTED, "queries of shape %s", SHAPE_TEXT(q));
		return;
	}
	bool given = lower_shape(x, h->k)->rank == 4; /* keys and values are complete then */
	h->q = LOWER_EMIT(x, ADD, h->q, slice(x, bias, 0, n, 0));
	if (given)
		return;
	h->k = LOWER_EMIT(x, ADD, h->k, slice(x, bias, n, 2 * n, 0));
	h->v = LOWER_EMIT(x, ADD, h->v, slice(x, bias, 2 * n, INT32_MAX, 0));
}

/* Queries, keys and values, which may come packed: [batch, length, heads, 2 or 3, size]. */
static void unpack(struct lower *x, struct heads *h)
{
	h->q = lower_in(x, 0);
	int q_rank = lower_shape(x, h->q)->rank;
	if (lower_has_in(x, 1) && lower_has_in(x, 2)) {
		h->k = x->in[1];
		h->v = x->in[2];
	} else if (lower_has_in(x, 1)) {
		h->k = join_heads(x, pick(x, x->in[1], 3, 0));
		h->v = join_heads(x, pick(x, x->in[1], 3, 1));
	} else if (q_rank == 5) {
		int32_t all = h->q;
		h->q = join_heads(x, pick(x, all, 3, 0));
		h->k = join_heads(x, pick(x, all, 3, 1));
		h->v = join_heads(x, pick(x, all, 3, 2));
	} else {
		lower_fail(x, ERR_INVALID_ARGUMENT, "neither keys nor packed queries");
	}
}

void lower_multi_head_attention(struct lower *x)
{
	struct heads h = { .q = VALUE_NONE, .k = VALUE_NONE, .v = VALUE_NONE,
		.past_k = in_or_none(x, 6), .past_v = in_or_none(x, 7), .mask = in_or_none(x, 4),
		.bias = in_or_none(x, 5), .num = lower_take_int(x, "num_heads", 0) };
	refuse_in(x, 8, "past_sequence_length");
	refuse_in(x, 9, "cache_indirection");
	if (lower_wants_out(x, 3))
		lower_fail(x, ERR_UNIMPLEMENTED, "output 3 (qk)");
	unpack(x, &h);
	if (lower_has_in(x, 3))
		add_biases(x, &h, x->in[3]);
	bool apart = lower_shape(x, h.k)->rank == 4;
	if (apart)
		h.q = split_heads(x, h.q, h.num);
	int32_t y = emit_attention(x, &h, lower_wants_out(x, 1) || lower_wants_out(x, 2) ? 3 : 1);
	for (int i = 1; i < 3; i++)
		if (lower_wants_out(x, i))
			lower_emit_out(x, OP_IDENTITY, y + i, i);
	LOWER_BECOME(x, IDENTITY, 1, apart ? join_heads(x, transpose(x, y)) : y);
}

/* -- RotaryEmbedding ------------------------------------------------------------------------- */

/* One position, of the first token of each sequence, made one for each. */
static int32_t positions_from(struct lower *x, int32_t v, int32_t first)
{
	int32_t n = lower_dims(x, v, -2, -1);
	int32_t count = LOWER_EMIT(x, RANGE, lower_scalar(x, 0), LOWER_EMIT(x, SQUEEZE, n),
		lower_scalar(x, 1));
	int32_t batch = lower_dims(x, v, 0, 1);
	lower_with_int(x, "axis", 0);
	int32_t shape = LOWER_EMIT(x, CONCAT, batch, n);
	return LOWER_EMIT(x, EXPAND, LOWER_EMIT(x, ADD, count, first), shape);
}

void lower_rotary_contrib(struct lower *x)
{
	int32_t v = lower_in(x, 0), at = lower_in(x, 1), cos = lower_in(x, 2), sin = lower_in(x, 3);
	const struct shape *s = lower_shape(x, v), *c = lower_shape(x, cos);
	const struct attr *heads = lower_take(x, "num_heads");
	int64_t num = heads && heads->kind == ATTR_INT ? heads->i : 0;
	refuse_int(x, "is_packed_batching");
	lower_take_rest(x); /* scale is of another kind of cache, and not looked at */
	if (num == 0 && s->rank == 3) {
		/* The caches are for whole heads then. */
		if (s->dim[2] < 0 || c->rank != 2 || c->dim[1] < 1)
			lower_fail(
				x, ERR_UNIMPLEMENTED, "no num_heads, and caches of unknown width");
		else
			num = s->dim[2] / (2 * c->dim[1]);
	}
	if (num)
		lower_default_int(x, "num_heads", num);
	if (lower_shape(x, at)->rank == 1)
		at = positions_from(x, v, at);
	LOWER_BECOME(x, ROTARY, 1, v, cos, sin, at);
}
