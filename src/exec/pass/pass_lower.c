/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_lower.c -- a float32 graph computed in float16 or bfloat16, for devices that are fast at it
 *
 * The operators of `lowered` take and leave the half type, whatever lies between them stays
 * so; where an operator that is none of them, or the graph's edge, wants float32, there is
 * one Cast. Weights are converted once. Inputs and outputs of the graph keep their types.
 */
#include <stdlib.h>
#include <string.h>
#include "exec/half.h"
#include "exec/pass/pass.h"

/* Only operators that a sum or product of halves serves as well: kernels of the device sum in
   float32 whatever the type. */
static const enum op_id lowered[] = { OP_ABS, OP_CEIL, OP_COS, OP_ERF, OP_EXP, OP_FLOOR, OP_LOG,
	OP_NEG, OP_RECIPROCAL, OP_ROUND, OP_SIGN, OP_SIN, OP_SQRT, OP_CELU, OP_CLIP, OP_ELU,
	OP_GELU, OP_HARD_SIGMOID, OP_HARD_SWISH, OP_LEAKY_RELU, OP_LOG_SOFTMAX, OP_MISH, OP_PRELU,
	OP_RELU, OP_SELU, OP_SIGMOID, OP_SOFTMAX, OP_SOFTPLUS, OP_SOFTSIGN, OP_SWISH, OP_TANH,
	OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_POW, OP_MAX, OP_MIN, OP_SUM, OP_MEAN, OP_WHERE, OP_GEMM,
	OP_MATMUL, OP_CONV, OP_CONV_TRANSPOSE, OP_AVERAGE_POOL, OP_MAX_POOL, OP_GLOBAL_AVERAGE_POOL,
	OP_GLOBAL_MAX_POOL, OP_BATCH_NORM, OP_INSTANCE_NORM, OP_LAYER_NORM, OP_GROUP_NORM,
	OP_RMS_NORM, OP_REDUCE_MAX, OP_REDUCE_MEAN, OP_REDUCE_MIN, OP_REDUCE_SUM, OP_CONCAT,
	OP_DEPTH_TO_SPACE, OP_SPACE_TO_DEPTH, OP_EXPAND, OP_FLATTEN, OP_GATHER, OP_GATHER_ELEMENTS,
	OP_GATHER_ND, OP_PAD, OP_RESHAPE, OP_SLICE, OP_SPLIT, OP_SQUEEZE, OP_TILE, OP_TRANSPOSE,
	OP_UNSQUEEZE, OP_ATTENTION, OP_ROTARY, OP_FUSED_CONV, OP_FUSED_MATMUL, OP_RESIZE, OP_LSTM,
	OP_GRU, OP_RNN };

struct lowering {
	struct pass_ctx *c;
	enum dtype to;
	int32_t *half; /* per value that there was at the beginning: its lowered form; VALUE_NONE */
	int32_t n_value;
	struct err *err;
};

static bool is_lowered(enum op_id op)
{
	for (size_t i = 0; i < sizeof(lowered) / sizeof(lowered[0]); i++)
		if (lowered[i] == op)
			return true;
	return false;
}

/* Input k of the node is data, and not a float32 parameter by the operator's definition. */
static bool is_data(const struct node *n, int k)
{
	return n->op != OP_RESIZE || k == 0;
}

static bool is_f32(const struct lowering *l, int32_t v)
{
	const struct gvalue *gv = &l->c->graph->value[v];
	return v < l->n_value && type_is_tensor(&gv->type) && gv->type.dtype == DTYPE_F32;
}

/* Masks add the lowest float where -infinity is meant: it stays finite, lest 0 times it be NaN. */
static uint16_t to_half(enum dtype to, float f)
{
	if (to == DTYPE_BF16)
		return float_to_bfloat(f);
	bool finite = f - f == 0;
	return float_to_half(finite && f > 65504 ? 65504 : finite && f < -65504 ? -65504 : f);
}

static enum err_code lower_constant(struct lowering *l, const struct tensor *t, int32_t *ret)
{
	struct tensor *to = graph_new_tensor(l->c->graph, l->to, &t->shape);
	if (!to)
		return err_oom(l->err);
	const float *from = t->data;
	uint16_t *h = to->data;
	for (int64_t i = 0, n = tensor_count(t); i < n; i++)
		h[i] = to_half(l->to, from[i]);
	return pass_add_constant(l->c, to, ret, l->err);
}

