/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_nbits.c -- MatMulNBits: products with weights of few bits
 */
#include "exec/infer/infer.h"
#include "exec/infer/nbits_geometry.h"

#include <inttypes.h>

#define BLOCK_MIN 16
#define BLOCK_MAX (1 << 20)

enum err_code nbits_geometry(const struct node *n, struct nbits_geometry *ret, struct err *err)
{
	struct nbits_geometry g = { .k = node_int(n, "K", 0), .n = node_int(n, "N", 0),
		.block = node_int(n, "block_size", 0), .input = 1 };
	int64_t bits = node_int(n, "bits", 4);
	if (bits != 2 && bits != 4 && bits != 8)
		return err_set(
			err, ERR_UNIMPLEMENTED, "bits is %" PRId64 ", it must be 2, 4 or 8", bits);
	if (g.block < BLOCK_MIN || g.block > BLOCK_MAX || (g.block & (g.block - 1)))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"block_size is %" PRId64 ", it must be a power of two in [%d,%d]", g.block,
			BLOCK_MIN, BLOCK_MAX);
	if (g.k < 1 || g.n < 1 || g.k > INT32_MAX || g.n > INT32_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"K is %" PRId64 " and N is %" PRId64 ", they must be in [1,%d]", g.k, g.n,
			INT32_MAX);
	g.bits = (int)bits;
	g.blocks = (g.k + g.block - 1) / g.block;
	g.blob = g.block * bits / 8;
	g.zero_bytes = (g.blocks * bits + 7) / 8;
	*ret = g;
	return ERR_OK;
}

/* Input i, if its shape is known, has so many elements: of any shape, as exporters differ. */
static enum err_code want_count(const struct infer *x, int i, int64_t want, struct err *err)
{
	const struct shape *s = &x->in[i]->shape;
	int64_t count;
	if (!shape_is_static(s) || (!shape_count_overflows(s, &count) && count == want))
		return ERR_OK;
	return infer_fail(x, err,
		"input %d is %s, K, N, bits and block_size make it %" PRId64 " elements", i,
		SHAPE_TEXT(s), want);
}

static enum err_code want_zero_points(
	const struct infer *x, const struct nbits_geometry *g, struct err *err)
{
	TRY(infer_want_type(x, 3, T(U8) | T(F32) | T_HALF, err));
	if (x->in[3]->type.dtype == DTYPE_U8)
		return want_count(x, 3, g->n * g->zero_bytes, err);
	TRY(infer_want_same_type(x, 0, 3, err));
	return want_count(x, 3, g->n * g->blocks, err);
}

/* The block of each k: for the filling of the last block too, or not. */
static enum err_code want_group_index(
	const struct infer *x, const struct nbits_geometry *g, struct err *err)
{
	const struct shape *s = &x->in[4]->shape;
	TRY(infer_want_type(x, 4, T(I32), err));
	TRY(infer_want_list(x, 4, -1, err));
	bool padded = s->rank == 1 && s->dim[0] == g->blocks * g->block;
	return padded ? ERR_OK : infer_want_list(x, 4, g->k, err);
}

enum err_code infer_matmul_nbits(struct infer *x, struct err *err)
{
	struct nbits_geometry g;
	struct shape out = x->in[0]->shape;
	TRY(nbits_geometry(x->node, &g, err));
	TRY(infer_want_int(x, "weight_prepacked", 0, 0, 0, err));
	TRY(infer_want_type(x, 0, T(F32) | T_HALF, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	TRY(infer_want_type(x, 1, T(U8), err));
	TRY(want_count(x, 1, g.n * g.blocks * g.blob, err));
	TRY(infer_want_type(x, 2, T(F32) | T_HALF, err));
	TRY(infer_want_same_type(x, 0, 2, err));
	TRY(want_count(x, 2, g.n * g.blocks, err));
	if (infer_has(x, 3))
		TRY(want_zero_points(x, &g, err));
	if (infer_has(x, 4))
		TRY(want_group_index(x, &g, err));
	if (infer_has(x, 5)) {
		TRY(infer_want_type(x, 5, T(F32) | T_HALF, err));
		TRY(infer_want_same_type(x, 0, 5, err));
		TRY(infer_want_list(x, 5, g.n, err));
	}
	if (out.rank > 0) {
		if (dim_conflict(out.dim[out.rank - 1], g.k))
			return infer_fail(x, err, "A is %s, K is %" PRId64, SHAPE_TEXT(&out), g.k);
		out.dim[out.rank - 1] = g.n;
	}
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}
