/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generate.c -- Range, OneHot, Trilu
 */
#include <stdio.h>
#include "exec/gpu/walk.h"

#define BLOCK 256

struct generate_state {
	struct gpu_launch launch;
	uint32_t count;
	struct gpu_div a, b;
	int32_t upper;
	int64_t k;
};

static struct generate_state *new_state(struct prep *p, struct kernel *ret, run_fn run)
{
	struct generate_state *s = gpu_state(p, ret, sizeof(*s));
	if (s)
		s->count = (uint32_t)tensor_count(&p->out[0]);
	ret->run = run;
	return s;
}

static enum err_code ready(
	struct prep *p, struct generate_state *s, const char *name, struct err *err)
{
	if (tensor_count(&p->out[0]) > INT32_MAX || dtype_bytes(p->out[0].dtype) > 8)
		return prep_refuse(err, "elements of that size, or so many");
	return gpu_launch_over(p, name, s->count, BLOCK, &s->launch, err);
}

static void run_range(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct generate_state *s = a->state;
	void *params[] = { (void *)&s->count, (void *)&a->out[0].data, (void *)&a->in[0].data,
		(void *)&a->in[2].data };
	gpu_launch(a, &s->launch, params);
}

enum err_code gpu_prepare_range(struct prep *p, struct kernel *ret, struct err *err)
{
	char name[16];
	struct generate_state *s = new_state(p, ret, run_range);
	if (!s)
		return err_oom(err);
	snprintf(name, sizeof(name), "range_%s", gpu_type_name(p->in[0].dtype));
	ret->unread = 2;
	return ready(p, s, name, err);
}

static void run_one_hot(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct generate_state *s = a->state;
	void *params[] = { (void *)&s->count, (void *)&s->a, (void *)&s->b, (void *)&a->out[0].data,
		(void *)&a->in[0].data, (void *)&a->in[2].data };
	gpu_launch(a, &s->launch, params);
}

enum err_code gpu_prepare_one_hot(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *y = &p->out[0].shape;
	struct axis_view v = axis_view(y, node_axis(p->node, "axis", -1, y->rank));
	char name[32];
	struct generate_state *s = new_state(p, ret, run_one_hot);
	if (!s)
		return err_oom(err);
	s->a = gpu_div(v.inner);
	s->b = gpu_div(v.n);
	snprintf(name, sizeof(name), "one_hot_%s_%zu", gpu_type_name(p->in[0].dtype),
		dtype_bytes(p->out[0].dtype));
	ret->unread = 2;
	return ready(p, s, name, err);
}

static void run_trilu(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct generate_state *s = a->state;
	void *params[] = { (void *)&s->count, (void *)&s->a, (void *)&s->b, (void *)&s->upper,
		(void *)&s->k, (void *)&a->out[0].data, (void *)&a->in[0].data };
	gpu_launch(a, &s->launch, params);
}

enum err_code gpu_prepare_trilu(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	int64_t rows = x->dim[x->rank - 2], cols = x->dim[x->rank - 1];
	char name[16];
	struct generate_state *s = new_state(p, ret, run_trilu);
	if (!s)
		return err_oom(err);
	if (gpu_has_in(p, 1) && !p->in[1].data)
		return prep_refuse(err, "a diagonal that is computed");
	int64_t k = gpu_has_in(p, 1) ? tensor_int(&p->in[1], 0) : 0;
	/* Beyond the matrix all are alike; so that k + row does not overflow. */
	s->k = k < -rows - 1 ? -rows - 1 : k > cols + 1 ? cols + 1 : k;
	s->a = gpu_div(cols);
	s->b = gpu_div(rows);
	s->upper = node_int(p->node, "upper", 1) != 0;
	snprintf(name, sizeof(name), "trilu_%zu", dtype_bytes(p->in[0].dtype));
	ret->unread = 2;
	ret->inplace = true;
	return ready(p, s, name, err);
}
