/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_gates.c -- activations, as operators and as exporters spell them out
 *
 * DESIGN
 * Swish, hardswish and gelu are products of x and a gate that is a function of x. Whatever
 * the order in which an exporter multiplies, the product tree is flattened into a number
 * and a list of factors; the pattern is then "x, a gate of x, and the right number".
 */
#include "exec/pass/pass.h"

#include <float.h>
#include <math.h>

#define FACTORS_MAX 5

struct factors {
	double number;
	int n;
	int32_t v[FACTORS_MAX];
};

static bool add_factor(struct factors *f, int32_t v)
{
	if (f->n == FACTORS_MAX)
		return false;
	f->v[f->n++] = v;
	return true;
}

/* Takes one product or quotient apart: constants go into the number. */
static bool split_product(const struct pass_ctx *c, const struct node *n, struct factors *f)
{
	double x;
	int32_t a = pass_in(c, n, 0), b = pass_in(c, n, 1);
	if (n->op == OP_DIV) {
		if (!pass_scalar(c, b, &x) || x == 0)
			return false;
		f->number /= x;
		return add_factor(f, a);
	}
	for (int k = 0; k < 2; k++) {
		int32_t v = k ? b : a;
		if (pass_scalar(c, v, &x))
			f->number *= x;
		else if (!add_factor(f, v))
			return false;
	}
	return true;
}

/* The factors of the value that n makes; factors that are products themselves and read by
   nobody else are taken apart too. */
static bool flatten(const struct pass_ctx *c, const struct node *n, struct factors *f)
{
	*f = (struct factors){ .number = 1 };
	if ((n->op != OP_MUL && n->op != OP_DIV) || !split_product(c, n, f))
		return false;
	for (int i = 0; i < f->n;) {
		const struct node *inner = pass_match_single(c, f->v[i], OP_MUL);
		if (!inner)
			inner = pass_match_single(c, f->v[i], OP_DIV);
		struct factors part = { .number = f->number };
		if (!inner || !split_product(c, inner, &part) || f->n - 1 + part.n > FACTORS_MAX) {
			i++;
			continue;
		}
		f->number = part.number;
		f->v[i] = f->v[--f->n];
		for (int k = 0; k < part.n; k++)
			f->v[f->n++] = part.v[k];
	}
	return true;
}

/* v is number * x for this x. */
static bool is_multiple(const struct pass_ctx *c, int32_t v, int32_t x, double *ret_number)
{
	struct factors f;
	const struct node *n = pass_producer(c, v);
	if (!n || !flatten(c, n, &f) || f.n != 1 || f.v[0] != x)
		return false;
	*ret_number = f.number;
	return true;
}

/* A sum of a constant and something else; the other side. */
static bool match_plus(const struct pass_ctx *c, int32_t v, double want, int32_t *ret)
{
	const struct node *n = pass_match(c, v, OP_ADD);
	for (int k = 0; n && k < 2; k++)
		if (pass_is(c, pass_in(c, n, k), want)) {
			*ret = pass_in(c, n, 1 - k);
			return true;
		}
	return false;
}

/* Clip to [low, high] with known bounds; absent ones are the type's. */
static bool match_clip(const struct pass_ctx *c, const struct node *n, float *low, float *high)
{
	double v;
	*low = -FLT_MAX;
	*high = FLT_MAX;
	for (int k = 1; k < 3; k++) {
		int32_t in = pass_in(c, n, k);
		if (in == VALUE_NONE)
			continue;
		if (!pass_scalar(c, in, &v))
			return false;
		*(k == 1 ? low : high) = (float)v;
	}
	return true;
}

/* clip(x + 3, 0, 6) */
static bool is_relu6_of_plus3(const struct pass_ctx *c, int32_t v, int32_t x)
{
	const struct node *n = pass_match(c, v, OP_CLIP);
	float low, high;
	int32_t in;
	return n && match_clip(c, n, &low, &high) && low == 0 && high == 6 &&
		match_plus(c, pass_in(c, n, 0), 3, &in) && in == x;
}

/* x + 0.044715 x^3 */
static bool is_cubic(const struct pass_ctx *c, int32_t v, int32_t x)
{
	const struct node *n = pass_match(c, v, OP_ADD);
	for (int k = 0; n && k < 2; k++) {
		struct factors f;
		const struct node *term = pass_producer(c, pass_in(c, n, 1 - k));
		if (pass_in(c, n, k) != x || !term || !flatten(c, term, &f) ||
			!pass_near(f.number, 0.044715))
			continue;
		if (f.n == 3)
			return f.v[0] == x && f.v[1] == x && f.v[2] == x;
		const struct node *pow = f.n == 1 ? pass_match(c, f.v[0], OP_POW) : NULL;
		return pow && pass_in(c, pow, 0) == x && pass_is(c, pass_in(c, pow, 1), 3);
	}
	return false;
}

/* 1 + erf(x / sqrt 2), or 1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)) */
static bool match_gelu_gate(
	const struct pass_ctx *c, int32_t v, int32_t x, struct pass_activation *a)
{
	int32_t inner;
	double number;
	if (!match_plus(c, v, 1, &inner))
		return false;
	const struct node *erf_node = pass_match(c, inner, OP_ERF);
	if (erf_node) {
		a->act = ACT_GELU;
		return is_multiple(c, pass_in(c, erf_node, 0), x, &number) &&
			pass_near(number, M_SQRT1_2);
	}
	const struct node *tanh_node = pass_match(c, inner, OP_TANH);
	if (!tanh_node)
		return false;
	struct factors f;
	const struct node *scaled = pass_producer(c, pass_in(c, tanh_node, 0));
	a->act = ACT_GELU_TANH;
	return scaled && flatten(c, scaled, &f) && f.n == 1 &&
		pass_near(f.number, M_2_SQRTPI * M_SQRT1_2) && is_cubic(c, f.v[0], x);
}

