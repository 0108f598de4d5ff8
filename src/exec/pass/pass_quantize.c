/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_quantize.c -- what stands between DequantizeLinear and QuantizeLinear, on the integers
 *
 * The anchor is QuantizeLinear: behind it an activation that only clamps, then a product of
 * dequantized numbers with dequantized constant weights, a sum with such a product, an average,
 * or something that only moves numbers. What is rounded in between stays rounded there, so the
 * result differs from the floats' where those fall beside the middle of two steps, by one.
 *
 * It runs before constants are folded, which would make floats of the weights.
 *
 * NOT DONE: groups of channels on a device, sums without a product.
 */
#include "exec/pass/scheme.h"

#include <math.h>
#include <string.h>

#define ATTRS_MAX 24
#define GEOMETRY_ATTRS_MAX 8

/* One number per channel along the last dimension. */
static bool is_list(const struct pass_ctx *c, int32_t v, int64_t n)
{
	const struct shape *s = &pass_value(c, v)->shape;
	for (int i = 0; i < s->rank - 1; i++)
		if (s->dim[i] != 1)
			return false;
	return s->rank >= 1 && s->dim[s->rank - 1] == n && pass_is_f32(c, v);
}

/* -- making ---------------------------------------------------------------------------------- */

struct attrs {
	struct attr v[ATTRS_MAX];
	int n;
};

static void add_int(struct attrs *a, const char *name, int64_t v)
{
	a->v[a->n++] = (struct attr){ .name = name, .kind = ATTR_INT, .i = v };
}

static void add_float(struct attrs *a, const char *name, double v)
{
	a->v[a->n++] = (struct attr){ .name = name, .kind = ATTR_FLOAT, .f = (float)v };
}

static void add_result(struct attrs *a, const struct scheme *y, const struct scheme_range *r)
{
	add_int(a, "to", y->dtype);
	add_int(a, "y_zero", y->zero);
	add_int(a, "low", r->low);
	add_int(a, "high", r->high);
}

/* A product in the making. */
struct product {
	enum op_id op;
	struct scheme_operand x;
	struct scheme_weights w;
	int32_t bias;
	struct attrs attrs;
};

/* Of the sums' unit in the result's. */
static double factor_at(const struct product *p, const struct scheme *y, int64_t i)
{
	return p->x.q.scale * scheme_scale_at(p->w.scale, i) / y->scale;
}

/* The largest part of a step that rounding the bias may cost. */
#define BIAS_ERROR_MAX 0.05

/* false: a bias does not fit in the sums, or with too little precision. */
static bool fill_bias(const struct pass_ctx *c, const struct product *p, const struct scheme *y,
	int32_t *ret)
{
	double room = (double)INT32_MAX - (double)p->w.depth * 256 * 256;
	struct scheme_bias b;
	if (!scheme_bias(c, p->bias, &b))
		return false;
	for (int64_t i = 0; i < p->w.channels; i++) {
		double v = scheme_bias_at(&b, i),
		       unit = p->x.q.scale * scheme_scale_at(p->w.scale, i);
		double sum = rint(v / unit);
		if (!(fabs(sum) < room) ||
			fabs(sum - v / unit) * factor_at(p, y, i) > BIAS_ERROR_MAX)
			return false;
		ret[i] = (int32_t)sum;
	}
	return true;
}

static enum err_code make_product(struct pass_ctx *c, struct node *n, struct product *p,
	const struct scheme *y, const struct scheme_range *r, struct err *err)
{
	struct shape list = shape_of(p->w.channels);
	struct tensor *factor = graph_new_tensor(c->graph, DTYPE_F32, &list);
	struct tensor *bias = graph_new_tensor(c->graph, DTYPE_I32, &list);
	int32_t in[6] = { p->x.v, p->w.v, VALUE_NONE, VALUE_NONE, VALUE_NONE, p->w.zero };
	if (!factor || !bias)
		return err_oom(err);
	if (!fill_bias(c, p, y, bias->data))
		return ERR_OK;
	for (int64_t i = 0; i < p->w.channels; i++)
		((float *)factor->data)[i] = (float)factor_at(p, y, i);
	TRY(pass_add_constant(c, factor, &in[2], err));
	TRY(pass_add_constant(c, bias, &in[3], err));
	add_result(&p->attrs, y, r);
	add_int(&p->attrs, "x_zero", p->x.q.zero);
	int n_in = p->w.zero == VALUE_NONE ? 4 : 6;
	return pass_rewrite(c, n, p->op, in, n_in, p->attrs.v, p->attrs.n, err);
}

