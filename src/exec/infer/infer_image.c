/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_image.c -- operators that sample images: grids, regions, deformed windows; and what
 * puts images together again or cuts them
 */
#include "exec/infer/conv_geometry.h"
#include "exec/infer/infer.h"
#include "exec/infer/move_geometry.h"

#include <inttypes.h>

static bool rank_known(const struct infer *x, int i)
{
	return x->in[i]->shape.rank != RANK_UNKNOWN;
}

/* Dimension i of input `in`, if it is known, is `want`. */
static enum err_code
want_dim(const struct infer *x, int in, int i, int64_t want, const char *why, struct err *err)
{
	const struct shape *s = &x->in[in]->shape;
	if (s->rank <= i || !dim_conflict(s->dim[i], want))
		return ERR_OK;
	return infer_fail(x, err, "input %d is %s, dimension %d must be %" PRId64 ": %s", in,
		SHAPE_TEXT(s), i, want, why);
}

enum err_code infer_grid_sample(struct infer *x, struct err *err)
{
	static const char *const modes[] = { "linear", "nearest", "cubic", NULL };
	static const char *const paddings[] = { "zeros", "border", "reflection", NULL };
	const struct shape *s = &x->in[0]->shape, *grid = &x->in[1]->shape;
	struct shape out = *s;
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(infer_want_type(x, 1, T_FLOAT, err));
	TRY(infer_want_choice(x, "mode", "linear", modes, err));
	TRY(infer_want_choice(x, "padding_mode", "zeros", paddings, err));
	TRY(infer_want_int(x, "align_corners", 0, 0, 1, err));
	TRY(infer_want_rank(x, 0, 3, RANK_MAX, err));
	if (rank_known(x, 0) && rank_known(x, 1)) {
		TRY(infer_want_rank(x, 1, s->rank, s->rank, err));
		TRY(want_dim(x, 1, 0, s->dim[0], "as many grids as images", err));
		TRY(want_dim(x, 1, s->rank - 1, s->rank - 2, "a number per spatial axis", err));
		for (int i = 2; i < s->rank; i++) {
			if (s->dim[i] == 0)
				return infer_fail(x, err, "input 0 is %s, images must not be empty",
					SHAPE_TEXT(s));
			out.dim[i] = grid->dim[i - 1];
		}
	} else if (rank_known(x, 0)) {
		for (int i = 2; i < s->rank; i++)
			out.dim[i] = DIM_UNKNOWN;
	}
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

/* size is (N, C, d1, ..., dn), the grid (N, d1, ..., dn, n). */
enum err_code infer_affine_grid(struct infer *x, struct err *err)
{
	struct infer_ints ints;
	struct shape size, out = SHAPE_UNKNOWN;
	TRY(infer_want_type(x, 0, T_FLOAT, err));
	TRY(infer_want_rank(x, 0, 3, 3, err));
	TRY(infer_want_int(x, "align_corners", 0, 0, 1, err));
	TRY(infer_want_shape(x, 1, &ints, &size, err));
	if (size.rank >= 0) {
		int n = size.rank - 2;
		if (size.rank < 3)
			return infer_fail(
				x, err, "size has %d entries, at least 3 are needed", size.rank);
		TRY(want_dim(x, 0, 0, size.dim[0], "a matrix per image", err));
		TRY(want_dim(x, 0, 1, n, "a row per spatial axis", err));
		TRY(want_dim(x, 0, 2, n + 1, "a column per spatial axis and one", err));
		out = (struct shape){ .rank = size.rank, .dim = { size.dim[0] } };
		for (int i = 0; i < n; i++)
			out.dim[i + 1] = size.dim[i + 2];
		out.dim[n + 1] = n;
		for (int i = 0; i < ints.n; i++)
			if (ints.literal >> i & 1 && ints.v[i] < 0)
				return infer_fail(x, err, "size[%d] is %" PRId64, i, ints.v[i]);
	}
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

/* -- regions of interest ------------------------------------------------------------------- */

/* X is [N, C, H, W], the output [regions, C, h, w]. */
static enum err_code
regions_shape(struct infer *x, int64_t entries, int64_t h, int64_t w, struct err *err)
{
	const struct shape *s = &x->in[0]->shape, *rois = &x->in[1]->shape;
	TRY(infer_want_type(x, 0, T_FLOAT, err));
	TRY(infer_want_type(x, 1, T_FLOAT, err));
	TRY(infer_want_same_type(x, 0, 1, err));
	TRY(infer_want_rank(x, 0, 4, 4, err));
	TRY(infer_want_rank(x, 1, 2, 2, err));
	TRY(want_dim(x, 1, 1, entries, "what a region has", err));
	if (rank_known(x, 0) && (s->dim[2] == 0 || s->dim[3] == 0))
		return infer_fail(x, err, "input 0 is %s, images must not be empty", SHAPE_TEXT(s));
	struct shape out = shape_of(rank_known(x, 1) ? rois->dim[0] : DIM_UNKNOWN,
		rank_known(x, 0) ? s->dim[1] : DIM_UNKNOWN, h, w);
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_roi_align(struct infer *x, struct err *err)
{
	static const char *const modes[] = { "avg", "max", NULL };
	static const char *const coordinates[] = { "half_pixel", "output_half_pixel", NULL };
	TRY(infer_want_choice(x, "mode", "avg", modes, err));
	TRY(infer_want_choice(x, "coordinate_transformation_mode", "half_pixel", coordinates, err));
	TRY(infer_want_int(x, "output_height", 1, 1, INT32_MAX, err));
	TRY(infer_want_int(x, "output_width", 1, 1, INT32_MAX, err));
	TRY(infer_want_int(x, "sampling_ratio", 0, 0, 1 << 12, err));
	TRY(regions_shape(x, 4, node_int(x->node, "output_height", 1),
		node_int(x->node, "output_width", 1), err));
	TRY(infer_want_type(x, 2, T(I64), err));
	return infer_want_list(x, 2, rank_known(x, 1) ? x->in[1]->shape.dim[0] : DIM_UNKNOWN, err);
}

enum err_code infer_max_roi_pool(struct infer *x, struct err *err)
{
	int32_t n;
	const int64_t *size = node_ints(x->node, "pooled_shape", &n);
	if (n != 2 || size[0] < 1 || size[1] < 1 || size[0] > INT32_MAX || size[1] > INT32_MAX)
		return infer_fail(x, err, "pooled_shape must be two numbers in [1,%d]", INT32_MAX);
	return regions_shape(x, 5, size[0], size[1], err);
}

/* -- windows ----------------------------------------------------------------------------------- */

/* Offsets and masks are [N, groups * taps * each, out...]. */
static enum err_code want_per_tap(const struct infer *x, int in, const struct conv_geometry *g,
	int64_t groups, int64_t each, struct err *err)
{
	int64_t want = groups * each;
	TRY(infer_want_type(x, in, T_FLOAT, err));
	TRY(infer_want_same_type(x, 0, in, err));
	TRY(infer_want_rank(x, in, g->spatial + 2, g->spatial + 2, err));
	TRY(want_dim(x, in, 0, x->in[0]->shape.dim[0], "as many as images", err));
	for (int i = 0; i < g->spatial; i++) {
		TRY(want_dim(x, in, i + 2, g->out[i], "as many as outputs", err));
		if (want >= 0 &&
			(g->kernel[i] < 0 || __builtin_mul_overflow(want, g->kernel[i], &want)))
			want = DIM_UNKNOWN;
	}
	return want_dim(x, in, 1, want, "one for each offset group, tap and axis", err);
}

enum err_code infer_deform_conv(struct infer *x, struct err *err)
{
	struct conv_geometry g;
	struct shape out = SHAPE_UNKNOWN;
	const struct shape *s = &x->in[0]->shape, *w = &x->in[1]->shape;
	int64_t groups = node_int(x->node, "offset_group", 1);
	TRY(infer_want_one_type(x, 0, T_FLOAT, err));
	TRY(infer_want_int(x, "offset_group", 1, 1, INT32_MAX, err));
	if (rank_known(x, 0) && rank_known(x, 1)) {
		TRY(conv_geometry(x->node, s, w, &g, err));
		if (s->dim[1] >= 0 && s->dim[1] % groups)
			return infer_fail(x, err, "input 0 is %s, offset_group %" PRId64
				" must divide its channels", SHAPE_TEXT(s), groups);
		TRY(want_per_tap(x, 2, &g, groups, g.spatial, err));
		if (infer_has(x, 3))
			TRY(infer_want_list(x, 3, w->dim[0], err));
		if (infer_has(x, 4))
			TRY(want_per_tap(x, 4, &g, groups, 1, err));
		out = (struct shape){ .rank = s->rank, .dim = { s->dim[0], w->dim[0] } };
		for (int i = 0; i < g.spatial; i++)
			out.dim[i + 2] = rank_known(x, 2)
						 ? dim_merge(g.out[i], x->in[2]->shape.dim[i + 2])
						 : g.out[i];
	}
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_max_unpool(struct infer *x, struct err *err)
{
	struct infer_ints ints;
	struct shape pooled = SHAPE_UNKNOWN, out;
	TRY(infer_want_type(x, 0, T_FLOAT, err));
	TRY(infer_want_type(x, 1, T(I64), err));
	if (rank_known(x, 0)) {
		TRY(unpool_shape(x->node, &x->in[0]->shape, &pooled, err));
		TRY(infer_want_rank(x, 1, pooled.rank, pooled.rank, err));
		for (int i = 0; i < pooled.rank; i++)
			TRY(want_dim(x, 1, i, x->in[0]->shape.dim[i], "as input 0", err));
	}
	out = pooled;
	if (infer_has(x, 2)) {
		TRY(infer_want_shape(x, 2, &ints, &out, err));
		if (pooled.rank >= 0 && out.rank >= 0 && out.rank != pooled.rank)
			return infer_fail(x, err, "output_shape has %d entries, %d are needed",
				out.rank, pooled.rank);
		for (int i = 0; i < out.rank && pooled.rank >= 0; i++)
			if (ints.literal >> i & 1 && ints.v[i] < pooled.dim[i])
				return infer_fail(x, err,
					"output_shape[%d] is %" PRId64 ", less than the %" PRId64
					" that the indices are of", i, ints.v[i], pooled.dim[i]);
	}
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

/* The output [N, C, image...] of columns [N, C * taps, windows]. */
static enum err_code folded_shape(
	const struct infer *x, const struct conv_geometry *g, struct shape *ret, struct err *err)
{
	const struct shape *s = &x->in[0]->shape;
	int64_t taps = 1, windows = 1;
	*ret = (struct shape){ .rank = g->spatial + 2, .dim = { DIM_UNKNOWN, DIM_UNKNOWN } };
	for (int i = 0; i < g->spatial; i++) {
		ret->dim[i + 2] = g->in[i];
		if (__builtin_mul_overflow(taps, g->kernel[i], &taps) ||
			__builtin_mul_overflow(windows, g->out[i], &windows))
			return infer_fail(x, err, "block_shape and image_shape are too large");
	}
	if (!rank_known(x, 0))
		return ERR_OK;
	TRY(want_dim(x, 0, 2, windows, "the windows of that shape in the image", err));
	if (s->dim[1] >= 0 && s->dim[1] % taps)
		return infer_fail(x, err,
			"input 0 is %s, dimension 1 must be a multiple of the %" PRId64
			" taps of block_shape",
			SHAPE_TEXT(s), taps);
	ret->dim[0] = s->dim[0];
	ret->dim[1] = s->dim[1] >= 0 ? s->dim[1] / taps : DIM_UNKNOWN;
	return ERR_OK;
}

enum err_code infer_col2im(struct infer *x, struct err *err)
{
	struct infer_ints ints;
	struct shape image, block, out = SHAPE_UNKNOWN;
	struct conv_geometry g;
	TRY(infer_want_type(x, 0, T_NUM | T(BOOL) | T(C64) | T(C128), err));
	TRY(infer_want_rank(x, 0, 3, 3, err));
	TRY(infer_want_shape(x, 1, &ints, &image, err));
	TRY(infer_want_shape(x, 2, &ints, &block, err));
	if (x->in[1]->data && x->in[2]->data) {
		TRY(col2im_geometry(x->node, x->in[1]->data, x->in[2]->data, &g, err));
		TRY(folded_shape(x, &g, &out, err));
	}
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_center_crop_pad(struct infer *x, struct err *err)
{
	struct shape out = x->in[0]->shape;
	struct pad_geometry g;
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(infer_want_type(x, 1, T(I32) | T(I64), err));
	TRY(infer_want_list(x, 1, -1, err));
	if (!x->in[1]->data)
		TRY(infer_need_data(x, 1));
	for (int i = 0; i < out.rank; i++)
		out.dim[i] = DIM_UNKNOWN;
	if (x->in[1]->data && rank_known(x, 0)) {
		TRY(center_geometry(x->node, &x->in[0]->shape, x->in[1]->data, &g, err));
		out = shape_from(g.rank, g.out);
	}
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}
