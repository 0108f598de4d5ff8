/* SPDX-License-Identifier: Apache-2.0 */
/* QuantizedGlobalAveragePool: the sum of each channel is finished as those of products are. */
#include "exec/gpu/int8/qfinish.h"
#include "exec/gpu/walk.h"

#define BLOCK 256
#define WARP 32
#define AVERAGE_PIXELS_MAX (INT32_MAX / 512)

struct pool_state {
	struct gpu_launch launch;
	struct gpu_qpool pool;
};

static void run_pool(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct pool_state *s = a->state;
	gpu_launch(a, &s->launch,
		(void *[]){ (void *)&s->pool, (void *)&a->out[0].data, (void *)&a->in[0].data });
}

enum err_code gpu_prepare_quantized_pool(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct tensor *x = &p->in[0];
	int64_t pixels = shape_count_range(&x->shape, 2, x->shape.rank);
	struct pool_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (pixels < 1 || pixels > AVERAGE_PIXELS_MAX || tensor_count(x) > INT32_MAX)
		return prep_refuse(err, "so many pixels, or none");
	s->pool.last = x->layout == LAYOUT_NHWC;
	s->pool.count = (uint32_t)tensor_count(&p->out[0]);
	s->pool.pixels = (uint32_t)pixels;
	s->pool.channels = gpu_div(x->shape.dim[1]);
	s->pool.step = s->pool.last ? (uint32_t)x->shape.dim[1] : 1;
	s->pool.factor = node_float(p->node, "factor", 1) / (float)pixels;
	s->pool.finish = qfinish_of(p);
	ret->run = run_pool;
	TRY(gpu_launch_over(p, "qproduct_average", s->pool.count, 1, &s->launch, err));
	s->launch.block[0] = pixels <= 64 ? WARP : BLOCK;
	return ERR_OK;
}
