/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Einsum: every label is a loop with a stride per operand; those of the output are walked
 * outside, the others summed inside. An item is one element of the output.
 */
#include "exec/cpu/cpu.h"

#include <string.h>
#include "exec/cpu/types.h"
#include "exec/infer/einsum.h"

struct loop {
	int64_t n, stride[EINSUM_IN_MAX];
};

struct einsum_state {
	struct split split;
	int operands, n_out, n_sum;
	struct loop out[RANK_MAX], sum[EINSUM_LABELS_MAX];
	int64_t terms; /* per output element */
};

/* Offsets of every operand at position `at` of some loops. */
static void locate(const struct loop *l, int n, int operands, int64_t at, int64_t *offset)
{
	for (int i = n - 1; i >= 0; i--) {
		int64_t k = at % l[i].n;
		at /= l[i].n;
		for (int j = 0; j < operands; j++)
			offset[j] += k * l[i].stride[j];
	}
}

static const struct loop once = { .n = 1 };

/* Sums and outputs go along their last loop without locate(), which divides. */
#define EINSUM(id, T, A) \
	/* n products of two numbers each. */ \
	static void products_##T(T *y, const T *u, const T *v, int64_t u_stride, int64_t v_stride, \
		int64_t n) \
	{ \
		if (u_stride == 0 && v_stride == 1) { \
			A one = (A)*u; \
			for (int64_t k = 0; k < n; k++) \
				y[k] = (T)(one * (A)v[k]); \
			return; \
		} \
		for (int64_t k = 0; k < n; k++) \
			y[k] = (T)((A)u[k * u_stride] * (A)v[k * v_stride]); \
	} \
	static A sum_##T(const struct kernel_args *a, const struct einsum_state *s, \
		const int64_t *base) \
	{ \
		const struct loop *last = s->n_sum ? &s->sum[s->n_sum - 1] : &once; \
		A sum = 0; \
		for (int64_t k = 0; k < s->terms; k += last->n) { \
			int64_t at[EINSUM_IN_MAX]; \
			memcpy(at, base, sizeof(at)); \
			locate(s->sum, s->n_sum - (s->n_sum > 0), s->operands, k / last->n, at); \
			for (int64_t i = 0; i < last->n; i++) { \
				A product = 1; \
				for (int j = 0; j < s->operands; j++) \
					product *= (A)((const T *)a->in[j].data)[at[j] + i * \
						last->stride[j]]; \
				sum += product; \
			} \
		} \
		return sum; \
	} \
	static void run_einsum_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct einsum_state *s = a->state; \
		const struct loop *last = s->n_out ? &s->out[s->n_out - 1] : &once; \
		int64_t from, to; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t item = from, n; item < to; item += n) { \
			int64_t base[EINSUM_IN_MAX] = { 0 }; \
			T *y = (T *)a->out[0].data + item; \
			n = min_i64(last->n - item % last->n, to - item); \
			locate(s->out, s->n_out, s->operands, item, base); \
			if (s->n_sum == 0 && s->operands == 2) { \
				products_##T(y, (const T *)a->in[0].data + base[0], \
					(const T *)a->in[1].data + base[1], last->stride[0], \
					last->stride[1], n); \
				continue; \
			} \
			for (int64_t k = 0; k < n; k++) { \
				y[k] = (T)sum_##T(a, s, base); \
				for (int j = 0; j < s->operands; j++) \
					base[j] += last->stride[j]; \
			} \
		} \
	}
EINSUM(F32, float, double)
EINSUM(F64, double, double)
#define EINSUM_INT(id, T, U) EINSUM(id, T, uint64_t)
FOR_INTS(EINSUM_INT)

#define ROW(id, T, U) [DTYPE_##id] = run_einsum_##T,
static const run_fn runs[DTYPE_COUNT_] = { FOR_NUM(ROW) };

/* A label that stands twice in an operand walks its diagonal; a size of one stays put. */
static void set_loops(const struct prep *p, const struct einsum *e, struct loop *loop)
{
	for (int i = 0; i < e->n_labels; i++)
		loop[i].n = e->size[i];
	for (int i = 0; i < p->n_in; i++) {
		const struct shape *x = &p->in[i].shape;
		int64_t stride[RANK_MAX];
		shape_strides(x, stride);
		for (int k = 0; k < e->rank[i]; k++)
			loop[e->in[i][k]].stride[i] += x->dim[k] == 1 ? 0 : stride[k];
	}
}

enum err_code prepare_einsum(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *shapes[EINSUM_IN_MAX];
	struct einsum_state *s = kernel_state(p, ret, sizeof(*s));
	struct einsum *e = ARENA_NEW(p->tmp, struct einsum);
	struct loop *loop = ARENA_ARRAY(p->tmp, struct loop, EINSUM_LABELS_MAX);
	if (!s || !e || !loop)
		return err_oom(err);
	for (int i = 0; i < p->n_in && i < EINSUM_IN_MAX; i++)
		shapes[i] = &p->in[i].shape;
	enum err_code rc =
		einsum_parse(node_string(p->node, "equation", ""), shapes, p->n_in, e, err);
	if (rc != ERR_OK)
		return rc;
	set_loops(p, e, loop);
	bool kept[EINSUM_LABELS_MAX] = { false };
	s->operands = p->n_in;
	s->terms = 1;
	for (int i = 0; i < e->out_rank; i++) {
		s->out[s->n_out++] = loop[e->out[i]];
		kept[e->out[i]] = true;
	}
	for (int i = 0; i < e->n_labels; i++)
		if (!kept[i]) {
			s->sum[s->n_sum++] = loop[i];
			s->terms *= loop[i].n;
		}
	s->split = split_work(p, ret, tensor_count(&p->out[0]),
		20 + (double)s->terms * (4 + 2.0 * s->n_sum * s->operands));
	ret->run = runs[p->in[0].dtype];
	return ret->run ? ERR_OK : prep_refuse(err, "no loop for this type");
}
