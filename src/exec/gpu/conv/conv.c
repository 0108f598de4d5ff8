/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conv.c -- Conv, FusedConv and ConvTranspose by cuDNN; of each channel by itself, and of few
 * channels, by kernels of ours
 *
 * DESIGN
 *
 * There are several ways to do one: channels last or first, and with everything in the
 * library's plan, or without the activation, or the bare convolution, the rest being a kernel of
 * ours behind it (finish.h). They are tried best first; the first that the library has an
 * engine for is taken. Tensor cores want channels last, with filters packed accordingly
 * once per version; plain floats are summed by other engines, which want them first.
 *
 * A result that lies channels last leaves as LAYOUT_NHWC; an operand that comes plain is
 * turned in the scratch.
 *
 * NOT DONE
 *
 * Filters that are no constants with channels last; channels that are padded to a multiple of 8:
 * the library pads by itself where its engines want that.
 */
#include <string.h>
#include "base/checked.h"
#include "exec/gpu/conv/depthwise.h"
#include "exec/gpu/conv/pointwise.h"
#include "exec/gpu/conv/stem.h"
#include "exec/gpu/math/finish.h"
#include "exec/gpu/move/relayout.h"
#include "exec/gpu/rivals.h"
#include "exec/attrs.h"
#include "exec/infer/conv_geometry.h"

#define WORKSPACE_BYTES_MAX ((int64_t)256 << 20)
#define ALIGN 256

struct conv_state {
	struct dnn_plan *plan;
	struct finish finish;
	struct relayout x, z;
	void *filters, *zeros; /* on the device; NULL: as the node brings them, none */
	bool bias, has_z;      /* are in the plan */
	size_t workspace_at;
};

/* -- run --------------------------------------------------------------------------------------- */

static void bind(struct dnn_binding *b, enum conv_operand id, void *at)
{
	b->id[b->n] = id;
	b->at[b->n++] = at;
}

