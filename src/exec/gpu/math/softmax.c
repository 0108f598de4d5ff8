/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softmax.c -- Softmax, LogSoftmax
 */
#include <stdio.h>
#include "exec/gpu/walk.h"

#define BLOCK 256
#define WARP 32
#define WARP_ROW_MAX 1024 /* that a warp holds: softmax.cu */

struct softmax_state {
	struct gpu_launch launch;
	uint32_t slices, n;
	int32_t log_of;
	struct gpu_div inner;
};

static void run_softmax(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct softmax_state *s = a->state;
	void *params[] = { (void *)&s->slices, (void *)&s->n, (void *)&s->log_of,
		(void *)&a->out[0].data, (void *)&a->in[0].data, (void *)&s->inner };
	gpu_launch(a, &s->launch, params);
}

enum err_code gpu_prepare_softmax(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	struct axis_view v = { 1, 1, 1 };
	char name[32];
	struct softmax_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (tensor_count(&p->in[0]) > INT32_MAX)
		return prep_refuse(err, "so many elements");
	if (x->rank)
		v = axis_view(x, node_axis(p->node, "axis", -1, x->rank));
	s->n = (uint32_t)v.n;
	s->slices = v.n ? (uint32_t)(v.outer * v.inner) : 0;
	s->log_of = p->node->op == OP_LOG_SOFTMAX;
	s->inner = gpu_div(v.inner);
	ret->run = run_softmax;
	ret->inplace = true;
	unsigned held = v.inner == 1 ? gpu_held_threads(p->in[0].dtype, s->n) : 0;
	if (held) {
		snprintf(name, sizeof(name), "softmax_held_%s", gpu_type_name(p->in[0].dtype));
		return gpu_launch_held(p, name, s->slices, held, &s->launch, err);
	}
	const char *way = v.inner != 1 ? "columns" : v.n <= WARP_ROW_MAX ? "warps" : "blocks";
	int per_block = v.inner != 1 ? BLOCK : v.n <= WARP_ROW_MAX ? BLOCK / WARP : 1;
	snprintf(name, sizeof(name), "softmax_%s_%s", way, gpu_type_name(p->in[0].dtype));
	TRY(gpu_launch_over(p, name, s->slices, per_block, &s->launch, err));
	s->launch.block[0] = BLOCK;
	return ERR_OK;
}
