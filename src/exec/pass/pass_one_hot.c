/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_one_hot.c -- numbers spread to zeros and ones, only to choose a row of weights
 *
 * DESIGN
 * JAX and TensorFlow write one_hot(x) as Equal(x, 0 1 2 ...), cast to floats. Times a matrix it
 * is the row that x names, or zeros where x names none: a Gather from the rows and one more of
 * zeros, which is the last and so number -1 as well. Weights are finite, or zero times one of
 * them would be no number.
 *
 * What is then done to each element can be done to the table, once and for all.
 */
#include "exec/pass/pass.h"

#include <math.h>
#include <string.h>

#define TABLE_MAX ((int64_t)1 << 20) /* elements: few against what is computed from them */

/* -- the product ------------------------------------------------------------------------------- */

/* v is the constant 0 1 2 ... n - 1 along its last axis. */
static bool counts_up(const struct pass_ctx *c, int32_t v, enum dtype dtype, int64_t n)
{
	const struct tensor *t = pass_value(c, v)->constant;
	if (!t || t->dtype != dtype || tensor_count(t) != n || t->shape.rank < 1 ||
		t->shape.dim[t->shape.rank - 1] != n)
		return false;
	for (int64_t i = 0; i < n; i++)
		if (tensor_int(t, i) != i)
			return false;
	return true;
}

/* The side of an Equal that is compared with all of n numbers; VALUE_NONE: neither. */
static int32_t chooser(const struct pass_ctx *c, const struct node *equal, int64_t n)
{
	for (int k = 0; k < 2; k++) {
		int32_t x = pass_in(c, equal, k), numbers = pass_in(c, equal, 1 - k);
		const struct gvalue *v = pass_value(c, x);
		int rank = v->shape.rank;
		if ((v->type.dtype == DTYPE_I32 || v->type.dtype == DTYPE_I64) && rank > 0 &&
			v->shape.dim[rank - 1] == 1 && counts_up(c, numbers, v->type.dtype, n) &&
			pass_value(c, numbers)->shape.rank <= rank)
			return x;
	}
	return VALUE_NONE;
}

static bool is_finite(const struct tensor *w)
{
	const float *x = w->data;
	for (int64_t i = 0, n = tensor_count(w); i < n; i++)
		if (!isfinite(x[i]))
			return false;
	return true;
}

static enum err_code add_int(
	struct pass_ctx *c, enum dtype dtype, int64_t v, int32_t *ret, struct err *err)
{
	struct shape scalar = { 0 };
	struct tensor *t = graph_new_tensor(c->graph, dtype, &scalar);
	if (!t)
		return err_oom(err);
	if (dtype == DTYPE_I32)
		*(int32_t *)t->data = (int32_t)v;
	else
		*(int64_t *)t->data = v;
	return pass_add_constant(c, t, ret, err);
}

/* The rows of w and one of zeros. */
static enum err_code add_table(
	struct pass_ctx *c, const struct tensor *w, int32_t *ret, struct err *err)
{
	struct shape s = shape_of(w->shape.dim[0] + 1, w->shape.dim[1]);
	struct tensor *t = graph_new_tensor(c->graph, DTYPE_F32, &s);
	if (!t)
		return err_oom(err);
	memset(t->data, 0, tensor_bytes(t));
	memcpy(t->data, w->data, tensor_bytes(w));
	return pass_add_constant(c, t, ret, err);
}

static void retype(
	struct pass_ctx *c, const struct node *n, enum dtype dtype, const struct shape *s)
{
	struct gvalue *v = &c->graph->value[n->out[0]];
	v->type.dtype = dtype;
	v->shape = *s;
}

/* equal becomes the number of a row, and cast the same without the axis that was spread. */
static enum err_code choose_rows(struct pass_ctx *c, struct node *equal, struct node *cast,
	int32_t x, int64_t rows, struct err *err)
{
	struct gvalue v = *pass_value(c, x);
	int32_t clip[3] = { x }, squeeze[2] = { equal->out[0] };
	TRY(add_int(c, v.type.dtype, -1, &clip[1], err));
	TRY(add_int(c, v.type.dtype, rows, &clip[2], err));
	TRY(pass_add_ints(c, 1, (int64_t[]){ v.shape.rank - 1 }, &squeeze[1], err));
	TRY(pass_rewrite(c, equal, OP_CLIP, clip, 3, NULL, 0, err));
	retype(c, equal, v.type.dtype, &v.shape);
	TRY(pass_rewrite(c, cast, OP_SQUEEZE, squeeze, 2, NULL, 0, err));
	v.shape.rank--;
	retype(c, cast, v.type.dtype, &v.shape);
	return ERR_OK;
}

