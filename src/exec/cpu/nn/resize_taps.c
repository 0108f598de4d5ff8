/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/nn/resize_taps.h"

#include <math.h>
#include "base/checked.h"

/* The input coordinate of output index x along an axis. */
static double coordinate(const struct resize_geometry *g, int axis, int64_t x)
{
	double in = (double)g->in[axis], out = (double)g->out[axis], scale = (double)g->scale[axis];
	double o = (double)x;
	/* A scale that sizes gave is exact: rounded to float it may miss a whole number. */
	if (g->from_sizes && (float)(out / in) == g->scale[axis])
		scale = out / in;
	switch (g->coord) {
	case RESIZE_HALF_PIXEL: return (o + 0.5) / scale - 0.5;
	case RESIZE_HALF_PIXEL_SYMMETRIC: {
		/* The output is cut to whole pixels: what is lost is taken from both sides. */
		double adjust = out / (in * scale), centre = in / 2;
		return centre * (1 - adjust) + (o + 0.5) / scale - 0.5;
	}
	case RESIZE_PYTORCH_HALF_PIXEL: return out > 1 ? (o + 0.5) / scale - 0.5 : 0;
	case RESIZE_ALIGN_CORNERS: {
		/* By the exact size of the output, which need not be whole. */
		double exact = in * scale;
		return out == 1 ? 0 : o * (in - 1) / (exact - 1);
	}
	case RESIZE_ASYMMETRIC: return o / scale;
	case RESIZE_TF_HALF_PIXEL: return (o + 0.5) / scale;
	case RESIZE_TF_CROP: {
		double from = (double)g->roi_start[axis], to = (double)g->roi_end[axis];
		return out > 1 ? from * (in - 1) + o * (to - from) * (in - 1) / (out - 1)
			       : 0.5 * (from + to) * (in - 1);
	}
	default: return o;
	}
}

static int64_t nearest_index(enum resize_nearest how, double x)
{
	switch (how) {
	case RESIZE_FLOOR: return (int64_t)floor(x);
	case RESIZE_CEIL: return (int64_t)ceil(x);
	case RESIZE_ROUND_PREFER_CEIL: return (int64_t)floor(x + 0.5);
	default: return (int64_t)ceil(x - 0.5);
	}
}

static double cubic(double a, double d)
{
	d = fabs(d);
	if (d <= 1)
		return ((a + 2) * d - (a + 3)) * d * d + 1;
	return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* The filter at distance d, in input pixels over the filter's stretch. */
static double filter(const struct resize_geometry *g, double d)
{
	if (g->mode == RESIZE_CUBIC)
		return cubic((double)g->cubic_a, d);
	d = fabs(d);
	return d < 1 ? 1 - d : 0;
}

/* How far the filter is stretched: by 1, or with antialias when shrinking by 1 / scale. */
static double stretch_of(const struct resize_geometry *g, int axis)
{
	double scale = (double)g->scale[axis];
	return g->antialias && scale < 1 ? 1 / scale : 1;
}

/* Of an output index and to one side: far more than any memory holds. */
#define TAPS_MAX 0x1p40

/* A coordinate none of whose taps is on an image of at most 2^31 pixels. */
#define FAR_OUT 0x1p48

static int64_t taps_count(const struct resize_geometry *g, int axis)
{
	if (g->mode == RESIZE_NEAREST || (g->in[axis] == g->out[axis] && g->scale[axis] == 1 &&
						 g->coord != RESIZE_TF_CROP))
		return 1;
	double radius = fmin((g->mode == RESIZE_CUBIC ? 2 : 1) * stretch_of(g, axis), TAPS_MAX);
	/* One more on either side, for rounding; its weight is 0. */
	return 2 * (int64_t)ceil(radius) + (g->antialias ? 2 : 0);
}

static int64_t clamp_index(int64_t i, int64_t n)
{
	return min_i64(max_i64(i, 0), n - 1);
}

/* Several taps around x: weights by distance, those outside left out or folded to the edge. */
static void filter_taps(
	const struct resize_geometry *g, int axis, double x, struct resize_taps *t, int64_t o)
{
	double stretch = stretch_of(g, axis), sum = 0;
	int64_t first = (int64_t)floor(x) - t->n / 2 + 1;
	for (int64_t k = 0; k < t->n; k++) {
		int64_t i = first + k;
		double w = filter(g, ((double)i - x) / stretch);
		bool inside = i >= 0 && i < g->in[axis];
		if (g->exclude_outside && !inside)
			w = 0;

		t->index[o * t->n + k] = (int32_t)clamp_index(i, g->in[axis]);
		t->weight[o * t->n + k] = (float)w;
		sum += w;
	}
	for (int64_t k = 0; k < t->n && sum != 0 && (g->exclude_outside || g->antialias); k++)
		t->weight[o * t->n + k] = (float)((double)t->weight[o * t->n + k] / sum);
}

enum err_code resize_taps_make(struct prep *p, const struct resize_geometry *g, int axis,
	struct resize_taps *t, struct err *err)
{
	int64_t n = g->out[axis];
	size_t bytes; /* an index or a weight is 4 */
	t->n = taps_count(g, axis);
	if (mul_overflows((size_t)n, (size_t)t->n * sizeof(*t->index), &bytes))
		return err_oom(err);
	t->index = prep_alloc(p, bytes);
	t->weight = prep_alloc(p, bytes);
	bool *outside = g->coord == RESIZE_TF_CROP ? prep_alloc(p, (size_t)n + 1) : NULL;
	if (!t->index || !t->weight || (g->coord == RESIZE_TF_CROP && !outside))
		return err_oom(err);
	t->outside = outside;
	for (int64_t o = 0; o < n; o++) {
		double x = coordinate(g, axis, o), last = (double)(g->in[axis] - 1);
		if (outside)
			outside[o] = !(x >= 0 && x <= last);
		/* A region may be of no numbers; far beside the image it is the same everywhere. */
		x = fmin(fmax(x, -FAR_OUT), FAR_OUT);
		if (t->n > 1) {
			filter_taps(g, axis, x, t, o);
			continue;
		}
		int64_t at = g->mode == RESIZE_NEAREST ? nearest_index(g->nearest, x) : o;
		t->index[o] = (int32_t)clamp_index(at, g->in[axis]);
		t->weight[o] = 1;
	}
	return ERR_OK;
}
