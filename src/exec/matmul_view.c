/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/matmul_view.h"

/* Batch strides of an operand whose last two dimensions are the matrix. */
static void batch_strides(const struct shape *x, const struct shape *out, struct operand *v)
{
	struct shape batch = *x, to = *out;
	int64_t matrix = 1;
	to.rank -= 2;
	batch.rank = x->rank > 2 ? x->rank - 2 : 0;
	for (int i = batch.rank; i < x->rank; i++)
		matrix *= x->dim[i];
	shape_broadcast_strides(&batch, &to, v->lead);
	for (int i = 0; i < to.rank; i++)
		v->lead[i] *= matrix;
}

static void set_addend(const struct prep *p, struct matmul_view *s, int in, struct operand *v)
{
	int64_t stride[RANK_MAX];
	v->in = prep_has_in(p, in) ? in : -1;
	if (v->in < 0)
		return;
	shape_broadcast_strides(&p->in[in].shape, &s->out, stride);
	for (int i = 0; i < s->out.rank - 1; i++)
		v->lead[i] = stride[i];
	v->col = stride[s->out.rank - 1];
}

/* The product itself: A [.., M, K] or [K], B [.., K, N] or [K], or transposed. */
static void set_product(const struct prep *p, struct matmul_view *s, bool trans_a, bool trans_b)
{
	const struct shape *a = &p->in[0].shape, *b = &p->in[1].shape, *y = &p->out[0].shape;
	int64_t m = a->rank == 1 ? 1 : a->dim[a->rank - (trans_a ? 1 : 2)];
	int64_t n = b->rank == 1 ? 1 : b->dim[b->rank - (trans_b ? 2 : 1)];
	s->k = a->dim[a->rank - (trans_a && a->rank > 1 ? 2 : 1)];
	s->out.rank = y->rank + (a->rank == 1) + (b->rank == 1);
	for (int i = 0; i < s->out.rank - 2; i++)
		s->out.dim[i] = y->dim[i];
	int row = s->out.rank - 2;
	s->out.dim[row] = m;
	s->out.dim[row + 1] = n;
	batch_strides(a, &s->out, &s->a);
	batch_strides(b, &s->out, &s->b);
	s->a.lead[row] = trans_a ? 1 : s->k;
	s->a_k = trans_a ? m : 1;
	s->b.lead[row] = 0;
	s->b_k = trans_b ? 1 : n;
	s->b.col = trans_b ? s->k : 1;
}

enum err_code matmul_view(const struct prep *p, struct matmul_view *ret, struct err *err)
{
	const struct node *n = p->node;
	bool gemm = n->op == OP_GEMM;
	if (p->out[0].shape.rank + 2 > RANK_MAX)
		return prep_refuse(err, "the rank leaves no room for the dropped dimensions");
	*ret = (struct matmul_view){ .alpha = 1, .beta = 1 };
	set_product(p, ret, gemm && node_int(n, "transA", 0),
		node_int(n, gemm ? "transB" : "trans_b", 0) != 0);
	if (gemm) {
		ret->alpha = (double)node_float(n, "alpha", 1);
		ret->beta = (double)node_float(n, "beta", 1);
	} else {
		ret->alpha = (double)node_float(n, "scale", 1);
	}
	set_addend(p, ret, 2, &ret->add[0]);
	set_addend(p, ret, 3, &ret->add[1]);
	return ERR_OK;
}

/* Do the rows of dimension `row` go on evenly into the dimension before it? */
static bool is_even(const struct operand *v, int row, int64_t rows)
{
	return v->in < 0 || v->lead[row - 1] == v->lead[row] * rows;
}

void matmul_view_merge(struct matmul_view *v)
{
	while (v->out.rank > 2) {
		int row = v->out.rank - 2;
		int64_t rows = v->out.dim[row];
		if (v->b.lead[row - 1] != 0 && v->out.dim[row - 1] != 1)
			return;
		if (v->out.dim[row - 1] != 1 &&
			!(is_even(&v->a, row, rows) && is_even(&v->add[0], row, rows) &&
				is_even(&v->add[1], row, rows)))
			return;
		struct operand *all[] = { &v->a, &v->b, &v->add[0], &v->add[1] };
		for (int i = 0; i < 4; i++)
			all[i]->lead[row - 1] = all[i]->lead[row];
		v->out.dim[row - 1] *= rows;
		v->out.dim[row] = v->out.dim[row + 1];
		v->out.rank--;
	}
}
