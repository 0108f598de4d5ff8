/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select.c -- comparisons, logic, IsNaN, and Where
 */
#include <stdio.h>
#include "exec/gpu/math/functions.h"
#include "exec/gpu/walk.h"

#define BLOCK 256

struct select_state {
	struct gpu_launch launch;
	struct gpu_walk walk;
	int32_t fn;
};

static void run_compare(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct select_state *s = a->state;
	void *const *other = a->n_in > 1 ? &a->in[1].data : &a->in[0].data; /* IsNaN has one */
	void *params[] = { (void *)&s->walk, (void *)&s->fn, (void *)&a->out[0].data,
		(void *)&a->in[0].data, (void *)other };
	gpu_launch(a, &s->launch, params);
}

static void run_where(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct select_state *s = a->state;
	void *params[] = { (void *)&s->walk, (void *)&a->out[0].data, (void *)&a->in[0].data,
		(void *)&a->in[1].data, (void *)&a->in[2].data };
	gpu_launch(a, &s->launch, params);
}

enum err_code gpu_prepare_compare(struct prep *p, struct kernel *ret, struct err *err)
{
	struct select_state *s = gpu_state(p, ret, sizeof(*s));
	const struct tensor *in[] = { &p->in[0], &p->in[p->n_in > 1] };
	bool wide;
	char name[32];
	if (!s)
		return err_oom(err);
	s->fn = (int32_t)gpu_compare_of(p->node->op);
	if (!gpu_walk_init(&s->walk, &p->out[0], 2, in, 1, &wide))
		return prep_refuse(err, "so many elements or dimensions");
	snprintf(name, sizeof(name), "compare_%s", gpu_type_name(p->in[0].dtype));
	ret->run = run_compare;
	return gpu_launch_over(p, name, s->walk.count, BLOCK, &s->launch, err);
}

enum err_code gpu_prepare_where(struct prep *p, struct kernel *ret, struct err *err)
{
	struct select_state *s = gpu_state(p, ret, sizeof(*s));
	const struct tensor *in[] = { &p->in[0], &p->in[1], &p->in[2] };
	int size = (int)dtype_bytes(p->out[0].dtype);
	bool wide;
	char name[32];
	if (!s)
		return err_oom(err);
	if (size > 8 || !gpu_walk_init(&s->walk, &p->out[0], 3, in, 16 / size, &wide))
		return prep_refuse(err, "elements of that size, or so many, or so many dimensions");
	snprintf(name, sizeof(name), "where_%d%s", size, wide ? "_wide" : "");
	ret->run = run_where;
	return gpu_launch_over(p, name, s->walk.count, BLOCK, &s->launch, err);
}
