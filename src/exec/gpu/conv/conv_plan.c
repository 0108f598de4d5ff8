/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/conv/conv_plan.h"

#include "exec/gpu/lib/dnn_answers.h"

/* -- the graph -------------------------------------------------------------------------------- */

/* [a, b, spatial...], its second dimension the innermost where channels are last. */
static struct dnn_shape shape(
	const struct conv_spec *s, int64_t a, int64_t b, const int64_t *spatial)
{
	struct dnn_shape r = { .dtype = (enum dtype)s->dtype, .rank = s->spatial + 2,
		.dim = { a, b } };
	int64_t step = s->channels_last ? b : 1;
	for (int i = s->spatial - 1; i >= 0; i--) {
		r.dim[i + 2] = spatial ? spatial[i] : 1;
		r.stride[i + 2] = step;
		step *= r.dim[i + 2];
	}
	r.stride[1] = s->channels_last ? 1 : step;
	r.stride[0] = s->channels_last ? step : step * b;
	return r;
}

bool conv_plan_takes(const struct conv_spec *s)
{
	struct dnn_function f;
	return s->act == ACT_NONE || dnn_activation((enum activation)s->act, s->alpha, s->beta, &f);
}

/* What an operation leaves: y after the last one, floats that nobody sees before. */
static dnn_tensor next(struct dnn_graph *g, const struct dnn_shape *y, int *left)
{
	struct dnn_shape between = *y;
	between.dtype = DTYPE_F32;
	return --*left > 0 ? dnn_virtual(g, &between) : dnn_bound(g, CONV_Y, y);
}

static void convolve(struct dnn_graph *g, const struct conv_spec *s, dnn_tensor y)
{
	struct dnn_windows windows = { .spatial = s->spatial };
	for (int i = 0; i < s->spatial; i++) {
		windows.stride[i] = s->stride[i];
		windows.dilation[i] = s->dilation[i];
		windows.pad_begin[i] = s->pad_begin[i];
		windows.pad_end[i] = s->pad_end[i];
	}
	struct dnn_shape x = shape(s, s->n, s->c, s->in);
	struct dnn_shape w = s->back ? shape(s, s->c, s->k / s->group, s->kernel)
				     : shape(s, s->k, s->c / s->group, s->kernel);
	dnn_tensor from = dnn_bound(g, CONV_X, &x), filters = dnn_bound(g, CONV_W, &w);
	dnn_convolve(g, &windows, s->back != 0, from, filters, y);
}

/* In this order, with floats between, and with a finite bound above, engines that are compiled
   already take it all: conv(x) + z + bias, then ReLU. */
void conv_describe(struct dnn_graph *g, const void *spec)
{
	const struct conv_spec *s = spec;
	static const struct dnn_function add = { .mode = CUDNN_POINTWISE_ADD };
	struct dnn_function act;
	bool acts = dnn_activation((enum activation)s->act, s->alpha, s->beta, &act);
	int left = 1 + (s->z != 0) + (s->bias != 0) + acts;
	struct dnn_shape y = shape(s, s->n, s->k, s->out), b = shape(s, 1, s->k, NULL);
	dnn_tensor at = next(g, &y, &left);
	convolve(g, s, at);
	if (s->z) {
		dnn_tensor sum = next(g, &y, &left);
		dnn_apply(g, &add, at, dnn_bound(g, CONV_Z, &y), sum);
		at = sum;
	}
	if (s->bias) {
		dnn_tensor sum = next(g, &y, &left);
		dnn_apply(g, &add, at, dnn_bound(g, CONV_BIAS, &b), sum);
		at = sum;
	}
	if (acts)
		dnn_apply(g, &act, at, NULL, next(g, &y, &left));
}

enum err_code conv_plan(
	struct prep *p, const struct conv_spec *s, struct dnn_plan **ret, struct err *err)
{
	const struct dnn_question q = { .key = s, .key_bytes = sizeof(*s),
		.describe = conv_describe,
		.limits = { (size_t)s->workspace_bytes, s->forbidden } };
	return dnn_plan_for(p, &q, ret, err);
}
