/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gather, GatherElements, GatherND: any element, indices of int32 or int64, negative ones
 * counted from the end. An index out of range is a fault, and its elements stay as they are.
 */
#include "exec/cpu/cpu.h"

#include <string.h>

struct gather_state {
	struct split split;
	struct axis_view v; /* Gather: of the data */
	int64_t indices, bytes;
	int rank, axis, depth, batch_dims;
	int64_t dim[RANK_MAX], stride[RANK_MAX], out_dim[RANK_MAX];
	int64_t slices; /* GatherND: index tuples per batch */
};

static inline int64_t index_at(const struct tensor *t, int64_t i)
{
	return t->dtype == DTYPE_I32 ? ((const int32_t *)t->data)[i]
				     : ((const int64_t *)t->data)[i];
}

/* false: out of range, and said so. */
static inline bool index_in(const struct kernel_args *a, int64_t *index, int64_t n)
{
	int64_t i = *index < 0 ? *index + n : *index;
	if (i < 0 || i >= n) {
		kernel_fault(a, FAULT_INDEX, *index);
		return false;
	}
	*index = i;
	return true;
}

/* -- Gather: an item is one index of one outer slice ----------------------------------------- */

static void run_gather(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct gather_state *s = a->state;
	int64_t from, to, row = s->v.inner * s->bytes;
	split_range(&s->split, begin, end, &from, &to);
	int64_t outer = from / max_i64(s->indices, 1), i = from - outer * s->indices;
	for (int64_t item = from; item < to; item++) {
		int64_t index = index_at(&a->in[1], i);
		const char *src = (const char *)a->in[0].data + outer * s->v.n * row;
		char *dst = (char *)a->out[0].data + item * row;
		if (index_in(a, &index, s->v.n)) {
			if (row == 4)
				memcpy(dst, src + index * 4, 4);
			else if (row == 8)
				memcpy(dst, src + index * 8, 8);
			else
				memcpy(dst, src + index * row, (size_t)row);
		} else {
			memset(dst, 0, (size_t)row);
		}
		if (++i == s->indices) {
			i = 0;
			outer++;
		}
	}
}

enum err_code prepare_gather(struct prep *p, struct kernel *ret, struct err *err)
{
	struct gather_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->v = axis_view(&p->in[0].shape, node_axis(p->node, "axis", 0, p->in[0].shape.rank));
	s->indices = tensor_count(&p->in[1]);
	s->bytes = (int64_t)dtype_bytes(p->in[0].dtype);
	s->split = split_work(p, ret, s->v.inner ? s->v.outer * s->indices : 0,
		4 + (double)(s->v.inner * s->bytes) / 16);
	ret->run = run_gather;
	return ERR_OK;
}

/* -- GatherElements: an item is one output element; they are walked by rows -------------------- */

/* Elements [item, item + n) of a row of the result; src is what index 0 of the first one names. */
static void gather_row(const struct kernel_args *a, const struct gather_state *s, int64_t item,
	int64_t n, const char *src)
{
	int64_t bytes = s->bytes, step = s->stride[s->axis] * bytes,
		next = s->axis == s->rank - 1 ? 0 : bytes;
	char *dst = (char *)a->out[0].data + item * bytes;
	for (int64_t k = 0; k < n; k++) {
		int64_t index = index_at(&a->in[1], item + k);
		if (index_in(a, &index, s->dim[s->axis]))
			memcpy(dst + k * bytes, src + index * step + k * next, (size_t)bytes);
		else
			memset(dst + k * bytes, 0, (size_t)bytes);
	}
}

/* The same of indices known to be in range, without a branch. step, next: as above, in elements. */
#define QUICK_ROW(I, T) \
	static void quick_row_##I##_##T( \
		const void *indices, const void *data, void *out, int64_t n, int64_t size, \
		int64_t step, int64_t next) \
	{ \
		const I *index = indices; \
		const T *x = data; \
		T *y = out; \
		if (step == 1 && next == 0) { \
			for (int64_t k = 0; k < n; k++) { \
				int64_t i = index[k]; \
				y[k] = x[i + (i >> 63 & size)]; \
			} \
			return; \
		} \
		for (int64_t k = 0; k < n; k++) { \
			int64_t i = index[k]; \
			y[k] = x[(i + (i >> 63 & size)) * step + k * next]; \
		} \
	}
QUICK_ROW(int32_t, uint32_t)
QUICK_ROW(int32_t, uint64_t)
QUICK_ROW(int64_t, uint32_t)
QUICK_ROW(int64_t, uint64_t)

/* Whether all of [-size, size): the sign bits say so, of sums that compilers make by vectors.
   They wrap where an index is near 2^63, to a sign that is right. */
