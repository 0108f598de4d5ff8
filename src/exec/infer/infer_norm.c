/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_norm.c -- normalization: the output is like the input, what goes with it is checked
 */
#include "exec/infer/infer.h"

#include <inttypes.h>

static enum err_code want_epsilon(const struct infer *x, struct err *err)
{
	float e = node_float(x->node, "epsilon", 1e-5f);
	if (e >= 0)
		return ERR_OK;
	return infer_fail(x, err, "epsilon is %g, it must not be negative", (double)e);
}

/* Inputs first .. last are lists of one number per channel. */
static enum err_code want_per_channel(const struct infer *x, int first, int last, int64_t channels,
	struct err *err)
{
	for (int i = first; i <= last; i++) {
		TRY(infer_want_type(x, i, T_FLOAT, err));
		TRY(infer_want_list(x, i, channels, err));
	}
	return ERR_OK;
}

static int64_t channels_of(const struct shape *s)
{
	return s->rank >= 2 ? s->dim[1] : s->rank == 1 ? 1 : DIM_UNKNOWN;
}

enum err_code infer_batch_norm(struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape;
	TRY(infer_want_type(x, 0, T_FLOAT, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	TRY(want_per_channel(x, 1, 4, channels_of(s), err));
	TRY(want_epsilon(x, err));
	TRY(infer_want_int(x, "training_mode", 0, 0, 1, err));
	if (x->n_out > 1 && !node_int(x->node, "training_mode", 0))
		return infer_fail(
			x, err, "it has %d outputs, without training_mode there is one", x->n_out);
	infer_set(x, 0, x->in[0]->type.dtype, s);
	for (int i = 1; i < 3; i++)
		infer_set(x, i, x->in[3]->type.dtype, &x->in[3]->shape);
	return ERR_OK;
}

enum err_code infer_instance_norm(struct infer *x, struct err *err)
{
	TRY(infer_want_one_type(x, 0, T_FLOAT, err));
	TRY(infer_want_rank(x, 0, 3, RANK_MAX, err));
	TRY(want_per_channel(x, 1, 2, channels_of(&x->in[0]->shape), err));
	TRY(want_epsilon(x, err));
	infer_set(x, 0, x->in[0]->type.dtype, &x->in[0]->shape);
	return ERR_OK;
}

enum err_code infer_group_norm(struct infer *x, struct err *err)
{
	int64_t c = channels_of(&x->in[0]->shape), groups = node_int(x->node, "num_groups", 0);
	TRY(infer_want_one_type(x, 0, T_FLOAT, err));
	TRY(infer_want_rank(x, 0, 3, RANK_MAX, err));
	TRY(infer_want_int(x, "num_groups", 0, 1, INT32_MAX, err));
	TRY(want_per_channel(x, 1, 2, c, err));
	TRY(want_epsilon(x, err));
	if (c >= 0 && c % groups)
		return infer_fail(x, err,
			"num_groups is %" PRId64 ", it must divide the %" PRId64 " channels",
			groups, c);
	infer_set(x, 0, x->in[0]->type.dtype, &x->in[0]->shape);
	return ERR_OK;
}

/* Mean and inverse deviation have one element for all the axes from `axis` on. */
enum err_code infer_layer_norm(struct infer *x, struct err *err)
{
	struct shape stats = x->in[0]->shape;
	int axis = 0;
	TRY(infer_want_one_type(x, 0, T_FLOAT, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	TRY(want_epsilon(x, err));
	if (stats.rank > 0)
		TRY(infer_axis(x, "axis", -1, stats.rank, &axis, err));
	for (int i = 1; i < 3; i++)
		if (infer_has(x, i))
			TRY(infer_want_fit(x, i, &x->in[0]->shape, err));
	for (int i = axis; i < stats.rank; i++)
		stats.dim[i] = 1;
	int64_t stash = node_int(x->node, "stash_type", DTYPE_F32);
	if (stash < 0 || stash >= DTYPE_TENSOR || !dtype_in((enum dtype)stash, T_FLOAT))
		return infer_fail(
			x, err, "stash_type is %" PRId64 ", which is no float type", stash);
	infer_set(x, 0, x->in[0]->type.dtype, &x->in[0]->shape);
	infer_set(x, 1, (enum dtype)stash, &stats);
	infer_set(x, 2, (enum dtype)stash, &stats);
	return ERR_OK;
}

/* Scale may be of another type, which is the output's; float64 goes with itself only. */
enum err_code infer_rms_norm(struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape;
	int axis;
	for (int i = 0; i < 2; i++)
		TRY(infer_want_type(x, i, T_FLOAT, err));
	if (x->in[0]->type.dtype == DTYPE_F64 || x->in[1]->type.dtype == DTYPE_F64)
		TRY(infer_want_same_type(x, 0, 1, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	TRY(want_epsilon(x, err));
	if (s->rank > 0)
		TRY(infer_axis(x, "axis", -1, s->rank, &axis, err));
	TRY(infer_want_fit(x, 1, s, err));
	infer_set(x, 0, x->in[1]->type.dtype, s);
	return ERR_OK;
}

enum err_code infer_lp_norm(struct infer *x, struct err *err)
{
	int axis;
	TRY(infer_want_type(x, 0, T_FLOAT, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	TRY(infer_want_int(x, "p", 2, 1, 2, err));
	if (x->in[0]->shape.rank > 0)
		TRY(infer_axis(x, "axis", -1, x->in[0]->shape.rank, &axis, err));
	infer_set(x, 0, x->in[0]->type.dtype, &x->in[0]->shape);
	return ERR_OK;
}

enum err_code infer_lrn(struct infer *x, struct err *err)
{
	TRY(infer_want_type(x, 0, T_FLOAT, err));
	TRY(infer_want_rank(x, 0, 2, RANK_MAX, err));
	TRY(infer_want_int(x, "size", 0, 1, INT32_MAX, err));
	infer_set(x, 0, x->in[0]->type.dtype, &x->in[0]->shape);
	return ERR_OK;
}

enum err_code infer_dropout(struct infer *x, struct err *err)
{
	TRY(infer_want_type(x, 0, T_FLOAT | T_F8, err));
	if (infer_has(x, 1)) {
		TRY(infer_want_type(x, 1, T_FLOAT | T_F8, err));
		TRY(infer_want_scalar(x, 1, err));
	}
	if (infer_has(x, 2)) {
		TRY(infer_want_type(x, 2, T(BOOL), err));
		TRY(infer_want_scalar(x, 2, err));
	}
	infer_set(x, 0, x->in[0]->type.dtype, &x->in[0]->shape);
	infer_set(x, 1, DTYPE_BOOL, &x->in[0]->shape);
	return ERR_OK;
}
