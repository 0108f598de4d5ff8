/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/conv/depthwise.h"

#include <stdio.h>
#include <string.h>
#include "exec/gpu/walk.h"
#include "exec/unary.h"

#define BLOCK 128
#define WIDE_BYTES 16

struct depthwise_state {
	struct gpu_launch launch;
	struct gpu_depthwise d;
	void *weights; /* taps first, on the device; NULL: as the node brings them */
};

static void *data_of(const struct kernel_args *a, int i)
{
	return i < a->n_in ? a->in[i].data : NULL;
}

static void run_depthwise(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct depthwise_state *s = a->state;
	void *weights = s->weights ? s->weights : a->in[1].data, *bias = data_of(a, 2),
	     *z = data_of(a, 3);
	void *params[] = { (void *)&s->d, (void *)&a->out[0].data, (void *)&a->in[0].data, &weights,
		&bias, &z };
	gpu_launch(a, &s->launch, params);
}

/* -- weights ----------------------------------------------------------------------------------- */

struct weights_key {
	const void *data;
	int32_t form, unused;
};
#define TAPS_FIRST 2 /* conv.c's forms have other numbers */

static void pack_taps_first(void *dst, void *ctx)
{
	const struct tensor *w = ctx;
	size_t size = dtype_bytes(w->dtype);
	int64_t channels = w->shape.dim[0], taps = tensor_count(w) / channels;
	for (int64_t c = 0; c < channels; c++)
		for (int64_t t = 0; t < taps; t++)
			memcpy((char *)dst + (size_t)(t * channels + c) * size,
				(const char *)w->data + (size_t)(c * taps + t) * size, size);
}

static enum err_code pack_weights(
	struct prep *p, struct depthwise_state *s, struct kernel *ret, struct err *err)
{
	struct tensor w = p->in[1];
	struct weights_key key = { w.data, TAPS_FIRST, 0 };
	if (!w.data)
		return prep_refuse(err, "weights that are computed, with channels last");
	ret->unread |= 1U << 1;
	return gpu_pack(
		p, &key, sizeof(key), tensor_bytes(&w), pack_taps_first, &w, &s->weights, err);
}

/* -- prepare ----------------------------------------------------------------------------------- */

static bool is_depthwise(const struct prep *p, const struct conv_spec *s)
{
	bool apart = gpu_has_in(p, 3) && p->in[3].layout != p->in[0].layout;
	return !s->back && s->spatial == 2 && s->group == s->c && s->k == s->c && !apart &&
	       tensor_count(&p->in[0]) <= INT32_MAX && tensor_count(&p->out[0]) <= INT32_MAX;
}

static struct gpu_depthwise numbers(
	const struct prep *p, const struct conv_spec *s, bool last, int64_t wide)
{
	struct unary_call call;
	int64_t inner = last ? s->c / wide : 1,
		strips = (s->out[0] + GPU_DEPTHWISE_ROWS - 1) / GPU_DEPTHWISE_ROWS;
	struct gpu_depthwise d = { .count = (uint32_t)(s->n * (last ? 1 : s->c) * strips * s->out[1] * inner),
		.inner = gpu_div(inner), .columns = gpu_div(s->out[1]), .strips = gpu_div(strips),
		.channels = gpu_div(s->c), .rows = (int32_t)s->out[0], .last = last, .call.fn = GPU_NO_CALL };
	for (int i = 0; i < 2; i++) {
		d.in[i] = (int32_t)s->in[i];
		d.kernel[i] = (int32_t)s->kernel[i];
		d.stride[i] = (int32_t)s->stride[i];
		d.dilation[i] = (int32_t)s->dilation[i];
		d.pad[i] = (int32_t)s->pad_begin[i];
	}
	if (unary_of_activation(p->node, &call))
		d.call = (struct gpu_call){ (int32_t)call.id, call.alpha, call.beta };
	return d;
}

/* What windows reach, at most, is counted by 32 bits. */
static bool is_small(const struct conv_spec *s)
{
	for (int i = 0; i < 2; i++) {
		int64_t most = INT32_MAX / 4;
		if (s->stride[i] > most / (s->out[i] + GPU_DEPTHWISE_ROWS) ||
			s->dilation[i] > most / s->kernel[i] || s->pad_begin[i] > most)
			return false;
	}
	return true;
}

enum err_code depthwise_prepare(
	struct prep *p, const struct conv_spec *s, struct kernel *ret, struct err *err)
{
	bool last = p->in[0].layout == LAYOUT_NHWC;
	int64_t most = WIDE_BYTES / (int64_t)dtype_bytes(p->in[0].dtype),
		wide = last && s->c % most == 0 ? most : 1;
	char name[24];
	if (!is_depthwise(p, s) || !is_small(s))
		return prep_refuse(err, "not each channel by itself");
	struct depthwise_state *st = gpu_state(p, ret, sizeof(*st));
	if (!st)
		return err_oom(err);
	if (last)
		TRY(pack_weights(p, st, ret, err));
	st->d = numbers(p, s, last, wide);
	snprintf(name, sizeof(name), "depthwise_%s%s", gpu_type_name(p->in[0].dtype),
		wide > 1 ? "_wide" : "");
	ret->out_layout = p->in[0].layout;
	ret->run = run_depthwise;
	return gpu_launch_over(p, name, st->d.count, BLOCK, &st->launch, err);
}
