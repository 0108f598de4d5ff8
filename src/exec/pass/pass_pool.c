/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_pool.c -- a mean or a maximum over whole images is a pool, which reads them as convolutions
 * leave them
 *
 * Behind layer-norm, which looks for means.
 */
#include "exec/infer/move_geometry.h"
#include "exec/pass/pass.h"

static enum op_id pool_of(enum op_id op)
{
	switch (op) {
	case OP_REDUCE_MEAN: return OP_GLOBAL_AVERAGE_POOL;
	case OP_REDUCE_MAX: return OP_GLOBAL_MAX_POOL;
	default: return OP_NONE;
	}
}

static enum err_code find_pool(struct pass_ctx *c, struct node *n, struct err *err)
{
	enum op_id op = pool_of(n->op);
	int32_t at = (int32_t)(n - c->graph->node), x = pass_in(c, n, 0), axes = pass_in(c, n, 1),
		in[2];
	uint32_t mask;
	if (op == OP_NONE || !pass_is_f32(c, x) || axes == VALUE_NONE ||
		!pass_value(c, axes)->constant)
		return ERR_OK;
	int rank = pass_value(c, x)->shape.rank;
	if (rank < 4 ||
		reduce_axes(n, pass_value(c, axes)->constant, rank, &mask, NULL) != ERR_OK ||
		mask != (1u << rank) - 4)
		return ERR_OK;
	if (node_int(n, "keepdims", 1))
		return pass_rewrite(c, n, op, &x, 1, NULL, 0, err);
	TRY(pass_add_value(c, &in[0], err));
	c->graph->value[in[0]].type = c->graph->value[x].type;
	c->graph->value[in[0]].shape = SHAPE_UNKNOWN; /* inferred when the pass is done */
	TRY(pass_add_node(c, op, "", &x, 1, NULL, 0, in[0], err));
	in[1] = axes;
	return pass_rewrite(c, &c->graph->node[at], OP_SQUEEZE, in, 2, NULL, 0, err);
}

enum err_code pass_pools(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, find_pool, err);
}
