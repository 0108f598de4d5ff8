/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_eliminate.c -- nodes that change nothing
 */
#include "exec/infer/infer.h"
#include "exec/pass/pass.h"

static const struct shape *shape_of_value(const struct pass_ctx *c, int32_t v)
{
	return &c->graph->value[v].shape;
}

/* The output has input k's shape for certain. */
static bool keeps_shape(const struct pass_ctx *c, const struct node *n, int k)
{
	return pass_same_shape(shape_of_value(c, pass_in(c, n, k)), shape_of_value(c, n->out[0]));
}

static bool all_ints(const struct pass_ctx *c, int32_t v, int64_t want)
{
	const struct tensor *t = v == VALUE_NONE ? NULL : c->graph->value[v].constant;
	for (int64_t i = 0; t && i < tensor_count(t); i++)
		if (tensor_int(t, i) != want)
			return false;
	return t;
}

/* x + 0, 0 + x, x - 0, x * 1, 1 * x, x / 1: the side that is passed on, or -1. Integers
   count too, and constants of any size. */
static int unit_side(const struct pass_ctx *c, const struct node *n)
{
	bool product = n->op == OP_MUL || n->op == OP_DIV;
	bool commutes = n->op == OP_ADD || n->op == OP_MUL;
	for (int k = 1; k >= (commutes ? 0 : 1); k--) {
		const struct tensor *t = c->graph->value[pass_in(c, n, k)].constant;
		if (!t || tensor_count(t) > 4096 || !dtype_in(t->dtype, T_NUM))
			continue;
		bool unit = tensor_count(t) > 0;
		for (int64_t i = 0; unit && i < tensor_count(t); i++)
			unit = tensor_float(t, i) == (product ? 1.0 : 0.0);
		if (unit && keeps_shape(c, n, 1 - k))
			return 1 - k;
	}
	return -1;
}

static bool is_identity_perm(const struct node *n, int rank)
{
	int32_t k;
	const int64_t *perm = node_ints(n, "perm", &k);
	for (int32_t i = 0; i < k; i++)
		if (perm[i] != i)
			return false;
	return k > 0 || rank <= 1;
}

/* Every step is 1 and the shape stays: all of the input is there, in order. */
static bool is_whole_slice(const struct pass_ctx *c, const struct node *n)
{
	bool forward = pass_in(c, n, 4) == VALUE_NONE || all_ints(c, pass_in(c, n, 4), 1);
	return forward && keeps_shape(c, n, 0);
}

/* Dropout drops only when it is told to train. */
static bool is_idle_dropout(const struct pass_ctx *c, const struct node *n)
{
	int32_t train = pass_in(c, n, 2);
	return train == VALUE_NONE || all_ints(c, train, 0);
}

/* Which input the output is equal to; -1: to none. */
static int passed_on(const struct pass_ctx *c, const struct node *n)
{
	switch (n->op) {
	case OP_IDENTITY: return 0;
	case OP_DROPOUT: return is_idle_dropout(c, n) ? 0 : -1;
	case OP_CAST:
		return pass_value(c, pass_in(c, n, 0))->type.dtype == node_int(n, "to", 0) ? 0 : -1;
	case OP_ADD:
	case OP_SUB:
	case OP_MUL:
	case OP_DIV: return unit_side(c, n);
	case OP_PAD: return all_ints(c, pass_in(c, n, 1), 0) ? 0 : -1;
	case OP_TILE: return all_ints(c, pass_in(c, n, 1), 1) ? 0 : -1;
	case OP_TRANSPOSE:
		return is_identity_perm(n, shape_of_value(c, n->out[0])->rank) ? 0 : -1;
	case OP_SLICE: return is_whole_slice(c, n) ? 0 : -1;
	case OP_RESHAPE:
	case OP_SQUEEZE:
	case OP_UNSQUEEZE:
	case OP_FLATTEN:
	case OP_EXPAND: return keeps_shape(c, n, 0) ? 0 : -1;
	case OP_CONCAT:
	case OP_SUM:
	case OP_MAX:
	case OP_MIN:
	case OP_MEAN: return n->n_in == 1 ? 0 : -1;
	default: return -1;
	}
}

/* An elementwise operator broadcasts by itself: where its result is the same without the
   Expand before it, that is not needed. */
static enum err_code skip_expand(struct pass_ctx *c, struct node *n, struct err *err)
{
	const struct shape *out = shape_of_value(c, n->out[0]);
	for (int k = 0; k < 2; k++) {
		struct node *e = pass_match(c, pass_in(c, n, k), OP_EXPAND);
		struct shape direct;
		if (!e)
			continue;
		int32_t in[2] = { pass_in(c, n, 0), pass_in(c, n, 1) };
		in[k] = pass_in(c, e, 0);
		if (shape_broadcast(shape_of_value(c, in[0]), shape_of_value(c, in[1]), &direct,
			    err) != ERR_OK ||
			!pass_same_shape(&direct, out))
			continue;
		TRY(pass_rewrite(c, n, n->op, in, 2, n->attr, n->n_attr, err));
	}
	return ERR_OK;
}

static bool broadcasts(enum op_id op)
{
	switch (op) {
	case OP_ADD:
	case OP_SUB:
	case OP_MUL:
	case OP_DIV:
	case OP_POW:
	case OP_EQUAL:
	case OP_GREATER:
	case OP_GREATER_OR_EQUAL:
	case OP_LESS:
	case OP_LESS_OR_EQUAL:
	case OP_AND:
	case OP_OR:
	case OP_XOR: return true;
	default: return false;
	}
}

static enum err_code eliminate(struct pass_ctx *c, struct node *n, struct err *err)
{
	int k = passed_on(c, n);
	if (k >= 0)
		pass_bypass(c, n, pass_in(c, n, k));
	else if (broadcasts(n->op))
		return skip_expand(c, n, err);
	return ERR_OK;
}

enum err_code pass_eliminate(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, eliminate, err);
}
