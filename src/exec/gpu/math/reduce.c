/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reduce.c -- the Reduce operators, and pools over whole images
 */
#include <stdio.h>
#include "exec/gpu/walk.h"
#include "exec/infer/move_geometry.h"

#define BLOCK 256

struct reduce_state {
	struct gpu_launch launch;
	struct gpu_reduce reduce;
};

static const struct {
	int32_t step, finish;
} ops[OP_COUNT_] = {
	[OP_REDUCE_L1] = { GPU_L1, GPU_AS_IS },
	[OP_REDUCE_L2] = { GPU_SQUARES, GPU_ROOT },
	[OP_REDUCE_LOG_SUM] = { GPU_SUM, GPU_LOG },
	[OP_REDUCE_LOG_SUM_EXP] = { GPU_SUM, GPU_LOG_SUM_EXP },
	[OP_REDUCE_MAX] = { GPU_LARGEST, GPU_AS_IS },
	[OP_REDUCE_MEAN] = { GPU_SUM, GPU_MEAN_OF },
	[OP_REDUCE_MIN] = { GPU_LEAST, GPU_AS_IS },
	[OP_REDUCE_PROD] = { GPU_PRODUCT, GPU_AS_IS },
	[OP_REDUCE_SUM] = { GPU_SUM, GPU_AS_IS },
	[OP_REDUCE_SUM_SQUARE] = { GPU_SQUARES, GPU_AS_IS },
};

static void run_reduce(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct reduce_state *s = a->state;
	void *params[] = { (void *)&s->reduce, (void *)&a->out[0].data, (void *)&a->in[0].data };
	gpu_launch(a, &s->launch, params);
}

/* The next dimension joins the last one where both follow each other in memory. */
static bool append(struct gpu_dims *d, int64_t dim, int64_t stride)
{
	int last = d->rank - 1;
	if (dim == 1)
		return true;
	if (d->rank && d->stride[last] == (uint64_t)stride * (uint64_t)dim) {
		d->dim[last] = gpu_div(d->dim[last].d * (uint32_t)dim);
		d->stride[last] = (uint32_t)stride;
		return true;
	}
	if (d->rank == GPU_RANK_MAX)
		return false;
	d->dim[d->rank] = gpu_div(dim);
	d->stride[d->rank++] = (uint32_t)stride;
	return true;
}

/* strides: of x's dimensions in memory. false: too many dimensions. *ret_rows: the innermost one
   that counts is reduced. */
static bool fill(struct gpu_reduce *r, const struct tensor *x, uint32_t mask, bool *ret_rows)
{
	int64_t stride[RANK_MAX], nearest = INT64_MAX;
	bool good = true;
	gpu_strides(x, stride);
	r->outputs = r->count = 1;
	*ret_rows = false;
	for (int d = 0; d < x->shape.rank; d++) {
		bool reduced = mask >> d & 1;
		int64_t dim = x->shape.dim[d];
		*(reduced ? &r->count : &r->outputs) *= (uint32_t)dim;
		if (dim > 1 && stride[d] < nearest) {
			nearest = stride[d];
			*ret_rows = reduced;
		}
		if (dim)
			good &= append(reduced ? &r->reduced : &r->kept, dim, stride[d]);
	}
	return good;
}

static enum err_code prepare_over(struct prep *p, struct kernel *ret, uint32_t mask, int32_t step,
	int32_t finish, struct err *err)
{
	struct reduce_state *s = gpu_state(p, ret, sizeof(*s));
	bool rows;
	char name[32];
	if (!s)
		return err_oom(err);
	if (tensor_count(&p->in[0]) > INT32_MAX || !fill(&s->reduce, &p->in[0], mask, &rows))
		return prep_refuse(err, "so many elements or dimensions");
	s->reduce.step = step;
	s->reduce.finish = finish;
	ret->run = run_reduce;
	snprintf(name, sizeof(name), "reduce_%s_%s", rows ? "rows" : "columns",
		gpu_type_name(p->in[0].dtype));
	TRY(gpu_launch_over(p, name, s->reduce.outputs, rows ? 1 : BLOCK, &s->launch, err));
	/* A block for each row, no larger than the row wants. */
	if (rows)
		s->launch.block[0] = s->reduce.count <= 64 ? 32
			: s->reduce.count <= 512	   ? 128
							   : BLOCK;
	return ERR_OK;
}

enum err_code gpu_prepare_reduce(struct prep *p, struct kernel *ret, struct err *err)
{
	uint32_t mask;
	if (gpu_has_in(p, 1) && !p->in[1].data)
		return prep_refuse(err, "axes that are computed");
	TRY(reduce_axes(
		p->node, gpu_has_in(p, 1) ? &p->in[1] : NULL, p->in[0].shape.rank, &mask, err));
	ret->unread = 2;
	return prepare_over(p, ret, mask, ops[p->node->op].step, ops[p->node->op].finish, err);
}

/* Of all spatial axes. What is left of the layout is no matter: one element each. */
enum err_code gpu_prepare_global_pool(struct prep *p, struct kernel *ret, struct err *err)
{
	uint32_t spatial = ((UINT32_C(1) << p->in[0].shape.rank) - 1) & ~UINT32_C(3);
	bool max = p->node->op == OP_GLOBAL_MAX_POOL;
	return prepare_over(
		p, ret, spatial, max ? GPU_LARGEST : GPU_SUM, max ? GPU_AS_IS : GPU_MEAN_OF, err);
}