static bool match_conv(const struct pass_ctx *c, const struct node *n, struct product *p)
{
	p->op = OP_QUANTIZED_CONV;
	p->bias = pass_in(c, n, 2);
	bool device = c->backend && c->backend->device;
	if ((device && node_int(n, "group", 1) != 1) || n->n_attr > GEOMETRY_ATTRS_MAX ||
		pass_value(c, pass_in(c, n, 0))->shape.rank != 4 ||
		!scheme_operand(c, pass_in(c, n, 0), &p->x) ||
		!scheme_weights(c, pass_in(c, n, 1), 0, &p->w))
		return false;
	for (int i = 0; i < n->n_attr; i++)
		p->attrs.v[p->attrs.n++] = n->attr[i];
	return p->bias == VALUE_NONE || is_list(c, p->bias, p->w.channels);
}

static bool match_matmul(const struct pass_ctx *c, const struct node *n, struct product *p)
{
	bool gemm = n->op == OP_GEMM, trans = gemm && node_int(n, "transB", 0);
	p->op = OP_QUANTIZED_MATMUL;
	p->bias = gemm ? pass_in(c, n, 2) : VALUE_NONE;
	if (gemm && (node_int(n, "transA", 0) || node_float(n, "alpha", 1) != 1 ||
			    (p->bias != VALUE_NONE && node_float(n, "beta", 1) != 1)))
		return false;
	const struct shape *w = &pass_value(c, pass_in(c, n, 1))->shape;
	if (w->rank != 2 || pass_value(c, pass_in(c, n, 0))->shape.rank < 1 ||
		!scheme_operand(c, pass_in(c, n, 0), &p->x) ||
		!scheme_weights(c, pass_in(c, n, 1), !trans, &p->w))
		return false;
	add_int(&p->attrs, "trans_b", trans);
	return p->bias == VALUE_NONE || is_list(c, p->bias, p->w.channels);
}

/* -- a sum with a product ---------------------------------------------------------------------- */

/* The product that makes v's integers, all its own but for the sum. */
static const struct node *match_product(
	const struct pass_ctx *c, int32_t v, struct scheme_operand *ret)
{
	if (c->uses[v] != 1 || c->is_output[v] || !scheme_operand(c, v, ret) ||
		c->uses[ret->v] != 1 || c->is_output[ret->v])
		return NULL;
	const struct node *n = pass_producer(c, ret->v);
	bool product = n && (n->op == OP_QUANTIZED_CONV || n->op == OP_QUANTIZED_MATMUL);
	return product && !node_has_in(n, 4) ? n : NULL;
}

