/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_forward.c -- x * s and x + t per channel, folded into the convolution that follows
 *
 * DESIGN
 * What could not go into the weights that made x, because an activation stands between,
 * may go into those that read it: w'[m][c] = w[m][c] * s[c] always, as padding is zero
 * before and after; b'[m] = b[m] + sum of w[m][c] * t[c] only where nothing is padded. In
 * front of a padded convolution x * s + t becomes (x + t / s) * s, and the factor goes.
 */
#include "exec/infer/conv_geometry.h"
#include "exec/pass/pass.h"

#include <math.h>
#include <stdlib.h>

/* A scale and a shift of the convolution's input; the constants have one number per input
   channel, or one for all; NULL where there is none. */
struct before {
	int32_t x;
	const struct tensor *s, *t;
};

static double number(const struct tensor *t, int64_t channel, double otherwise)
{
	return !t ? otherwise : tensor_float(t, tensor_count(t) == 1 ? 0 : channel);
}

/* One number for all, or [C,1,..,1] under an input of this rank. */
static bool per_channel(const struct tensor *t, int rank, int64_t channels)
{
	if (!t || t->dtype != DTYPE_F32 || t->shape.rank > rank)
		return false;
	int at = 1 - (rank - t->shape.rank);
	return tensor_count(t) == 1 ||
		(tensor_count(t) == channels && at >= 0 && t->shape.dim[at] == channels);
}

/* v is something, and such a constant: which side is which. */
static const struct tensor *
match_constant(const struct pass_ctx *c, int32_t v, enum op_id op, int64_t channels, int32_t *ret_x)
{
	const struct node *n = pass_match_single(c, v, op);
	for (int k = 0; n && k < 2; k++) {
		const struct tensor *t = pass_value(c, pass_in(c, n, k))->constant;
		*ret_x = pass_in(c, n, 1 - k);
		const struct shape *x = &pass_value(c, *ret_x)->shape;
		if (per_channel(t, x->rank, channels) && x->rank == pass_value(c, v)->shape.rank)
			return t;
	}
	return NULL;
}

static bool match_before(const struct pass_ctx *c, int32_t v, int64_t channels, struct before *b)
{
	int32_t x = v;
	*b = (struct before){ .x = v };
	b->t = match_constant(c, v, OP_ADD, channels, &x);
	if (b->t)
		b->x = x;
	b->s = match_constant(c, b->x, OP_MUL, channels, &x);
	if (b->s)
		b->x = x;
	return b->s || b->t;
}

/* Nothing is padded, whatever the input's size is. */
static bool pads_are_zero(const struct node *n)
{
	int32_t k;
	const int64_t *pads = node_ints(n, "pads", &k);
	struct slice mode = node_string(n, "auto_pad", "NOTSET");
	for (int32_t i = 0; i < k; i++)
		if (pads[i] && slice_is(mode, "NOTSET"))
			return false;
	return slice_is(mode, "NOTSET") || slice_is(mode, "VALID");
}

/* The same as numbers, one for each channel. */
struct map {
	double *s, *t;
};

/* false: no memory. Owned: s is freed. */
static bool map_of(const struct before *b, int64_t channels, struct map *ret)
{
	ret->s = calloc(2 * (size_t)channels + 1, sizeof(*ret->s));
	if (!ret->s)
		return false;
	ret->t = ret->s + channels;
	for (int64_t i = 0; i < channels; i++) {
		ret->s[i] = number(b->s, i, 1);
		ret->t[i] = number(b->t, i, 0);
	}
	return true;
}

/* The weights of one output, so many taps for each channel; what the shift adds. */
static double fold_output(
	const float *from, float *to, int64_t channels, int64_t taps, const struct map *m)
{
	double sum = 0;
	for (int64_t i = 0, at = 0; i < channels; i++)
		for (int64_t k = 0; k < taps; k++, at++) {
			sum += from[at] * m->t[i];
			to[at] = (float)(from[at] * m->s[i]);
		}
	return sum;
}

