/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_siblings.c -- the products that make an attention's Q, K and V of one input are one product
 *
 * Their weights and biases are put side by side, and a Split deals the columns out, which on a
 * device costs nothing (plan/plan_columns.c). One wide product keeps more of a device busy than
 * three narrow ones that follow each other. Two of the three will do: what comes from elsewhere,
 * as the queries that look at another sequence, stays as it is.
 *
 * NOT DONE: siblings that others read than Attention, for most kernels would want plain copies.
 */
#include "exec/pass/pass.h"

#include <string.h>

#define SIBLINGS 3
/* Columns begin where kernels may count on: at multiples of 64 bytes, of halves too. */
#define WIDTH 32

struct sibling {
	int32_t node, x, w, bias; /* bias: VALUE_NONE, or one number per column */
	bool trans_b;
	float scale;
	int64_t k, n;
};

/* -- looking --------------------------------------------------------------------------------- */

static const struct tensor *floats(const struct pass_ctx *c, int32_t v)
{
	const struct tensor *t = v == VALUE_NONE ? NULL : pass_value(c, v)->constant;
	return t && t->dtype == DTYPE_F32 ? t : NULL;
}

/* v [batch, length, columns] is x W + bias with both known, and nothing more. */
static bool read_sibling(const struct pass_ctx *c, int32_t v, struct sibling *ret)
{
	const struct node *n = v == VALUE_NONE ? NULL : pass_match_single(c, v, OP_FUSED_MATMUL);
	if (!n)
		n = v == VALUE_NONE ? NULL : pass_match_single(c, v, OP_MATMUL);
	if (!n || !pass_is_f32(c, v) || pass_value(c, v)->shape.rank != 3 ||
		pass_in(c, n, 3) != VALUE_NONE || node_int(n, "activation", ACT_NONE) != ACT_NONE)
		return false;
	*ret = (struct sibling){ .node = (int32_t)(n - c->graph->node), .x = pass_in(c, n, 0),
		.w = pass_in(c, n, 1), .bias = pass_in(c, n, 2),
		.trans_b = node_int(n, "trans_b", 0),
		.scale = node_float(n, "scale", 1) };
	const struct tensor *w = floats(c, ret->w);
	if (!w || w->shape.rank != 2)
		return false;
	ret->k = w->shape.dim[ret->trans_b];
	ret->n = w->shape.dim[!ret->trans_b];
	const struct tensor *bias = floats(c, ret->bias);
	return ret->n > 0 && ret->n % WIDTH == 0 &&
	       (ret->bias == VALUE_NONE || (bias && tensor_count(bias) == ret->n));
}

static bool are_siblings(const struct sibling *a, const struct sibling *b)
{
	return a->x == b->x && a->trans_b == b->trans_b && a->scale == b->scale &&
	       a->node != b->node;
}

/* The largest family among Q, K and V, in their order; how many they are. */
static int find_family(const struct pass_ctx *c, const struct node *attention, struct sibling *ret)
{
	struct sibling all[SIBLINGS];
	int found = 0, n = 0;
	for (int i = 0; i < SIBLINGS; i++)
		found += read_sibling(c, pass_in(c, attention, i), &all[found]);
	for (int first = 0; first < found && n < 2; first++) {
		n = 0;
		for (int i = first; i < found; i++)
			if (i == first || are_siblings(&all[first], &all[i]))
				ret[n++] = all[i];
	}
	return n;
}

/* -- putting side by side ---------------------------------------------------------------------- */

/* rows of n numbers each, into rows of `pitch`. */
static void copy_rows(float *to, int64_t pitch, const float *from, int64_t rows, int64_t n)
{
	for (int64_t i = 0; i < rows; i++)
		memcpy(to + i * pitch, from + i * n, (size_t)n * sizeof(*to));
}

static enum err_code add_weights(struct pass_ctx *c, const struct sibling *s, int n, int64_t width,
	int32_t *ret, struct err *err)
{
	struct shape shape = s->trans_b ? shape_of(width, s->k) : shape_of(s->k, width);
	struct tensor *w = graph_new_tensor(c->graph, DTYPE_F32, &shape);
	if (!w)
		return err_oom(err);
	float *to = w->data;
	for (int i = 0; i < n; i++) {
		int64_t rows = s->trans_b ? s[i].n : s->k, cols = s->trans_b ? s->k : s[i].n;
		copy_rows(to, shape.dim[1], floats(c, s[i].w)->data, rows, cols);
		to += s->trans_b ? rows * cols : cols;
	}
	return pass_add_constant(c, w, ret, err);
}

