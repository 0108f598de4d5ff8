/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_move.c -- operators that copy elements elsewhere: Concat, Slice, Pad, Transpose,
 * Split, Cast, DepthToSpace, ...
 */
#include "exec/infer/infer.h"
#include "exec/infer/move_geometry.h"

#include <inttypes.h>
#include <stdlib.h>

enum err_code infer_cast(struct infer *x, struct err *err)
{
	int64_t to = node_int(x->node, "to", 0);
	uint64_t complex = T(C64) | T(C128) | T(TENSOR);
	if (to <= 0 || to >= DTYPE_TENSOR || dtype_in((enum dtype)to, complex))
		return infer_fail(x, err, "to is %" PRId64 ", which is no type to cast to", to);
	TRY(infer_want_type(x, 0, ~complex, err));
	TRY(infer_want_int(x, "saturate", 1, 0, 1, err));
	infer_set(x, 0, (enum dtype)to, &x->in[0]->shape);
	return ERR_OK;
}

/* The same bytes as another type of the same width. */
enum err_code infer_bit_cast(struct infer *x, struct err *err)
{
	int64_t to = node_int(x->node, "to", 0);
	enum dtype from = x->in[0]->type.dtype;
	if (to <= 0 || to >= DTYPE_TENSOR || !dtype_info((enum dtype)to)->file_bits)
		return infer_fail(x, err, "to is %" PRId64 ", which is no type of numbers", to);
	TRY(infer_want_type(x, 0, ~(T(STRING) | T(TENSOR)), err));
	if (from != DTYPE_UNDEFINED &&
		dtype_info(from)->file_bits != dtype_info((enum dtype)to)->file_bits)
		return infer_fail(x, err, "%s and %s differ in width", dtype_name(from),
			dtype_name((enum dtype)to));
	infer_set(x, 0, (enum dtype)to, &x->in[0]->shape);
	return ERR_OK;
}

/* The second input gives its type only. */
enum err_code infer_cast_like(struct infer *x, struct err *err)
{
	uint64_t complex = T(C64) | T(C128) | T(TENSOR);
	TRY(infer_want_type(x, 0, ~complex, err));
	TRY(infer_want_type(x, 1, ~complex, err));
	TRY(infer_want_int(x, "saturate", 1, 0, 1, err));
	infer_set(x, 0, x->in[1]->type.dtype, &x->in[0]->shape);
	return ERR_OK;
}

/* Adds dimension b to a along the axis that is concatenated. */
static int64_t concat_dim(const struct infer *x, int64_t a, int64_t b)
{
	if (a == 0 || b == 0)
		return a == 0 ? b : a;
	if (a >= 0 && b >= 0)
		return a + b; /* each at most 2^48, the outputs are checked */
	if (a == DIM_UNKNOWN || b == DIM_UNKNOWN)
		return DIM_UNKNOWN;
	return infer_derived(x, "%s%" PRId64 "+%s%" PRId64, a < 0 ? "s" : "",
		a < 0 ? DIM_SYMBOL_INDEX(a) : a, b < 0 ? "s" : "", b < 0 ? DIM_SYMBOL_INDEX(b) : b);
}