static bool is_requant(const char *name)
{
	static const char *const names[] = { "to", "y_zero", "low", "high" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* What the product rounds to is kept as its step in the middle. */
static enum err_code make_sum(struct pass_ctx *c, struct node *n, const struct node *product,
	const struct scheme_operand *a, const struct scheme_operand *z, const struct scheme *y,
	const struct scheme_range *r, struct err *err)
{
	struct attrs attrs = { .n = 0 };
	int32_t in[6] = { pass_in(c, product, 0), pass_in(c, product, 1), pass_in(c, product, 2),
		pass_in(c, product, 3), z->v, pass_in(c, product, 5) };
	for (int i = 0; i < product->n_attr; i++)
		if (!is_requant(product->attr[i].name))
			attrs.v[attrs.n++] = product->attr[i];
	add_result(&attrs, y, r);
	add_int(&attrs, "mid_low", node_int(product, "low", 0) - a->q.zero);
	add_int(&attrs, "mid_high", node_int(product, "high", 0) - a->q.zero);
	add_float(&attrs, "mid_factor", a->q.scale / y->scale);
	add_int(&attrs, "z_zero", z->q.zero);
	add_float(&attrs, "z_factor", z->q.scale / y->scale);
	int n_in = in[5] == VALUE_NONE ? 5 : 6;
	return pass_rewrite(c, n, product->op, in, n_in, attrs.v, attrs.n, err);
}

/* Of two products the later one takes the other's result. */
static enum err_code quantize_sum(struct pass_ctx *c, struct node *n, const struct node *add,
	const struct scheme *y, const struct scheme_range *r, struct err *err)
{
	const struct node *best = NULL;
	struct scheme_operand a, z, best_a, best_z;
	int32_t in[2] = { pass_in(c, add, 0), pass_in(c, add, 1) };
	if (!pass_same_shape(&pass_value(c, in[0])->shape, &pass_value(c, in[1])->shape))
		return ERR_OK;
	for (int k = 0; k < 2; k++) {
		const struct node *product = match_product(c, in[k], &a);
		if (!product || (best && product < best) || !scheme_operand(c, in[1 - k], &z))
			continue;
		best = product;
		best_a = a;
		best_z = z;
	}
	return best ? make_sum(c, n, best, &best_a, &best_z, y, r, err) : ERR_OK;
}

/* -- averages, and what moves numbers ---------------------------------------------------------- */

static enum err_code quantize_average(struct pass_ctx *c, struct node *n, const struct node *pool,
	const struct scheme *y, const struct scheme_range *r, struct err *err)
{
	struct scheme_operand x;
	struct attrs attrs = { .n = 0 };
	if (!scheme_operand(c, pass_in(c, pool, 0), &x))
		return ERR_OK;
	add_result(&attrs, y, r);
	add_int(&attrs, "x_zero", x.q.zero);
	add_float(&attrs, "factor", x.q.scale / y->scale);
	return pass_rewrite(c, n, OP_QUANTIZED_GLOBAL_POOL, &x.v, 1, attrs.v, attrs.n, err);
}

#define MOVER_INPUTS_MAX 8

/* A step of one scheme commutes with what picks or moves numbers. */
static enum err_code quantize_mover(struct pass_ctx *c, struct node *n, const struct node *mover,
	const struct scheme *y, const struct scheme_range *r, struct err *err)
{
	struct scheme_operand x;
	struct scheme_range all = scheme_range(y->dtype);
	int32_t in[MOVER_INPUTS_MAX];
	if (mover->n_in > MOVER_INPUTS_MAX || mover->n_out != 1 || r->low != all.low ||
		r->high != all.high || !scheme_operand(c, pass_in(c, mover, 0), &x) ||
		x.q.dtype != y->dtype || x.q.scale != y->scale || x.q.zero != y->zero)
		return ERR_OK;
	for (int k = 0; k < mover->n_in; k++)
		in[k] = k == 0 ? x.v : pass_in(c, mover, k);
	return pass_rewrite(c, n, mover->op, in, mover->n_in, mover->attr, mover->n_attr, err);
}

/* -- the pass ---------------------------------------------------------------------------------- */

static enum err_code quantize(struct pass_ctx *c, struct node *n, struct err *err)
{
	struct scheme y;
	struct product p = { .bias = VALUE_NONE };
	if (n->op != OP_QUANTIZE || !scheme_read(c, n, n->out[0], pass_in(c, n, 0), &y))
		return ERR_OK;
	int32_t v = pass_in(c, n, 0);
	struct scheme_range r = scheme_clamps(c, &y, &v);
	const struct node *from = pass_producer(c, v);
	if (!from || c->uses[v] != 1 || c->is_output[v])
		return ERR_OK;
	switch (from->op) {
	case OP_CONV: return match_conv(c, from, &p) ? make_product(c, n, &p, &y, &r, err) : ERR_OK;
	case OP_MATMUL:
	case OP_GEMM:
		return match_matmul(c, from, &p) ? make_product(c, n, &p, &y, &r, err) : ERR_OK;
	case OP_ADD: return quantize_sum(c, n, from, &y, &r, err);
	case OP_GLOBAL_AVERAGE_POOL: return quantize_average(c, n, from, &y, &r, err);
	case OP_MAX_POOL:
	case OP_RESHAPE:
	case OP_FLATTEN:
	case OP_TRANSPOSE:
	case OP_SQUEEZE:
	case OP_UNSQUEEZE: return quantize_mover(c, n, from, &y, &r, err);
	default: return ERR_OK;
	}
}

enum err_code pass_quantize(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, quantize, err);
}