#define ALL_IN(I) \
	static bool all_in_##I(const I *index, int64_t n, int64_t size) \
	{ \
		uint64_t signs = 0; \
		for (int64_t k = 0; k < n; k++) { \
			uint64_t i = (uint64_t)(int64_t)index[k]; \
			signs |= (i + (uint64_t)size) | ((uint64_t)size - 1 - i); \
		} \
		return signs >> 63 == 0; \
	}
ALL_IN(int32_t)
ALL_IN(int64_t)

/* false: not done, as an index is out of range, or elements are neither of 4 nor of 8 bytes. */
static bool gather_quickly(const struct kernel_args *a, const struct gather_state *s, int64_t item,
	int64_t n, const void *src)
{
	static void (*const quick[2][2])(
		const void *, const void *, void *, int64_t, int64_t, int64_t, int64_t) = {
		{ quick_row_int32_t_uint32_t, quick_row_int32_t_uint64_t },
		{ quick_row_int64_t_uint32_t, quick_row_int64_t_uint64_t },
	};
	bool wide = a->in[1].dtype != DTYPE_I32;
	int64_t size = s->dim[s->axis];
	const char *index = (const char *)a->in[1].data + item * (wide ? 8 : 4);
	if (s->bytes != 4 && s->bytes != 8)
		return false;
	if (!(wide ? all_in_int64_t((const int64_t *)(const void *)index, n, size)
		   : all_in_int32_t((const int32_t *)(const void *)index, n, size)))
		return false;
	quick[wide][s->bytes == 8](index, src, (char *)a->out[0].data + item * s->bytes, n, size,
		s->stride[s->axis], s->axis != s->rank - 1);
	return true;
}

static void run_gather_elements(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct gather_state *s = a->state;
	int64_t from, to, width = s->rank ? s->out_dim[s->rank - 1] : 1;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t item = from, n; item < to; item += n) {
		int64_t rest = item / width, at = item % width,
			offset = s->axis == s->rank - 1 ? 0 : at;
		for (int d = s->rank - 2; d >= 0; d--) {
			offset += d == s->axis ? 0 : rest % s->out_dim[d] * s->stride[d];
			rest /= s->out_dim[d];
		}
		const char *src = (const char *)a->in[0].data + offset * s->bytes;
		n = min_i64(width - at, to - item);
		if (!gather_quickly(a, s, item, n, src))
			gather_row(a, s, item, n, src);
	}
}

enum err_code prepare_gather_elements(struct prep *p, struct kernel *ret, struct err *err)
{
	struct gather_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	const struct shape *x = &p->in[0].shape;
	s->rank = x->rank;
	s->axis = node_axis(p->node, "axis", 0, x->rank);
	s->bytes = (int64_t)dtype_bytes(p->in[0].dtype);
	shape_strides(x, s->stride);
	memcpy(s->dim, x->dim, sizeof(s->dim));
	memcpy(s->out_dim, p->out[0].shape.dim, sizeof(s->out_dim));
	s->split = split_work(p, ret, tensor_count(&p->out[0]), 2);
	ret->run = run_gather_elements;
	return ERR_OK;
}

/* -- GatherND: an item is one index tuple ------------------------------------------------------ */

static void run_gather_nd(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct gather_state *s = a->state;
	int64_t from, to, row = s->v.inner * s->bytes;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t item = from; item < to; item++) {
		int64_t offset = item / s->slices * s->v.n;
		bool inside = true;
		for (int d = 0; d < s->depth; d++) {
			int64_t index = index_at(&a->in[1], item * s->depth + d);
			if (index_in(a, &index, s->dim[s->batch_dims + d]))
				offset += index * s->stride[s->batch_dims + d];
			else
				inside = false;
		}
		char *dst = (char *)a->out[0].data + item * row;
		if (inside)
			memcpy(dst, (const char *)a->in[0].data + offset * s->bytes, (size_t)row);
		else
			memset(dst, 0, (size_t)row);
	}
}

enum err_code prepare_gather_nd(struct prep *p, struct kernel *ret, struct err *err)
{
	struct gather_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	const struct shape *x = &p->in[0].shape, *i = &p->in[1].shape;
	s->batch_dims = (int)node_int(p->node, "batch_dims", 0);
	s->depth = (int)i->dim[i->rank - 1];
	s->bytes = (int64_t)dtype_bytes(p->in[0].dtype);
	shape_strides(x, s->stride);
	memcpy(s->dim, x->dim, sizeof(s->dim));
	s->v.n = shape_count_range(x, s->batch_dims, x->rank); /* elements of a batch */
	s->v.inner = shape_count_range(x, s->batch_dims + s->depth, x->rank);
	s->slices = shape_count_range(i, s->batch_dims, i->rank - 1);
	int64_t tuples = shape_count_range(i, 0, i->rank - 1);
	s->split = split_work(p, ret, s->v.inner ? tuples : 0,
		4 + 3.0 * s->depth + (double)(s->v.inner * s->bytes) / 16);
	ret->run = run_gather_nd;
	return ERR_OK;
}