enum err_code infer_concat(struct infer *x, struct err *err)
{
	struct shape out = x->in[0]->shape;
	int axis = 0;
	TRY(infer_want_one_type(x, 0, T_ALL, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	bool known = out.rank > 0;
	if (known)
		TRY(infer_axis(x, "axis", 0, out.rank, &axis, err));
	for (int i = 1; i < x->n_in; i++) {
		if (!infer_has(x, i))
			return infer_fail(x, err, "input %d is missing", i);
		const struct shape *s = &x->in[i]->shape;
		known = known && s->rank >= 0;
		if (!known)
			continue;
		TRY(infer_want_rank(x, i, out.rank, out.rank, err));
		for (int k = 0; k < out.rank; k++) {
			if (k != axis && dim_conflict(out.dim[k], s->dim[k]))
				return infer_fail(x, err,
					"inputs 0 and %d are %s and %s: only axis %d may differ", i,
					SHAPE_TEXT(&x->in[0]->shape), SHAPE_TEXT(s), axis);
			out.dim[k] = k == axis ? concat_dim(x, out.dim[k], s->dim[k])
					       : dim_merge(out.dim[k], s->dim[k]);
		}
	}
	infer_set(x, 0, x->in[0]->type.dtype, known ? &out : &SHAPE_UNKNOWN);
	return ERR_OK;
}

/* Dimension 1 becomes c, dimensions 2 and 3 are multiplied or divided by b. */
static enum err_code block_shape(const struct infer *x, bool to_space, struct shape *ret,
	struct err *err)
{
	int64_t b = node_int(x->node, "blocksize", 0);
	*ret = x->in[0]->shape;
	TRY(infer_want_int(x, "blocksize", 0, 1, 1 << 15, err));
	TRY(infer_want_rank(x, 0, 4, 4, err));
	int64_t many = b * b;
	for (int i = 1; i < 4 && ret->rank == 4; i++) {
		bool divide = to_space == (i == 1);
		int64_t by = i == 1 ? many : b, *d = &ret->dim[i];
		if (*d < 0)
			*d = b == 1 ? *d : DIM_UNKNOWN;
		else if (divide && *d % by)
			return infer_fail(x, err,
				"input is %s, %" PRId64 " must divide its dimension %d",
				SHAPE_TEXT(&x->in[0]->shape), by, i);
		else
			*d = divide ? *d / by : *d * by;
		if (*d > INT64_C(1) << 48)
			return infer_fail(x, err, "dimension %d of the output is too large", i);
	}
	return ERR_OK;
}

enum err_code infer_depth_to_space(struct infer *x, struct err *err)
{
	struct shape out;
	struct slice mode = node_string(x->node, "mode", "DCR");
	if (!slice_is(mode, "DCR") && !slice_is(mode, "CRD"))
		return infer_fail(x, err, "mode is '%.*s', it must be DCR or CRD", SLICE_ARG(mode));
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(block_shape(x, true, &out, err));
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_space_to_depth(struct infer *x, struct err *err)
{
	struct shape out;
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(block_shape(x, false, &out, err));
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

static void set_like(struct infer *x, int rank)
{
	struct shape out = { .rank = rank };
	for (int i = 0; i < rank; i++)
		out.dim[i] = DIM_UNKNOWN;
	infer_set(x, 0, x->in[0]->type.dtype, &out);
}

/* mode is one of Pad's, and reflection finds enough to reflect. */
static enum err_code check_pad_mode(const struct infer *x, const struct pad_geometry *g,
	struct err *err)
{
	const struct shape *s = &x->in[0]->shape;
	struct slice mode = node_string(x->node, "mode", "constant");
	bool reflect = slice_is(mode, "reflect"), constant = slice_is(mode, "constant");
	if (!reflect && !constant && !slice_is(mode, "edge") && !slice_is(mode, "wrap"))
		return infer_fail(x, err,
			"mode is '%.*s', it must be constant, reflect, edge or wrap",
			SLICE_ARG(mode));
	for (int i = 0; g && !constant && i < g->rank; i++) {
		bool grows = g->begin[i] > 0 || g->end[i] > 0;
		if (s->dim[i] >= 0 && grows &&
			(s->dim[i] == 0 || (reflect && (g->begin[i] >= s->dim[i] ||
							       g->end[i] >= s->dim[i]))))
			return infer_fail(x, err,
				"pads of axis %d are %" PRId64 " and %" PRId64
				", mode %.*s needs more than the %" PRId64 " elements there are",
				i, g->begin[i], g->end[i], SLICE_ARG(mode), s->dim[i]);
	}
	return ERR_OK;
}

enum err_code infer_pad(struct infer *x, struct err *err)
{
	const struct tensor *axes = infer_has(x, 3) ? x->in[3]->data : NULL;
	const struct shape *s = &x->in[0]->shape;
	struct pad_geometry g;
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(infer_want_type(x, 1, T(I64), err));
	TRY(infer_want_list(x, 1, -1, err));
	if (infer_has(x, 2)) {
		TRY(infer_want_same_type(x, 0, 2, err));
		TRY(infer_want_scalar(x, 2, err));
	}
	if (infer_has(x, 3)) {
		TRY(infer_want_type(x, 3, T(I32) | T(I64), err));
		TRY(infer_want_list(x, 3, -1, err));
	}
	bool known = x->in[1]->data && (!infer_has(x, 3) || axes) && s->rank >= 0;
	if (!x->in[1]->data)
		TRY(infer_need_data(x, 1));
	if (infer_has(x, 3) && !axes)
		TRY(infer_need_data(x, 3));
	if (!known) {
		set_like(x, s->rank);
		return check_pad_mode(x, NULL, err);
	}
	TRY(pad_geometry(s, x->in[1]->data, axes, &g, err));
	TRY(check_pad_mode(x, &g, err));
	struct shape out = shape_from(g.rank, g.out);
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

/* Some list is not known yet: the axes that are not listed stay what they are, if it is
   known which those are. */
static enum err_code slice_later(struct infer *x, const struct tensor *axes, struct err *err)
{
	struct shape out = x->in[0]->shape;
	uint32_t mask = 0;
	const struct shape *starts = &x->in[1]->shape;
	bool counted = starts->rank == 1 && starts->dim[0] >= 0 && starts->dim[0] < out.rank;
	if (out.rank > 0 && axes)
		TRY(axes_mask(axes, out.rank, &mask, err));
	else if (counted && !infer_has(x, 3))
		mask = (1u << starts->dim[0]) - 1;
	else
		mask = UINT32_MAX;
	for (int i = 0; i < out.rank; i++)
		if (mask >> i & 1)
			out.dim[i] = DIM_UNKNOWN;
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_slice(struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape;
	const struct tensor *t[5] = { NULL };
	struct slice_geometry g;
	bool known = s->rank >= 0;
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	for (int i = 1; i < 5; i++) {
		if (!infer_has(x, i))
			continue;
		TRY(infer_want_type(x, i, T(I32) | T(I64), err));
		TRY(infer_want_list(x, i, -1, err));
		t[i] = x->in[i]->data;
		if (!t[i]) {
			known = false;
			TRY(infer_need_data(x, i));
		}
	}
	if (!known)
		return slice_later(x, t[3], err);
	TRY(slice_geometry(s, t[1], t[2], t[3], t[4], &g, err));
	struct shape out = shape_from(g.rank, g.count);
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_split(struct infer *x, struct err *err)
{
	const struct tensor *split = infer_has(x, 1) ? x->in[1]->data : NULL;
	struct shape out = x->in[0]->shape;
	int64_t total = DIM_UNKNOWN;
	int axis = 0;
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	if (infer_has(x, 1)) {
		TRY(infer_want_type(x, 1, T(I64), err));
		TRY(infer_want_list(x, 1, x->n_out, err));
		if (!split)
			TRY(infer_need_data(x, 1));
	}
	if (node_attr(x->node, "num_outputs"))
		TRY(infer_want_int(x, "num_outputs", 0, x->n_out, x->n_out, err));
	if (out.rank > 0) {
		TRY(infer_axis(x, "axis", 0, out.rank, &axis, err));
		total = infer_has(x, 1) && !split ? DIM_UNKNOWN : out.dim[axis];
	}
	int64_t *sizes = malloc((size_t)x->n_out * sizeof(*sizes));
	if (!sizes)
		return err_oom(err);
	enum err_code rc = split_sizes(split, x->n_out, total, sizes, err);
	for (int i = 0; rc == ERR_OK && i < x->n_out; i++) {
		if (out.rank > 0)
			out.dim[axis] = sizes[i];
		infer_set(x, i, x->in[0]->type.dtype, &out);
	}
	free(sizes);
	return rc;
}

enum err_code infer_transpose(struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape;
	struct shape out = { .rank = s->rank };
	int32_t n;
	const int64_t *perm = node_ints(x->node, "perm", &n);
	uint32_t seen = 0;
	bool has_perm = node_attr(x->node, "perm");
	TRY(infer_want_type(x, 0, T_ALL, err));
	if (has_perm && (n > RANK_MAX || (s->rank >= 0 && n != s->rank)))
		return infer_fail(x, err, "perm has %d entries, input is %s", n, SHAPE_TEXT(s));
	for (int i = 0; has_perm && i < n; i++) {
		if (perm[i] < 0 || perm[i] >= n || seen >> perm[i] & 1)
			return infer_fail(x, err, "perm[%d] is %" PRId64 ": perm is no permutation",
				i, perm[i]);
		seen |= 1u << perm[i];
	}
	for (int i = 0; i < s->rank; i++)
		out.dim[i] = s->dim[has_perm ? perm[i] : s->rank - 1 - i];
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_trilu(struct infer *x, struct err *err)
{
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(infer_want_rank(x, 0, 2, RANK_MAX, err));
	TRY(infer_want_int(x, "upper", 1, 0, 1, err));
	if (infer_has(x, 1)) {
		TRY(infer_want_type(x, 1, T(I64), err));
		TRY(infer_want_scalar(x, 1, err));
	}
	infer_set(x, 0, x->in[0]->type.dtype, &x->in[0]->shape);
	return ERR_OK;
}
