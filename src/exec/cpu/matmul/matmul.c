/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MatMul, Gemm and FusedMatMul, reference: rows of the output, accumulated a few hundred
 * columns at a time, float in double. All three are one product with strides, addends
 * that broadcast, a factor and an activation.
 */
#include "exec/cpu/math/unary.h"
#include "exec/cpu/types.h"
#include "exec/matmul_view.h"

#define COLS 256

struct matmul_state {
	struct split split; /* of output rows */
	struct matmul_view v;
	struct activation_loop act;
};

#define MATMUL(id, T, U, A) \
	static void product_##T(const struct matmul_view *s, const T *x, const T *y, A *acc, \
		int64_t n) \
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
		const struct matmul_state *state = args->state; \
		const struct matmul_view *s = &state->v; \
		int lead = s->out.rank - 1; \
		int64_t from, to, n = s->out.dim[lead], index[RANK_MAX + 2]; \
		split_range(&state->split, begin, end, &from, &to); \
		for (int64_t row = from; row < to; row++) { \
			operand_index(&s->out, lead, row, index); \
			const T *x = (const T *)args->in[0].data + \
				operand_offset(&s->a, index, lead); \
			const T *y = (const T *)args->in[1].data + \
				operand_offset(&s->b, index, lead); \
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
			if (state->act.fn) \
				state->act.fn(o, o, n, state->act.param); \
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

enum err_code prepare_matmul_ref(struct prep *p, struct kernel *ret, struct err *err)
{
	if (!runs[p->in[0].dtype])
		return prep_refuse(err, "no loop for this type");
	struct matmul_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	enum err_code rc = matmul_view(p, &s->v, err);
	if (rc != ERR_OK)
		return rc;
	activation_find(p->node, p->in[0].dtype, &s->act);
	int64_t cols = s->v.out.dim[s->v.out.rank - 1];
	s->split = split_work(p, ret, shape_count_range(&s->v.out, 0, s->v.out.rank - 1),
		20 + (double)s->v.k * (double)cols * 0.5);
	ret->run = runs[p->in[0].dtype];
	return ERR_OK;
}
