/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * All inputs begin with the same symbol, which no other dimension is: rows. A value made from one
 * must begin with it too, and its other dimensions must be known. So what permutes, views, reduces
 * or slices by other rules than these would show in the shape; what does not show is asked of the
 * operator's rule: softmax and its kin along the rows, operands that would be read by row though
 * they are the same for all. An operator without a rule, or one that asks for the number of rows,
 * ends it.
 *
 * Steps over rows that are more than the cache holds each bring all of them from memory; a part
 * goes through all steps while it is there. It costs that weights are read once a part, so only
 * where these are small.
 */
#include "exec/run/by_rows.h"

#include <stdlib.h>
#include "base/checked.h"
#include "exec/axis.h"

/* What one step reads and writes of a part: about a quarter of a second-level cache of today, whose
   rest is weights and what kernels put aside. */
#define PART_BYTES ((int64_t)256 << 10)
#define WEIGHTS_MAX ((size_t)1 << 20)
#define PART_STEP 16 /* rows: kernels' tiles go by so many */

/* Which inputs may have rows. */
enum rule {
	NO_RULE,
	EACH,   /* element by element, broadcast: any that has the result's rank */
	FIRST,  /* input 0, and those that have the result's shape */
	AXIS,   /* as FIRST, along attribute axis, the last one if it is not there */
	JOIN,   /* all, put together along attribute axis */
	MATMUL, /* as FIRST, or both of stacks of matrices */
};

static const uint8_t rules[OP_COUNT_] = {
	[OP_ABS] = EACH, [OP_CEIL] = EACH, [OP_COS] = EACH, [OP_ERF] = EACH, [OP_EXP] = EACH,
	[OP_FLOOR] = EACH, [OP_LOG] = EACH, [OP_NEG] = EACH, [OP_NOT] = EACH,
	[OP_RECIPROCAL] = EACH, [OP_ROUND] = EACH, [OP_SIGN] = EACH, [OP_SIN] = EACH,
	[OP_SQRT] = EACH, [OP_TAN] = EACH,
	[OP_CELU] = EACH, [OP_CLIP] = EACH, [OP_ELU] = EACH, [OP_GELU] = EACH,
	[OP_HARD_SIGMOID] = EACH, [OP_HARD_SWISH] = EACH, [OP_LEAKY_RELU] = EACH, [OP_MISH] = EACH,
	[OP_PRELU] = EACH, [OP_RELU] = EACH, [OP_SELU] = EACH, [OP_SIGMOID] = EACH,
	[OP_SOFTPLUS] = EACH, [OP_SOFTSIGN] = EACH, [OP_SWISH] = EACH, [OP_TANH] = EACH,
	[OP_THRESHOLDED_RELU] = EACH,
	[OP_ADD] = EACH, [OP_SUB] = EACH, [OP_MUL] = EACH, [OP_DIV] = EACH, [OP_MOD] = EACH,
	[OP_POW] = EACH, [OP_MAX] = EACH, [OP_MIN] = EACH, [OP_SUM] = EACH, [OP_MEAN] = EACH,
	[OP_AND] = EACH, [OP_OR] = EACH, [OP_XOR] = EACH, [OP_EQUAL] = EACH, [OP_GREATER] = EACH,
	[OP_GREATER_OR_EQUAL] = EACH, [OP_LESS] = EACH, [OP_LESS_OR_EQUAL] = EACH,
	[OP_WHERE] = EACH,
	[OP_CAST] = EACH, [OP_IDENTITY] = EACH, [OP_FUSED_ELEMENTWISE] = EACH,

	[OP_CONV] = FIRST, [OP_FUSED_CONV] = FIRST, [OP_CONV_TRANSPOSE] = FIRST,
	[OP_AVERAGE_POOL] = FIRST, [OP_MAX_POOL] = FIRST, [OP_GLOBAL_AVERAGE_POOL] = FIRST,
	[OP_GLOBAL_MAX_POOL] = FIRST, [OP_BATCH_NORM] = FIRST, [OP_INSTANCE_NORM] = FIRST,
	[OP_GROUP_NORM] = FIRST, [OP_LRN] = FIRST,
	[OP_GEMM] = FIRST, [OP_QUANTIZE] = FIRST, [OP_DEQUANTIZE] = FIRST,
	[OP_QUANTIZED_CONV] = FIRST, [OP_QUANTIZED_MATMUL] = FIRST,
	[OP_QUANTIZED_GLOBAL_POOL] = FIRST,
	[OP_REDUCE_MAX] = FIRST, [OP_REDUCE_MEAN] = FIRST, [OP_REDUCE_MIN] = FIRST,
	[OP_REDUCE_SUM] = FIRST, [OP_ARG_MAX] = FIRST, [OP_ARG_MIN] = FIRST,
	[OP_FLATTEN] = FIRST, [OP_RESHAPE] = FIRST, [OP_SQUEEZE] = FIRST, [OP_UNSQUEEZE] = FIRST,
	[OP_TRANSPOSE] = FIRST, [OP_DEPTH_TO_SPACE] = FIRST, [OP_SPACE_TO_DEPTH] = FIRST,

	[OP_SOFTMAX] = AXIS, [OP_LOG_SOFTMAX] = AXIS, [OP_HARDMAX] = AXIS, [OP_LAYER_NORM] = AXIS,
	[OP_RMS_NORM] = AXIS, [OP_LP_NORM] = AXIS,
	[OP_CONCAT] = JOIN,
	[OP_MATMUL] = MATMUL, [OP_FUSED_MATMUL] = MATMUL,
};

struct by_rows {
	const struct graph *g;
	int64_t symbol;
	bool *rows; /* per value */
};

