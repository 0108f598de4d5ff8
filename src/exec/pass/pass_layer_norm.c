/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_layer_norm.c -- LayerNormalization and RMSNormalization found in their parts
 *
 * DESIGN
 * (x - mean) / sqrt(mean((x - mean)^2) + eps) * scale + bias, over the last axes, as
 * PyTorch and Paddle write it (Div by Sqrt) and as tf2onnx does (Mul by Reciprocal of
 * Sqrt, scale multiplied into that first); also with the variance as mean(x^2) - mean^2,
 * clamped at 0 or not. The anchor is the addition of the bias.
 *
 * x / sqrt(mean(x^2) + eps) * scale, in the same two ways, or x itself times scale over the root.
 * The anchor is the product with the scale. PyTorch's computes in float32 what is half before and
 * behind it, casts and all, as the operator does.
 */
#include "exec/pass/pass.h"

/* The mean of a value over some of the last axes, those axes kept as 1: axis is the first. */
struct mean {
	int32_t of;
	int axis;
	bool kept; /* the axes are still there */
};

/* The reduced axes are a list that ends the shape; the first of them. */
static bool last_axes(const struct pass_ctx *c, const struct node *n, int rank, int *ret_axis)
{
	int32_t v = pass_in(c, n, 1);
	const struct tensor *t = v == VALUE_NONE ? NULL : c->graph->value[v].constant;
	uint32_t mask = 0;
	if (!t || rank <= 0 || tensor_count(t) < 1 || tensor_count(t) > rank)
		return false;
	for (int64_t i = 0; i < tensor_count(t); i++) {
		int axis;
		if (!shape_axis(tensor_int(t, i), rank, &axis))
			return false;
		mask |= 1u << axis;
	}
	int first = rank - (int)tensor_count(t);
	*ret_axis = first;
	return mask == (1u << rank) - (1u << first);
}

static bool match_reduction(const struct pass_ctx *c, const struct node *n, struct mean *ret)
{
	ret->of = pass_in(c, n, 0);
	ret->kept = node_int(n, "keepdims", 1) != 0;
	return last_axes(c, n, c->graph->value[ret->of].shape.rank, &ret->axis);
}

/* ReduceSum * (1 / n) is a mean too. */
static bool match_sum_scaled(const struct pass_ctx *c, const struct node *n, struct mean *ret)
{
	for (int k = 0; k < 2; k++) {
		const struct node *sum = pass_match(c, pass_in(c, n, k), OP_REDUCE_SUM);
		double number;
		if (!sum || !pass_scalar(c, pass_in(c, n, 1 - k), &number) ||
			!match_reduction(c, sum, ret))
			continue;
		const struct shape *s = &pass_value(c, ret->of)->shape;
		double count = 1;
		for (int i = ret->axis; i < s->rank; i++)
			count *= (double)s->dim[i];
		return count > 0 && pass_near(number, 1 / count);
	}
	return false;
}

/* Reshape or Unsqueeze that puts the reduced axes back as ones. */
static int32_t skip_restored_axes(const struct pass_ctx *c, int32_t v)
{
	const struct node *n = pass_producer(c, v);
	if (!n || (n->op != OP_RESHAPE && n->op != OP_UNSQUEEZE))
		return v;
	const struct shape *from = &pass_value(c, pass_in(c, n, 0))->shape;
	const struct shape *to = &pass_value(c, v)->shape;
	for (int i = 0; i < to->rank; i++) {
		bool same =
			i < from->rank && to->dim[i] == from->dim[i] && to->dim[i] != DIM_UNKNOWN;
		if (!same && !(i >= from->rank && to->dim[i] == 1))
			return v;
	}
	return to->rank > from->rank && from->rank >= 0 ? pass_in(c, n, 0) : v;
}

