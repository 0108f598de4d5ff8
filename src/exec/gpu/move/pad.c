/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pad.c -- Pad in all its modes
 */
#include <stdio.h>
#include "exec/gpu/walk.h"
#include "exec/infer/move_geometry.h"

#define BLOCK 256

struct pad_state {
	struct gpu_launch launch;
	struct gpu_pad pad;
};

static void run_pad(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct pad_state *s = a->state;
	const void *value = a->n_in > 2 ? a->in[2].data : NULL;
	void *params[] = { (void *)&s->pad, (void *)&a->out[0].data, (void *)&a->in[0].data,
		&value };
	gpu_launch(a, &s->launch, params);
}

static enum gpu_pad_mode mode_of(const struct node *n)
{
	struct slice mode = node_string(n, "mode", "constant");
	return slice_is(mode, "edge")	   ? GPU_PAD_EDGE
	       : slice_is(mode, "wrap")	   ? GPU_PAD_WRAP
	       : slice_is(mode, "reflect") ? GPU_PAD_REFLECT
					   : GPU_PAD_CONSTANT;
}

/* Dimensions that are not padded are one with an unpadded one before them. */
static bool fill(struct gpu_pad *pad, const struct pad_geometry *g, const struct shape *x)
{
	int64_t out[RANK_MAX], in[RANK_MAX], stride[RANK_MAX], begin[RANK_MAX];
	bool padded[RANK_MAX];
	int n = 0;
	shape_strides(x, stride);
	for (int d = 0; d < g->rank; d++) {
		padded[n] = g->begin[d] || g->end[d];
		bool joins = n && !padded[n] && !padded[n - 1];
		int at = joins ? n - 1 : n++;
		out[at] = joins ? out[at] * g->out[d] : g->out[d];
		in[at] = joins ? in[at] * x->dim[d] : x->dim[d];
		begin[at] = g->begin[d];
		stride[at] = stride[d];
	}
	pad->rank = n;
	for (int d = 0; d < n && n <= GPU_RANK_MAX; d++) {
		pad->dim[d] = gpu_div(out[d]);
		pad->begin[d] = (int32_t)begin[d];
		pad->in[d] = (int32_t)in[d];
		pad->src[d] = (int32_t)stride[d];
	}
	return n <= GPU_RANK_MAX;
}

enum err_code gpu_prepare_pad(struct prep *p, struct kernel *ret, struct err *err)
{
	struct pad_geometry g;
	const struct tensor *x = &p->in[0];
	int64_t count = tensor_count(&p->out[0]);
	char name[16];
	struct pad_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (!p->in[1].data || (gpu_has_in(p, 3) && !p->in[3].data))
		return prep_refuse(err, "widths that are computed");
	if (dtype_bytes(x->dtype) > 8 || count > INT32_MAX || tensor_count(x) > INT32_MAX)
		return prep_refuse(err, "elements of that size, or so many");
	TRY(pad_geometry(&x->shape, &p->in[1], gpu_has_in(p, 3) ? &p->in[3] : NULL, &g, err));
	s->pad.count = (uint32_t)count;
	s->pad.mode = mode_of(p->node);
	if (count && !fill(&s->pad, &g, &x->shape))
		return prep_refuse(err, "so many dimensions");
	snprintf(name, sizeof(name), "pad_%zu", dtype_bytes(x->dtype));
	ret->run = run_pad;
	ret->unread = 0xa;
	return gpu_launch_over(p, name, count, BLOCK, &s->launch, err);
}
