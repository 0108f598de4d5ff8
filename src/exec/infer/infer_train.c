/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_train.c -- Adagrad, Adam, Momentum: a rate, a count, then groups of equal length:
 * tensors, gradients and what the step remembers
 */
#include "exec/infer/infer.h"

static bool same_shape(const struct shape *a, const struct shape *b)
{
	bool same = a->rank < 0 || b->rank < 0 || a->rank == b->rank;
	for (int i = 0; same && a->rank >= 0 && i < b->rank; i++)
		same = !dim_conflict(a->dim[i], b->dim[i]);
	return same;
}

/* Tensor k and what belongs to it stand n inputs apart. */
static enum err_code check_group(const struct infer *x, int k, int n, struct err *err)
{
	for (int i = k; i < x->n_in; i += n) {
		TRY(infer_want_type(x, i, T_REAL, err));
		TRY(infer_want_same_type(x, k, i, err));
		if (!same_shape(&x->in[k]->shape, &x->in[i]->shape))
			return infer_fail(x, err,
				"input %d is %s and input %d is %s, they must be equal", k,
				SHAPE_TEXT(&x->in[k]->shape), i, SHAPE_TEXT(&x->in[i]->shape));
	}
	return ERR_OK;
}

enum err_code infer_train(struct infer *x, struct err *err)
{
	static const char *const modes[] = { "standard", "nesterov", NULL };
	int groups = x->node->op == OP_ADAM ? 4 : 3, n = (x->n_in - 2) / groups;
	TRY(infer_want_type(x, 0, T_REAL, err));
	TRY(infer_want_scalar(x, 0, err));
	TRY(infer_want_type(x, 1, T(I64), err));
	TRY(infer_want_scalar(x, 1, err));
	TRY(infer_want_choice(x, "mode", "standard", modes, err));
	if (n < 1 || x->n_in - 2 != n * groups || x->n_out > n * (groups - 1))
		return infer_fail(x, err,
			"there are %d inputs and %d outputs: after two inputs, %d are "
			"needed for each tensor that is trained, and %d outputs",
			x->n_in, x->n_out, groups, groups - 1);
	for (int k = 0; k < n; k++) {
		TRY(check_group(x, 2 + k, n, err));
		for (int out = k; out < x->n_out; out += n)
			infer_set(x, out, x->in[2 + k]->type.dtype, &x->in[2 + k]->shape);
	}
	return ERR_OK;
}
