/* SPDX-License-Identifier: Apache-2.0 */
/*
 * axis.c -- operators that go along one axis slice by slice: ArgMax, ArgMin, CumSum, CumProd, TopK
 */
#include <stdio.h>
#include "exec/gpu/walk.h"

#define BLOCK 256
#define K_MAX 256 /* beyond that one after the other takes too long */

struct axis_state {
	struct gpu_launch launch;
	struct gpu_slices slices;
};

static enum err_code new_state(struct prep *p, struct kernel *ret, int axis,
	struct axis_state **ret_state, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	struct axis_view v = { 1, 1, 1 };
	struct axis_state *s = *ret_state = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (tensor_count(&p->in[0]) > INT32_MAX)
		return prep_refuse(err, "so many elements");
	if (x->rank)
		v = axis_view(x, axis);
	s->slices.slices = v.n ? (uint32_t)(v.outer * v.inner) : 0;
	s->slices.n = (uint32_t)v.n;
	s->slices.inner = gpu_div(v.inner);
	return ERR_OK;
}

/* A block for each slice where `rows`, else a thread. */
static enum err_code ready(
	struct prep *p, struct axis_state *s, const char *family, bool rows, struct err *err)
{
	char name[24];
	snprintf(name, sizeof(name), "%s_%s", family, gpu_type_name(p->in[0].dtype));
	TRY(gpu_launch_over(p, name, s->slices.slices, rows ? 1 : BLOCK, &s->launch, err));
	if (rows)
		s->launch.block[0] = s->slices.n <= 64 ? 32 : s->slices.n <= 512 ? 128 : BLOCK;
	return ERR_OK;
}

static void run_one_output(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct axis_state *s = a->state;
	void *params[] = { (void *)&s->slices, (void *)&a->out[0].data, (void *)&a->in[0].data };
	gpu_launch(a, &s->launch, params);
}

enum err_code gpu_prepare_arg(struct prep *p, struct kernel *ret, struct err *err)
{
	struct axis_state *s;
	TRY(new_state(p, ret, node_axis(p->node, "axis", 0, p->in[0].shape.rank), &s, err));
	s->slices.largest = p->node->op == OP_ARG_MAX;
	s->slices.last = node_int(p->node, "select_last_index", 0) != 0;
	ret->run = run_one_output;
	return ready(p, s, "arg", true, err);
}

enum err_code gpu_prepare_cumulate(struct prep *p, struct kernel *ret, struct err *err)
{
	struct axis_state *s;
	int axis;
	if (!p->in[1].data || !shape_axis(tensor_int(&p->in[1], 0), p->in[0].shape.rank, &axis))
		return prep_refuse(err, "an axis that is computed");
	TRY(new_state(p, ret, axis, &s, err));
	s->slices.product = p->node->op == OP_CUM_PROD;
	s->slices.exclusive = node_int(p->node, "exclusive", 0) != 0;
	s->slices.reverse = node_int(p->node, "reverse", 0) != 0;
	ret->run = run_one_output;
	ret->unread = 2;
	return ready(p, s, "cumulate", false, err);
}

static void run_top_k(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct axis_state *s = a->state;
	void *places = a->n_out > 1 ? a->out[1].data : NULL;
	void *params[] = { (void *)&s->slices, (void *)&a->out[0].data, &places,
		(void *)&a->in[0].data };
	gpu_launch(a, &s->launch, params);
}

enum err_code gpu_prepare_top_k(struct prep *p, struct kernel *ret, struct err *err)
{
	int axis = node_axis(p->node, "axis", -1, p->in[0].shape.rank);
	int64_t k = p->out[0].shape.dim[axis];
	struct axis_state *s;
	if (k > K_MAX)
		return prep_refuse(err, "so large a k");
	TRY(new_state(p, ret, axis, &s, err));
	s->slices.k = (uint32_t)k;
	s->slices.largest = node_int(p->node, "largest", 1) != 0;
	ret->run = run_top_k;
	ret->unread = 2;
	return ready(p, s, "top_k", true, err);
}
