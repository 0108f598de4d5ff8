/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c -- MaxPool and AveragePool; the global ones are reductions (reduce.c)
 */
#include <stdio.h>
#include "exec/gpu/walk.h"
#include "exec/infer/conv_geometry.h"

#define BLOCK 256

struct pool_state {
	struct gpu_launch launch;
	struct gpu_pool pool;
};

static void run_pool(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct pool_state *s = a->state;
	void *params[] = { (void *)&s->pool, (void *)&a->out[0].data, (void *)&a->in[0].data };
	gpu_launch(a, &s->launch, params);
}

/* Spatial axes are the last ones; those before have one element. */
static bool fill(struct gpu_pool *pool, const struct conv_geometry *g)
{
	for (int a = 0; a < GPU_SPATIAL; a++) {
		int own = a - (GPU_SPATIAL - g->spatial);
		bool there = own >= 0;
		int64_t in = there ? g->in[own] : 1, kernel = there ? g->kernel[own] : 1;
		int64_t end = there ? g->in[own] + g->pad_end[own] : 1;
		int64_t reach = there ? g->out[own] * g->stride[own] + conv_extent(g, own) : 1;
		if (in > INT32_MAX / 2 || end > INT32_MAX / 2 || reach > INT32_MAX / 2)
			return false;
		pool->in[a] = (int32_t)in;
		pool->end[a] = (int32_t)end;
		pool->kernel[a] = (int32_t)kernel;
		pool->out[a] = gpu_div(there && g->out[own] ? (uint32_t)g->out[own] : 1);
		pool->stride[a] = there ? (int32_t)g->stride[own] : 1;
		pool->dilation[a] = there ? (int32_t)g->dilation[own] : 1;
		pool->pad[a] = there ? (int32_t)g->pad_begin[own] : 0;
	}
	return true;
}

/* "_2", "_3": there is a kernel of maxima in such square windows of images. */
static const char *square_suffix(const struct gpu_pool *p, int wide)
{
	int64_t plane = (int64_t)p->in[1] * p->in[2] * p->inner.d * wide;
	bool image =
		p->in[0] == 1 && p->kernel[0] == 1 && p->dilation[1] == 1 && p->dilation[2] == 1;
	if (wide == 1 || !image || p->kernel[1] != p->kernel[2] || plane > INT32_MAX)
		return "";
	return p->kernel[1] == 2 ? "_2" : p->kernel[1] == 3 ? "_3" : "";
}

enum err_code gpu_prepare_pool(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct tensor *x = &p->in[0];
	int64_t count = tensor_count(&p->out[0]),
		inner = x->layout == LAYOUT_NHWC ? x->shape.dim[1] : 1;
	int wide = 16 / (int)dtype_bytes(x->dtype);
	struct conv_geometry g;
	char name[32];
	struct pool_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (p->n_out > 1 && p->out[1].shape.rank != RANK_UNKNOWN)
		return prep_refuse(err, "indices are wanted");
	TRY(pool_geometry(p->node, &x->shape, &g, err));
	if (g.spatial > GPU_SPATIAL || count > INT32_MAX || !fill(&s->pool, &g))
		return prep_refuse(err, "so many spatial axes, or such large ones");
	wide = inner % wide == 0 ? wide : 1;
	s->pool.count = (uint32_t)(count / wide);
	s->pool.inner = gpu_div(inner ? (uint32_t)(inner / wide) : 1);
	s->pool.count_pad = node_int(p->node, "count_include_pad", 0) != 0;
	ret->run = run_pool;
	ret->out_layout = x->layout;
	bool max = p->node->op == OP_MAX_POOL;
	snprintf(name, sizeof(name), "%s_pool_%s%s%s", max ? "max" : "average",
		gpu_type_name(x->dtype), wide > 1 ? "_wide" : "",
		max ? square_suffix(&s->pool, wide) : "");
	return gpu_launch_over(p, name, s->pool.count, BLOCK, &s->launch, err);
}
