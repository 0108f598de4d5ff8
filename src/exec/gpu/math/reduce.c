/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reduce.c -- the Reduce operators, and pools over whole images
 *
 * A launch is as large as the outputs make it; where they are too few for the device, and their
 * elements many, these are cut into parts, of which a second launch makes the outputs.
 */
#include <stdio.h>
#include "exec/gpu/walk.h"
#include "exec/infer/move_geometry.h"

#define BLOCK 256
#define WARP 32
#define ROWS 4             /* in a block, where a warp does one */
#define PARTS_MAX 2048     /* of an output */
#define BLOCKS_PER_SM 4    /* that are enough */
#define GROUPS_PER_THREAD 4 /* so many are worth a thread */

struct reduce_state {
	struct gpu_launch launch, join; /* join.fn NULL: the first one makes the outputs */
	struct gpu_reduce reduce;
	uint32_t parts;
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
	void *params[] = { (void *)&s->reduce, (void *)&a->out[0].data, (void *)&a->scratch,
		(void *)&a->in[0].data };
	void *joined[] = { (void *)&s->reduce, (void *)&s->parts, (void *)&a->out[0].data,
		(void *)&a->scratch };
	gpu_launch(a, &s->launch, params);
	if (s->join.fn)
		gpu_launch(a, &s->join, joined);
}

static void run_log_sum_exp(const struct kernel_args *a, int64_t from, int64_t to)
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
	r->outputs = r->elements = 1;
	*ret_rows = false;
	for (int d = 0; d < x->shape.rank; d++) {
		bool reduced = mask >> d & 1;
		int64_t dim = x->shape.dim[d];
		*(reduced ? &r->elements : &r->outputs) *= (uint32_t)dim;
		if (dim > 1 && stride[d] < nearest) {
			nearest = stride[d];
			*ret_rows = reduced;
		}
		if (dim)
			good &= append(reduced ? &r->reduced : &r->kept, dim, stride[d]);
	}
	r->count = r->elements;
	return good;
}

/* Do groups of n elements begin at whole groups? */
static bool is_even(const struct gpu_dims *d, int dims, uint32_t n)
{
	bool even = true;
	for (int i = 0; i < dims; i++)
		even &= d->stride[i] % n == 0;
	return even;
}

/* Takes groups of n elements of the innermost dimension, where that can be. */
static bool widen(struct gpu_reduce *r, bool rows, uint32_t n)
{
	struct gpu_dims *inner = rows ? &r->reduced : &r->kept,
			*outer = rows ? &r->kept : &r->reduced;
	int last = inner->rank - 1;
	if (last < 0 || inner->stride[last] != 1 || inner->dim[last].d % n ||
		!is_even(inner, last, n) || !is_even(outer, outer->rank, n))
		return false;
	inner->dim[last] = gpu_div(inner->dim[last].d / n);
	inner->stride[last] = n;
	if (rows)
		r->count /= n;
	return true;
}

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* How many parts of the elements, that `threads` of a block share, are worth blocks
   of their own. */
static uint32_t parts_for(
	const struct prep *p, const struct gpu_reduce *r, uint32_t blocks, uint32_t threads)
{
	uint32_t enough = (uint32_t)gpu_of(p->backend)->sms * BLOCKS_PER_SM;
	if (blocks == 0 || blocks > enough / 2)
		return 1;
	uint32_t most = r->count / (threads * GROUPS_PER_THREAD);
	uint32_t parts = least(least(enough / blocks, most), PARTS_MAX);
	return parts > 1 ? parts : 1;
}

/* A warp for a short row, else a block. */
static void shape_rows(const struct prep *p, const struct gpu_reduce *r, struct reduce_state *s)
{
	unsigned *block = s->launch.block;
	block[0] = r->count <= 4 * WARP ? WARP : r->count <= 2 * BLOCK ? BLOCK / 2 : BLOCK;
	block[1] = block[0] == WARP ? ROWS : 1;
	s->launch.grid[0] = least((r->outputs + block[1] - 1) / block[1], s->launch.grid[0]);
	s->parts = parts_for(p, r, s->launch.grid[0], block[0]);
}

