/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/math/finish.h"

#include <stdio.h>
#include "exec/gpu/math/functions.h"
#include "exec/gpu/walk.h"
#include "exec/unary.h"

#define BLOCK 256

void finish_init(struct finish *f, const struct prep *p)
{
	struct unary_call call;
	*f = (struct finish){ .f = { .count = tensor_count(&p->out[0]), .rank = 1,
		.call.fn = GPU_NO_CALL },
		.add = { -1, -1 } };
	f->f.dim[0] = f->f.count;
	if (unary_of_activation(p->node, &call))
		f->f.call = (struct gpu_call){ (int32_t)call.id, call.alpha, call.beta };
}

static bool adds(const struct finish *f) { return f->add[0] >= 0 || f->add[1] >= 0; }

static bool set_walk(struct finish *f, enum dtype dtype, bool *ret_wide)
{
	struct gpu_draft all = { .n = 2 };
	for (int d = 0; d < f->f.rank; d++)
		gpu_draft_add(&all, f->f.dim[d],
			(int64_t[]){ f->f.stride[0][d], f->f.stride[1][d] });
	return gpu_walk_of(&f->walk, &all, 16 / (int)dtype_bytes(dtype), ret_wide);
}

enum err_code finish_prepare(struct finish *f, struct prep *p, struct err *err)
{
	enum dtype dtype = p->out[0].dtype;
	bool wide;
	char name[48];
	if (f->f.call.fn == GPU_NO_CALL && !adds(f))
		return ERR_OK;
	if (!set_walk(f, dtype, &wide))
		return prep_refuse(err, "so many elements or dimensions");
	snprintf(name, sizeof(name), "%s_%s%s%s", adds(f) ? "finish" : "map1", gpu_type_name(dtype),
		wide ? "_wide" : "", gpu_own_suffix(f->f.call.fn));
	return gpu_launch_over(p, name, f->walk.count, BLOCK, &f->launch, err);
}

void finish_run(const struct finish *f, const struct kernel_args *a)
{
	const void *add[2];
	for (int i = 0; i < 2; i++)
		add[i] = f->add[i] < 0 ? NULL : a->in[f->add[i]].data;
	finish_run_with(f, a, add);
}

void finish_run_with(const struct finish *f, const struct kernel_args *a, const void *const add[2])
{
	if (!f->launch.fn)
		return;
	const void *from[2] = { f->add[0] < 0 ? NULL : add[0], f->add[1] < 0 ? NULL : add[1] };
	void *y = a->out[0].data;
	void *added[] = { (void *)&f->walk, (void *)&f->f.call, (void *)&f->f.scale[0],
		(void *)&f->f.scale[1], &y, &from[0], &from[1] };
	void *mapped[] = { (void *)&f->walk.count, (void *)&f->f.call, &y, &y };
	gpu_launch(a, &f->launch, adds(f) ? added : mapped);
}
