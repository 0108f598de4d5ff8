/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quantize.c -- QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear
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
		(void *)&s->high, (void *)&a->out[0].data, (void *)&a->in[0].data,
		(void *)&a->in[1].data, &zero };
	gpu_launch(a, &s->launch, params);
}

static void run_dequantize(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct quantize_state *s = a->state;
	void *zero = a->n_in > 2 ? a->in[2].data : NULL;
	void *params[] = { (void *)&s->count, (void *)&s->inner, (void *)&s->n,
		(void *)&a->out[0].data, (void *)&a->in[0].data, (void *)&a->in[1].data, &zero };
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
		v = axis_view(&x->shape,
			node_axis(p->node, "axis", x->shape.rank > 1 ? 1 : 0, x->shape.rank));
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
	return x->layout == LAYOUT_PLAIN || one ||
		node_axis(p->node, "axis", 1, x->shape.rank) == 1;
}

enum err_code gpu_prepare_quantize(struct prep *p, struct kernel *ret, struct err *err)
{
	enum dtype to = p->out[0].dtype;
	struct quantize_state *s;
	char name[32];
	if (!dtype_in(to, T(I8) | T(U8)) || p->in[1].dtype != p->in[0].dtype || !takes_layout(p) ||
		node_int(p->node, "precision", 0))
		return prep_refuse(
			err, "a result or a scale of such a type, or along such an axis");
	TRY(new_state(p, ret, &s, err));
	s->low = to == DTYPE_I8 ? INT8_MIN : 0;
	s->high = to == DTYPE_I8 ? INT8_MAX : UINT8_MAX;
	ret->run = run_quantize;
	snprintf(name, sizeof(name), "quantize_%s_%s", gpu_type_name(p->in[0].dtype),
		gpu_type_name(to));
	return gpu_launch_over(p, name, s->count, BLOCK, &s->launch, err);
}

enum err_code gpu_prepare_dequantize(struct prep *p, struct kernel *ret, struct err *err)
{
	enum dtype to = p->out[0].dtype;
	struct quantize_state *s;
	char name[32];
	if (!dtype_in(to, T(F32) | T_HALF) || p->in[1].dtype != to || !takes_layout(p))
		return prep_refuse(
			err, "a result or a scale of such a type, or along such an axis");
	TRY(new_state(p, ret, &s, err));
	ret->run = run_dequantize;
	snprintf(name, sizeof(name), "dequantize_%s_%s", gpu_type_name(p->in[0].dtype),
		gpu_type_name(to));
	return gpu_launch_over(p, name, s->count, BLOCK, &s->launch, err);
}

/* -- DynamicQuantizeLinear --------------------------------------------------------------------- */

struct dynamic_state {
	struct gpu_launch range, quantize;
	uint32_t count, blocks;
};

static void run_dynamic(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct dynamic_state *s = a->state;
	void *scale = a->n_out > 1 ? a->out[1].data : NULL,
	     *zero = a->n_out > 2 ? a->out[2].data : NULL;
	void *range[] = { (void *)&s->count, (void *)&a->scratch, (void *)&a->in[0].data };
	void *quantize[] = { (void *)&s->count, (void *)&s->blocks, (void *)&a->scratch,
		(void *)&a->out[0].data, &scale, &zero, (void *)&a->in[0].data };
	gpu_launch(a, &s->range, range);
	gpu_launch(a, &s->quantize, quantize);
}

enum err_code gpu_prepare_dynamic_quantize(struct prep *p, struct kernel *ret, struct err *err)
{
	int64_t n = tensor_count(&p->in[0]);
	struct dynamic_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (n > INT32_MAX || n == 0)
		return prep_refuse(err, "so many elements, or none");
	s->count = (uint32_t)n;
	ret->run = run_dynamic;
	TRY(gpu_launch_over(p, "dynamic_range", n, BLOCK, &s->range, err));
	s->range.grid[0] = s->range.grid[0] < BLOCK ? s->range.grid[0] : BLOCK;
	s->blocks = s->range.grid[0];
	ret->scratch_bytes = 2 * sizeof(float) * s->blocks;
	return gpu_launch_over(p, "dynamic_quantize", n, BLOCK, &s->quantize, err);
}
