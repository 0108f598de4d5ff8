/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ScatterElements and ScatterND: the data copied, then updates put, added, multiplied,
 * or kept where larger or smaller. Later updates of one place follow earlier ones, so the
 * work is not split.
 */
#include "exec/cpu/math/binary.h"

#include <string.h>
#include "exec/half.h"

typedef void (*combine_fn)(float *dst, float update);

struct scatter_state {
	binary_fn combine; /* NULL: the update replaces */
	combine_fn one;    /* the same of a single float; NULL: combine will do */
	int64_t bytes, updates, row; /* row: elements per update */
	int rank, axis, depth;
	int64_t dim[RANK_MAX], stride[RANK_MAX], update_dim[RANK_MAX];
};

static int64_t index_at(const struct tensor *t, int64_t i)
{
	return t->dtype == DTYPE_I32 ? ((const int32_t *)t->data)[i]
				     : ((const int64_t *)t->data)[i];
}

static void copy_data(const struct kernel_args *a)
{
	if (a->out[0].data != a->in[0].data)
		memcpy(a->out[0].data, a->in[0].data, tensor_bytes(&a->out[0]));
}

/* Which of two is larger nobody foretells: chosen by bits, without a branch. NaN stays, as with
   Max. */
static void keep_one(float *dst, float update, bool better)
{
	uint32_t mask = 0u - (uint32_t)(better | (*dst != *dst));
	*dst = bits_float((float_bits(*dst) & mask) | (float_bits(update) & ~mask));
}

static void largest_one(float *dst, float update)
{
	keep_one(dst, update, *dst > update);
}

static void least_one(float *dst, float update)
{
	keep_one(dst, update, *dst < update);
}

static void add_one(float *dst, float update)
{
	*dst += update;
}

/* Update i of s->row elements to element `at` of the output. */
static void put(const struct scatter_state *s, const struct kernel_args *a, int64_t i, int64_t at)
{
	char *dst = (char *)a->out[0].data + at * s->bytes;
	const char *src = (const char *)a->in[2].data + i * s->row * s->bytes;
	int64_t bytes = s->row * s->bytes;
	if (s->one && s->row == 1)
		s->one((float *)(void *)dst, *(const float *)(const void *)src);
	else if (s->combine)
		s->combine(a, dst, dst, src, s->row, 1, 1);
	else if (bytes == 4)
		memcpy(dst, src, 4);
	else if (bytes == 8)
		memcpy(dst, src, 8);
	else
		memcpy(dst, src, (size_t)bytes);
}

/* Element offset of index along dimension d; false: out of range, and said so. */
static bool step_to(const struct scatter_state *s, const struct kernel_args *a, int64_t index,
	int d, int64_t *offset)
{
	int64_t i = index < 0 ? index + s->dim[d] : index;
	if (i < 0 || i >= s->dim[d]) {
		kernel_fault(a, FAULT_INDEX, index);
		return false;
	}
	*offset += i * s->stride[d];
	return true;
}

static void run_scatter_elements(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct scatter_state *s = a->state;
	int64_t width = s->rank ? s->update_dim[s->rank - 1] : 1;
	(void)begin, (void)end;
	copy_data(a);
	for (int64_t i = 0; i < s->updates; i += width) {
		int64_t rest = i / width, row = 0;
		for (int d = s->rank - 2; d >= 0; d--) {
			row += d == s->axis ? 0 : rest % s->update_dim[d] * s->stride[d];
			rest /= s->update_dim[d];
		}
		for (int64_t k = 0; k < width; k++) {
			int64_t offset = row + (s->axis == s->rank - 1 ? 0 : k);
			if (step_to(s, a, index_at(&a->in[1], i + k), s->axis, &offset))
				put(s, a, i + k, offset);
		}
	}
}

static void run_scatter_nd(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct scatter_state *s = a->state;
	(void)begin, (void)end;
	copy_data(a);
	for (int64_t i = 0; i < s->updates; i++) {
		int64_t offset = 0;
		bool inside = true;
		for (int d = 0; d < s->depth; d++)
			inside &= step_to(s, a, index_at(&a->in[1], i * s->depth + d), d, &offset);
		if (inside)
			put(s, a, i, offset);
	}
}

static enum err_code set_reduction(struct prep *p, struct scatter_state *s, struct err *err)
{
	static const struct {
		const char *name;
		enum op_id op, of_bool;
		combine_fn one;
	} reductions[] = { { "add", OP_ADD, OP_OR, add_one }, { "mul", OP_MUL, OP_AND, NULL },
		{ "max", OP_MAX, OP_OR, largest_one }, { "min", OP_MIN, OP_AND, least_one } };
	struct slice name = node_string(p->node, "reduction", "none");
	enum dtype dtype = p->in[0].dtype;
	if (slice_is(name, "none"))
		return ERR_OK;
	for (size_t i = 0; i < sizeof(reductions) / sizeof(reductions[0]); i++)
		if (slice_is(name, reductions[i].name)) {
			s->combine = binary_find(dtype == DTYPE_BOOL ? reductions[i].of_bool
								     : reductions[i].op,
				dtype);
			s->one = dtype == DTYPE_F32 ? reductions[i].one : NULL;
		}
	return s->combine ? ERR_OK : prep_refuse(err, "no such reduction for this type");
}

static struct scatter_state *scatter_state(struct prep *p, struct kernel *ret)
{
	struct scatter_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return NULL;
	const struct shape *x = &p->in[0].shape;
	s->rank = x->rank;
	s->row = 1;
	s->bytes = (int64_t)dtype_bytes(p->in[0].dtype);
	shape_strides(x, s->stride);
	memcpy(s->dim, x->dim, sizeof(s->dim));
	memcpy(s->update_dim, p->in[1].shape.dim, sizeof(s->update_dim));
	ret->inplace = true;
	return s;
}

enum err_code prepare_scatter_elements(struct prep *p, struct kernel *ret, struct err *err)
{
	struct scatter_state *s = scatter_state(p, ret);
	if (!s)
		return err_oom(err);
	s->axis = node_axis(p->node, "axis", 0, s->rank);
	s->updates = tensor_count(&p->in[1]);
	ret->run = run_scatter_elements;
	return set_reduction(p, s, err);
}

enum err_code prepare_scatter_nd(struct prep *p, struct kernel *ret, struct err *err)
{
	struct scatter_state *s = scatter_state(p, ret);
	if (!s)
		return err_oom(err);
	const struct shape *x = &p->in[0].shape, *i = &p->in[1].shape;
	s->depth = (int)i->dim[i->rank - 1];
	s->row = shape_count_range(x, s->depth, x->rank);
	s->updates = s->row ? shape_count_range(i, 0, i->rank - 1) : 0;
	ret->run = run_scatter_nd;
	return set_reduction(p, s, err);
}
