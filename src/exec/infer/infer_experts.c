/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_experts.c -- rows multiplied with the weights of the expert that each is sent to
 */
#include "exec/infer/experts_geometry.h"
#include "exec/infer/infer.h"

#include <inttypes.h>

static enum err_code read_weights(
	const struct node *n, const struct shape *w, struct nbits_geometry *g, struct err *err)
{
	g->bits = (int)node_int(n, "bits", 0);
	g->block = node_int(n, "block_size", 0);
	g->input = EXPERTS_WEIGHTS;
	g->n = w->dim[1];
	g->k = w->dim[2];
	if (!g->bits)
		return ERR_OK;
	if ((g->bits != 2 && g->bits != 4 && g->bits != 8) || g->k > INT64_MAX / 8)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"weights %s of %d bits, which must be 2, 4 or 8", SHAPE_TEXT(w), g->bits);
	g->k = g->k * 8 / g->bits;
	if (g->block < 16 || g->k % g->block || (g->block & (g->block - 1)))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"block_size is %" PRId64 ", it must be a power of two from 16 on, of which "
			"%" PRId64 " is a multiple", g->block, g->k);
	g->blocks = g->k / g->block;
	g->blob = g->block * g->bits / 8;
	g->zero_bytes = (g->blocks * g->bits + 7) / 8;
	return ERR_OK;
}

static enum err_code want(
	const struct node *n, const struct shape *in, int i, struct shape shape, struct err *err)
{
	if (!node_has_in(n, i) || shape_equal(&in[i], &shape))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "input %d is %s, it must be %s", i,
		SHAPE_TEXT(&in[i]), SHAPE_TEXT(&shape));
}

enum err_code experts_geometry(const struct node *n, const struct shape *in,
	struct experts_geometry *ret, struct err *err)
{
	const struct shape *x = &in[EXPERTS_ROWS], *index = &in[EXPERTS_INDEX];
	struct experts_geometry e = { .shared = true };
	if (x->rank != 3 || in[EXPERTS_WEIGHTS].rank != 3 || index->rank != 2)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"rows are %s, weights %s and experts %s, their ranks must be 3, 3 and 2",
			SHAPE_TEXT(x), SHAPE_TEXT(&in[EXPERTS_WEIGHTS]), SHAPE_TEXT(index));
	TRY(read_weights(n, &in[EXPERTS_WEIGHTS], &e.g, err));
	e.tokens = index->dim[0];
	e.slots = index->dim[1];
	e.experts = in[EXPERTS_WEIGHTS].dim[0];
	e.shared = x->dim[1] == 1;
	TRY(want(n, in, EXPERTS_ROWS, shape_of(e.tokens, e.shared ? 1 : e.slots, e.g.k), err));
	TRY(want(n, in, EXPERTS_SCALES, shape_of(e.experts, e.g.n, e.g.blocks), err));
	TRY(want(n, in, EXPERTS_ZEROS, shape_of(e.experts, e.g.n, e.g.zero_bytes), err));
	TRY(want(n, in, EXPERTS_BIAS, shape_of(e.experts, e.g.n), err));
	if (e.experts > INT32_MAX || e.tokens > INT32_MAX || e.slots > INT32_MAX / (e.tokens + 1))
		return err_set(err, ERR_INVALID_ARGUMENT, "%" PRId64 " experts for %s", e.experts,
			SHAPE_TEXT(index));
	*ret = e;
	return ERR_OK;
}

static enum err_code check_types(const struct infer *x, bool packed, struct err *err)
{
	TRY(infer_want_type(x, EXPERTS_ROWS, T(F32) | T_HALF, err));
	TRY(infer_want_type(x, EXPERTS_WEIGHTS, packed ? T(U8) : T(F32) | T_HALF, err));
	TRY(infer_want_type(x, EXPERTS_INDEX, T(I64), err));
	if (!packed && (infer_has(x, EXPERTS_SCALES) || infer_has(x, EXPERTS_ZEROS)))
		return infer_fail(x, err, "scales or zero points of weights that are floats");
	if (packed && !infer_has(x, EXPERTS_SCALES))
		return infer_fail(x, err, "weights of few bits without scales");
	if (packed)
		TRY(infer_want_type(x, EXPERTS_SCALES, T(F32) | T_HALF, err));
	if (infer_has(x, EXPERTS_ZEROS))
		TRY(infer_want_type(x, EXPERTS_ZEROS, T(U8), err));
	TRY(infer_want_same_type(x, 0, packed ? EXPERTS_SCALES : EXPERTS_WEIGHTS, err));
	return infer_has(x, EXPERTS_BIAS) ? infer_want_same_type(x, 0, EXPERTS_BIAS, err) : ERR_OK;
}

enum err_code infer_experts(struct infer *x, struct err *err)
{
	struct shape in[EXPERTS_INPUTS_], y = SHAPE_UNKNOWN;
	struct experts_geometry e;
	bool known = true;
	TRY(check_types(x, node_int(x->node, "bits", 0) != 0, err));
	for (int i = 0; i < EXPERTS_INPUTS_; i++) {
		in[i] = infer_has(x, i) ? x->in[i]->shape : SHAPE_UNKNOWN;
		known = known && (!infer_has(x, i) || shape_is_static(&in[i]));
	}
	if (known) {
		TRY(experts_geometry(x->node, in, &e, err));
		y = shape_of(e.tokens, e.slots, e.g.n);
	} else if (in[EXPERTS_INDEX].rank == 2 && in[EXPERTS_WEIGHTS].rank == 3) {
		y = shape_of(in[EXPERTS_INDEX].dim[0], in[EXPERTS_INDEX].dim[1],
			in[EXPERTS_WEIGHTS].dim[1]);
	}
	infer_set(x, 0, x->in[0]->type.dtype, &y);
	return ERR_OK;
}
