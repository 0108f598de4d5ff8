/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_affine.c -- y = x * s + t per channel, folded into the weights that made x
 *
 * DESIGN
 * BatchNormalization, Neg, and Mul, Div, Add, Sub with a constant that is one number per
 * channel (or one for all) are such maps. Where x comes from a Conv, ConvTranspose, Gemm or MatMul
 * with constant weights and is read by nobody else, weights and bias take the map in:
 * w' = w * s, b' = b * s + t, worked out in double.
 */
#include "exec/pass/pass.h"

#include <math.h>
#include <stdlib.h>

/* The map, s then t, of n channels each. */
struct affine {
	int64_t n;
	double *s, *t;
};

/* What takes the map in. */
struct host {
	struct node *node;
	const struct tensor *w, *b; /* b NULL: no bias */
	int64_t channels;
	int axis; /* of the channels in the result */
	int rank; /* of the result */
	/* How the weights lie: runs of one channel, width channels one after the other, those
	   repeat times, and all of it for each group of so many channels. */
	int64_t run, width, repeat;
};

static const struct tensor *constant_in(const struct pass_ctx *c, const struct node *n, int k)
{
	int32_t v = pass_in(c, n, k);
	return v == VALUE_NONE ? NULL : c->graph->value[v].constant;
}

/* The bias is absent or a constant of one number per channel. */
static bool read_bias(const struct pass_ctx *c, struct host *h)
{
	h->b = constant_in(c, h->node, 2);
	if (pass_in(c, h->node, 2) == VALUE_NONE)
		return true;
	return h->b && h->b->shape.rank > 0 && tensor_count(h->b) == h->channels &&
		h->b->shape.dim[h->b->shape.rank - 1] == h->channels;
}

static bool match_host(const struct pass_ctx *c, int32_t v, struct host *h)
{
	struct node *n = pass_producer(c, v);
	*h = (struct host){ .node = n };
	if (!n || !pass_match_single(c, v, n->op) || !pass_is_f32(c, v))
		return false;
	h->w = constant_in(c, n, 1);
	if (!h->w)
		return false;
	const struct shape *w = &h->w->shape;
	bool turned;
	switch (n->op) {
	case OP_CONV:
		h->channels = h->width = w->dim[0];
		h->repeat = 1;
		h->run = shape_count_range(w, 1, w->rank);
		h->axis = 1;
		break;
	case OP_CONV_TRANSPOSE: {
		int64_t group = node_int(n, "group", 1);
		h->channels = w->dim[1] * group;
		h->width = w->dim[1];
		h->repeat = w->dim[0] / group;
		h->run = shape_count_range(w, 2, w->rank);
		h->axis = 1;
		break;
	}
	case OP_MATMUL:
	case OP_GEMM:
		if (w->rank != 2 || node_float(n, "beta", 1) != 1)
			return false;
		turned = node_int(n, "transB", 0);
		h->channels = h->width = w->dim[turned ? 0 : 1];
		h->repeat = turned ? 1 : w->dim[0];
		h->run = turned ? w->dim[1] : 1;
		h->axis = c->graph->value[v].shape.rank - 1;
		break;
	default: return false;
	}
	h->rank = c->graph->value[v].shape.rank;
	return h->rank > h->axis && h->axis >= 0 && h->channels > 0 && read_bias(c, h);
}

/* A constant read once per channel: number i of it, or its only one. */
static bool per_channel(const struct tensor *t, const struct host *h)
{
	if (!t || t->dtype != DTYPE_F32 || t->shape.rank > h->rank)
		return false;
	int64_t n = tensor_count(t);
	if (n == 1)
		return true;
	int at = h->axis - (h->rank - t->shape.rank);
	return n == h->channels && at >= 0 && t->shape.dim[at] == n;
}

static double element(const struct tensor *t, int64_t i)
{
	return tensor_float(t, tensor_count(t) == 1 ? 0 : i);
}

static bool norm_map(const struct pass_ctx *c, const struct node *n, const struct host *h,
	struct affine *m)
{
	const struct tensor *p[5];
	for (int k = 1; k < 5; k++) {
		p[k] = constant_in(c, n, k);
		if (!p[k] || p[k]->dtype != DTYPE_F32 || tensor_count(p[k]) != h->channels)
			return false;
	}
	if (h->axis != 1 || node_int(n, "training_mode", 0))
		return false;
	double epsilon = node_float(n, "epsilon", 1e-5f);
	for (int64_t i = 0; i < m->n; i++) {
		m->s[i] = tensor_float(p[1], i) / sqrt(tensor_float(p[4], i) + epsilon);
		m->t[i] = tensor_float(p[2], i) - tensor_float(p[3], i) * m->s[i];
	}
	return true;
}