/* Of a row, on all of this value's axes but the first; false: they are not rows of numbers. */
static bool row_bytes(const struct by_rows *b, const struct gvalue *v, int64_t *ret)
{
	const struct shape *s = &v->shape;
	if (!type_is_tensor(&v->type) || v->type.dtype == DTYPE_STRING || s->rank < 1 ||
		s->dim[0] != b->symbol)
		return false;
	*ret = (int64_t)dtype_bytes(v->type.dtype);
	for (int i = 1; i < s->rank; i++)
		if (s->dim[i] < 0 || __builtin_mul_overflow(*ret, s->dim[i], ret))
			return false;
	return true;
}

/* May input k, which has no rows, stand beside rows? */
static bool is_for_all(const struct shape *s, int rank)
{
	return s->rank >= 0 && (s->rank < rank || s->dim[0] == 1);
}

static bool may_have_rows(enum rule rule, const struct node *n, int k, const struct shape *in,
	const struct shape *first, const struct shape *out)
{
	switch (rule) {
	case EACH: return in->rank == out->rank;
	case JOIN: return node_axis(n, "axis", 0, out->rank) != 0;
	case AXIS: return k == 0 && node_axis(n, "axis", -1, in->rank) != 0;
	case MATMUL:
		if (k == 1)
			return in->rank > 2 && in->rank == first->rank;
		return k == 0 || shape_equal(in, out);
	default: return k == 0 || shape_equal(in, out);
	}
}

static bool follows_rule(const struct by_rows *b, const struct node *n)
{
	enum rule rule = n->op < OP_COUNT_ ? rules[n->op] : NO_RULE;
	const struct shape *out = &b->g->value[n->out[0]].shape;
	const struct shape *first = n->in[0] == VALUE_NONE ? NULL : &b->g->value[n->in[0]].shape;
	/* A pool's second output is of places in the whole batch, and training is by what
	   is in it. */
	if (rule == NO_RULE || !first || (rule != EACH && rule != JOIN && !b->rows[n->in[0]]) ||
		(n->op == OP_MAX_POOL && n->n_out > 1) || node_int(n, "training_mode", 0))
		return false;
	for (int k = 0; k < n->n_in; k++) {
		if (n->in[k] == VALUE_NONE)
			continue;
		const struct shape *in = &b->g->value[n->in[k]].shape;
		if (b->rows[n->in[k]]
				? !may_have_rows(rule, n, k, in, first, out)
				: rule == JOIN || (rule == EACH && !is_for_all(in, out->rank)))
			return false;
	}
	return true;
}

/* The bytes of a row that a node reads and writes; -1: it does not go by rows. 0: it has none. */
static int64_t visit(struct by_rows *b, const struct node *n)
{
	int64_t bytes = 0, one;
	for (int k = 0; k < n->n_in; k++) {
		if (n->in[k] == VALUE_NONE || !b->rows[n->in[k]])
			continue;
		if (!row_bytes(b, &b->g->value[n->in[k]], &one) ||
			__builtin_add_overflow(bytes, one, &bytes))
			return -1;
	}
	if (op_info(n->op)->flags & ~(unsigned)(OP_VIEW | OP_CONTAINERS))
		return -1;
	if (bytes == 0)
		return 0;
	if (!follows_rule(b, n))
		return -1;
	for (int k = 0; k < n->n_out; k++) {
		if (n->out[k] == VALUE_NONE)
			continue;
		if (!row_bytes(b, &b->g->value[n->out[k]], &one) ||
			__builtin_add_overflow(bytes, one, &bytes))
			return -1;
		b->rows[n->out[k]] = true;
	}
	return bytes;
}

static bool begins_with_rows(struct by_rows *b)
{
	const struct graph *g = b->g;
	int64_t bytes;
	if (g->n_input == 0 || g->n_capture || g->value[g->input[0]].shape.rank < 1)
		return false;
	b->symbol = g->value[g->input[0]].shape.dim[0];
	for (int32_t i = 0; i < g->n_input; i++) {
		if (b->symbol >= DIM_UNKNOWN || !row_bytes(b, &g->value[g->input[i]], &bytes) ||
			bytes == 0)
			return false;
		b->rows[g->input[i]] = true;
	}
	return true;
}

static size_t weight_bytes(const struct graph *g)
{
	size_t bytes = 0;
	for (int32_t v = 0; v < g->n_value; v++)
		if (g->value[v].constant)
			bytes += tensor_bytes(g->value[v].constant);
	return bytes;
}

/* Bytes of a row of the largest step; 0: it does not go by rows. */
static int64_t largest_step(struct by_rows *b)
{
	int64_t most = 0;
	if (!begins_with_rows(b))
		return 0;
	for (int32_t i = 0; i < b->g->n_node; i++) {
		int64_t bytes = visit(b, &b->g->node[i]);
		if (bytes < 0)
			return 0;
		most = bytes > most ? bytes : most;
	}
	for (int32_t i = 0; i < b->g->n_output; i++)
		if (!b->rows[b->g->output[i]])
			return 0;
	return most;
}

enum err_code by_rows_part(const struct graph *g, int64_t *ret, struct err *err)
{
	struct by_rows b = { .g = g, .rows = calloc((size_t)g->n_value + 1, sizeof(*b.rows)) };
	if (!b.rows)
		return err_oom(err);
	int64_t bytes = weight_bytes(g) <= WEIGHTS_MAX ? largest_step(&b) : 0;
	*ret = bytes > 0 ? PART_BYTES / bytes / PART_STEP * PART_STEP : 0;
	free(b.rows);
	return ERR_OK;
}
