/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cast.c -- Cast, CastLike
 */
#include <stdio.h>
#include "exec/gpu/walk.h"

#define BLOCK 256
#define WIDE 4

struct cast_state {
	struct gpu_launch launch;
	uint32_t count;
	int32_t to;
};

static void run_cast(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct cast_state *s = a->state;
	void *params[] = { (void *)&s->count, (void *)&s->to, (void *)&a->out[0].data,
		(void *)&a->in[0].data };
	gpu_launch(a, &s->launch, params);
}

/* -1: no kernel writes it. */
static int32_t number_of(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_F32:
		return GPU_F32;
	case DTYPE_F16:
		return GPU_F16;
	case DTYPE_BF16:
		return GPU_BF16;
	case DTYPE_I64:
		return GPU_I64;
	case DTYPE_I32:
		return GPU_I32;
	case DTYPE_I8:
		return GPU_I8;
	case DTYPE_U8:
		return GPU_U8;
	case DTYPE_BOOL:
		return GPU_BOOL;
	default:
		return -1;
	}
}

enum err_code gpu_prepare_cast(struct prep *p, struct kernel *ret, struct err *err)
{
	int64_t n = tensor_count(&p->in[0]);
	bool wide = n % WIDE == 0;
	char name[24];
	struct cast_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->to = number_of(p->out[0].dtype);
	if (s->to < 0 || n > INT32_MAX)
		return prep_refuse(err, "a result of that type, or so many elements");
	s->count = (uint32_t)(wide ? n / WIDE : n);
	snprintf(name, sizeof(name), "cast_%s%s", gpu_type_name(p->in[0].dtype),
		wide ? "_wide" : "");
	ret->run = run_cast;
	ret->inplace = dtype_bytes(p->in[0].dtype) == dtype_bytes(p->out[0].dtype);
	ret->out_layout = p->in[0].layout;
	ret->unread = 2;
	return gpu_launch_over(p, name, s->count, BLOCK, &s->launch, err);
}