/* gate is a function of x that makes number * x * gate an activation. */
static bool match_gate(const struct pass_ctx *c, double number, int32_t x, int32_t gate,
	struct pass_activation *a)
{
	*a = (struct pass_activation){ .in = x, .alpha = 1, .reads = 2 };
	const struct node *n = pass_match_single(c, gate, OP_SIGMOID);
	if (n && pass_near(number, 1)) {
		double alpha = 1;
		a->act = ACT_SWISH;
		int32_t in = pass_in(c, n, 0);
		bool found = in == x || is_multiple(c, in, x, &alpha);
		a->alpha = (float)alpha;
		return found;
	}
	n = pass_match(c, gate, OP_HARD_SIGMOID);
	if (n && pass_near(number, 1)) {
		a->act = ACT_HARD_SWISH;
		return pass_in(c, n, 0) == x && pass_near(node_float(n, "alpha", 0.2f), 1.0 / 6) &&
			pass_near(node_float(n, "beta", 0.5f), 0.5);
	}
	if (pass_near(number, 1.0 / 6) && is_relu6_of_plus3(c, gate, x)) {
		a->act = ACT_HARD_SWISH;
		return true;
	}
	return pass_near(number, 0.5) && match_gelu_gate(c, gate, x, a);
}

/* x times a function of x: swish, hardswish, gelu, however it is written. */
static bool match_gated(const struct pass_ctx *c, const struct node *n, struct pass_activation *ret)
{
	struct factors f;
	if (!flatten(c, n, &f) || f.n != 2 || !pass_is_f32(c, f.v[0]))
		return false;
	for (int k = 0; k < 2; k++)
		if (match_gate(c, f.number, f.v[k], f.v[1 - k], ret) &&
			pass_same_shape(&pass_value(c, ret->in)->shape,
				&pass_value(c, n->out[0])->shape))
			return true;
	return false;
}

bool pass_match_activation(const struct pass_ctx *c, const struct node *n,
	struct pass_activation *ret)
{
	*ret = (struct pass_activation){ .in = pass_in(c, n, 0), .reads = 1 };
	switch (n->op) {
	case OP_RELU: ret->act = ACT_RELU; return true;
	case OP_SIGMOID: ret->act = ACT_SIGMOID; return true;
	case OP_TANH: ret->act = ACT_TANH; return true;
	case OP_HARD_SWISH: ret->act = ACT_HARD_SWISH; return true;
	case OP_LEAKY_RELU:
		ret->act = ACT_LEAKY_RELU;
		ret->alpha = node_float(n, "alpha", 0.01f);
		return true;
	case OP_HARD_SIGMOID:
		ret->act = ACT_HARD_SIGMOID;
		ret->alpha = node_float(n, "alpha", 0.2f);
		ret->beta = node_float(n, "beta", 0.5f);
		return true;
	case OP_GELU: {
		struct slice form = node_string(n, "approximate", "none");
		ret->act = slice_is(form, "tanh") ? ACT_GELU_TANH : ACT_GELU;
		return true;
	}
	case OP_CLIP: ret->act = ACT_CLIP; return match_clip(c, n, &ret->alpha, &ret->beta);
	case OP_MUL:
	case OP_DIV: return match_gated(c, n, ret);
	default: return false;
	}
}

/* clip(x + 3, 0, 6) / 6 is a HardSigmoid. */
static bool match_hard_sigmoid(const struct pass_ctx *c, const struct node *n, int32_t *ret_x)
{
	struct factors f;
	if (!flatten(c, n, &f) || f.n != 1 || !pass_near(f.number, 1.0 / 6))
		return false;
	const struct node *clip = pass_match(c, f.v[0], OP_CLIP);
	return clip && match_plus(c, pass_in(c, clip, 0), 3, ret_x) &&
		is_relu6_of_plus3(c, f.v[0], *ret_x);
}

/* What has an operator of its own becomes it; swish has none and waits for a fusion. */
static enum err_code find_gate(struct pass_ctx *c, struct node *n, struct err *err)
{
	struct pass_activation a;
	int32_t x;
	if (n->op != OP_MUL && n->op != OP_DIV)
		return ERR_OK;
	if (match_gated(c, n, &a)) {
		struct attr form = { .name = "approximate", .kind = ATTR_STRING,
			.s = SLICE_LIT("tanh") };
		if (a.act == ACT_HARD_SWISH)
			return pass_rewrite(c, n, OP_HARD_SWISH, &a.in, 1, NULL, 0, err);
		if (a.act == ACT_GELU)
			return pass_rewrite(c, n, OP_GELU, &a.in, 1, NULL, 0, err);
		if (a.act == ACT_GELU_TANH)
			return pass_rewrite(c, n, OP_GELU, &a.in, 1, &form, 1, err);
	} else if (match_hard_sigmoid(c, n, &x) && pass_is_f32(c, x)) {
		const struct attr attr[2] = {
			{ .name = "alpha", .kind = ATTR_FLOAT, .f = 1.0f / 6 },
			{ .name = "beta", .kind = ATTR_FLOAT, .f = 0.5f },
		};
		return pass_rewrite(c, n, OP_HARD_SIGMOID, &x, 1, attr, 2, err);
	}
	return ERR_OK;
}

enum err_code pass_gates(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, find_gate, err);
}
