/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.c -- kernels that only move elements
 */
#include "exec/gpu/walk.h"

#define BLOCK 256

struct copy_state {
	struct gpu_launch launch;
	struct gpu_box box;
};

static void run_copy(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct copy_state *s = a->state;
	void *params[] = { (void *)&s->box, (void *)&a->out[0].data, (void *)&a->in[0].data };
	gpu_launch(a, &s->launch, params);
}

enum err_code gpu_prepare_copy(struct prep *p, struct kernel *ret, struct err *err)
{
	static const char *const name[] = { [1] = "copy_box_1", [2] = "copy_box_2", [4] = "copy_box_4",
		[8] = "copy_box_8" };
	const struct tensor *in = &p->in[0];
	size_t size = dtype_bytes(in->dtype);
	if (size > 8 || !name[size] || in->shape.rank > GPU_RANK_MAX)
		return prep_refuse(err, "elements of that size, or so many dimensions");
	struct copy_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->box.rank = in->shape.rank;
	s->box.count = tensor_count(in);
	for (int d = 0; d < in->shape.rank; d++)
		s->box.dim[d] = in->shape.dim[d];
	gpu_strides(in, s->box.src);
	gpu_strides(&p->out[0], s->box.dst);
	ret->name = "copy";
	ret->run = run_copy;
	return gpu_launch_over(p, name[size], s->box.count, BLOCK, &s->launch, err);
}
