/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gather.c -- elements by index: Gather, GatherElements, GatherND, ScatterElements, ScatterND
 */
#include <stdio.h>
#include "exec/gpu/walk.h"

#define BLOCK 256

struct gather_state {
	struct gpu_launch launch;
	struct gpu_gather gather;
	size_t data_bytes; /* of what is scattered into */
};

static void launch_with(const struct kernel_args *a, void *const *moved)
{
	const struct gather_state *s = a->state;
	struct gpu_complaint f = gpu_complaint(a, FAULT_INDEX);
	void *params[] = { (void *)&s->gather, (void *)&a->out[0].data, (void *)moved,
		(void *)&a->in[1].data, &f };
	gpu_launch(a, &s->launch, params);
}

static void run_gather(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	launch_with(a, &a->in[0].data);
}

static void run_scatter(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct gather_state *s = a->state;
	CUresult r = CUDA_SUCCESS;
	if (a->out[0].data != a->in[0].data && s->data_bytes)
		r = cu.cuMemcpyDtoDAsync_v2((CUdeviceptr)a->out[0].data, (CUdeviceptr)a->in[0].data,
			s->data_bytes, a->device->stream);
	if (r != CUDA_SUCCESS)
		kernel_fault(a, FAULT_DEVICE, (int64_t)r);
	launch_with(a, &a->in[2].data);
}

static enum err_code new_state(
	struct prep *p, struct kernel *ret, struct gather_state **s, struct err *err)
{
	*s = gpu_state(p, ret, sizeof(**s));
	if (!*s)
		return err_oom(err);
	if (dtype_bytes(p->in[0].dtype) > 16 || tensor_count(&p->in[0]) > INT32_MAX ||
		tensor_count(&p->out[0]) > INT32_MAX || p->in[0].shape.rank > GPU_RANK_MAX)
		return prep_refuse(err, "elements of that size, or so many, or so many dimensions");
	(*s)->gather.wide = p->in[1].dtype == DTYPE_I64;
	ret->run = run_gather;
	return ERR_OK;
}

/* The launch of a kernel that moves `moved` elements of `size` bytes. */
static enum err_code ready(struct prep *p, struct gather_state *s, const char *family, size_t size,
	int64_t moved, struct err *err)
{
	char name[40];
	s->gather.count = (uint32_t)moved;
	snprintf(name, sizeof(name), "%s_%zu", family, size);
	return gpu_launch_over(p, name, moved, BLOCK, &s->launch, err);
}

/* Rows of whole 16 bytes, or 8, ... move so. */
static size_t widen_row(int64_t *row, size_t size)
{
	while (size < 16 && *row && *row % 2 == 0) {
		*row /= 2;
		size *= 2;
	}
	return size;
}

enum err_code gpu_prepare_gather(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	struct axis_view v = axis_view(x, node_axis(p->node, "axis", 0, x->rank));
	int64_t indices = tensor_count(&p->in[1]);
	struct gather_state *s;
	TRY(new_state(p, ret, &s, err));
	size_t size = widen_row(&v.inner, dtype_bytes(p->in[0].dtype));
	s->gather.n = v.n;
	s->gather.row = gpu_div(v.inner);
	s->gather.indices = gpu_div(indices);
	return ready(p, s, "gather", size, v.outer * indices * v.inner, err);
}

static void fill_elements(struct gpu_gather *g, const struct prep *p)
{
	const struct shape *x = &p->in[0].shape, *i = &p->in[1].shape;
	g->depth = x->rank;
	g->axis = node_axis(p->node, "axis", 0, x->rank);
	gpu_strides(&p->in[0], g->stride);
	for (int d = 0; d < x->rank; d++) {
		g->dim[d] = x->dim[d];
		g->place[d] = gpu_div(i->dim[d]);
	}
}

enum err_code gpu_prepare_gather_elements(struct prep *p, struct kernel *ret, struct err *err)
{
	struct gather_state *s;
	TRY(new_state(p, ret, &s, err));
	fill_elements(&s->gather, p);
	return ready(p, s, "gather_elements", dtype_bytes(p->in[0].dtype), tensor_count(&p->out[0]),
		err);
}

/* Tuples of the first batch_dims' axes are in batches. Returns the size that rows move in. */
static size_t fill_tuples(
	struct gpu_gather *g, const struct prep *p, int batch_dims, int64_t *ret_row)
{
	const struct shape *x = &p->in[0].shape, *i = &p->in[1].shape;
	int64_t stride[RANK_MAX], row;
	g->depth = (int32_t)i->dim[i->rank - 1];
	row = shape_count_range(x, batch_dims + g->depth, x->rank);
	size_t own = dtype_bytes(p->in[0].dtype), size = widen_row(&row, own);
	int64_t wider = (int64_t)(size / own);
	gpu_strides(&p->in[0], stride);
	for (int d = 0; d < g->depth; d++) {
		g->dim[d] = x->dim[batch_dims + d];
		g->stride[d] = stride[batch_dims + d] / wider;
	}
	g->batch = shape_count_range(x, batch_dims, x->rank) / wider;
	g->indices = gpu_div(shape_count_range(i, batch_dims, i->rank - 1));
	g->row = gpu_div(row);
	*ret_row = row;
	return size;
}

enum err_code gpu_prepare_gather_nd(struct prep *p, struct kernel *ret, struct err *err)
{
	struct gather_state *s;
	int64_t row;
	TRY(new_state(p, ret, &s, err));
	size_t size = fill_tuples(&s->gather, p, (int)node_int(p->node, "batch_dims", 0), &row);
	return ready(p, s, "gather_nd", size,
		row * shape_count_range(&p->in[1].shape, 0, p->in[1].shape.rank - 1), err);
}

/* -- the other way round ----------------------------------------------------------------------- */

static enum err_code new_scatter(
	struct prep *p, struct kernel *ret, struct gather_state **s, struct err *err)
{
	if (!slice_is(node_string(p->node, "reduction", "none"), "none"))
		return prep_refuse(err, "a reduction, whose order would be open");
	TRY(new_state(p, ret, s, err));
	(*s)->data_bytes = tensor_bytes(&p->in[0]);
	ret->run = run_scatter;
	ret->inplace = true;
	return ERR_OK;
}

enum err_code gpu_prepare_scatter_elements(struct prep *p, struct kernel *ret, struct err *err)
{
	struct gather_state *s;
	TRY(new_scatter(p, ret, &s, err));
	fill_elements(&s->gather, p);
	return ready(p, s, "scatter_elements", dtype_bytes(p->in[0].dtype), tensor_count(&p->in[1]),
		err);
}

enum err_code gpu_prepare_scatter_nd(struct prep *p, struct kernel *ret, struct err *err)
{
	struct gather_state *s;
	int64_t row;
	TRY(new_scatter(p, ret, &s, err));
	size_t size = fill_tuples(&s->gather, p, 0, &row);
	return ready(p, s, "scatter_nd", size,
		row * shape_count_range(&p->in[1].shape, 0, p->in[1].shape.rank - 1), err);
}
