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
#include "exec/pass/pass.h"

#include <math.h>
#include <string.h>

#define ATTRS_MAX 24
#define GEOMETRY_ATTRS_MAX 8

/* How numbers of a type stand for real ones. */
struct scheme {
	enum dtype dtype;
	double scale;
	int64_t zero;
};

/* A quantized value and its scheme. */
struct operand {
	int32_t v;
	struct scheme q;
};

/* Constant weights: scale has one element, or one per channel, and so has zero. */
struct weights {
	int32_t v, zero; /* VALUE_NONE: all are zero */
	const struct tensor *scale;
	int64_t channels;
	int64_t depth; /* products that make one result */
};

/* The range that an activation leaves of the result's type. */
struct range {
	int64_t low, high;
};

static struct range range_of(enum dtype dtype)
{
	return dtype == DTYPE_I8 ? (struct range){ INT8_MIN, INT8_MAX } : (struct range){ 0, UINT8_MAX };
}

/* -- looking --------------------------------------------------------------------------------- */

static const struct tensor *constant(const struct pass_ctx *c, int32_t v)
{
	return v == VALUE_NONE ? NULL : pass_value(c, v)->constant;
}

static bool is_positive(const struct tensor *scale)
{
	for (int64_t i = 0, n = tensor_count(scale); i < n; i++)
		if (!(tensor_float(scale, i) > 0 && isfinite(tensor_float(scale, i))))
			return false;
	return tensor_count(scale) > 0;
}

/* n is (De)QuantizeLinear between float32 and bytes with one known scale and zero point. */
static bool read_scheme(const struct pass_ctx *c, const struct node *n, int32_t bytes, int32_t floats,
	struct scheme *ret)
{
	const struct tensor *scale = constant(c, pass_in(c, n, 1)), *zero = constant(c, pass_in(c, n, 2));
	int64_t precision = node_int(n, "precision", 0);
	ret->dtype = pass_value(c, bytes)->type.dtype;
	if ((ret->dtype != DTYPE_I8 && ret->dtype != DTYPE_U8) || !pass_is_f32(c, floats) || !scale ||
		scale->dtype != DTYPE_F32 || tensor_count(scale) != 1 || !is_positive(scale) ||
		(precision && precision != DTYPE_F32) ||
		(pass_in(c, n, 2) != VALUE_NONE && (!zero || tensor_count(zero) != 1)))
		return false;
	ret->scale = tensor_float(scale, 0);
	ret->zero = zero ? tensor_int(zero, 0) : 0;
	return true;
}

static bool read_operand(const struct pass_ctx *c, int32_t v, struct operand *ret)
{
	const struct node *n = pass_match(c, v, OP_DEQUANTIZE);
	if (!n)
		return false;
	ret->v = pass_in(c, n, 0);
	return read_scheme(c, n, ret->v, v, &ret->q);
}

static bool is_all_zero(const struct tensor *t)
{
	for (int64_t i = 0, n = tensor_count(t); i < n; i++)
		if (tensor_int(t, i) != 0)
			return false;
	return true;
}

/* Are a constant's zero points what a kernel takes: one, or one for each of n? */
static bool is_zero_point(const struct tensor *zero, enum dtype dtype, int64_t n)
{
	const struct shape *s = &zero->shape;
	return zero->dtype == dtype &&
	       (s->rank == 0 || (s->rank == 1 && (s->dim[0] == 1 || s->dim[0] == n)));
}

/* v is made of constant bytes, with one scale for all or for each index of the channel axis. */
static bool read_weights(const struct pass_ctx *c, int32_t v, int channel_axis, struct weights *ret)
{
	const struct node *n = pass_match(c, v, OP_DEQUANTIZE);
	if (!n || !pass_is_f32(c, v) || node_int(n, "block_size", 0))
		return false;
	const struct tensor *w = constant(c, pass_in(c, n, 0)), *zero = constant(c, pass_in(c, n, 2));
	ret->v = pass_in(c, n, 0);
	ret->scale = constant(c, pass_in(c, n, 1));
	if (!w || !ret->scale || (w->dtype != DTYPE_I8 && w->dtype != DTYPE_U8) ||
		ret->scale->dtype != DTYPE_F32 || (pass_in(c, n, 2) != VALUE_NONE && !zero) ||
		w->shape.rank <= channel_axis || tensor_count(w) == 0 || !is_positive(ret->scale))
		return false;
	int64_t axis = node_int(n, "axis", 1), count = tensor_count(ret->scale);
	axis += axis < 0 ? w->shape.rank : 0;
	ret->channels = w->shape.dim[channel_axis];
	ret->depth = tensor_count(w) / ret->channels;
	ret->zero = zero && !is_all_zero(zero) ? pass_in(c, n, 2) : VALUE_NONE;
	if (ret->zero != VALUE_NONE && !is_zero_point(zero, w->dtype, ret->channels))
		return false;
	return count == 1 || (axis == channel_axis && count == ret->channels);
}

