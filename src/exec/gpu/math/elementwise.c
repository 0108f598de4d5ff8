/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elementwise.c -- operators of one and two operands, and those that fold several
 */
#include <math.h>
#include <stdio.h>
#include "exec/gpu/math/functions.h"
#include "exec/gpu/walk.h"
#include "exec/unary.h"

#define BLOCK 256
#define NAME_MAX_ 40

/* -- one operand ------------------------------------------------------------------------------ */

struct unary_state {
	struct gpu_launch launch;
	uint32_t count;
	struct gpu_call call;
};

static void run_unary(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct unary_state *s = a->state;
	void *params[] = { (void *)&s->count, (void *)&s->call, (void *)&a->out[0].data,
		(void *)&a->in[0].data };
	gpu_launch(a, &s->launch, params);
}

static void run_not(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct unary_state *s = a->state;
	void *params[] = { (void *)&s->count, (void *)&a->out[0].data, (void *)&a->in[0].data };
	gpu_launch(a, &s->launch, params);
}

static enum err_code prepare_call(
	struct prep *p, struct kernel *ret, const struct unary_call *call, struct err *err)
{
	const struct tensor *in = &p->in[0];
	int64_t n = tensor_count(in);
	int wide = 16 / (int)dtype_bytes(in->dtype);
	char name[NAME_MAX_];
	struct unary_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (n > INT32_MAX)
		return prep_refuse(err, "so many elements");
	wide = n % wide == 0 ? wide : 1;
	snprintf(name, sizeof(name), "map1_%s%s%s", gpu_type_name(in->dtype),
		wide > 1 ? "_wide" : "",
		dtype_in(in->dtype, T_FLOAT) ? gpu_own_suffix((int32_t)call->id) : "");
	s->count = (uint32_t)(n / wide);
	s->call = (struct gpu_call){ (int32_t)call->id, call->alpha, call->beta };
	ret->run = run_unary;
	ret->inplace = true;
	ret->out_layout = in->layout;
	return gpu_launch_over(p, name, s->count, BLOCK, &s->launch, err);
}

enum err_code gpu_prepare_unary(struct prep *p, struct kernel *ret, struct err *err)
{
	struct unary_call call;
	return unary_of(p->node, &call) ? prepare_call(p, ret, &call, err)
					: prep_refuse(err, "a function of another kind");
}

enum err_code gpu_prepare_not(struct prep *p, struct kernel *ret, struct err *err)
{
	struct unary_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (tensor_count(&p->in[0]) > INT32_MAX)
		return prep_refuse(err, "so many elements");
	s->count = (uint32_t)tensor_count(&p->in[0]);
	ret->run = run_not;
	ret->inplace = true;
	ret->out_layout = p->in[0].layout;
	return gpu_launch_over(p, "map1_not", s->count, BLOCK, &s->launch, err);
}

/* A bound that is known, or that is left out. */
static bool known_bound(const struct prep *p, int i, float otherwise, float *ret)
{
	*ret = gpu_has_in(p, i) && p->in[i].data ? (float)tensor_float(&p->in[i], 0) : otherwise;
	return !gpu_has_in(p, i) || p->in[i].data;
}

enum err_code gpu_prepare_clip(struct prep *p, struct kernel *ret, struct err *err)
{
	struct unary_call call = { .id = UNARY_CLIP };
	if (!known_bound(p, 1, -INFINITY, &call.alpha) || !known_bound(p, 2, INFINITY, &call.beta))
		return prep_refuse(err, "bounds that are computed");
	call.alpha = fminf(call.alpha, call.beta); /* of crossed bounds the upper one wins */
	ret->unread = 6;
	return prepare_call(p, ret, &call, err);
}

/* -- two operands ------------------------------------------------------------------------------ */

struct binary_state {
	struct gpu_launch launch;
	struct gpu_walk walk;
	struct gpu_call call;
};

