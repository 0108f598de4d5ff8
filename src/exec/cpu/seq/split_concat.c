/* SPDX-License-Identifier: Apache-2.0 */
/* SplitToSequence and ConcatFromSequence: between one tensor and a sequence of its parts. */
#include "exec/cpu/cpu.h"

#include <string.h>
#include "base/checked.h"

/* Copies between a tensor and the part of it that begins at `from` along an axis; n of
   `whole` entries are the part's. */
static void copy_part(char *tensor, char *part, const struct axis_view *v, int64_t from, int64_t n,
	size_t bytes, bool to_part)
{
	size_t run = (size_t)(n * v->inner) * bytes, stride = (size_t)(v->n * v->inner) * bytes;
	tensor += (size_t)(from * v->inner) * bytes;
	for (int64_t o = 0; o < v->outer && run; o++, tensor += stride, part += run)
		memcpy(to_part ? part : tensor, to_part ? tensor : part, run);
}

/* -- SplitToSequence --------------------------------------------------------------------------- */

/* Where the parts end: pieces of one size (the last may be smaller), or of given sizes. */
struct cuts {
	const struct tensor *sizes; /* NULL: all are `size` long */
	int64_t size, n;
};

static bool find_cuts(const struct kernel_args *a, int64_t whole, struct cuts *c)
{
	const struct tensor *split = args_has_in(a, 1) ? &a->in[1] : NULL;
	*c = (struct cuts){ .sizes = split && split->shape.rank == 1 ? split : NULL, .size = 1 };
	if (split && !c->sizes)
		c->size = tensor_int(split, 0);
	if (c->size < 1) {
		kernel_fault(a, FAULT_VALUE, c->size);
		return false;
	}
	c->n = c->sizes ? tensor_count(c->sizes) : whole / c->size + (whole % c->size != 0);
	int64_t left = whole;
	for (int64_t i = 0; c->sizes && i < c->n; i++) {
		int64_t size = tensor_int(c->sizes, i);
		if (size < 0 || size > left) {
			kernel_fault(a, FAULT_VALUE, size);
			return false;
		}
		left -= size;
	}
	if (c->sizes && left)
		kernel_fault(a, FAULT_VALUE, whole - left);
	return !c->sizes || !left;
}

static bool cut_part(const struct kernel_args *a, const struct axis_view *v, int axis, bool drop,
	int64_t from, int64_t n, struct tensor *part)
{
	const struct tensor *x = &a->in[0];
	*part = (struct tensor){ .dtype = x->dtype, .shape = x->shape };
	part->shape.dim[axis] = n;
	if (drop) {
		memmove(part->shape.dim + axis, part->shape.dim + axis + 1,
			(size_t)(x->shape.rank - axis - 1) * sizeof(*part->shape.dim));
		part->shape.rank--;
	}
	part->data = arena_alloc_aligned(a->arena, tensor_bytes(part) + 1, ARENA_ALIGN_TENSOR);
	if (!part->data) {
		kernel_fault(a, FAULT_MEMORY, (int64_t)tensor_bytes(part));
		return false;
	}
	copy_part(x->data, part->data, v, from, n, dtype_bytes(x->dtype), true);
	return true;
}

struct split_state {
	int axis;
	bool keepdims;
};

static void run_split(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct split_state *s = a->state;
	struct axis_view v = axis_view(&a->in[0].shape, s->axis);
	struct cuts c;
	(void)begin, (void)end;
	if (!find_cuts(a, v.n, &c))
		return;
	struct shape list = shape_of(c.n);
	struct tensor *part = kernel_output(a, 0, DTYPE_TENSOR, &list);
	/* The axis is dropped only where every part is one long: where nothing says otherwise. */
	bool drop = !s->keepdims && !args_has_in(a, 1);
	int64_t from = 0;
	for (int64_t i = 0; part && i < c.n; i++) {
		int64_t n = c.sizes ? tensor_int(c.sizes, i) : min_i64(c.size, v.n - from);
		if (!cut_part(a, &v, s->axis, drop, from, n, &part[i]))
			return;
		from += n;
	}
}

enum err_code prepare_split_to_sequence(struct prep *p, struct kernel *ret, struct err *err)
{
	struct split_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->axis = node_axis(p->node, "axis", 0, p->in[0].shape.rank);
	s->keepdims = node_int(p->node, "keepdims", 1) != 0;
	ret->run = run_split;
	return ERR_OK;
}

/* -- ConcatFromSequence ------------------------------------------------------------------------ */

struct concat_state {
	int64_t axis;
	bool new_axis;
};

static bool same_but_axis(const struct shape *a, const struct shape *b, int axis)
{
	bool same = a->rank == b->rank;
	for (int d = 0; same && d < a->rank; d++)
		same = d == axis || a->dim[d] == b->dim[d];
	return same;
}

/* The shape of the whole, and its axis; false: a fault. */
static bool whole_shape(const struct kernel_args *a, const struct tensor *item, int64_t n,
	struct shape *shape, int *axis)
{
	const struct concat_state *s = a->state;
	int rank = n ? item[0].shape.rank + s->new_axis : 0;
	if (!n || rank > RANK_MAX || !shape_axis(s->axis, rank, axis)) {
		kernel_fault(a, FAULT_INDEX, s->axis);
		return false;
	}
	*shape = item[0].shape;
	if (s->new_axis) {
		memmove(shape->dim + *axis + 1, shape->dim + *axis,
			(size_t)(rank - 1 - *axis) * sizeof(*shape->dim));
		shape->rank = rank;
	}
	shape->dim[*axis] = s->new_axis ? n : 0;
	for (int64_t i = 0; i < n; i++) {
		if (item[i].dtype != item[0].dtype ||
			!same_but_axis(&item[i].shape, &item[0].shape, s->new_axis ? -1 : *axis)) {
			kernel_fault(a, FAULT_SHAPE, i);
			return false;
		}
		if (!s->new_axis && add_i64_overflows(shape->dim[*axis], item[i].shape.dim[*axis],
					    &shape->dim[*axis])) {
			kernel_fault(a, FAULT_MEMORY, INT64_MAX);
			return false;
		}
	}
	return true;
}

static void run_concat(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct concat_state *s = a->state;
	const struct tensor *x = &a->in[0], *item = x->data;
	int64_t n = x->shape.rank == 1 ? x->shape.dim[0] : 0, from = 0;
	struct shape shape;
	int axis;
	(void)begin, (void)end;
	if (!whole_shape(a, item, n, &shape, &axis))
		return;
	char *o = kernel_output(a, 0, item[0].dtype, &shape);
	struct axis_view v = axis_view(&shape, axis);
	for (int64_t i = 0; o && i < n; i++) {
		int64_t part = s->new_axis ? 1 : item[i].shape.dim[axis];
		copy_part(o, item[i].data, &v, from, part, dtype_bytes(item[0].dtype), false);
		from += part;
	}
}

enum err_code prepare_concat_from_sequence(struct prep *p, struct kernel *ret, struct err *err)
{
	struct concat_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->axis = node_int(p->node, "axis", 0);
	s->new_axis = node_int(p->node, "new_axis", 0) != 0;
	ret->run = run_concat;
	return ERR_OK;
}