static double scale_at(const struct tensor *scale, int64_t i)
{
	return tensor_float(scale, tensor_count(scale) == 1 ? 0 : i);
}

/* Numbers of a constant, or of a constant that is dequantized. No tensor: zeros. */
struct bias {
	const struct tensor *t, *scale; /* scale NULL: t's are the numbers */
};

static bool read_bias(const struct pass_ctx *c, int32_t v, struct bias *ret)
{
	*ret = (struct bias){ .t = constant(c, v) };
	if (v == VALUE_NONE || ret->t)
		return true;
	const struct node *n = pass_match(c, v, OP_DEQUANTIZE);
	if (!n || node_int(n, "block_size", 0))
		return false;
	const struct tensor *zero = constant(c, pass_in(c, n, 2));
	*ret = (struct bias){ constant(c, pass_in(c, n, 0)), constant(c, pass_in(c, n, 1)) };
	return ret->t && ret->scale && ret->t->dtype == DTYPE_I32 &&
	       (tensor_count(ret->scale) == 1 || tensor_count(ret->scale) == tensor_count(ret->t)) &&
	       (pass_in(c, n, 2) == VALUE_NONE || (zero && is_all_zero(zero)));
}

static double bias_at(const struct bias *b, int64_t i)
{
	double v = b->t ? tensor_float(b->t, i) : 0;
	return b->scale ? v * scale_at(b->scale, i) : v;
}

/* One number per channel along the last dimension. */
static bool is_list(const struct pass_ctx *c, int32_t v, int64_t n)
{
	const struct shape *s = &pass_value(c, v)->shape;
	for (int i = 0; i < s->rank - 1; i++)
		if (s->dim[i] != 1)
			return false;
	return s->rank >= 1 && s->dim[s->rank - 1] == n && pass_is_f32(c, v);
}

static int64_t clamp_at(double bound, const struct scheme *y, int64_t otherwise)
{
	struct range r = range_of(y->dtype);
	double v = rint(bound / y->scale) + (double)y->zero;
	return isnan(v) ? otherwise : v < (double)r.low ? r.low : v > (double)r.high ? r.high : (int64_t)v;
}

/* Steps over activations that clamp, which nobody else reads; moves *v before them. */
static struct range skip_clamps(const struct pass_ctx *c, const struct scheme *y, int32_t *v)
{
	struct range r = range_of(y->dtype);
	struct pass_activation a;
	for (;;) {
		const struct node *n = pass_producer(c, *v);
		if (!n || (n->op != OP_RELU && n->op != OP_CLIP) || c->uses[*v] != 1 || c->is_output[*v] ||
			!pass_match_activation(c, n, &a))
			return r;
		int64_t low = clamp_at(a.act == ACT_RELU ? 0 : (double)a.alpha, y, r.low);
		int64_t high = a.act == ACT_RELU ? r.high : clamp_at((double)a.beta, y, r.high);
		if (low > high)
			return r;
		r.low = low > r.low ? low : r.low;
		r.high = high < r.high ? high : r.high;
		*v = a.in;
	}
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

static void add_result(struct attrs *a, const struct scheme *y, const struct range *r)
{
	add_int(a, "to", y->dtype);
	add_int(a, "y_zero", y->zero);
	add_int(a, "low", r->low);
	add_int(a, "high", r->high);
}

/* A product in the making. */
struct product {
	enum op_id op;
	struct operand x;
	struct weights w;
	int32_t bias;
	struct attrs attrs;
};

/* Of the sums' unit in the result's. */
static double factor_at(const struct product *p, const struct scheme *y, int64_t i)
{
	return p->x.q.scale * scale_at(p->w.scale, i) / y->scale;
}

/* The largest part of a step that rounding the bias may cost. */
#define BIAS_ERROR_MAX 0.05

/* false: a bias does not fit in the sums, or with too little precision. */
static bool fill_bias(const struct pass_ctx *c, const struct product *p, const struct scheme *y,
	int32_t *ret)
{
	double room = (double)INT32_MAX - (double)p->w.depth * 256 * 256;
	struct bias b;
	if (!read_bias(c, p->bias, &b))
		return false;
	for (int64_t i = 0; i < p->w.channels; i++) {
		double v = bias_at(&b, i), unit = p->x.q.scale * scale_at(p->w.scale, i);
		double sum = rint(v / unit);
		if (!(fabs(sum) < room) || fabs(sum - v / unit) * factor_at(p, y, i) > BIAS_ERROR_MAX)
			return false;
		ret[i] = (int32_t)sum;
	}
	return true;
}

static enum err_code make_product(struct pass_ctx *c, struct node *n, struct product *p,
	const struct scheme *y, const struct range *r, struct err *err)
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
		!read_operand(c, pass_in(c, n, 0), &p->x) || !read_weights(c, pass_in(c, n, 1), 0, &p->w))
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
		!read_operand(c, pass_in(c, n, 0), &p->x) || !read_weights(c, pass_in(c, n, 1), !trans, &p->w))
		return false;
	add_int(&p->attrs, "trans_b", trans);
	return p->bias == VALUE_NONE || is_list(c, p->bias, p->w.channels);
}