static bool match_mean(const struct pass_ctx *c, int32_t v, struct mean *ret)
{
	int32_t inner = skip_restored_axes(c, v);
	const struct node *n = pass_producer(c, inner);
	if (!n)
		return false;
	bool found = n->op == OP_REDUCE_MEAN ? match_reduction(c, n, ret)
		     : n->op == OP_MUL	     ? match_sum_scaled(c, n, ret)
					     : false;
	/* Either the axes were kept, or they were put back. */
	return found && ret->kept == (inner == v);
}

/* A mean wherever its axes are: for use inside a variance. */
static bool match_bare_mean(const struct pass_ctx *c, int32_t v, struct mean *ret)
{
	const struct node *n = pass_producer(c, v);
	if (n && n->op == OP_REDUCE_MEAN)
		return match_reduction(c, n, ret);
	return n && n->op == OP_MUL && match_sum_scaled(c, n, ret);
}

/* v is x * x, or x to the power of 2. */
static bool match_square(const struct pass_ctx *c, int32_t v, int32_t *ret_x)
{
	const struct node *n = pass_producer(c, v);
	*ret_x = n ? pass_in(c, n, 0) : VALUE_NONE;
	if (n && n->op == OP_MUL)
		return pass_in(c, n, 1) == *ret_x;
	return n && n->op == OP_POW && pass_is(c, pass_in(c, n, 1), 2);
}

struct norm {
	int32_t x, scale, bias;
	int axis;
	double epsilon;
};

/* mean(x^2) - mean(x)^2, perhaps clamped at 0 */
static bool match_raw_variance(const struct pass_ctx *c, int32_t v, const struct norm *norm)
{
	const struct node *n = pass_match(c, v, OP_MAX);
	struct mean squares, mean;
	int32_t x, m;
	for (int k = 0; n && n->n_in == 2 && k < 2; k++)
		if (pass_is(c, pass_in(c, n, k), 0)) {
			v = pass_in(c, n, 1 - k);
			break;
		}
	n = pass_match(c, v, OP_SUB);
	return n && match_bare_mean(c, pass_in(c, n, 0), &squares) &&
		match_square(c, squares.of, &x) && x == norm->x && squares.axis == norm->axis &&
		match_square(c, pass_in(c, n, 1), &m) && match_bare_mean(c, m, &mean) &&
		mean.of == norm->x && mean.axis == norm->axis;
}

/* v is sqrt(variance + epsilon), for the x and the centered x given. */
static bool match_deviation(
	const struct pass_ctx *c, int32_t v, int32_t centered, struct norm *norm)
{
	const struct node *root = pass_match(c, v, OP_SQRT);
	const struct node *sum = root ? pass_match(c, pass_in(c, root, 0), OP_ADD) : NULL;
	for (int k = 0; sum && k < 2; k++) {
		struct mean mean;
		int32_t squared, variance = pass_in(c, sum, 1 - k);
		if (!pass_scalar(c, pass_in(c, sum, k), &norm->epsilon) || norm->epsilon < 0)
			continue;
		if (match_mean(c, variance, &mean) && match_square(c, mean.of, &squared) &&
			squared == centered && mean.axis == norm->axis)
			return true;
		return match_raw_variance(c, skip_restored_axes(c, variance), norm);
	}
	return false;
}

/* v is x - mean(x). */
static bool match_centered(const struct pass_ctx *c, int32_t v, struct norm *norm)
{
	const struct node *n = pass_match(c, v, OP_SUB);
	struct mean mean;
	if (!n || !match_mean(c, pass_in(c, n, 1), &mean) || mean.of != pass_in(c, n, 0))
		return false;
	norm->x = mean.of;
	norm->axis = mean.axis;
	return true;
}