static enum err_code gather_rows(struct pass_ctx *c, struct node *n, struct err *err)
{
	if (n->op != OP_MATMUL)
		return ERR_OK;
	const struct tensor *w = pass_value(c, pass_in(c, n, 1))->constant;
	struct node *cast = pass_match_single(c, pass_in(c, n, 0), OP_CAST);
	struct node *equal = cast ? pass_match_single(c, pass_in(c, cast, 0), OP_EQUAL) : NULL;
	if (!equal || !w || w->dtype != DTYPE_F32 || w->shape.rank != 2 ||
		tensor_count(w) > TABLE_MAX || !is_finite(w))
		return ERR_OK;
	int64_t rows = w->shape.dim[0];
	int32_t x = chooser(c, equal, rows), in[2];
	if (x == VALUE_NONE)
		return ERR_OK;
	TRY(add_table(c, w, &in[0], err));
	TRY(choose_rows(c, equal, cast, x, rows, err));
	in[1] = cast->out[0];
	return pass_rewrite(c, n, OP_GATHER, in, 2, NULL, 0, err);
}

enum err_code pass_one_hot(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, gather_rows, err);
}

/* -- the table --------------------------------------------------------------------------------- */

static bool is_function(enum op_id op)
{
	static const enum op_id of_one[] = { OP_ELU, OP_ERF, OP_GELU, OP_HARD_SIGMOID,
		OP_HARD_SWISH, OP_LEAKY_RELU, OP_RELU, OP_SELU, OP_SIGMOID, OP_SOFTPLUS, OP_SWISH,
		OP_TANH };
	for (size_t i = 0; i < sizeof(of_one) / sizeof(of_one[0]); i++)
		if (of_one[i] == op)
			return true;
	return false;
}

/* A Gather of whole rows of a known table that only one node reads; NULL: it is none. */
static struct node *lookup(const struct pass_ctx *c, int32_t v)
{
	struct node *n = pass_match_single(c, v, OP_GATHER);
	const struct tensor *t = n ? pass_value(c, pass_in(c, n, 0))->constant : NULL;
	return t && t->dtype == DTYPE_F32 && t->shape.rank == 2 && tensor_count(t) <= TABLE_MAX &&
		       node_int(n, "axis", 0) == 0
		       ? n
		       : NULL;
}

/* One number for all, or one for each column: *ret is such a constant of rank 1. */
static enum err_code per_column(
	struct pass_ctx *c, int32_t v, int64_t columns, int32_t *ret, struct err *err)
{
	const struct tensor *t = pass_value(c, v)->constant;
	*ret = VALUE_NONE;
	int64_t n = t && t->dtype == DTYPE_F32 ? tensor_count(t) : 0;
	if (n != 1 && (n != columns || t->shape.dim[t->shape.rank - 1] != n))
		return ERR_OK;
	struct shape s = shape_of(n);
	struct tensor *list = graph_new_tensor(c->graph, DTYPE_F32, &s);
	if (!list)
		return err_oom(err);
	memcpy(list->data, t->data, (size_t)n * sizeof(float));
	return pass_add_constant(c, list, ret, err);
}

/* f(Gather(table)) becomes Gather(f(table)), of which f(table) is folded then. */
static enum err_code fold_table(struct pass_ctx *c, struct node *n, struct err *err)
{
	bool two = n->op == OP_ADD || n->op == OP_MUL;
	int32_t in[2];
	for (int k = 0; k < (two ? 2 : is_function(n->op) ? 1 : 0); k++) {
		struct node *rows = lookup(c, pass_in(c, n, k));
		if (!rows || pass_value(c, n->out[0])->shape.rank !=
				     pass_value(c, rows->out[0])->shape.rank)
			continue;
		int32_t indices = pass_in(c, rows, 1), table = pass_in(c, rows, 0);
		struct shape s = pass_value(c, table)->shape;
		in[0] = table;
		if (two)
			TRY(per_column(c, pass_in(c, n, 1 - k), s.dim[1], &in[1], err));
		if (two && in[1] == VALUE_NONE)
			continue;
		TRY(pass_rewrite(c, rows, n->op, in, two ? 2 : 1, n->attr, n->n_attr, err));
		retype(c, rows, DTYPE_F32, &s);
		return pass_rewrite(
			c, n, OP_GATHER, (int32_t[]){ rows->out[0], indices }, 2, NULL, 0, err);
	}
	return ERR_OK;
}

enum err_code pass_fold_table(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, fold_table, err);
}
