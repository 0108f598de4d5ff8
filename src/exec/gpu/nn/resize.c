/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resize.c -- Resize: nearest, linear and cubic, without antialias and crops
 */
#include <stdio.h>
#include "exec/gpu/walk.h"
#include "exec/infer/resize_geometry.h"

#define BLOCK 256

struct resize_state {
	struct gpu_launch launch;
	struct gpu_resize resize;
};

static void run_resize(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct resize_state *s = a->state;
	void *params[] = { (void *)&s->resize, (void *)&a->out[0].data, (void *)&a->in[0].data };
	gpu_launch(a, &s->launch, params);
}

/* How coordinates of an axis come about: as cpu/nn/resize.c says it, operation for operation. */
static void set_coordinate(struct gpu_resize_axis *a, const struct resize_geometry *g, int d)
{
	double in = (double)g->in[d], out = (double)g->out[d], scale = (double)g->scale[d];
	/* A scale that sizes gave is exact: rounded to float it may miss a whole number. */
	if (g->from_sizes && (float)(out / in) == g->scale[d])
		scale = out / in;
	a->scale = scale;
	a->how = GPU_HALF_PIXEL;
	switch (g->coord) {
	case RESIZE_HALF_PIXEL_SYMMETRIC:
		a->plus = in / 2 * (1 - out / (in * scale));
		break;
	case RESIZE_PYTORCH_HALF_PIXEL:
		a->how = out > 1 ? GPU_HALF_PIXEL : GPU_ZERO;
		break;
	case RESIZE_ASYMMETRIC:
		a->how = GPU_ASYMMETRIC;
		break;
	case RESIZE_TF_HALF_PIXEL:
		a->how = GPU_TF_HALF_PIXEL;
		break;
	case RESIZE_ALIGN_CORNERS:
		a->how = out == 1 ? GPU_ZERO : GPU_ALIGNED;
		a->plus = in - 1;
		a->scale = in * scale - 1;
		break;
	default:
		break;
	}
	if (g->in[d] == g->out[d] && g->scale[d] == 1)
		a->how = GPU_SAME;
}

/* Axes in the order that they have in memory. */
static bool fill(struct gpu_resize *r, const struct resize_geometry *g, const struct tensor *x)
{
	int64_t stride[RANK_MAX];
	bool last = x->layout == LAYOUT_NHWC;
	gpu_strides(x, stride);
	for (int i = 0; i < g->rank; i++) {
		int d = !last || i == 0 ? i : i == g->rank - 1 ? 1 : i + 1;
		if (g->in[d] == 1 && g->out[d] == 1)
			continue;
		if (r->rank == GPU_RANK_MAX || (g->in[d] == 0 && g->out[d] != 0))
			return false;
		struct gpu_resize_axis *a = &r->axis[r->rank++];
		a->out = gpu_div(g->out[d] ? (uint32_t)g->out[d] : 1);
		a->in = (int32_t)g->in[d];
		a->stride = (int32_t)stride[d];
		set_coordinate(a, g, d);
	}
	return true;
}

static bool is_known(const struct prep *p, int i) { return !gpu_has_in(p, i) || p->in[i].data; }

enum err_code gpu_prepare_resize(struct prep *p, struct kernel *ret, struct err *err)
{
	static const int32_t taps[RESIZE_MODE_COUNT_] = {
		[RESIZE_NEAREST] = 1, [RESIZE_LINEAR] = 2, [RESIZE_CUBIC] = 4
	};
	const struct tensor *x = &p->in[0];
	int64_t count = tensor_count(&p->out[0]);
	struct resize_geometry g;
	char name[24];
	struct resize_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (!is_known(p, 1) || !is_known(p, 2) || !is_known(p, 3) || count > INT32_MAX ||
		tensor_count(x) > INT32_MAX)
		return prep_refuse(err, "sizes that are computed, or so many elements");
	TRY(resize_geometry(p->node, &x->shape, gpu_has_in(p, 1) ? &p->in[1] : NULL,
		gpu_has_in(p, 2) ? &p->in[2] : NULL, gpu_has_in(p, 3) ? &p->in[3] : NULL, &g, err));
	bool moves = g.mode == RESIZE_NEAREST;
	if (g.coord == RESIZE_TF_CROP || g.antialias ||
		(!moves && !dtype_in(x->dtype, T(F32) | T_HALF)))
		return prep_refuse(err, "crops, antialias, or elements of such a type");
	s->resize = (struct gpu_resize){ .count = (uint32_t)count,
		.taps = taps[g.mode],
		.nearest = (int32_t)g.nearest,
		.exclude_outside = g.exclude_outside,
		.cubic_a = (double)g.cubic_a };
	if (!fill(&s->resize, &g, x))
		return prep_refuse(err, "so many axes, or an empty one");
	ret->run = run_resize;
	ret->out_layout = x->layout;
	ret->unread = 0xe;
	if (moves)
		snprintf(name, sizeof(name), "resize_move_%zu", dtype_bytes(x->dtype));
	else
		snprintf(name, sizeof(name), "resize_%s", gpu_type_name(x->dtype));
	return gpu_launch_over(p, name, count, BLOCK, &s->launch, err);
}