/* v is sqrt(mean(x^2) + epsilon). */
static bool match_root(const struct pass_ctx *c, int32_t v, int32_t x, struct norm *norm)
{
	const struct node *root = pass_match(c, v, OP_SQRT);
	const struct node *sum = root ? pass_match(c, pass_in(c, root, 0), OP_ADD) : NULL;
	for (int k = 0; sum && k < 2; k++) {
		struct mean mean;
		int32_t squared;
		if (!pass_scalar(c, pass_in(c, sum, k), &norm->epsilon) || norm->epsilon < 0 ||
			!match_mean(c, pass_in(c, sum, 1 - k), &mean) ||
			!match_square(c, mean.of, &squared) || squared != x)
			continue;
		norm->axis = mean.axis;
		return true;
	}
	return false;
}

/* What is divided by: match_deviation() or match_root(). */
typedef bool (*match_fn)(const struct pass_ctx *c, int32_t v, int32_t of, struct norm *norm);

/* v is 1 over it. */
static bool match_inverse(
	const struct pass_ctx *c, int32_t v, match_fn divisor, int32_t of, struct norm *norm)
{
	const struct node *n = pass_match(c, v, OP_RECIPROCAL);
	if (n)
		return divisor(c, pass_in(c, n, 0), of, norm);
	n = pass_match(c, v, OP_DIV);
	return n && pass_is(c, pass_in(c, n, 0), 1) && divisor(c, pass_in(c, n, 1), of, norm);
}

/* a * b is (centered / deviation) * scale: the two orders of multiplying. */
static bool match_scaled(const struct pass_ctx *c, int32_t a, int32_t b, struct norm *norm)
{
	const struct node *n = pass_producer(c, a);
	norm->scale = b;
	if (n && n->op == OP_DIV && match_centered(c, pass_in(c, n, 0), norm))
		return match_deviation(c, pass_in(c, n, 1), pass_in(c, n, 0), norm);
	for (int k = 0; n && n->op == OP_MUL && k < 2; k++)
		if (match_centered(c, pass_in(c, n, k), norm) &&
			match_inverse(
				c, pass_in(c, n, 1 - k), match_deviation, pass_in(c, n, k), norm))
			return true;
	/* centered * (inverse * scale) */
	if (!match_centered(c, a, norm))
		return false;
	n = pass_match(c, b, OP_MUL);
	for (int k = 0; n && k < 2; k++)
		if (match_inverse(c, pass_in(c, n, k), match_deviation, a, norm)) {
			norm->scale = pass_in(c, n, 1 - k);
			return true;
		}
	return false;
}

/* A constant with one number per normalized element, made to have just their shape. */
static enum err_code trim(struct pass_ctx *c, int32_t v, const struct norm *norm, int32_t *ret,
	struct err *err)
{
	const struct tensor *t = c->graph->value[v].constant;
	const struct shape *x = &pass_value(c, norm->x)->shape;
	struct shape want = shape_from(x->rank - norm->axis, x->dim + norm->axis);
	*ret = VALUE_NONE;
	if (!t || !shape_is_static(&want) || t->shape.rank > x->rank ||
		t->shape.rank < want.rank || tensor_count(t) != shape_count(&want))
		return ERR_OK;
	int lead = t->shape.rank - want.rank;
	for (int i = 0; i < want.rank; i++)
		if (t->shape.dim[lead + i] != want.dim[i])
			return ERR_OK;
	*ret = v;
	if (lead == 0)
		return ERR_OK;
	struct tensor *trimmed = ARENA_NEW(c->graph->arena, struct tensor);
	if (!trimmed)
		return err_oom(err);
	*trimmed = *t;
	trimmed->shape = want;
	return pass_add_constant(c, trimmed, ret, err);
}

static enum err_code rewrite(
	struct pass_ctx *c, struct node *n, enum op_id op, const struct norm *norm, struct err *err)
{
	int n_in = op == OP_LAYER_NORM ? 3 : 2;
	int32_t in[3] = { norm->x, VALUE_NONE, VALUE_NONE };
	const struct attr attr[2] = {
		{ .name = "axis", .kind = ATTR_INT, .i = norm->axis },
		{ .name = "epsilon", .kind = ATTR_FLOAT, .f = (float)norm->epsilon },
	};
	TRY(trim(c, norm->scale, norm, &in[1], err));
	if (n_in == 3)
		TRY(trim(c, norm->bias, norm, &in[2], err));
	if (in[1] == VALUE_NONE || in[n_in - 1] == VALUE_NONE)
		return ERR_OK;
	return pass_rewrite(c, n, op, in, n_in, attr, 2, err);
}