/* New weights, and the bias of each output with what the shift adds. */
static enum err_code fold_weights(struct pass_ctx *c, const struct node *n, const struct map *map,
	int64_t group, int32_t *ret_w, int32_t *ret_b, struct err *err)
{
	const struct tensor *w = pass_value(c, pass_in(c, n, 1))->constant;
	int32_t old_b = pass_in(c, n, 2);
	const struct tensor *bias = old_b == VALUE_NONE ? NULL : pass_value(c, old_b)->constant;
	int64_t m = w->shape.dim[0], per_group = w->shape.dim[1];
	int64_t taps = shape_count_range(&w->shape, 2, w->shape.rank);
	struct shape list = shape_of(m);
	struct tensor *nw = graph_new_tensor(c->graph, DTYPE_F32, &w->shape);
	struct tensor *nb = graph_new_tensor(c->graph, DTYPE_F32, &list);
	if (!nw || !nb)
		return err_oom(err);
	for (int64_t i = 0, each = per_group * taps; i < m; i++) {
		int64_t first = i / (m / group) * per_group;
		double sum =
			fold_output((const float *)w->data + i * each, (float *)nw->data + i * each,
				per_group, taps, &(struct map){ map->s + first, map->t + first });
		((float *)nb->data)[i] = (float)((bias ? tensor_float(bias, i) : 0) + sum);
	}
	TRY(pass_add_constant(c, nw, ret_w, err));
	return pass_add_constant(c, nb, ret_b, err);
}

/* t / s, if that loses nothing worth speaking of. */
static struct tensor *quotient(
	struct pass_ctx *c, const struct before *b, int rank, int64_t channels)
{
	struct shape s = { .rank = rank - 1, .dim = { channels, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 } };
	struct tensor *q = graph_new_tensor(c->graph, DTYPE_F32, &s);
	for (int64_t i = 0; q && i < channels; i++) {
		double divisor = number(b->s, i, 1), value = number(b->t, i, 0) / divisor;
		if (fabs(divisor) < 1e-2 || fabs(value) > 100)
			return NULL;
		((float *)q->data)[i] = (float)value;
	}
	return q;
}

/* Before a padded convolution: the addition stays, of another number. */
static enum err_code keep_shift(struct pass_ctx *c, struct node *add, struct before *b,
	int64_t channels, bool *ret_ok, struct err *err)
{
	int rank = pass_value(c, b->x)->shape.rank;
	struct tensor *q = quotient(c, b, rank, channels);
	int32_t in[2] = { b->x };
	*ret_ok = q != NULL;
	if (!q)
		return ERR_OK;
	TRY(pass_add_constant(c, q, &in[1], err));
	TRY(pass_rewrite(c, add, OP_ADD, in, 2, NULL, 0, err));
	b->x = add->out[0];
	b->t = NULL;
	return ERR_OK;
}

static enum err_code fold_forward(struct pass_ctx *c, struct node *n, struct err *err)
{
	struct before b;
	struct conv_geometry g;
	bool ok = true;
	if (n->op != OP_CONV || !pass_is_f32(c, n->out[0]))
		return ERR_OK;
	int32_t x = pass_in(c, n, 0), w = pass_in(c, n, 1), bias = pass_in(c, n, 2);
	if (!pass_value(c, w)->constant || (bias != VALUE_NONE && !pass_value(c, bias)->constant) ||
		conv_geometry(n, &pass_value(c, x)->shape, &pass_value(c, w)->shape, &g, NULL) !=
			ERR_OK)
		return ERR_OK;
	int64_t channels = pass_value(c, w)->shape.dim[1] * g.group;
	if (!match_before(c, x, channels, &b))
		return ERR_OK;
	if (b.t && !pads_are_zero(n)) {
		struct node *add = b.s ? pass_match_single(c, x, OP_ADD) : NULL;
		if (!add)
			return ERR_OK;
		TRY(keep_shift(c, add, &b, channels, &ok, err));
	}
	if (!ok)
		return ERR_OK;
	int32_t in[3] = { b.x };
	bool shifts = b.t;
	struct map map;
	if (!map_of(&b, channels, &map))
		return err_oom(err);
	enum err_code rc = fold_weights(c, n, &map, g.group, &in[1], &in[2], err);
	free(map.s);
	if (rc != ERR_OK)
		return rc;
	if (!shifts)
		in[2] = bias;
	return pass_rewrite(c, n, OP_CONV, in, 3, n->attr, n->n_attr, err);
}

enum err_code pass_fold_forward(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, fold_forward, err);
}
