/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MatMul, Gemm and FusedMatMul, reference: rows of the output, accumulated a few hundred
 * columns at a time, float in double. All three are one product with strides, addends
 * that broadcast, a factor and an activation.
 */
#include "exec/cpu/cpu.h"
#include "exec/cpu/types.h"
#include "exec/cpu/unary.h"

#define COLS 256

/* A view of an operand along the output's leading dimensions (batch, row) and columns. */
struct operand {
	int in; /* -1: absent */
	int64_t lead[RANK_MAX], col;
};

struct matmul_state {
	struct split split; /* of output rows */
	struct shape out;   /* batch..., M, N, with ones where ONNX drops a dimension */
	int64_t k, a_k, b_k;
	struct operand a, b, add[2];
	double alpha, beta; /* of the product, of add[0] */
	struct activation_loop act;
};

static int64_t operand_offset(const struct operand *v, const int64_t *index, int n)
{
	int64_t at = 0;
	for (int i = 0; i < n; i++)
		at += index[i] * v->lead[i];
	return at;
}

static void row_index(const struct shape *out, int64_t row, int64_t *index)
{
	for (int i = out->rank - 2; i >= 0; i--) {
		index[i] = row % out->dim[i];
		row /= out->dim[i];
	}
}

#define MATMUL(id, T, U, A) \
	static void product_##T(const struct matmul_state *s, const T *x, const T *y, A *acc, int64_t n) \
	{ \
		for (int64_t j = 0; j < n; j++) \
			acc[j] = 0; \
		for (int64_t k = 0; k < s->k; k++) { \
			A v = (A)x[k * s->a_k]; \
			const T *row = y + k * s->b_k; \
			if (s->b.col == 1) \
				for (int64_t j = 0; j < n; j++) \
					acc[j] += v * (A)row[j]; \
			else \
				for (int64_t j = 0; j < n; j++) \
					acc[j] += v * (A)row[j * s->b.col]; \
		} \
	} \
	static void run_matmul_##T(const struct kernel_args *args, int64_t begin, int64_t end) \
	{ \
		const struct matmul_state *s = args->state; \
		int lead = s->out.rank - 1; \
		int64_t from, to, n = s->out.dim[lead], index[RANK_MAX + 2]; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t row = from; row < to; row++) { \
			row_index(&s->out, row, index); \
			const T *x = (const T *)args->in[0].data + operand_offset(&s->a, index, lead); \
			const T *y = (const T *)args->in[1].data + operand_offset(&s->b, index, lead); \
			T *o = (T *)args->out[0].data + row * n; \
			for (int64_t at = 0; at < n; at += COLS) { \
				A acc[COLS]; \
				int64_t cols = min_i64(COLS, n - at); \
				product_##T(s, x, y + at * s->b.col, acc, cols); \
				for (int64_t j = 0; j < cols; j++) \
					acc[j] = SCALE_##id(acc[j], s->alpha); \
				for (int i = 0; i < 2; i++) { \
					const struct operand *v = &s->add[i]; \
					if (v->in < 0 || !args->in[v->in].data) \
						continue; \
					const T *z = (const T *)args->in[v->in].data + \
						     operand_offset(v, index, lead); \
					for (int64_t j = 0; j < cols; j++) \
						acc[j] += SCALE_##id((A)z[(at + j) * v->col], \
							i == 0 ? s->beta : 1.0); \
				} \
				for (int64_t j = 0; j < cols; j++) \
					o[at + j] = (T)acc[j]; \
			} \
			if (s->act.fn) \
				s->act.fn(o, o, n, s->act.param); \
		} \
	}
#define SCALE_F32(x, by) ((x) * (by))
#define SCALE_F64(x, by) ((x) * (by))
/* Factors are floats: of integers the product is rounded towards zero. */
#define SCALE_INT(x, by, S) ((by) == 1 ? (x) : (uint64_t)(int64_t)((double)(S)(x) * (by)))
#define SCALE_I32(x, by) SCALE_INT(x, by, int64_t)
#define SCALE_I64(x, by) SCALE_INT(x, by, int64_t)
#define SCALE_U32(x, by) SCALE_INT(x, by, uint64_t)
#define SCALE_U64(x, by) SCALE_INT(x, by, uint64_t)
MATMUL(F32, float, float, double)
MATMUL(F64, double, double, double)
MATMUL(I32, int32_t, uint32_t, uint64_t)
MATMUL(I64, int64_t, uint64_t, uint64_t)
MATMUL(U32, uint32_t, uint32_t, uint64_t)
MATMUL(U64, uint64_t, uint64_t, uint64_t)

#define ROW(id, T, U) [DTYPE_##id] = run_matmul_##T,
static const run_fn runs[DTYPE_COUNT_] = { FOR_WIDE(ROW) };

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

static void set_addend(struct prep *p, const struct matmul_state *s, int in, struct operand *v)
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
static void set_product(struct prep *p, struct matmul_state *s, bool trans_a, bool trans_b)
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

enum err_code prepare_matmul_ref(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct node *n = p->node;
	bool gemm = n->op == OP_GEMM;
	if (!runs[p->in[0].dtype])
		return prep_refuse(err, "no loop for this type");
	if (p->out[0].shape.rank + 2 > RANK_MAX)
		return prep_refuse(err, "the rank leaves no room for the dropped dimensions");
	struct matmul_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	set_product(p, s, gemm && node_int(n, "transA", 0),
		node_int(n, gemm ? "transB" : "trans_b", 0) != 0);
	s->alpha = s->beta = 1;
	if (gemm) {
		s->alpha = (double)node_float(n, "alpha", 1);
		s->beta = (double)node_float(n, "beta", 1);
	} else if (n->op == OP_FUSED_MATMUL) {
		s->alpha = (double)node_float(n, "scale", 1);
		activation_find(n, p->in[0].dtype, &s->act);
	}
	set_addend(p, s, 2, &s->add[0]);
	set_addend(p, s, 3, &s->add[1]);
	int64_t cols = s->out.dim[s->out.rank - 1];
	s->split = split_work(p, ret, shape_count_range(&s->out, 0, s->out.rank - 1),
		20 + (double)s->k * (double)cols * 0.5);
	ret->run = runs[p->in[0].dtype];
	return ERR_OK;
}