static enum err_code add_value(struct lowering *l, enum dtype dtype, int32_t like, int32_t *ret)
{
	struct graph *g = l->c->graph;
	TRY(pass_add_value(l->c, ret, l->err));
	g->value[*ret].type = (struct type){ .dtype = dtype };
	g->value[*ret].shape = g->value[like].shape;
	return ERR_OK;
}

static enum err_code add_cast(struct lowering *l, int32_t from, enum dtype to, int32_t out)
{
	struct graph *g = l->c->graph;
	int32_t at;
	TRY(graph_add_node(g, OP_CAST, "", 1, 1, 1, &at, l->err));
	struct node *n = &g->node[at];
	n->in[0] = from;
	n->out[0] = out;
	n->attr[0] = (struct attr){ .name = "to", .kind = ATTR_INT, .i = to };
	return ERR_OK;
}

/* The lowered form of v, made at its first use. */
static enum err_code lower_value(struct lowering *l, int32_t v, int32_t *ret)
{
	const struct tensor *constant = l->c->graph->value[v].constant;
	enum err_code rc = ERR_OK;
	if (l->half[v] == VALUE_NONE && constant)
		rc = lower_constant(l, constant, &l->half[v]);
	else if (l->half[v] == VALUE_NONE) {
		rc = add_value(l, l->to, v, &l->half[v]);
		if (rc == ERR_OK)
			rc = add_cast(l, v, l->to, l->half[v]);
	}
	*ret = l->half[v];
	return rc;
}

/* The node leaves the lowered form; who wants v as it was gets it by a cast, which nobody
   reads where all of them are lowered too. */
static enum err_code lower_output(struct lowering *l, int32_t node, int k)
{
	int32_t v = l->c->graph->node[node].out[k], half;
	TRY(add_value(l, l->to, v, &half));
	l->half[v] = half;
	l->c->graph->node[node].out[k] = half;
	return add_cast(l, half, DTYPE_F32, v);
}

/* By index: new nodes move the array. */
static enum err_code lower_node(struct lowering *l, int32_t node)
{
	struct graph *g = l->c->graph;
	for (int k = 0; k < g->node[node].n_in; k++) {
		int32_t v = g->node[node].in[k];
		if (v == VALUE_NONE || !is_data(&g->node[node], k) || !is_f32(l, v))
			continue;
		TRY(lower_value(l, v, &v));
		g->node[node].in[k] = v;
	}
	for (int k = 0; k < g->node[node].n_out; k++) {
		int32_t v = g->node[node].out[k];
		if (v != VALUE_NONE && is_f32(l, v))
			TRY(lower_output(l, node, k));
	}
	l->c->changes++;
	return ERR_OK;
}

/* Reads and writes float32, and is no view of integers that happen to pass by. */
static bool works_in_f32(const struct lowering *l, const struct node *n)
{
	for (int k = 0; k < n->n_out; k++)
		if (n->out[k] != VALUE_NONE && is_f32(l, n->out[k]))
			return true;
	return false;
}

/* Who reads shapes alone reads them of what is there already: no cast is for it. */
static void look_at_lowered(const struct lowering *l, struct node *n)
{
	for (int k = 0; k < n->n_in; k++) {
		int32_t v = n->in[k];
		if (v != VALUE_NONE && v < l->n_value && l->half[v] != VALUE_NONE)
			n->in[k] = l->half[v];
	}
}

enum err_code pass_lower(struct pass_ctx *c, struct err *err)
{
	struct graph *g = c->graph;
	struct lowering l = { .c = c, .to = c->lower_to, .n_value = g->n_value, .err = err };
	enum err_code rc = ERR_OK;
	l.half = malloc(((size_t)g->n_value + 1) * sizeof(*l.half));
	if (!l.half)
		return err_oom(err);
	for (int32_t v = 0; v < g->n_value; v++)
		l.half[v] = VALUE_NONE;
	for (int32_t i = 0, n = g->n_node; i < n && rc == ERR_OK; i++) {
		struct node *at = &g->node[i];
		bool in_f32 = works_in_f32(&l, at);
		if (at->dead)
			continue;
		if (op_info(at->op)->flags & OP_SHAPE_ONLY && !in_f32)
			look_at_lowered(&l, at);
		else if (is_lowered(at->op) && in_f32)
			rc = lower_node(&l, i);
	}
	free(l.half);
	return rc;
}
