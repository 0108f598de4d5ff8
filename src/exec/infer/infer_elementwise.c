/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_elementwise.c -- operators that make one element of one element of each input
 */
#include "exec/infer/infer.h"

static enum err_code same_of(struct infer *x, uint64_t set, struct err *err)
{
	TRY(infer_want_type(x, 0, set, err));
	infer_set(x, 0, x->in[0]->type.dtype, &x->in[0]->shape);
	return ERR_OK;
}

/* Sequences and optionals too. */
enum err_code infer_same(struct infer *x, struct err *err)
{
	(void)err;
	x->out[0].type = x->in[0]->type;
	x->out[0].shape = x->in[0]->shape;
	return ERR_OK;
}

enum err_code infer_same_numeric(struct infer *x, struct err *err)
{
	return same_of(x, T_NUM, err);
}

enum err_code infer_same_signed(struct infer *x, struct err *err)
{
	return same_of(x, T_FLOAT | T_INT, err);
}

enum err_code infer_same_float(struct infer *x, struct err *err)
{
	return same_of(x, T_FLOAT, err);
}

enum err_code infer_not(struct infer *x, struct err *err)
{
	return same_of(x, T(BOOL), err);
}

enum err_code infer_is_nan(struct infer *x, struct err *err)
{
	TRY(infer_want_type(x, 0, T_FLOAT | T_F8, err));
	infer_set(x, 0, DTYPE_BOOL, &x->in[0]->shape);
	return ERR_OK;
}

enum err_code infer_is_inf(struct infer *x, struct err *err)
{
	TRY(infer_want_int(x, "detect_negative", 1, 0, 1, err));
	TRY(infer_want_int(x, "detect_positive", 1, 0, 1, err));
	return infer_is_nan(x, err);
}

enum err_code infer_bitwise_not(struct infer *x, struct err *err)
{
	return same_of(x, T_INT | T_UINT, err);
}

enum err_code infer_gelu(struct infer *x, struct err *err)
{
	struct slice s = node_string(x->node, "approximate", "none");
	if (!slice_is(s, "none") && !slice_is(s, "tanh"))
		return infer_fail(
			x, err, "approximate is '%.*s', it must be none or tanh", SLICE_ARG(s));
	return same_of(x, T_FLOAT, err);
}

enum err_code infer_clip(struct infer *x, struct err *err)
{
	TRY(infer_want_one_type(x, 0, T_NUM, err));
	for (int i = 1; i < 3; i++)
		if (infer_has(x, i))
			TRY(infer_want_scalar(x, i, err));
	return same_of(x, T_NUM, err);
}

enum err_code infer_softmax(struct infer *x, struct err *err)
{
	int axis, rank = x->in[0]->shape.rank;
	/* A scalar is its own softmax. */
	if (rank > 0)
		TRY(infer_axis(x, "axis", -1, rank, &axis, err));
	return same_of(x, T_FLOAT, err);
}

enum err_code infer_prelu(struct infer *x, struct err *err)
{
	uint64_t set = T_FLOAT | T(I32) | T(I64) | T(U32) | T(U64);
	TRY(infer_want_one_type(x, 0, set, err));
	TRY(infer_want_fit(x, 1, &x->in[0]->shape, err));
	return same_of(x, set, err);
}

/* -- several inputs ------------------------------------------------------------------------ */

static enum err_code broadcast_of(struct infer *x, uint64_t set, enum dtype dtype, struct err *err)
{
	struct shape s;
	TRY(infer_want_one_type(x, 0, set, err));
	TRY(infer_broadcast(x, 0, &s, err));
	infer_set(x, 0, dtype == DTYPE_UNDEFINED ? x->in[0]->type.dtype : dtype, &s);
	return ERR_OK;
}

enum err_code infer_arith(struct infer *x, struct err *err)
{
	return broadcast_of(x, T_NUM, DTYPE_UNDEFINED, err);
}

enum err_code infer_arith_float(struct infer *x, struct err *err)
{
	return broadcast_of(x, T_FLOAT, DTYPE_UNDEFINED, err);
}

enum err_code infer_logic(struct infer *x, struct err *err)
{
	return broadcast_of(x, T(BOOL), DTYPE_BOOL, err);
}

enum err_code infer_bitwise(struct infer *x, struct err *err)
{
	return broadcast_of(x, T_INT | T_UINT, DTYPE_UNDEFINED, err);
}

enum err_code infer_bit_shift(struct infer *x, struct err *err)
{
	struct slice s = node_string(x->node, "direction", "");
	if (!slice_is(s, "LEFT") && !slice_is(s, "RIGHT"))
		return infer_fail(
			x, err, "direction is '%.*s', it must be LEFT or RIGHT", SLICE_ARG(s));
	return broadcast_of(x, T_UINT, DTYPE_UNDEFINED, err);
}

enum err_code infer_equal(struct infer *x, struct err *err)
{
	return broadcast_of(x, T_NUM | T(BOOL) | T(STRING), DTYPE_BOOL, err);
}

enum err_code infer_compare(struct infer *x, struct err *err)
{
	return broadcast_of(x, T_NUM, DTYPE_BOOL, err);
}

enum err_code infer_mod(struct infer *x, struct err *err)
{
	TRY(infer_want_int(x, "fmod", 0, 0, 1, err));
	if (dtype_in(x->in[0]->type.dtype, T_FLOAT) && !node_int(x->node, "fmod", 0))
		return infer_fail(x, err, "fmod is 0, it must be 1 for input type %s",
			dtype_name(x->in[0]->type.dtype));
	return infer_arith(x, err);
}

/* The exponent may be of another type than the base, whose type the result has. */
enum err_code infer_pow(struct infer *x, struct err *err)
{
	struct shape s;
	TRY(infer_want_type(x, 0, T_FLOAT | T(I32) | T(I64), err));
	TRY(infer_want_type(x, 1, T_NUM, err));
	TRY(infer_broadcast(x, 0, &s, err));
	infer_set(x, 0, x->in[0]->type.dtype, &s);
	return ERR_OK;
}

enum err_code infer_where(struct infer *x, struct err *err)
{
	struct shape s;
	TRY(infer_want_type(x, 0, T(BOOL), err));
	TRY(infer_want_one_type(x, 1, T_ALL, err));
	TRY(infer_broadcast(x, 0, &s, err));
	infer_set(x, 0, x->in[1]->type.dtype, &s);
	return ERR_OK;
}
