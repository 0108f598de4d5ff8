/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_generate.c -- operators that fill a tensor with numbers of their own: EyeLike, and
 * those that draw them
 */
#include "exec/infer/infer.h"

#include <inttypes.h>

/* Attribute dtype, of one of the types in set; absent: otherwise. */
static enum err_code output_type(
	const struct infer *x, enum dtype otherwise, uint64_t set, enum dtype *ret, struct err *err)
{
	int64_t dtype = node_int(x->node, "dtype", otherwise);
	bool known = node_attr(x->node, "dtype") || otherwise != DTYPE_UNDEFINED;
	if (known && (dtype <= 0 || dtype >= DTYPE_TENSOR || !dtype_in((enum dtype)dtype, set)))
		return infer_fail(x, err,
			"its output would be of type %" PRId64 " (%s), which it cannot be", dtype,
			dtype > 0 && dtype < DTYPE_TENSOR ? dtype_name((enum dtype)dtype) : "none");
	*ret = (enum dtype)dtype;
	return ERR_OK;
}

enum err_code infer_eye_like(struct infer *x, struct err *err)
{
	enum dtype dtype;
	TRY(infer_want_type(x, 0, T_NUM | T(BOOL), err));
	TRY(infer_want_rank(x, 0, 2, 2, err));
	TRY(output_type(x, x->in[0]->type.dtype, T_NUM | T(BOOL), &dtype, err));
	infer_set(x, 0, dtype, &x->in[0]->shape);
	return ERR_OK;
}

enum err_code infer_random(struct infer *x, struct err *err)
{
	enum dtype dtype;
	struct shape shape = { .rank = 0 };
	int32_t n;
	const int64_t *dim = node_ints(x->node, "shape", &n);
	TRY(output_type(x, DTYPE_F32, T_FLOAT, &dtype, err));
	if (n > RANK_MAX)
		return infer_fail(
			x, err, "shape has %d dimensions, at most %d are possible", n, RANK_MAX);
	for (; shape.rank < n; shape.rank++) {
		if (dim[shape.rank] < 0)
			return infer_fail(x, err, "dimension %d of shape is %" PRId64, shape.rank,
				dim[shape.rank]);
		shape.dim[shape.rank] = dim[shape.rank];
	}
	infer_set(x, 0, dtype, &shape);
	return ERR_OK;
}

enum err_code infer_random_like(struct infer *x, struct err *err)
{
	enum dtype dtype;
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(output_type(x, x->in[0]->type.dtype, T_FLOAT, &dtype, err));
	infer_set(x, 0, dtype, &x->in[0]->shape);
	return ERR_OK;
}

enum err_code infer_bernoulli(struct infer *x, struct err *err)
{
	enum dtype dtype;
	TRY(infer_want_type(x, 0, T_FLOAT, err));
	TRY(output_type(x, x->in[0]->type.dtype, T_NUM | T(BOOL), &dtype, err));
	infer_set(x, 0, dtype, &x->in[0]->shape);
	return ERR_OK;
}

enum err_code infer_multinomial(struct infer *x, struct err *err)
{
	enum dtype dtype;
	struct shape s = x->in[0]->shape;
	TRY(infer_want_type(x, 0, T_FLOAT, err));
	TRY(infer_want_rank(x, 0, 2, 2, err));
	TRY(infer_want_int(x, "sample_size", 1, 0, INT32_MAX, err));
	TRY(output_type(x, DTYPE_I32, T(I32) | T(I64), &dtype, err));
	if (s.rank == 2 && s.dim[1] == 0 && s.dim[0] != 0)
		return infer_fail(
			x, err, "input 0 is %s: there is no class to draw", SHAPE_TEXT(&s));
	s.rank = 2;
	if (x->in[0]->shape.rank < 0)
		s.dim[0] = DIM_UNKNOWN;
	s.dim[1] = node_int(x->node, "sample_size", 1);
	infer_set(x, 0, dtype, &s);
	return ERR_OK;
}