/* Zeros for who has none; VALUE_NONE where nobody has one. */
static enum err_code add_bias(struct pass_ctx *c, const struct sibling *s, int n, int64_t width,
	int32_t *ret, struct err *err)
{
	struct shape shape = shape_of(width);
	bool any = false;
	*ret = VALUE_NONE;
	for (int i = 0; i < n; i++)
		any |= s[i].bias != VALUE_NONE;
	if (!any)
		return ERR_OK;
	struct tensor *bias = graph_new_tensor(c->graph, DTYPE_F32, &shape);
	if (!bias)
		return err_oom(err);
	float *to = bias->data;
	for (int i = 0; i < n; to += s[i++].n)
		if (s[i].bias == VALUE_NONE)
			memset(to, 0, (size_t)s[i].n * sizeof(*to));
		else
			copy_rows(to, s[i].n, floats(c, s[i].bias)->data, 1, s[i].n);
	return pass_add_constant(c, bias, ret, err);
}

/* The product's result, which is as wide as all together. */
static enum err_code add_whole(
	struct pass_ctx *c, const struct sibling *s, int64_t width, int32_t *ret, struct err *err)
{
	int32_t like = c->graph->node[s->node].out[0];
	TRY(pass_add_value(c, ret, err));
	struct gvalue *v = &c->graph->value[*ret];
	v->type = pass_value(c, like)->type;
	v->shape = pass_value(c, like)->shape;
	v->shape.dim[v->shape.rank - 1] = width;
	return ERR_OK;
}

/* The siblings' own results come of it, and no longer of the siblings. */
static enum err_code add_split(struct pass_ctx *c, const struct sibling *s, int n, int32_t whole,
	struct err *err)
{
	int64_t size[SIBLINGS];
	int32_t sizes, at;
	for (int i = 0; i < n; i++)
		size[i] = s[i].n;
	TRY(pass_add_ints(c, n, size, &sizes, err));
	TRY(graph_add_node(c->graph, OP_SPLIT, c->graph->node[s->node].name, 2, n, 1, &at, err));
	struct node *split = &c->graph->node[at];
	split->in[0] = whole;
	split->in[1] = sizes;
	split->attr[0] = (struct attr){ .name = "axis", .kind = ATTR_INT, .i = -1 };
	for (int i = 0; i < n; i++) {
		struct node *own = &c->graph->node[s[i].node];
		split->out[i] = own->out[0];
		own->out[0] = VALUE_NONE;
	}
	return ERR_OK;
}

static enum err_code merge(struct pass_ctx *c, const struct sibling *s, int n, struct err *err)
{
	const struct attr attr[2] = {
		{ .name = "trans_b", .kind = ATTR_INT, .i = s->trans_b },
		{ .name = "scale", .kind = ATTR_FLOAT, .f = s->scale },
	};
	int32_t in[4] = { s->x, VALUE_NONE, VALUE_NONE, VALUE_NONE }, whole;
	int64_t width = 0;
	for (int i = 0; i < n; i++)
		width += s[i].n;
	TRY(add_weights(c, s, n, width, &in[1], err));
	TRY(add_bias(c, s, n, width, &in[2], err));
	TRY(add_whole(c, s, width, &whole, err));
	TRY(add_split(c, s, n, whole, err));
	struct node *product = &c->graph->node[s->node];
	product->out[0] = whole;
	return pass_rewrite(c, product, OP_FUSED_MATMUL, in, 4, attr, 2, err);
}

/* By index: new nodes move the array. */
enum err_code pass_siblings(struct pass_ctx *c, struct err *err)
{
	struct sibling family[SIBLINGS];
	for (int32_t i = 0, n = c->graph->n_node; i < n; i++) {
		const struct node *node = &c->graph->node[i];
		if (node->dead || node->op != OP_ATTENTION)
			continue;
		int found = find_family(c, node, family);
		if (found >= 2)
			TRY(merge(c, family, found, err));
	}
	return ERR_OK;
}
