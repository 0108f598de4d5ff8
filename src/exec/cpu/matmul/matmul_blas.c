/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MatMul, Gemm and FusedMatMul of doubles by OpenBLAS
 *
 * A unit of work is a product, or a run of its rows or columns, whichever are more: as many
 * runs as it takes to occupy all threads. What is added, and the activation, come after.
 */
#include "exec/cpu/math/unary.h"
#include "exec/cpu/matmul/blas.h"
#include "exec/matmul_view.h"

#define FLOPS_PER_NS 30.0
#define PART_MIN 32 /* rows or columns, under which a run is slower by the piece */

struct matmul_state {
	struct matmul_view v;
	struct activation_loop act;
	const struct blas *blas;
	int64_t batches, parts; /* of rows if there are more of them than of columns */
};

/* Where one unit's operands begin, and how far it goes. */
struct block {
	const double *a, *b;
	double *c;
	int64_t m, n;
	int64_t index[RANK_MAX + 2]; /* of its first row */
	int64_t col;		     /* its first column */
};

static struct block block_of(
	const struct kernel_args *args, const struct matmul_state *s, int64_t unit)
{
	const struct matmul_view *v = &s->v;
	int row = v->out.rank - 2;
	int64_t m = v->out.dim[row], n = v->out.dim[row + 1], batch = unit / s->parts;
	int64_t part = unit % s->parts, side = max_i64(m, n);
	int64_t from = side * part / s->parts, count = side * (part + 1) / s->parts - from;
	bool by_rows = m > n;
	struct block b = {
		.m = by_rows ? count : m,
		.n = by_rows ? n : count,
		.col = by_rows ? 0 : from,
	};
	operand_index(&v->out, row, batch, b.index);
	b.index[row] = by_rows ? from : 0;
	b.a = (const double *)args->in[0].data + operand_offset(&v->a, b.index, row + 1);
	b.b = (const double *)args->in[1].data + operand_offset(&v->b, b.index, row) +
	      b.col * v->b.col;
	b.c = (double *)args->out[0].data + (batch * m + b.index[row]) * n + b.col;
	return b;
}

/* How BLAS says a matrix by rows of which one stride is 1. */
struct matrix {
	enum CBLAS_TRANSPOSE trans;
	int ld;
};

static struct matrix matrix_of(int64_t row, int64_t col, int64_t rows, int64_t cols)
{
	if (col == 1)
		return (struct matrix){CblasNoTrans, (int)max_i64(row, cols)};
	return (struct matrix){CblasTrans, (int)max_i64(col, rows)};
}

static void multiply(const struct matmul_state *s, const struct block *b)
{
	const struct matmul_view *v = &s->v;
	int m = (int)b->m, n = (int)b->n, k = (int)v->k;
	int64_t all = v->out.dim[v->out.rank - 1], a_row = v->a.lead[v->out.rank - 2];
	struct matrix a = matrix_of(a_row, v->a_k, b->m, v->k);
	struct matrix y = matrix_of(v->b_k, v->b.col, v->k, b->n);
	bool a_plain = a.trans == CblasNoTrans, b_plain = y.trans == CblasNoTrans;
	if (all == 1)
		s->blas->dgemv(CblasRowMajor, a.trans, a_plain ? m : k, a_plain ? k : m, v->alpha,
			b->a, a.ld, b->b, (int)v->b_k, 0, b->c, 1);
	else if (v->out.dim[v->out.rank - 2] == 1)
		s->blas->dgemv(CblasRowMajor, b_plain ? CblasTrans : CblasNoTrans, b_plain ? k : n,
			b_plain ? n : k, v->alpha, b->b, y.ld, b->a, (int)v->a_k, 0, b->c, 1);
	else
		s->blas->dgemm(CblasRowMajor, a.trans, y.trans, m, n, k, v->alpha, b->a, a.ld, b->b,
			y.ld, 0, b->c, (int)all);
}

static void add_operand(const struct kernel_args *args, const struct operand *v, double factor,
	const struct block *b, int row)
{
	const double *z =
		(const double *)args->in[v->in].data + operand_offset(v, b->index, row + 1);
	z += b->col * v->col;
	for (int64_t j = 0; j < b->n; j++)
		b->c[j] += factor * z[j * v->col];
}

static void finish_rows(
	const struct kernel_args *args, const struct matmul_state *s, struct block b)
{
	const struct matmul_view *v = &s->v;
	int row = v->out.rank - 2;
	for (int64_t i = 0; i < b.m; i++) {
		if (v->add[0].in >= 0)
			add_operand(args, &v->add[0], v->beta, &b, row);
		if (v->add[1].in >= 0)
			add_operand(args, &v->add[1], 1, &b, row);
		if (s->act.fn)
			s->act.fn(b.c, b.c, b.n, s->act.param);
		b.index[row]++;
		b.c += v->out.dim[row + 1];
	}
}

static void run_matmul(const struct kernel_args *args, int64_t begin, int64_t end)
{
	const struct matmul_state *s = args->state;
	bool more = s->v.add[0].in >= 0 || s->v.add[1].in >= 0 || s->act.fn;
	for (int64_t unit = begin; unit < end; unit++) {
		struct block b = block_of(args, s, unit);
		multiply(s, &b);
		if (more)
			finish_rows(args, s, b);
	}
}

/* Its dimensions are ints, and it may skip a product with zero that has a NaN in it. */
static bool is_for_blas(const struct matmul_view *v)
{
	int row = v->out.rank - 2;
	int64_t m = v->out.dim[row], n = v->out.dim[row + 1];
	return v->k > 0 && v->alpha != 0 && m <= INT32_MAX && n <= INT32_MAX && v->k <= INT32_MAX;
}

static void cut_units(const struct prep *p, struct matmul_state *s, struct kernel *ret)
{
	const struct shape *out = &s->v.out;
	int64_t m = out->dim[out->rank - 2], n = out->dim[out->rank - 1];
	s->batches = shape_count_range(out, 0, out->rank - 2);
	double ns = (double)s->batches * (double)m * (double)n * (double)s->v.k * 2 / FLOPS_PER_NS;
	int64_t want = min_i64(p->threads, (int64_t)(ns / CUT_MIN_NS));
	s->parts = 1;
	if (want > s->batches && s->batches > 0)
		s->parts = max_i64(
			min_i64((want + s->batches - 1) / s->batches, max_i64(m, n) / PART_MIN), 1);
	ret->units = tensor_count(&p->out[0]) == 0 ? 0 : s->batches * s->parts;
	ret->unit_cost_ns = (int64_t)(ns / (double)max_i64(ret->units, 1)) + 1;
}

enum err_code prepare_matmul_blas(struct prep *p, struct kernel *ret, struct err *err)
{
	struct matmul_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	enum err_code rc = matmul_view(p, &s->v, err);
	if (rc != ERR_OK)
		return rc;
	matmul_view_merge(&s->v);
	if (!is_for_blas(&s->v))
		return prep_refuse(err, "an empty sum, a factor of zero or a side beyond 2^31");
	s->blas = blas_open();
	if (!s->blas)
		return prep_refuse(err, "libopenblas.so.0 is not there");
	activation_find(p->node, DTYPE_F64, &s->act);
	cut_units(p, s, ret);
	ret->run = run_matmul;
	return ERR_OK;
}
