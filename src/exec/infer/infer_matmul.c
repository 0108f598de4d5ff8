/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_matmul.c -- matrix products
 */
#include "exec/attrs.h"
#include "exec/infer/einsum.h"
#include "exec/infer/infer.h"

#include <inttypes.h>

#define T_MATMUL (T_FLOAT | T(I32) | T(I64) | T(U32) | T(U64))

enum err_code infer_gemm(struct infer *x, struct err *err)
{
	TRY(infer_want_one_type(x, 0, T_MATMUL, err));
	TRY(infer_want_int(x, "transA", 0, 0, 1, err));
	TRY(infer_want_int(x, "transB", 0, 0, 1, err));
	TRY(infer_want_rank(x, 0, 2, 2, err));
	TRY(infer_want_rank(x, 1, 2, 2, err));
	const struct shape *a = &x->in[0]->shape, *b = &x->in[1]->shape;
	int ta = (int)node_int(x->node, "transA", 0), tb = (int)node_int(x->node, "transB", 0);
	if (a->rank == 2 && b->rank == 2 && dim_conflict(a->dim[!ta], b->dim[tb]))
		return infer_fail(x, err,
			"A is %s (transA %d) and B is %s (transB %d): their inner dimensions are "
			"%" PRId64 " and %" PRId64,
			SHAPE_TEXT(a), ta, SHAPE_TEXT(b), tb, a->dim[!ta], b->dim[tb]);
	struct shape out = shape_of(a->rank == 2 ? a->dim[ta] : DIM_UNKNOWN,
		b->rank == 2 ? b->dim[!tb] : DIM_UNKNOWN);
	if (infer_has(x, 2))
		TRY(infer_want_fit(x, 2, &out, err));
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

/* numpy's matmul: a vector on the left is a row, on the right a column, and the dimension
   it was given goes away again. trans_b swaps the last two dimensions of b. */
static enum err_code matmul_shape(const struct infer *x, bool trans_b, struct shape *ret,
	struct err *err)
{
	struct shape a = x->in[0]->shape, b = x->in[1]->shape, out;
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	TRY(infer_want_rank(x, 1, trans_b ? 2 : 1, RANK_MAX, err));
	*ret = SHAPE_UNKNOWN;
	if (a.rank < 0 || b.rank < 0)
		return ERR_OK;
	bool row = a.rank == 1, column = b.rank == 1;
	if (row)
		a = shape_of(1, a.dim[0]);
	if (column)
		b = shape_of(b.dim[0], 1);
	int64_t k = b.dim[b.rank - (trans_b ? 1 : 2)], n = b.dim[b.rank - (trans_b ? 2 : 1)];
	int64_t m = a.dim[a.rank - 2];
	if (dim_conflict(a.dim[a.rank - 1], k))
		return infer_fail(x, err,
			"A is %s and B is %s%s: their inner dimensions are %" PRId64
			" and %" PRId64,
			SHAPE_TEXT(&x->in[0]->shape), SHAPE_TEXT(&x->in[1]->shape),
			trans_b ? " transposed" : "", a.dim[a.rank - 1], k);
	a.rank -= 2;
	b.rank -= 2;
	TRY(shape_broadcast(&a, &b, &out, err));
	if (!row)
		out.dim[out.rank++] = m;
	if (!column)
		out.dim[out.rank++] = n;
	*ret = out;
	return ERR_OK;
}

enum err_code infer_matmul(struct infer *x, struct err *err)
{
	struct shape out;
	TRY(infer_want_one_type(x, 0, T_MATMUL, err));
	TRY(matmul_shape(x, false, &out, err));
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_fused_matmul(struct infer *x, struct err *err)
{
	struct shape out;
	TRY(infer_want_one_type(x, 0, T_FLOAT, err));
	TRY(infer_want_int(x, "trans_b", 0, 0, 1, err));
	TRY(infer_want_int(x, "activation", ACT_NONE, ACT_NONE, ACT_COUNT_ - 1, err));
	TRY(matmul_shape(x, node_int(x->node, "trans_b", 0) != 0, &out, err));
	for (int i = 2; i < 4; i++)
		if (infer_has(x, i))
			TRY(infer_want_fit(x, i, &out, err));
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

/* Square matrices in the last two dimensions. */
static enum err_code want_square(const struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape;
	TRY(infer_want_type(x, 0, T_FLOAT, err));
	TRY(infer_want_rank(x, 0, 2, RANK_MAX, err));
	if (s->rank >= 2 && dim_conflict(s->dim[s->rank - 1], s->dim[s->rank - 2]))
		return infer_fail(
			x, err, "input 0 is %s, its matrices must be square", SHAPE_TEXT(s));
	return ERR_OK;
}

enum err_code infer_det(struct infer *x, struct err *err)
{
	struct shape out = x->in[0]->shape;
	TRY(want_square(x, err));
	if (out.rank >= 2)
		out.rank -= 2;
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_cdist(struct infer *x, struct err *err)
{
	const struct shape *a = &x->in[0]->shape, *b = &x->in[1]->shape;
	struct slice metric = node_string(x->node, "metric", "sqeuclidean");
	TRY(infer_want_one_type(x, 0, T_FLOAT, err));
	TRY(infer_want_rank(x, 0, 2, 2, err));
	TRY(infer_want_rank(x, 1, 2, 2, err));
	if (!slice_is(metric, "euclidean") && !slice_is(metric, "sqeuclidean"))
		return infer_fail(x, err, "metric is '%.*s', it must be euclidean or sqeuclidean",
			SLICE_ARG(metric));
	if (a->rank == 2 && b->rank == 2 && dim_conflict(a->dim[1], b->dim[1]))
		return infer_fail(x, err, "A is %s and B is %s: their rows must be as long",
			SHAPE_TEXT(a), SHAPE_TEXT(b));
	struct shape out = shape_of(
		a->rank == 2 ? a->dim[0] : DIM_UNKNOWN, b->rank == 2 ? b->dim[0] : DIM_UNKNOWN);
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_inverse(struct infer *x, struct err *err)
{
	TRY(want_square(x, err));
	infer_set(x, 0, x->in[0]->type.dtype, &x->in[0]->shape);
	return ERR_OK;
}

enum err_code infer_einsum(struct infer *x, struct err *err)
{
	struct einsum e;
	const struct shape *shapes[EINSUM_IN_MAX];
	TRY(infer_want_one_type(x, 0, T_NUM, err));
	if (x->n_in > EINSUM_IN_MAX)
		return infer_fail(x, err, "there are %d inputs, at most %d are allowed", x->n_in,
			EINSUM_IN_MAX);
	for (int i = 0; i < x->n_in; i++) {
		if (!infer_has(x, i))
			return infer_fail(x, err, "input %d is required", i);
		shapes[i] = &x->in[i]->shape;
		if (shapes[i]->rank == RANK_UNKNOWN) {
			infer_set(x, 0, x->in[0]->type.dtype, &SHAPE_UNKNOWN);
			return ERR_OK;
		}
	}
	TRY(einsum_parse(node_string(x->node, "equation", ""), shapes, x->n_in, &e, err));
	struct shape out = { .rank = e.out_rank };
	for (int i = 0; i < e.out_rank; i++)
		out.dim[i] = e.size[e.out[i]];
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}
