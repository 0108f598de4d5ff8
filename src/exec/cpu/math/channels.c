/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch-, Instance- and GroupNormalization of floats: a channel of an image is a row, whose every
 * element meets the same two numbers; of images in blocks, every pixel of a block the same vectors.
 * Compiled once per instruction set; ISA is avx2 or avx512.
 */
#include "exec/cpu/math/vec_sums.h"

#include "exec/cpu/types.h"

struct channels_state {
	struct split split; /* of channels of an image, or groups of them */
	int64_t channels, inner, groups;
	double epsilon;
};

static void scale_row(float *y, const float *x, int64_t n, float mean, float scale, float bias)
{
	IVDEP for (int64_t i = 0; i < n; i++)
		y[i] = (x[i] - mean) * scale + bias;
}

static void run_batch_norm(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct channels_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++) {
		int64_t c = i % s->channels;
		double scale =
			tensor_float(&a->in[1], c) / sqrt(tensor_float(&a->in[4], c) + s->epsilon);
		scale_row((float *)a->out[0].data + i * s->inner,
			(const float *)a->in[0].data + i * s->inner, s->inner,
			(float)tensor_float(&a->in[3], c), (float)scale,
			(float)tensor_float(&a->in[2], c));
	}
}

/* What a block's channels are scaled by, and what is added then. */
static void block_numbers(const struct kernel_args *a, const struct channels_state *s,
	int64_t first, vec *ret_mean, vec *ret_scale, vec *ret_bias)
{
	for (int64_t i = 0; i < VEC_FLOATS; i++) {
		double deviation = sqrt(tensor_float(&a->in[4], first + i) + s->epsilon);
		(*ret_mean)[i] = (float)tensor_float(&a->in[3], first + i);
		(*ret_scale)[i] = (float)(tensor_float(&a->in[1], first + i) / deviation);
		(*ret_bias)[i] = (float)tensor_float(&a->in[2], first + i);
	}
}

static void run_batch_norm_blocks(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct channels_state *s = a->state;
	int64_t from, to, blocks = s->channels / VEC_FLOATS;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++) {
		const vec *x = (const vec *)a->in[0].data + i * s->inner;
		vec *y = (vec *)a->out[0].data + i * s->inner, mean, scale, bias;
		block_numbers(a, s, i % blocks * VEC_FLOATS, &mean, &scale, &bias);
		for (int64_t k = 0; k < s->inner; k++)
			y[k] = (x[k] - mean) * scale + bias;
	}
}

static void run_group_norm(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct channels_state *s = a->state;
	int64_t from, to, per = s->channels / s->groups, n = per * s->inner;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++) {
		const float *x = (const float *)a->in[0].data + i * n;
		float *y = (float *)a->out[0].data + i * n;
		float mean = (float)(sum_powers_long(x, n, 0, false) / (double)n);
		double deviation = sqrt(sum_powers_long(x, n, mean, true) / (double)n + s->epsilon);
		for (int64_t k = 0; k < per; k++) {
			int64_t c = i % s->groups * per + k;
			scale_row(y + k * s->inner, x + k * s->inner, s->inner, mean,
				(float)(tensor_float(&a->in[1], c) / deviation),
				(float)tensor_float(&a->in[2], c));
		}
	}
}

static enum err_code prepare_channels(
	struct prep *p, struct kernel *ret, run_fn run, int64_t groups, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	if (x->rank < 2)
		return prep_refuse(err, "no channels");
	struct channels_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->channels = x->dim[1];
	s->inner = shape_count_range(x, 2, x->rank);
	s->groups = groups ? groups : s->channels;
	s->epsilon = (double)node_float(p->node, "epsilon", 1e-5f);
	int64_t each = s->groups ? s->channels / s->groups * s->inner : 0;
	s->split = split_work(p, ret, each ? x->dim[0] * s->groups : 0, 20 + 0.3 * (double)each);
	ret->run = run;
	ret->inplace = true;
	return ERR_OK;
}

enum err_code VEC_NAME(prepare_batch_norm_channels)(
	struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	enum layout layout = p->in[0].layout;
	bool plain = layout == LAYOUT_PLAIN;
	if (node_int(p->node, "training_mode", 0) || (!plain && layout != VEC_LAYOUT))
		return prep_refuse(err, "training, or another processor's layout");
	if (plain && shape_count_range(x, x->rank < 2 ? x->rank : 2, x->rank) < VEC_FLOATS)
		return prep_refuse(err, "channels that are innermost");
	TRY(prepare_channels(p, ret, plain ? run_batch_norm : run_batch_norm_blocks,
		plain ? 0 : x->dim[1] / VEC_FLOATS, err));
	ret->out_layout = layout;
	return ERR_OK;
}

enum err_code VEC_NAME(prepare_group_norm_channels)(
	struct prep *p, struct kernel *ret, struct err *err)
{
	int64_t groups = p->node->op == OP_GROUP_NORM ? node_int(p->node, "num_groups", 1) : 0;
	return prepare_channels(p, ret, run_group_norm, groups, err);
}