/* Threads share the elements of an output where these are many, and outputs are not. */
static void shape_columns(
	const struct prep *p, const struct gpu_reduce *r, uint32_t groups, struct reduce_state *s)
{
	unsigned *block = s->launch.block;
	uint32_t plenty = (uint32_t)gpu_of(p->backend)->sms * BLOCKS_PER_SM * BLOCK;
	bool high = r->count >= 2 * GPU_REDUCE_HIGH && groups < plenty;
	block[0] = high ? GPU_REDUCE_WIDE : BLOCK;
	block[1] = high ? GPU_REDUCE_HIGH : 1;
	s->launch.grid[0] = least((groups + block[0] - 1) / block[0], s->launch.grid[0]);
	s->parts = parts_for(p, r, s->launch.grid[0], block[1]);
}

static enum err_code launch_log_sum_exp(
	struct prep *p, struct kernel *ret, struct reduce_state *s, bool rows, struct err *err)
{
	char name[32];
	snprintf(name, sizeof(name), "log_sum_exp_%s_%s", rows ? "rows" : "columns",
		gpu_type_name(p->in[0].dtype));
	TRY(gpu_launch_over(p, name, s->reduce.outputs, rows ? 1 : BLOCK, &s->launch, err));
	if (rows)
		s->launch.block[0] = BLOCK;
	ret->run = run_log_sum_exp;
	return ERR_OK;
}

static enum err_code launch_join(
	struct prep *p, struct kernel *ret, struct reduce_state *s, struct err *err)
{
	char name[32];
	s->launch.grid[1] = s->parts;
	if (s->parts == 1)
		return ERR_OK;
	snprintf(name, sizeof(name), "reduce_join_%s", gpu_type_name(p->in[0].dtype));
	TRY(gpu_launch_over(p, name, s->reduce.outputs, ROWS, &s->join, err));
	s->join.block[0] = WARP;
	s->join.block[1] = ROWS;
	ret->scratch_bytes = (size_t)s->parts * s->reduce.outputs * sizeof(double);
	return ERR_OK;
}

static enum err_code launch_reduce(
	struct prep *p, struct kernel *ret, struct reduce_state *s, bool rows, struct err *err)
{
	char name[40];
	uint32_t group = 16 / (uint32_t)dtype_bytes(p->in[0].dtype);
	bool wide = widen(&s->reduce, rows, group);
	snprintf(name, sizeof(name), "reduce_%s_%s%s", rows ? "rows" : "columns",
		gpu_type_name(p->in[0].dtype), wide ? "_wide" : "");
	TRY(gpu_launch_over(p, name, s->reduce.outputs, 1, &s->launch, err));
	if (rows)
		shape_rows(p, &s->reduce, s);
	else
		shape_columns(p, &s->reduce, s->reduce.outputs / (wide ? group : 1), s);
	ret->run = run_reduce;
	return launch_join(p, ret, s, err);
}

static enum err_code prepare_over(struct prep *p, struct kernel *ret, uint32_t mask, int32_t step,
	int32_t finish, struct err *err)
{
	struct reduce_state *s = gpu_state(p, ret, sizeof(*s));
	bool rows;
	if (!s)
		return err_oom(err);
	if (tensor_count(&p->in[0]) > INT32_MAX || !fill(&s->reduce, &p->in[0], mask, &rows))
		return prep_refuse(err, "so many elements or dimensions");
	s->reduce.step = step;
	s->reduce.finish = finish;
	return finish == GPU_LOG_SUM_EXP ? launch_log_sum_exp(p, ret, s, rows, err)
					 : launch_reduce(p, ret, s, rows, err);
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