static void launch_binary(const struct kernel_args *a, const struct binary_state *s,
	void *const *left, void *const *right)
{
	struct gpu_complaint f = gpu_complaint(a, FAULT_DIVIDE);
	void *params[] = { (void *)&s->walk, (void *)&s->call, (void *)&a->out[0].data,
		(void *)left, (void *)right, &f };
	gpu_launch(a, &s->launch, params);
}

static void run_binary(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	launch_binary(a, a->state, &a->in[0].data, &a->in[1].data);
}

/* out: with its layout. */
static enum err_code prepare_pair(const struct prep *p, const struct tensor *out,
	const struct tensor *left, const struct tensor *right, struct binary_state *s,
	struct err *err)
{
	const struct tensor *in[] = { left, right };
	bool wide;
	char name[NAME_MAX_];
	if (!gpu_walk_init(&s->walk, out, 2, in, 16 / (int)dtype_bytes(out->dtype), &wide))
		return prep_refuse(err, "so many elements or dimensions");
	snprintf(name, sizeof(name), "map2_%s%s", gpu_type_name(out->dtype), wide ? "_wide" : "");
	return gpu_launch_over(p, name, s->walk.count, BLOCK, &s->launch, err);
}

enum layout gpu_common_layout(const struct prep *p)
{
	for (int i = 0; i < p->n_in; i++)
		if (p->in[i].layout == LAYOUT_NHWC &&
			shape_equal(&p->in[i].shape, &p->out[0].shape))
			return LAYOUT_NHWC;
	return LAYOUT_PLAIN;
}

static bool may_be_in_place(const struct prep *p, const struct kernel *k)
{
	return shape_equal(&p->in[0].shape, &p->out[0].shape) && p->in[0].layout == k->out_layout &&
	       p->in[0].dtype == p->out[0].dtype;
}

enum err_code gpu_prepare_binary(struct prep *p, struct kernel *ret, struct err *err)
{
	struct binary_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->call.fn = (int32_t)gpu_binary_of(p->node, p->in[0].dtype);
	if (s->call.fn == GPU_BINARY_COUNT || p->in[1].dtype != p->in[0].dtype)
		return prep_refuse(err, "operands of such types");
	ret->out_layout = gpu_common_layout(p);
	struct tensor out = p->out[0];
	out.layout = ret->out_layout;
	ret->run = run_binary;
	ret->inplace = may_be_in_place(p, ret);
	return prepare_pair(p, &out, &p->in[0], &p->in[1], s, err);
}

/* -- several operands: the first two, then the result with each that follows ------------------- */

struct fold_state {
	int n;
	struct binary_state step[];
};

static void run_fold(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct fold_state *s = a->state;
	for (int i = 0; i < s->n; i++)
		launch_binary(
			a, &s->step[i], i ? &a->out[0].data : &a->in[0].data, &a->in[i + 1].data);
}

enum err_code gpu_prepare_fold(struct prep *p, struct kernel *ret, struct err *err)
{
	bool sums = p->node->op == OP_SUM || p->node->op == OP_MEAN;
	if (p->n_in < 2 || (p->n_in > 2 && sums && dtype_in(p->out[0].dtype, T_HALF)))
		return prep_refuse(err, "a copy, or sums that would be rounded on the way");
	struct fold_state *s =
		gpu_state(p, ret, sizeof(*s) + (size_t)(p->n_in - 1) * sizeof(s->step[0]));
	if (!s)
		return err_oom(err);
	s->n = p->n_in - 1;
	ret->out_layout = gpu_common_layout(p);
	struct tensor out = p->out[0];
	out.layout = ret->out_layout;
	for (int i = 0; i < s->n; i++) {
		struct tensor left = i ? out : p->in[0];
		s->step[i].call.fn = (int32_t)gpu_binary_of(p->node, p->in[0].dtype);
		if (p->node->op == OP_MEAN && i == s->n - 1)
			s->step[i].call =
				(struct gpu_call){ GPU_SCALED_SUM, 1.0f / (float)p->n_in, 0 };
		TRY(prepare_pair(p, &out, &left, &p->in[i + 1], &s->step[i], err));
	}
	ret->run = run_fold;
	ret->inplace = may_be_in_place(p, ret);
	return ERR_OK;
}
