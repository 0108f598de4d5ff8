/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_matmul.c -- MatMul and Gemm with what surrounds them: a transposed right side, a
 * scale, a bias, a residual addition, an activation. A Gemm that does no more than that is
 * always said so, for kernels to have one form to be good at.
 */
#include "exec/pass/pass.h"

/* A FusedMatMul in the making: what the product is by now, and what is added to it. */
struct product {
	int32_t in[4]; /* A, B, bias, Z */
	int64_t trans_b;
	double scale;
	struct pass_activation act;
};

static bool is_plain_gemm(const struct pass_ctx *c, const struct node *n)
{
	return !node_int(n, "transA", 0) &&
		(pass_in(c, n, 2) == VALUE_NONE || node_float(n, "beta", 1) == 1);
}

/* One number per column: [N], or with leading ones. */
static bool is_column_bias(const struct pass_ctx *c, int32_t v, const struct shape *out)
{
	const struct shape *s = &pass_value(c, v)->shape;
	if (s->rank < 1 || s->rank > out->rank || s->dim[s->rank - 1] != out->dim[out->rank - 1] ||
		s->dim[s->rank - 1] == DIM_UNKNOWN)
		return false;
	for (int i = 0; i < s->rank - 1; i++)
		if (s->dim[i] != 1)
			return false;
	return true;
}

/* n as such a product; Gemm's C may be any matrix of the result's shape, then it is Z. */
static bool read_product(const struct pass_ctx *c, const struct node *n, struct product *p)
{
	const struct shape *out = &c->graph->value[n->out[0]].shape;
	*p = (struct product){ .scale = 1, .act = { .act = ACT_NONE } };
	for (int k = 0; k < 4; k++)
		p->in[k] = pass_in(c, n, k);
	if (p->in[0] == VALUE_NONE || p->in[1] == VALUE_NONE) /* no product, whatever else */
		return false;
	if (!pass_is_f32(c, n->out[0]) || out->rank < 2 ||
		pass_value(c, p->in[0])->shape.rank < 2 || pass_value(c, p->in[1])->shape.rank < 2)
		return false;
	switch (n->op) {
	case OP_MATMUL: return true;
	case OP_FUSED_MATMUL:
		p->trans_b = node_int(n, "trans_b", 0);
		p->scale = node_float(n, "scale", 1);
		return node_int(n, "activation", ACT_NONE) == ACT_NONE;
	case OP_GEMM:
		p->trans_b = node_int(n, "transB", 0);
		p->scale = node_float(n, "alpha", 1);
		return is_plain_gemm(c, n) &&
			(p->in[2] == VALUE_NONE || is_column_bias(c, p->in[2], out));
	default: return false;
	}
}

/* The product that makes v, if v is read `reads` times, by what is to be taken in. */
static bool match_product(const struct pass_ctx *c, int32_t v, int reads, struct product *p)
{
	const struct node *n = pass_producer(c, v);
	return n && c->uses[v] == reads && !c->is_output[v] && read_product(c, n, p);
}

static enum err_code become(struct pass_ctx *c, struct node *n, const struct product *p,
	struct err *err)
{
	struct attr attr[5] = {
		{ .name = "trans_b", .kind = ATTR_INT, .i = p->trans_b },
		{ .name = "scale", .kind = ATTR_FLOAT, .f = (float)p->scale },
	};
	int n_attr = 2 + pass_activation_attrs(&p->act, attr + 2);
	return pass_rewrite(c, n, OP_FUSED_MATMUL, p->in, 4, attr, n_attr, err);
}

/* product + bias, or product + something of the product's shape. */
static enum err_code fuse_add(struct pass_ctx *c, struct node *n, struct err *err)
{
	for (int k = 0; k < 2; k++) {
		struct product p;
		int32_t v = pass_in(c, n, k), other = pass_in(c, n, 1 - k);
		const struct shape *s = &pass_value(c, v)->shape;
		if (!pass_is_f32(c, other) || !match_product(c, v, 1, &p))
			continue;
		if (p.in[2] == VALUE_NONE && p.in[3] == VALUE_NONE && is_column_bias(c, other, s))
			p.in[2] = other;
		else if (p.in[3] == VALUE_NONE && pass_same_shape(s, &pass_value(c, other)->shape))
			p.in[3] = other;
		else
			continue;
		return become(c, n, &p, err);
	}
	return ERR_OK;
}

/* product * number, before anything is added to it. */
static bool match_scaled(const struct pass_ctx *c, const struct node *n, struct product *p)
{
	for (int k = 0; k < (n->op == OP_MUL ? 2 : 1); k++) {
		double number;
		int32_t v = pass_in(c, n, k), other = pass_in(c, n, 1 - k);
		if (!pass_scalar(c, other, &number) || number == 0 ||
			pass_value(c, other)->shape.rank > pass_value(c, v)->shape.rank ||
			!match_product(c, v, 1, p) || p->in[2] != VALUE_NONE ||
			p->in[3] != VALUE_NONE)
			continue;
		p->scale = n->op == OP_MUL ? p->scale * number : p->scale / number;
		return true;
	}
	return false;
}

/* Swaps the last two dimensions and no others. */
static bool swaps_last_two(const struct node *n, int rank)
{
	int32_t have;
	const int64_t *perm = node_ints(n, "perm", &have);
	if (rank < 2 || (!have && rank != 2))
		return false;
	for (int i = 0; i < have; i++) {
		int want = i == rank - 2 ? rank - 1 : i == rank - 1 ? rank - 2 : i;
		if (perm[i] != want)
			return false;
	}
	return true;
}

/* A x transpose(B): the product reads B as it lies. */
static bool match_transposed(const struct pass_ctx *c, const struct node *n, struct product *p)
{
	if (!read_product(c, n, p))
		return false;
	const struct node *t = pass_match(c, p->in[1], OP_TRANSPOSE);
	if (!t || !swaps_last_two(t, pass_value(c, p->in[1])->shape.rank))
		return false;
	p->in[1] = pass_in(c, t, 0);
	p->trans_b = !p->trans_b;
	return true;
}

static enum err_code fuse_matmul(struct pass_ctx *c, struct node *n, struct err *err)
{
	struct product p;
	struct pass_activation a;
	if (n->op == OP_ADD)
		return fuse_add(c, n, err);
	if ((n->op == OP_MUL || n->op == OP_DIV) && match_scaled(c, n, &p))
		return become(c, n, &p, err);
	if (match_transposed(c, n, &p) || (n->op == OP_GEMM && read_product(c, n, &p)))
		return become(c, n, &p, err);
	if (!pass_match_activation(c, n, &a) || !match_product(c, a.in, a.reads, &p))
		return ERR_OK;
	p.act = a;
	return become(c, n, &p, err);
}

enum err_code pass_fuse_matmul(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, fuse_matmul, err);
}
