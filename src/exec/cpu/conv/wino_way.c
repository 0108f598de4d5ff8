/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/conv/wino_way.h"

#include <math.h>
#include "exec/cpu/conv/wino_weights.h"

#define FLOPS_PER_NS 250.0
#define BYTES_PER_NS 40.0 /* of all threads together */
#define MIX_COST 1.2 /* times what products take whose weights are made of planes */
#define SHARED_BYTES (6 << 20) /* of weights that several threads read at once */

/* A vector to a point, or a point to pixels. Those of 4x4 pixels two apart do not stay in
   registers. */
static double point_ns(struct wino_form form)
{
	return form.stride == 1 ? 1.2 : form.size == 2 ? 1.6 : 3.1;
}

int64_t wino_way_bytes(const struct conv_job *j, struct wino_form form)
{
	int64_t kinds = wino_kinds(form), per_slot = j->vec->per_slot;
	return kinds * kinds * (j->ic / per_slot) * job_floats(j) * (int64_t)sizeof(float);
}

bool wino_way_slices(const struct conv_job *j, struct wino_form form)
{
	return wino_way_bytes(j, form) > SHARED_BYTES;
}

/* Threads share the rows of patches, or each takes its part of the weights. */
static double largest_share(const struct conv_job *j, struct wino_form form, int64_t threads)
{
	int64_t rows = wino_axis_of(form, j->out[0]).patches;
	if (wino_way_slices(j, form))
		return 1 / (double)threads;
	return (double)((rows + threads - 1) / threads) / (double)rows;
}

/* Products and points while weights stream by, which several threads wait for more
   than one does. */
double wino_way_ns(const struct conv_job *j, struct wino_way way, int64_t threads)
{
	struct wino_form form = way.form;
	double products = 2 * (double)(j->ic * job_floats(j)) / j->vec->per_slot;
	double points = (double)(j->ic + job_floats(j)) / j->vec->floats;
	for (int i = 0; i < 2; i++) {
		struct wino_axis a = wino_axis_of(form, j->out[i]);
		struct wino_span all = wino_span_of(&a, 0, a.patches);
		products *= (double)wino_span_points(&a, &all);
		points *= (double)(a.patches * wino_points(form));
	}
	double own_ns = products / FLOPS_PER_NS + points * point_ns(form);
	double stream_ns = (double)wino_way_bytes(j, form) / BYTES_PER_NS;
	if (way.in_planes) {
		own_ns *= MIX_COST;
		stream_ns *= (double)WINO_PLANES / wino_kinds(form);
	}
	own_ns *= largest_share(j, form, threads);
	return fmax(own_ns, stream_ns) + fmin(own_ns, stream_ns) * (threads > 1 ? 0.75 : 0.25);
}

/* One thread has the memory to itself, fewer weights come from caches, and where windows are two
   pixels apart small patches do as well. */
static bool wants_planes(const struct conv_job *j, struct wino_form form, int64_t threads)
{
	return threads > 1 && form.stride == 1 && wino_way_slices(j, form);
}

struct wino_way wino_way_choose(const struct conv_job *j, int64_t threads)
{
	const struct wino_form small = { 2, (int)j->stride[0] }, large = { 4, (int)j->stride[0] };
	const struct wino_way ways[] = { { small, false }, { large, false }, { large, true } };
	int best = 0, n = j->vec->per_slot > 1 ? 1 : wants_planes(j, large, threads) ? 3 : 2;
	for (int i = 1; i < n; i++)
		if (wino_way_ns(j, ways[i], threads) < wino_way_ns(j, ways[best], threads))
			best = i;
	return ways[best];
}