static enum err_code find_layer_norm(struct pass_ctx *c, struct node *n, struct err *err)
{
	if (n->op != OP_ADD || !pass_is_f32(c, n->out[0]))
		return ERR_OK;
	for (int k = 0; k < 2; k++) {
		const struct node *scaled = pass_match(c, pass_in(c, n, k), OP_MUL);
		struct norm norm = { .bias = pass_in(c, n, 1 - k) };
		for (int j = 0; scaled && j < 2; j++)
			if (match_scaled(
				    c, pass_in(c, scaled, j), pass_in(c, scaled, 1 - j), &norm))
				return rewrite(c, n, OP_LAYER_NORM, &norm, err);
	}
	return ERR_OK;
}

/* -- by the root of the mean square ------------------------------------------------------------ */

/* v is x over the root, or times 1 over it. */
static bool match_over_root(const struct pass_ctx *c, int32_t v, struct norm *norm)
{
	const struct node *n = pass_producer(c, v);
	if (n && n->op == OP_DIV) {
		norm->x = pass_in(c, n, 0);
		return match_root(c, pass_in(c, n, 1), norm->x, norm);
	}
	for (int k = 0; n && n->op == OP_MUL && k < 2; k++) {
		norm->x = pass_in(c, n, k);
		if (match_inverse(c, pass_in(c, n, 1 - k), match_root, norm->x, norm))
			return true;
	}
	return false;
}

/* a * b is (x over the root) * scale, or x * (scale over the root). */
static bool match_root_scaled(const struct pass_ctx *c, int32_t a, int32_t b, struct norm *norm)
{
	norm->scale = b;
	if (match_over_root(c, a, norm))
		return true;
	const struct node *n = pass_match(c, b, OP_MUL);
	norm->x = a;
	for (int k = 0; n && k < 2; k++)
		if (match_inverse(c, pass_in(c, n, k), match_root, a, norm)) {
			norm->scale = pass_in(c, n, 1 - k);
			return true;
		}
	return false;
}

/* v is cast from one type to the other; moves before that. */
static bool skip_cast(const struct pass_ctx *c, enum dtype from, enum dtype to, int32_t *v)
{
	const struct node *n = pass_match(c, *v, OP_CAST);
	if (!n || pass_value(c, *v)->type.dtype != to ||
		pass_value(c, pass_in(c, n, 0))->type.dtype != from)
		return false;
	*v = pass_in(c, n, 0);
	return true;
}

static enum err_code find_rms_norm(struct pass_ctx *c, struct node *n, struct err *err)
{
	enum dtype dtype = n->op == OP_MUL ? pass_value(c, n->out[0])->type.dtype : DTYPE_UNDEFINED;
	bool half = dtype_in(dtype, T_HALF);
	for (int k = 0; k < 2 && (half || dtype == DTYPE_F32); k++) {
		struct norm norm = { .bias = VALUE_NONE };
		int32_t y = pass_in(c, n, k);
		if ((half && !skip_cast(c, DTYPE_F32, dtype, &y)) ||
			!match_root_scaled(c, y, pass_in(c, n, 1 - k), &norm) ||
			(half && !skip_cast(c, dtype, DTYPE_F32, &norm.x)) ||
			pass_value(c, norm.scale)->type.dtype != dtype)
			continue;
		return rewrite(c, n, OP_RMS_NORM, &norm, err);
	}
	return ERR_OK;
}

enum err_code pass_layer_norm(struct pass_ctx *c, struct err *err)
{
	TRY(pass_each(c, find_layer_norm, err));
	return pass_each(c, find_rms_norm, err);
}
