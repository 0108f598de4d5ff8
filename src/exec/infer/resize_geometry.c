/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/infer/resize_geometry.h"

#include <inttypes.h>
#include <math.h>

/* A scale that would make more than this many elements of one axis is no scale. */
#define OUT_MAX 0x1p48

static const char *const mode_names[RESIZE_MODE_COUNT_] = { "nearest", "linear", "cubic" };
static const char *const coord_names[RESIZE_COORD_COUNT_] = { "half_pixel",
	"half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
	"tf_half_pixel_for_nn", "tf_crop_and_resize" };
static const char *const nearest_names[RESIZE_NEAREST_COUNT_] = { "round_prefer_floor",
	"round_prefer_ceil", "floor", "ceil" };

enum aspect { ASPECT_STRETCH, ASPECT_NOT_LARGER, ASPECT_NOT_SMALLER, ASPECT_COUNT_ };
static const char *const aspect_names[ASPECT_COUNT_] = { "stretch", "not_larger", "not_smaller" };

/* The string attribute `name` as its place in names; absent: the first. */
static enum err_code read_choice(const struct node *n, const char *name, const char *const *names,
	int count, int *ret, struct err *err)
{
	struct slice s = node_string(n, name, names[0]);
	for (int i = 0; i < count; i++)
		if (slice_is(s, names[i])) {
			*ret = i;
			return ERR_OK;
		}
	return err_set(err, ERR_INVALID_ARGUMENT, "%s is '%.*s', which is not known", name,
		SLICE_ARG(s));
}

static enum err_code read_modes(const struct node *n, struct resize_geometry *g,
	enum aspect *ret_aspect, struct err *err)
{
	int mode = 0, coord = 0, nearest = 0, aspect = 0;
	enum err_code rc = read_choice(n, "mode", mode_names, RESIZE_MODE_COUNT_, &mode, err);
	if (rc == ERR_OK)
		rc = read_choice(n, "coordinate_transformation_mode", coord_names,
			RESIZE_COORD_COUNT_, &coord, err);
	if (rc == ERR_OK)
		rc = read_choice(n, "nearest_mode", nearest_names, RESIZE_NEAREST_COUNT_, &nearest,
			err);
	if (rc == ERR_OK)
		rc = read_choice(
			n, "keep_aspect_ratio_policy", aspect_names, ASPECT_COUNT_, &aspect, err);
	g->mode = (enum resize_mode)mode;
	g->coord = (enum resize_coord)coord;
	g->nearest = (enum resize_nearest)nearest;
	g->antialias = node_int(n, "antialias", 0) != 0;
	g->exclude_outside = node_int(n, "exclude_outside", 0) != 0;
	g->cubic_a = node_float(n, "cubic_coeff_a", -0.75f);
	g->extrapolation = node_float(n, "extrapolation_value", 0.0f);
	*ret_aspect = (enum aspect)aspect;
	return rc;
}

/* The axes that roi, scales and sizes speak of, in their order. */
struct axis_list {
	int n, axis[RANK_MAX];
};

static enum err_code read_axes(
	const struct node *n, int rank, struct axis_list *ret, struct err *err)
{
	int32_t have;
	const int64_t *axes = node_ints(n, "axes", &have);
	uint32_t seen = 0;
	if (have > rank)
		return err_set(err, ERR_INVALID_ARGUMENT, "axes has %d entries, the rank is %d",
			have, rank);
	ret->n = have ? have : rank;
	for (int i = 0; i < ret->n; i++) {
		if (!shape_axis(have ? axes[i] : i, rank, &ret->axis[i]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"axes[%d] is %" PRId64 ", out of range for rank %d", i, axes[i],
				rank);
		if (seen >> ret->axis[i] & 1)
			return err_set(err, ERR_INVALID_ARGUMENT, "axis %d is listed twice",
				ret->axis[i]);
		seen |= 1u << ret->axis[i];
	}
	return ERR_OK;
}

static enum err_code check_length(const struct tensor *t, const char *name, int64_t want,
	struct err *err)
{
	if (tensor_count(t) == want)
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT,
		"%s has %" PRId64 " entries, %" PRId64 " are needed", name, tensor_count(t), want);
}

static enum err_code read_roi(const struct tensor *roi, const struct axis_list *list,
	struct resize_geometry *g, struct err *err)
{
	if (!roi)
		return err_set(err, ERR_INVALID_ARGUMENT, "tf_crop_and_resize needs the input roi");
	enum err_code rc = check_length(roi, "roi", 2 * list->n, err);
	for (int i = 0; i < list->n && rc == ERR_OK; i++) {
		g->roi_start[list->axis[i]] = (float)tensor_float(roi, i);
		g->roi_end[list->axis[i]] = (float)tensor_float(roi, list->n + i);
	}
	return rc;
}

