/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rotary.c -- RotaryEmbedding
 */
#include <stdio.h>
#include "exec/gpu/walk.h"

#define BLOCK 256

struct rotary_state {
	struct gpu_launch launch;
	struct gpu_rotary rotary;
};

static void run_rotary(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct rotary_state *s = a->state;
	struct gpu_complaint f = gpu_complaint(a, FAULT_INDEX);
	void *positions = a->n_in > 3 ? a->in[3].data : NULL;
	void *params[] = { (void *)&s->rotary, (void *)&a->out[0].data, (void *)&a->in[0].data,
		(void *)&a->in[1].data, (void *)&a->in[2].data, &positions, &f };
	gpu_launch(a, &s->launch, params);
}

enum err_code gpu_prepare_rotary(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape, *cosines = &p->in[1].shape;
	bool inside = x->rank == 3;
	int64_t heads = inside ? node_int(p->node, "num_heads", 1) : x->dim[1];
	int64_t size = inside ? x->dim[2] / (heads ? heads : 1) : x->dim[3];
	int64_t turned = node_int(p->node, "rotary_embedding_dim", 0),
		count = tensor_count(&p->in[0]);
	char name[16];
	struct rotary_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (count > INT32_MAX || p->in[1].dtype != p->in[0].dtype ||
		p->in[2].dtype != p->in[0].dtype)
		return prep_refuse(err, "angles of another type, or so many elements");
	s->rotary = (struct gpu_rotary){ .count = (uint32_t)count,
		.size = gpu_div(size),
		.heads = gpu_div(heads),
		.tokens = gpu_div(x->dim[x->rank - 2]),
		.half = (uint32_t)((turned ? turned : size) / 2),
		.interleaved = node_int(p->node, "interleaved", 0) != 0,
		.heads_inside = inside,
		.positions = shape_count_range(cosines, 0, cosines->rank - 1) };
	ret->run = run_rotary;
	snprintf(name, sizeof(name), "rotary_%s", gpu_type_name(p->in[0].dtype));
	return gpu_launch_over(p, name, count, BLOCK, &s->launch, err);
}
