/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quantize.c -- QuantizeLinear, DequantizeLinear
 */
#include <stdio.h>
#include "exec/gpu/walk.h"

#define BLOCK 256

struct quantize_state {
	struct gpu_launch launch;
	uint32_t count;
	struct gpu_div inner, n;
	float low, high; /* of the quantized type */
};

static void run_quantize(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct quantize_state *s = a->state;
	void *zero = a->n_in > 2 ? a->in[2].data : NULL;
	void *params[] = { (void *)&s->count, (void *)&s->inner, (void *)&s->n, (void *)&s->low,
		(void *)&s->high, (void *)&a->out[0].data, (void *)&a->in[0].data, (void *)&a->in[1].data,
		&zero };
	gpu_launch(a, &s->launch, params);
}

static void run_dequantize(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct quantize_state *s = a->state;
	void *zero = a->n_in > 2 ? a->in[2].data : NULL;
	void *params[] = { (void *)&s->count, (void *)&s->inner, (void *)&s->n, (void *)&a->out[0].data,
		(void *)&a->in[0].data, (void *)&a->in[1].data, &zero };
	gpu_launch(a, &s->launch, params);
}

static enum err_code new_state(
	struct prep *p, struct kernel *ret, struct quantize_state **ret_state, struct err *err)
{
	const struct tensor *x = &p->in[0];
	const struct shape *scale = &p->in[1].shape;
	struct axis_view v = { 1, 1, tensor_count(x) };
	struct quantize_state *s = *ret_state = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (node_int(p->node, "block_size", 0) || tensor_count(x) > INT32_MAX)
		return prep_refuse(err, "scales of blocks, or so many elements");
	if (scale->rank == 1 && scale->dim[0] != 1)
		v = axis_view(
			&x->shape, node_axis(p->node, "axis", x->shape.rank > 1 ? 1 : 0, x->shape.rank));
	if (x->layout == LAYOUT_NHWC && v.n != 1 && v.n == x->shape.dim[1])
		v.inner = 1;
	s->count = (uint32_t)tensor_count(x);
	s->inner = gpu_div(v.inner);
	s->n = gpu_div(v.n);
	ret->out_layout = x->layout;
	return ERR_OK;
}

/* Channels last take scales of channels only. */
static bool takes_layout(const struct prep *p)
{
	const struct tensor *x = &p->in[0];
	bool one = tensor_count(&p->in[1]) == 1;
	return x->layout == LAYOUT_PLAIN || one || node_axis(p->node, "axis", 1, x->shape.rank) == 1;
}

enum err_code gpu_prepare_quantize(struct prep *p, struct kernel *ret, struct err *err)
{
	enum dtype to = p->out[0].dtype;
	struct quantize_state *s;
	char name[32];
	if (!dtype_in(to, T(I8) | T(U8)) || p->in[1].dtype != p->in[0].dtype || !takes_layout(p) ||
		node_int(p->node, "precision", 0))
		return prep_refuse(err, "a result or a scale of such a type, or along such an axis");
	TRY(new_state(p, ret, &s, err));
	s->low = to == DTYPE_I8 ? INT8_MIN : 0;
	s->high = to == DTYPE_I8 ? INT8_MAX : UINT8_MAX;
	ret->run = run_quantize;
	snprintf(name, sizeof(name), "quantize_%s_%s", gpu_type_name(p->in[0].dtype), gpu_type_name(to));
	return gpu_launch_over(p, name, s->count, BLOCK, &s->launch, err);
}

enum err_code gpu_prepare_dequantize(struct prep *p, struct kernel *ret, struct err *err)
{
	enum dtype to = p->out[0].dtype;
	struct quantize_state *s;
	char name[32];
	if (!dtype_in(to, T(F32) | T_HALF) || p->in[1].dtype != to || !takes_layout(p))
		return prep_refuse(err, "a result or a scale of such a type, or along such an axis");
	TRY(new_state(p, ret, &s, err));
	ret->run = run_dequantize;
	snprintf(name, sizeof(name), "dequantize_%s_%s", gpu_type_name(p->in[0].dtype), gpu_type_name(to));
	return gpu_launch_over(p, name, s->count, BLOCK, &s->launch, err);
}