static void run_conv(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct conv_state *s = a->state;
	char *scratch = (char *)(((uintptr_t)a->scratch + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
	void *z = a->n_in > 3 && a->in[3].data ? relayout_run(&s->z, a, scratch, a->in[3].data)
					       : NULL;
	void *bias = s->zeros ? s->zeros : a->n_in > 2 ? a->in[2].data : NULL;
	struct dnn_binding b = { .workspace = scratch + s->workspace_at };
	bind(&b, CONV_X, relayout_run(&s->x, a, scratch, a->in[0].data));
	bind(&b, CONV_W, s->filters ? s->filters : a->in[1].data);
	bind(&b, CONV_Y, a->out[0].data);
	if (s->bias)
		bind(&b, CONV_BIAS, bias);
	if (s->has_z)
		bind(&b, CONV_Z, z);
	dnn_run(s->plan, a, gpu_lane_dnn(a->device->lane), &b);
	finish_run_with(&s->finish, a, (const void *[]){ bias, z });
}

/* -- the numbers ------------------------------------------------------------------------------- */

/* Axis i of the geometry as axis `to` of the plan. false: a library's convolution is not like
   that. */
static bool set_axis(const struct conv_geometry *g, int i, bool back, struct conv_spec *s, int to)
{
	int64_t extent = (g->kernel[i] - 1) * g->dilation[i] + 1;
	int64_t large = back ? g->out[i] : g->in[i], small = back ? g->in[i] : g->out[i];
	int64_t end = (small - 1) * g->stride[i] + extent - large - g->pad_begin[i];
	s->in[to] = g->in[i];
	s->out[to] = g->out[i];
	s->kernel[to] = g->kernel[i];
	s->stride[to] = g->stride[i];
	s->dilation[to] = g->dilation[i];
	s->pad_begin[to] = g->pad_begin[i];
	s->pad_end[to] = end > 0 ? end : 0;
	return g->pad_begin[i] >= 0 &&
	       (large + s->pad_begin[to] + s->pad_end[to] - extent) / g->stride[i] + 1 == small;
}

static const uint32_t inexact =
	1U << CUDNN_NUMERICAL_NOTE_WINOGRAD | 1U << CUDNN_NUMERICAL_NOTE_FFT;
static const uint32_t tensor_cores =
	1U << CUDNN_NUMERICAL_NOTE_TENSOR_CORE | 1U << CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS;

/* Equal inputs give equal bits, and what is summed is summed as floats. */
static uint32_t forbidden(const struct prep *p)
{
	uint32_t always = 1U << CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC |
			  1U << CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION;
	if (p->precision == PRECISION_EXACT)
		always |= inexact;
	if (p->in[0].dtype != DTYPE_F32)
		return always;
	switch (p->precision) {
	case PRECISION_BF16:
	case PRECISION_FP16: return always;
	case PRECISION_TF32: return always | 1U << CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS;
	default: return always | tensor_cores;
	}
}

/* What all ways have in common. */
static enum err_code describe(struct prep *p, struct conv_spec *s, struct err *err)
{
	struct conv_geometry g;
	bool back = p->node->op == OP_CONV_TRANSPOSE;
	memset(s, 0, sizeof(*s)); /* it is a key */
	TRY((back ? conv_transpose_geometry : conv_geometry)(
		p->node, &p->in[0].shape, &p->in[1].shape, &g, err));
	if (g.spatial > CONV_SPATIAL_MAX)
		return prep_refuse(err, "more than three dimensions of space");
	s->backend = p->backend;
	s->dtype = (int32_t)p->in[0].dtype;
	s->n = p->in[0].shape.dim[0];
	s->c = p->in[0].shape.dim[1];
	s->k = p->out[0].shape.dim[1];
	s->group = g.group;
	s->back = back;
	s->forbidden = forbidden(p);
	s->workspace_bytes = WORKSPACE_BYTES_MAX;
	int line = g.spatial == 1; /* is an image of one row */
	s->spatial = g.spatial + line;
	if (line)
		s->in[0] = s->out[0] = s->kernel[0] = s->stride[0] = s->dilation[0] = 1;
	for (int i = 0; i < g.spatial; i++)
		if (!set_axis(&g, i, back, s, i + line))
			return prep_refuse(err, "windows that cuDNN does not have");
	return ERR_OK;
}

/* -- filters ----------------------------------------------------------------------------------- */

struct filter_key {
	const void *data;
	int32_t form, unused;
};
enum filter_form { FILTERS_CHANNELS_LAST = 1 };

static void pack_channels_last(void *dst, void *ctx)
{
	const struct tensor *w = ctx;
	size_t size = dtype_bytes(w->dtype);
	int64_t k = w->shape.dim[0], c = w->shape.dim[1],
		taps = shape_count_range(&w->shape, 2, w->shape.rank);
	for (int64_t i = 0; i < k; i++)
		for (int64_t j = 0; j < c; j++)
			for (int64_t t = 0; t < taps; t++)
				memcpy((char *)dst + (size_t)((i * taps + t) * c + j) * size,
					(const char *)w->data +
						(size_t)((i * c + j) * taps + t) * size,
					size);
}

static enum err_code pack_filters(
	struct prep *p, struct conv_state *s, struct kernel *ret, struct err *err)
{
	struct tensor w = p->in[1];
	struct filter_key key = { w.data, FILTERS_CHANNELS_LAST, 0 };
	ret->unread |= 1U << 1;
	return gpu_pack(
		p, &key, sizeof(key), tensor_bytes(&w), pack_channels_last, &w, &s->filters, err);
}

static void fill_zeros(void *dst, void *ctx)
{
	(void)dst, (void)ctx; /* it comes zeroed */
}

/* Engines that are compiled already apply an activation behind a bias only. */
static enum err_code make_zeros(
	struct prep *p, int64_t channels, struct conv_state *s, struct err *err)
{
	struct filter_key key = { &inexact, (int32_t)channels, (int32_t)p->in[0].dtype };
	size_t bytes = (size_t)channels * dtype_bytes(p->in[0].dtype);
	return gpu_pack(p, &key, sizeof(key), bytes, fill_zeros, NULL, &s->zeros, err);
}

/* -- the ways ---------------------------------------------------------------------------------- */

/* How much of the node is in the plan. */
enum extent { ALL, BEFORE_ACTIVATION, BARE, EXTENTS };

static void leave_to_finish(const struct prep *p, const struct conv_spec *s, struct conv_state *st)
{
	struct gpu_finish *f = &st->finish.f;
	int64_t places = f->count / s->n / s->k;
	bool last = s->channels_last;
	f->rank = 3;
	f->dim[0] = s->n;
	f->dim[1] = last ? places : s->k;
	f->dim[2] = last ? s->k : places;
	if (gpu_has_in(p, 2)) {
		st->finish.add[0] = 2;
		f->scale[0] = 1;
		f->stride[0][last ? 2 : 1] = 1;
	}
	if (gpu_has_in(p, 3)) {
		st->finish.add[1] = 3;
		f->scale[1] = 1;
		f->stride[1][0] = s->k * places;
		f->stride[1][1] = f->dim[2];
		f->stride[1][2] = 1;
	}
}

/* Whose is what: the plan's, or the finish's. */
static enum err_code divide(struct prep *p, enum extent extent, struct conv_spec *s,
	struct conv_state *st, struct err *err)
{
	finish_init(&st->finish, p);
	s->bias = s->z = 0;
	s->act = ACT_NONE;
	s->alpha = s->beta = 0;
	if (extent == BARE) {
		leave_to_finish(p, s, st);
		return ERR_OK;
	}
	s->bias = gpu_has_in(p, 2);
	s->z = gpu_has_in(p, 3);
	if (extent == ALL) {
		s->act = (int32_t)node_int(p->node, "activation", ACT_NONE);
		s->alpha = st->finish.f.call.alpha;
		s->beta = st->finish.f.call.beta;
		st->finish.f.call.fn = GPU_NO_CALL;
	}
	if (!s->bias && (s->z || s->act != ACT_NONE)) {
		s->bias = 1;
		return make_zeros(p, s->k, st, err);
	}
	return ERR_OK;
}

/* Is it a way of its own for this node? */
static bool is_worth_it(const struct prep *p, enum extent extent, const struct conv_spec *s)
{
	bool acts = node_int(p->node, "activation", ACT_NONE) != ACT_NONE;
	bool adds = gpu_has_in(p, 2) || gpu_has_in(p, 3);
	switch (extent) {
	case ALL: return !s->back && (acts || adds);
	case BEFORE_ACTIVATION: return !s->back && acts && adds;
	default: return true;
	}
}

static enum err_code try_way(struct prep *p, bool last, enum extent extent, struct conv_spec *s,
	struct kernel *ret, struct err *err)
{
	struct conv_state *st = gpu_state(p, ret, sizeof(*st));
	enum layout layout = last ? LAYOUT_NHWC : LAYOUT_PLAIN;
	size_t scratch = 0;
	if (!st)
		return err_oom(err);
	s->channels_last = last;
	ret->unread = 0;
	TRY(divide(p, extent, s, st, err));
	if (!conv_plan_takes(s))
		return prep_refuse(err, "cuDNN has no such activation");
	TRY(conv_plan(p, s, &st->plan, err));
	TRY(finish_prepare(&st->finish, p, err));
	TRY(relayout_prepare(p, &p->in[0], layout, &st->x, &scratch, err));
	if (gpu_has_in(p, 3))
		TRY(relayout_prepare(p, &p->in[3], layout, &st->z, &scratch, err));
	if (last)
		TRY(pack_filters(p, st, ret, err));
	st->bias = s->bias;
	st->has_z = s->z;
	st->workspace_at = scratch;
	scratch += dnn_workspace_bytes(st->plan);
	ret->scratch_bytes = scratch ? scratch + ALIGN : 0;
	ret->out_layout = layout;
	ret->run = run_conv;
	return ERR_OK;
}

static enum err_code try_layout(
	struct prep *p, bool last, struct conv_spec *s, struct kernel *ret, struct err *err)
{
	enum err_code rc = ERR_UNIMPLEMENTED;
	if (last && (p->in[0].shape.rank != 4 || !p->in[1].data))
		return prep_refuse(
			err, "channels last are for images, and for filters that are constant");
	for (enum extent e = ALL; e < EXTENTS && rc == ERR_UNIMPLEMENTED; e++)
		if (is_worth_it(p, e, s))
			rc = try_way(p, last, e, s, ret, err);
	return rc;
}

static enum err_code prepare_by_library(
	struct prep *p, bool turned, struct conv_spec *s, struct kernel *ret, struct err *err)
{
	bool last = turned || (s->forbidden & tensor_cores) != tensor_cores;
	enum err_code rc = try_layout(p, last, s, ret, err);
	if (rc == ERR_UNIMPLEMENTED && !turned)
		rc = try_layout(p, !last, s, ret, err);
	return rc;
}

/* Ours, of the few kinds that we have; unless the library's was or is measured to be faster. */
static enum err_code prepare_own(
	struct prep *p, bool turned, const struct conv_spec *s, struct kernel *ret, struct err *err)
{
	static const char *const name[] = { "own", "library" };
	struct kernel own = *ret, theirs = *ret;
	const struct kernel *const both[] = { &own, &theirs };
	struct conv_spec key = *s, spec = *s;
	key.backend = NULL; /* no addresses */
	key.channels_last = turned;
	key.act = (int32_t)node_int(p->node, "activation", ACT_NONE);
	key.bias = gpu_has_in(p, 2);
	key.z = gpu_has_in(p, 3);
	struct rivals r = { name, 2, &key, sizeof(key) };
	enum err_code rc = depthwise_prepare(p, s, &own, err);
	if (rc == ERR_UNIMPLEMENTED)
		rc = stem_prepare(p, s, &own, err);
	if (rc == ERR_UNIMPLEMENTED)
		rc = pointwise_prepare(p, s, &own, err);
	if (rc != ERR_OK)
		return rc;
	int best = rivals_known(p, &r);
	if (best == 1 || (best < 0 && rivals_may_be_timed(p))) {
		rc = prepare_by_library(p, turned, &spec, &theirs, err);
		if (rc != ERR_OK && rc != ERR_UNIMPLEMENTED)
			return rc;
		best = rc != ERR_OK ? 0 : best < 0 ? rivals_time(p, &r, both) : best;
	}
	*ret = *both[best == 1];
	return ERR_OK;
}

enum err_code gpu_prepare_conv(struct prep *p, struct kernel *ret, struct err *err)
{
	struct conv_spec s;
	bool turned = false;
	for (int i = 0; i < p->n_in; i++) {
		if (gpu_has_in(p, i) && p->in[i].dtype != p->in[0].dtype)
			return prep_refuse(err, "the operands are of several types");
		turned |= gpu_has_in(p, i) && p->in[i].layout != LAYOUT_PLAIN;
	}
	if (tensor_count(&p->out[0]) == 0 || tensor_count(&p->in[0]) == 0)
		return prep_refuse(err, "there is nothing to convolve");
	TRY(describe(p, &s, err));
	enum err_code rc = prepare_own(p, turned, &s, ret, err);
	return rc == ERR_UNIMPLEMENTED ? prepare_by_library(p, turned, &s, ret, err) : rc;
}
