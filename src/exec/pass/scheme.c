/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/pass/scheme.h"

#include <math.h>

struct scheme_range scheme_range(enum dtype dtype)
{
	return dtype == DTYPE_I8 ? (struct scheme_range){ INT8_MIN, INT8_MAX }
				 : (struct scheme_range){ 0, UINT8_MAX };
}

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

bool scheme_read(const struct pass_ctx *c, const struct node *n, int32_t bytes, int32_t floats,
	struct scheme *ret)
{
	const struct tensor *scale = constant(c, pass_in(c, n, 1)),
			    *zero = constant(c, pass_in(c, n, 2));
	int64_t precision = node_int(n, "precision", 0);
	ret->dtype = pass_value(c, bytes)->type.dtype;
	if ((ret->dtype != DTYPE_I8 && ret->dtype != DTYPE_U8) || !pass_is_f32(c, floats) ||
		!scale || scale->dtype != DTYPE_F32 || tensor_count(scale) != 1 ||
		!is_positive(scale) || (precision && precision != DTYPE_F32) ||
		(pass_in(c, n, 2) != VALUE_NONE && (!zero || tensor_count(zero) != 1)))
		return false;
	ret->scale = tensor_float(scale, 0);
	ret->zero = zero ? tensor_int(zero, 0) : 0;
	return true;
}

bool scheme_operand(const struct pass_ctx *c, int32_t v, struct scheme_operand *ret)
{
	const struct node *n = pass_match(c, v, OP_DEQUANTIZE);
	if (!n)
		return false;
	ret->v = pass_in(c, n, 0);
	return scheme_read(c, n, ret->v, v, &ret->q);
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

bool scheme_weights(
	const struct pass_ctx *c, int32_t v, int channel_axis, struct scheme_weights *ret)
{
	const struct node *n = pass_match(c, v, OP_DEQUANTIZE);
	if (!n || !pass_is_f32(c, v) || node_int(n, "block_size", 0))
		return false;
	const struct tensor *w = constant(c, pass_in(c, n, 0)),
			    *zero = constant(c, pass_in(c, n, 2));
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

double scheme_scale_at(const struct tensor *scale, int64_t i)
{
	return tensor_float(scale, tensor_count(scale) == 1 ? 0 : i);
}

bool scheme_bias(const struct pass_ctx *c, int32_t v, struct scheme_bias *ret)
{
	*ret = (struct scheme_bias){ .t = constant(c, v) };
	if (v == VALUE_NONE || ret->t)
		return true;
	const struct node *n = pass_match(c, v, OP_DEQUANTIZE);
	if (!n || node_int(n, "block_size", 0))
		return false;
	const struct tensor *zero = constant(c, pass_in(c, n, 2));
	*ret = (struct scheme_bias){ constant(c, pass_in(c, n, 0)), constant(c, pass_in(c, n, 1)) };
	return ret->t && ret->scale && ret->t->dtype == DTYPE_I32 &&
	       (tensor_count(ret->scale) == 1 ||
		       tensor_count(ret->scale) == tensor_count(ret->t)) &&
	       (pass_in(c, n, 2) == VALUE_NONE || (zero && is_all_zero(zero)));
}

double scheme_bias_at(const struct scheme_bias *b, int64_t i)
{
	double v = b->t ? tensor_float(b->t, i) : 0;
	return b->scale ? v * scheme_scale_at(b->scale, i) : v;
}

static int64_t clamp_at(double bound, const struct scheme *y, int64_t otherwise)
{
	struct scheme_range r = scheme_range(y->dtype);
	double v = rint(bound / y->scale) + (double)y->zero;
	return isnan(v)		    ? otherwise
	       : v < (double)r.low  ? r.low
	       : v > (double)r.high ? r.high
				    : (int64_t)v;
}

struct scheme_range scheme_clamps(const struct pass_ctx *c, const struct scheme *y, int32_t *v)
{
	struct scheme_range r = scheme_range(y->dtype);
	struct pass_activation a;
	for (;;) {
		const struct node *n = pass_producer(c, *v);
		if (!n || (n->op != OP_RELU && n->op != OP_CLIP) || c->uses[*v] != 1 ||
			c->is_output[*v] || !pass_match_activation(c, n, &a))
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
