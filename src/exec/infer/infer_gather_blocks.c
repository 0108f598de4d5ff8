/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_gather_blocks.c -- GatherBlockQuantized: rows of a table of few bits
 */
#include "exec/axis.h"
#include "exec/infer/infer.h"
#include "exec/infer/nbits_geometry.h"

#include <inttypes.h>

#define BLOCK_MIN 16
#define BLOCK_MAX (1 << 20)

static enum err_code read_attrs(const struct node *n, const struct tensor *data,
	struct blocks_geometry *g, int *ret_axis, struct err *err)
{
	int rank = data->shape.rank;
	int64_t bits = node_int(n, "bits", 4), gather = node_int(n, "gather_axis", 0),
		axis = node_int(n, "quantize_axis", 1);
	g->block = node_int(n, "block_size", 128);
	if (bits != 2 && bits != 4 && bits != 8)
		return err_set(
			err, ERR_UNIMPLEMENTED, "bits is %" PRId64 ", it must be 2, 4 or 8", bits);
	if (g->block < BLOCK_MIN || g->block > BLOCK_MAX || (g->block & (g->block - 1)))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"block_size is %" PRId64 ", it must be a power of two in [%d,%d]", g->block,
			BLOCK_MIN, BLOCK_MAX);
	if (gather < -rank || gather >= rank || axis < -rank || axis >= rank)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"gather_axis is %" PRId64 " and quantize_axis %" PRId64
			", of data of rank %d", gather, axis, rank);
	g->gather_axis = node_axis(n, "gather_axis", 0, rank);
	*ret_axis = node_axis(n, "quantize_axis", 1, rank);
	if (data->dtype == DTYPE_U8 &&
		(rank < 2 || g->gather_axis != 0 || *ret_axis != rank - 1))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"gather_axis is %d and quantize_axis %d, of uint8 of rank %d they must be "
			"the first axis and the last, two of them",
			g->gather_axis, *ret_axis, rank);
	g->bits = data->dtype == DTYPE_U8 ? (int)bits : 4;
	g->held_bits = data->dtype == DTYPE_U8 ? (int)bits : 8;
	return ERR_OK;
}

enum err_code blocks_geometry(const struct node *n, const struct tensor *data,
	struct blocks_geometry *ret, struct err *err)
{
	struct blocks_geometry g = { .numbers = data->shape };
	int rank = data->shape.rank, axis = 0, per;
	TRY(read_attrs(n, data, &g, &axis, err));
	per = 8 / g.held_bits;
	int64_t count, *last = &g.numbers.dim[rank - 1];
	if (*last > INT64_MAX / per)
		return err_set(err, ERR_INVALID_ARGUMENT, "data is %s", SHAPE_TEXT(&data->shape));
	*last *= per;
	if (shape_count_overflows(&g.numbers, &count) || count > INT64_MAX / 8)
		return err_set(err, ERR_INVALID_ARGUMENT, "data is %s", SHAPE_TEXT(&data->shape));
	g.along = g.numbers.dim[axis];
	g.blocks = g.along / g.block + (g.along % g.block != 0);
	g.after = shape_count_range(&g.numbers, axis + 1, rank);
	g.scales = g.numbers;
	g.scales.dim[axis] = g.blocks;
	g.zero_row = g.scales.dim[rank - 1];
	g.zero_room = (g.zero_row + per - 1) / per * per;
	*ret = g;
	return ERR_OK;
}

/* Input i is this, as far as it is known. */
static enum err_code want_shape(
	const struct infer *x, int i, const struct shape *want, struct err *err)
{
	const struct shape *s = &x->in[i]->shape;
	TRY(infer_want_rank(x, i, want->rank, want->rank, err));
	for (int k = 0; k < s->rank; k++)
		if (dim_conflict(s->dim[k], want->dim[k]))
			return infer_fail(x, err, "input %d is %s, it must be %s", i, SHAPE_TEXT(s),
				SHAPE_TEXT(want));
	return ERR_OK;
}

static enum err_code check_types(const struct infer *x, struct err *err)
{
	TRY(infer_want_type(x, 0, T(U8) | T(I4) | T(U4), err));
	TRY(infer_want_type(x, 1, T(I32) | T(I64), err));
	TRY(infer_want_type(x, 2, T(F32) | T_HALF, err));
	return infer_has(x, 3) ? infer_want_same_type(x, 0, 3, err) : ERR_OK;
}

enum err_code infer_gather_blocks(struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape, *ix = &x->in[1]->shape;
	struct tensor data = { .dtype = x->in[0]->type.dtype, .shape = *s };
	struct shape out = { .rank = 0 };
	struct blocks_geometry g;
	TRY(check_types(x, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	infer_set(x, 0, x->in[2]->type.dtype, &SHAPE_UNKNOWN);
	if (!shape_is_static(s))
		return ERR_OK;
	TRY(blocks_geometry(x->node, &data, &g, err));
	TRY(want_shape(x, 2, &g.scales, err));
	if (infer_has(x, 3)) {
		struct shape zero = g.scales;
		zero.dim[zero.rank - 1] = g.zero_room * g.held_bits / 8;
		TRY(want_shape(x, 3, &zero, err));
	}
	if (ix->rank < 0)
		return ERR_OK;
	if (s->rank - 1 + ix->rank > RANK_MAX)
		return infer_fail(x, err, "output would have rank %d, the largest is %d",
			s->rank - 1 + ix->rank, RANK_MAX);
	for (int i = 0; i < g.gather_axis; i++)
		out.dim[out.rank++] = g.numbers.dim[i];
	for (int i = 0; i < ix->rank; i++)
		out.dim[out.rank++] = ix->dim[i];
	for (int i = g.gather_axis + 1; i < s->rank; i++)
		out.dim[out.rank++] = g.numbers.dim[i];
	infer_set(x, 0, x->in[2]->type.dtype, &out);
	return ERR_OK;
}