/* x is input `side` of the node, the constant the other one. */
static bool arith_map(enum op_id op, const struct tensor *t, int side, struct affine *m)
{
	for (int64_t i = 0; i < m->n; i++) {
		double e = element(t, i);
		m->s[i] = 1;
		m->t[i] = 0;
		if (op == OP_ADD)
			m->t[i] = e;
		else if (op == OP_SUB && side == 0)
			m->t[i] = -e;
		else if (op == OP_SUB)
			m->s[i] = -1, m->t[i] = e;
		else if (op == OP_MUL)
			m->s[i] = e;
		else if (op == OP_DIV && side == 0 && e != 0)
			m->s[i] = 1 / e;
		else
			return false;
	}
	return true;
}

static bool make_map(const struct pass_ctx *c, const struct node *n, const struct host *h,
	const struct tensor *t, int side, struct affine *m)
{
	if (n->op == OP_BATCH_NORM)
		return norm_map(c, n, h, m);
	if (t)
		return arith_map(n->op, t, side, m);
	for (int64_t i = 0; i < m->n; i++) { /* Neg */
		m->s[i] = -1;
		m->t[i] = 0;
	}
	return true;
}

static void scale_run(const float *from, float *to, int64_t n, double by)
{
	for (int64_t i = 0; i < n; i++)
		to[i] = (float)(from[i] * by);
}

static enum err_code scale_weights(struct pass_ctx *c, const struct host *h, const struct affine *m,
	int32_t *ret, struct err *err)
{
	struct tensor *w = graph_new_tensor(c->graph, DTYPE_F32, &h->w->shape);
	if (!w)
		return err_oom(err);
	const float *from = h->w->data;
	float *to = w->data;
	int64_t rows = h->channels * h->repeat;
	for (int64_t row = 0, at = 0; row < rows; row += h->width) {
		const double *by = m->s + row / (h->width * h->repeat) * h->width;
		for (int64_t i = 0; i < h->width; i++, at += h->run)
			scale_run(from + at, to + at, h->run, by[i]);
	}
	return pass_add_constant(c, w, ret, err);
}

static enum err_code map_bias(struct pass_ctx *c, const struct host *h, const struct affine *m,
	int32_t *ret, struct err *err)
{
	struct shape s = shape_of(h->channels);
	struct tensor *b = graph_new_tensor(c->graph, DTYPE_F32, &s);
	if (!b)
		return err_oom(err);
	for (int64_t i = 0; i < h->channels; i++)
		((float *)b->data)[i] =
			(float)((h->b ? tensor_float(h->b, i) : 0) * m->s[i] + m->t[i]);
	return pass_add_constant(c, b, ret, err);
}

static bool all_are(const double *v, int64_t n, double want)
{
	for (int64_t i = 0; i < n; i++)
		if (v[i] != want)
			return false;
	return true;
}

/* n becomes the host with other weights; the host is then read by nobody. A MatMul has no
   bias: one of matrices becomes a Gemm to have one. */
static enum err_code take_in(struct pass_ctx *c, struct node *n, const struct host *h,
	const struct affine *m, struct err *err)
{
	int32_t in[3] = { pass_in(c, h->node, 0), pass_in(c, h->node, 1), pass_in(c, h->node, 2) };
	bool scales = !all_are(m->s, m->n, 1), shifts = !all_are(m->t, m->n, 0);
	enum op_id op = h->node->op;
	if (op == OP_MATMUL && shifts) {
		if (h->rank != 2 || pass_value(c, in[0])->shape.rank != 2)
			return ERR_OK;
		op = OP_GEMM;
	}
	if (scales)
		TRY(scale_weights(c, h, m, &in[1], err));
	if (h->b || shifts)
		TRY(map_bias(c, h, m, &in[2], err));
	return pass_rewrite(c, n, op, in, 3, h->node->attr, h->node->n_attr, err);
}

/* Which input of n is x, if n can be such a map at all; else -1. */
static int map_side(const struct pass_ctx *c, const struct node *n)
{
	switch (n->op) {
	case OP_BATCH_NORM: return n->n_out == 1 ? 0 : -1;
	case OP_NEG: return 0;
	case OP_ADD:
	case OP_SUB:
	case OP_MUL:
	case OP_DIV: return constant_in(c, n, 1) ? 0 : constant_in(c, n, 0) ? 1 : -1;
	default: return -1;
	}
}

static enum err_code fold_affine(struct pass_ctx *c, struct node *n, struct err *err)
{
	struct host h;
	int side = map_side(c, n);
	if (side < 0 || !match_host(c, pass_in(c, n, side), &h))
		return ERR_OK;
	bool arith = n->op != OP_BATCH_NORM && n->op != OP_NEG;
	const struct tensor *t = arith ? constant_in(c, n, 1 - side) : NULL;
	if (arith && !per_channel(t, &h))
		return ERR_OK;
	struct affine m = { .n = h.channels,
		.s = calloc(2 * (size_t)h.channels, sizeof(*m.s)) };
	if (!m.s)
		return err_oom(err);
	m.t = m.s + m.n;
	enum err_code rc = ERR_OK;
	if (make_map(c, n, &h, t, side, &m))
		rc = take_in(c, n, &h, &m, err);
	free(m.s);
	return rc;
}

enum err_code pass_fold_affine(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, fold_affine, err);
}