/* out = floor(in * size of the region * scale), in single precision as ONNX's own shape
   inference has it: 10 * 0.7f is 7. */
static enum err_code apply_scales(const struct tensor *scales, const struct axis_list *list,
	struct resize_geometry *g, struct err *err)
{
	enum err_code rc = check_length(scales, "scales", list->n, err);
	for (int i = 0; i < list->n && rc == ERR_OK; i++) {
		int axis = list->axis[i];
		float scale = (float)tensor_float(scales, i);
		if (!(scale > 0) || !isfinite(scale))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"scales[%d] is %g, it must be positive", i, (double)scale);
		g->scale[axis] = scale;
		float region = g->roi_end[axis] - g->roi_start[axis];
		if (scale == 1 && region == 1)
			continue;
		g->out[axis] = DIM_UNKNOWN;
		if (g->in[axis] < 0)
			continue;
		float out = floorf((float)g->in[axis] * region * scale);
		if (!(out >= 0) || out > OUT_MAX)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"scales[%d] is %g: axis %d of size %" PRId64 " becomes %g", i,
				(double)scale, axis, g->in[axis], (double)out);
		g->out[axis] = (int64_t)out;
	}
	return rc;
}

/* One scale for all axes: the smallest or largest that the sizes ask for. */
static enum err_code keep_aspect(enum aspect aspect, const struct axis_list *list,
	struct resize_geometry *g, struct err *err)
{
	double scale = 0;
	for (int i = 0; i < list->n; i++) {
		int axis = list->axis[i];
		double s = (double)g->out[axis] / (double)g->in[axis];
		if (i == 0 || (aspect == ASPECT_NOT_LARGER ? s < scale : s > scale))
			scale = s;
	}
	for (int i = 0; i < list->n; i++) {
		int axis = list->axis[i];
		double out = round(scale * (double)g->in[axis]);
		if (out > OUT_MAX)
			return err_set(err, ERR_INVALID_ARGUMENT, "sizes[%d] is %" PRId64
				": axis %d of size %" PRId64 " becomes %g, as others ask for more",
				i, g->out[axis], axis, g->in[axis], out);
		g->out[axis] = (int64_t)out;
		g->scale[axis] = (float)scale;
	}
	return ERR_OK;
}

static enum err_code apply_sizes(const struct tensor *sizes, const struct axis_list *list,
	enum aspect aspect, struct resize_geometry *g, struct err *err)
{
	bool all_known = true;
	enum err_code rc = check_length(sizes, "sizes", list->n, err);
	for (int i = 0; i < list->n && rc == ERR_OK; i++) {
		int axis = list->axis[i];
		int64_t size = tensor_int(sizes, i);
		if (size < 1 || (double)size > OUT_MAX)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"sizes[%d] is %" PRId64 ", it must be positive", i, size);
		g->out[axis] = size;
		if (g->in[axis] > 0)
			g->scale[axis] = (float)((double)size / (double)g->in[axis]);
		else
			all_known = false;
	}
	if (rc == ERR_OK && aspect != ASPECT_STRETCH) {
		if (all_known)
			return keep_aspect(aspect, list, g, err);
		for (int i = 0; i < list->n && !all_known; i++)
			g->out[list->axis[i]] = DIM_UNKNOWN;
	}
	return rc;
}

enum err_code resize_geometry(const struct node *n, const struct shape *x, const struct tensor *roi,
	const struct tensor *scales, const struct tensor *sizes, struct resize_geometry *ret,
	struct err *err)
{
	struct resize_geometry g = { .rank = x->rank };
	struct axis_list list;
	enum aspect aspect;
	for (int i = 0; i < x->rank; i++) {
		g.in[i] = g.out[i] = x->dim[i];
		g.scale[i] = g.roi_end[i] = 1;
	}
	scales = scales && tensor_count(scales) ? scales : NULL;
	sizes = sizes && tensor_count(sizes) ? sizes : NULL;
	if (!scales == !sizes)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"exactly one of the inputs scales and sizes must be given");
	enum err_code rc = read_modes(n, &g, &aspect, err);
	if (rc == ERR_OK)
		rc = read_axes(n, x->rank, &list, err);
	if (rc == ERR_OK && g.coord == RESIZE_TF_CROP)
		rc = read_roi(roi, &list, &g, err);
	if (rc == ERR_OK && scales)
		rc = apply_scales(scales, &list, &g, err);
	g.from_sizes = sizes != NULL;
	if (rc == ERR_OK && sizes)
		rc = apply_sizes(sizes, &list, aspect, &g, err);
	if (rc == ERR_OK)
		*ret = g;
	return rc;
}