/* -- a sum with a product ------------------------------------------------------------------------ */

/* The product that makes v's integers, all its own but for the sum. */
static const struct node *match_product(const struct pass_ctx *c, int32_t v, struct operand *ret)
{
	if (c->uses[v] != 1 || c->is_output[v] || !read_operand(c, v, ret) || c->uses[ret->v] != 1 ||
		c->is_output[ret->v])
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
	const struct operand *a, const struct operand *z, const struct scheme *y,
	const struct range *r, struct err *err)
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
	const struct scheme *y, const struct range *r, struct err *err)
{
	const struct node *best = NULL;
	struct operand a, z, best_a, best_z;
	int32_t in[2] = { pass_in(c, add, 0), pass_in(c, add, 1) };
	if (!pass_same_shape(&pass_value(c, in[0])->shape, &pass_value(c, in[1])->shape))
		return ERR_OK;
	for (int k = 0; k < 2; k++) {
		const struct node *product = match_product(c, in[k], &a);
		if (!product || (best && product < best) || !read_operand(c, in[1 - k], &z))
			continue;
		best = product;
		best_a = a;
		best_z = z;
	}
	return best ? make_sum(c, n, best, &best_a, &best_z, y, r, err) : ERR_OK;
}

/* -- averages, and what moves numbers ------------------------------------------------------------ */

static enum err_code quantize_average(struct pass_ctx *c, struct node *n, const struct node *pool,
	const struct scheme *y, const struct range *r, struct err *err)
{
	struct operand x;
	struct attrs attrs = { .n = 0 };
	if (!read_operand(c, pass_in(c, pool, 0), &x))
		return ERR_OK;
	add_result(&attrs, y, r);
	add_int(&attrs, "x_zero", x.q.zero);
	add_float(&attrs, "factor", x.q.scale / y->scale);
	return pass_rewrite(c, n, OP_QUANTIZED_GLOBAL_POOL, &x.v, 1, attrs.v, attrs.n, err);
}

#define MOVER_INPUTS_MAX 8

/* A step of one scheme commutes with what picks or moves numbers. */
static enum err_code quantize_mover(struct pass_ctx *c, struct node *n, const struct node *mover,
	const struct scheme *y, const struct range *r, struct err *err)
{
	struct operand x;
	struct range all = range_of(y->dtype);
	int32_t in[MOVER_INPUTS_MAX];
	if (mover->n_in > MOVER_INPUTS_MAX || mover->n_out != 1 || r->low != all.low || r->high != all.high ||
		!read_operand(c, pass_in(c, mover, 0), &x) || x.q.dtype != y->dtype ||
		x.q.scale != y->scale || x.q.zero != y->zero)
		return ERR_OK;
	for (int k = 0; k < mover->n_in; k++)
		in[k] = k == 0 ? x.v : pass_in(c, mover, k);
	return pass_rewrite(c, n, mover->op, in, mover->n_in, mover->attr, mover->n_attr, err);
}

/* -- the pass ------------------------------------------------------------------------------------ */

static enum err_code quantize(struct pass_ctx *c, struct node *n, struct err *err)
{
	struct scheme y;
	struct product p = { .bias = VALUE_NONE };
	if (n->op != OP_QUANTIZE || !read_scheme(c, n, n->out[0], pass_in(c, n, 0), &y))
		return ERR_OK;
	int32_t v = pass_in(c, n, 0);
	struct range r = skip_clamps(c, &y, &v);
	const struct node *from = pass_producer(c, v);
	if (!from || c->uses[v] != 1 || c->is_output[v])
		return ERR_OK;
	switch (from->op) {
	case OP_CONV: return match_conv(c, from, &p) ? make_product(c, n, &p, &y, &r, err) : ERR_OK;
	case OP_MATMUL:
	case OP_GEMM: return match_matmul(c, from, &p) ? make_product(c, n, &p, &y, &r, err) : ERR_OK;
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
