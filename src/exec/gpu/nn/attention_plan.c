/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/nn/attention_plan.h"

#include <string.h>
#include "exec/gpu/lib/dnn_answers.h"

#define WORKSPACE_BYTES_MAX ((size_t)256 << 20)

static struct dnn_shape shape(const struct sdpa_spec *s, const struct sdpa_tensor *t)
{
	struct dnn_shape r = { .dtype = (enum dtype)s->dtype, .rank = 4 };
	memcpy(r.dim, t->dim, sizeof(t->dim));
	memcpy(r.stride, t->stride, sizeof(t->stride));
	return r;
}

/* [batch, heads, queries, n], one after the other. */
static struct dnn_shape between(const struct sdpa_spec *s, enum dtype dtype, int64_t n)
{
	const int64_t *q = s->q.dim;
	return (struct dnn_shape){ dtype, 4, { q[0], q[1], q[2], n },
		{ q[1] * q[2] * n, q[2] * n, n, 1 } };
}

static dnn_tensor apply(struct dnn_graph *g, cudnnPointwiseMode_t mode, dnn_tensor x, dnn_tensor b,
	const struct dnn_shape *shape)
{
	struct dnn_function f = { .mode = mode };
	dnn_tensor y = dnn_virtual(g, shape);
	dnn_apply(g, &f, x, b, y);
	return y;
}

static dnn_tensor reduce(
	struct dnn_graph *g, cudnnReduceTensorOp_t how, dnn_tensor x, const struct dnn_shape *shape)
{
	dnn_tensor y = dnn_virtual(g, shape);
	dnn_reduce(g, how, x, y);
	return y;
}

/* The engine wants the logarithm of the sum too, which training would read, and the weights
   in the operands' own type. */
static dnn_tensor softmax(struct dnn_graph *g, const struct sdpa_spec *s, dnn_tensor x)
{
	struct dnn_shape scores = between(s, DTYPE_F32, s->k.dim[2]),
			 row = between(s, DTYPE_F32, 1);
	struct dnn_shape weights = between(s, (enum dtype)s->dtype, s->k.dim[2]);
	dnn_tensor top = reduce(g, CUDNN_REDUCE_TENSOR_MAX, x, &row);
	x = apply(g, CUDNN_POINTWISE_SUB, x, top, &scores);
	x = apply(g, CUDNN_POINTWISE_EXP, x, NULL, &scores);
	dnn_tensor sum = reduce(g, CUDNN_REDUCE_TENSOR_ADD, x, &row);
	apply(g, CUDNN_POINTWISE_ADD, top, apply(g, CUDNN_POINTWISE_LOG, sum, NULL, &row), &row);
	return apply(g, CUDNN_POINTWISE_DIV, x, sum, &weights);
}

void sdpa_describe(struct dnn_graph *g, const void *spec)
{
	const struct sdpa_spec *s = spec;
	struct dnn_shape q = shape(s, &s->q), k = shape(s, &s->k), v = shape(s, &s->v),
			 y = shape(s, &s->y);
	struct dnn_shape scores = between(s, DTYPE_F32, s->k.dim[2]), mask = shape(s, &s->mask);
	struct dnn_shape turned = k;
	turned.dim[2] = k.dim[3];
	turned.dim[3] = k.dim[2];
	turned.stride[2] = k.stride[3];
	turned.stride[3] = k.stride[2];
	dnn_tensor x = dnn_virtual(g, &scores);
	dnn_multiply(g, dnn_bound(g, SDPA_Q, &q), dnn_bound(g, SDPA_K, &turned), x);
	x = apply(g, CUDNN_POINTWISE_MUL, x, dnn_number(g, SDPA_SCALE, 4), &scores);
	if (mask.dim[0])
		x = apply(g, CUDNN_POINTWISE_ADD, x, dnn_bound(g, SDPA_MASK, &mask), &scores);
	x = softmax(g, s, x);
	dnn_multiply(g, x, dnn_bound(g, SDPA_V, &v), dnn_bound(g, SDPA_Y, &y));
}

enum err_code sdpa_plan(
	struct prep *p, const struct sdpa_spec *s, struct dnn_plan **ret, struct err *err)
{
	const struct dnn_question q = { .key = s, .key_bytes = sizeof(*s),
		.describe = sdpa_describe,
		.limits = { WORKSPACE_BYTES_MAX, 1U << CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC } };
	return dnn_plan_for(p, &q, ret, err);
}
