/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax and LogSoftmax along any axis. The exponentials are the vectorised ones of
 * unary.h; sums are in double.
 */
#include "exec/cpu/math/unary.h"

#include <math.h>
#include "exec/cpu/types.h"

#define SOFTMAX_COLS 128

struct softmax_state {
	struct split split;
	struct axis_view v;
	int64_t blocks, bytes; /* blocks of columns per outer index */
	unary_fn exp;
	double param[2];
	void (*fn)(const struct softmax_state *s, void *dst, const void *src, int64_t n,
		int64_t cols, int64_t stride);
};

#define E float
#define N(name) name##_f32
#include "exec/cpu/math/softmax_t.h"
#define E double
#define N(name) name##_f64
#include "exec/cpu/math/softmax_t.h"

static void run_softmax(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct softmax_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t item = from; item < to; item++) {
		int64_t col = item % s->blocks * SOFTMAX_COLS;
		int64_t at = (item / s->blocks * s->v.n * s->v.inner + col) * s->bytes;
		s->fn(s, (char *)a->out[0].data + at, (const char *)a->in[0].data + at, s->v.n,
			min_i64(SOFTMAX_COLS, s->v.inner - col), s->v.inner);
	}
}

enum err_code prepare_softmax(struct prep *p, struct kernel *ret, struct err *err)
{
	struct softmax_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	const struct tensor *x = &p->in[0];
	bool f64 = x->dtype == DTYPE_F64, log = p->node->op == OP_LOG_SOFTMAX;
	int axis = node_axis(p->node, "axis", -1, x->shape.rank);
	s->v = x->shape.rank ? axis_view(&x->shape, axis) : (struct axis_view){ 1, 1, 1 };
	s->blocks = (s->v.inner + SOFTMAX_COLS - 1) / SOFTMAX_COLS;
	s->bytes = (int64_t)dtype_bytes(x->dtype);
	s->exp = unary_best(UNARY_EXP, x->dtype);
	if (log)
		s->fn = f64 ? log_softmax_f64 : log_softmax_f32;
	else
		s->fn = f64 ? softmax_f64 : softmax_f32;
	int64_t cols = min_i64(SOFTMAX_COLS, s->v.inner);
	s->split = split_work(p, ret, s->v.n ? s->v.outer * s->blocks : 0,
		20 + 2.0 * (double)(s->v.n * cols));
	ret->run = run_softmax;
	ret->inplace = true;
	return ERR_OK;
}
