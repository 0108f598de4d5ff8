/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/math/finish.h"

#include <stdio.h>
#include "exec/gpu/walk.h"
#include "exec/unary.h"

#define BLOCK 256
#define PER_THREAD 8 /* elements, where there are enough of them */

void finish_init(struct finish *f, const struct prep *p)
{
	struct unary_call call;
	*f = (struct finish){ .f = { .count = tensor_count(&p->out[0]), .rank = 1, .call.fn = GPU_NO_CALL },
		.add = { -1, -1 } };
	f->f.dim[0] = f->f.count;
	if (unary_of_activation(p->node, &call))
		f->f.call = (struct gpu_call){ (int32_t)call.id, call.alpha, call.beta };
}

enum err_code finish_prepare(struct finish *f, struct prep *p, struct err *err)
{
	char name[32];
	if (f->f.call.fn == GPU_NO_CALL && f->add[0] < 0 && f->add[1] < 0)
		return ERR_OK;
	snprintf(name, sizeof(name), "finish_%s", gpu_type_name(p->out[0].dtype));
	int64_t items = (f->f.count + PER_THREAD - 1) / PER_THREAD;
	return gpu_launch_over(p, name, items, BLOCK, &f->launch, err);
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
	void *params[] = { (void *)&f->f, (void *)&a->out[0].data, &from[0], &from[1] };
	gpu_launch(a, &f->launch, params);
}
