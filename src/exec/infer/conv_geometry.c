/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/infer/conv_geometry.h"

#include <inttypes.h>
#include "base/checked.h"

/* Larger attributes belong to no model, and products of two stay far from overflow. */
#define WINDOW_MAX INT32_MAX

enum auto_pad { AUTO_PAD_NOTSET, AUTO_PAD_VALID, AUTO_PAD_SAME_UPPER, AUTO_PAD_SAME_LOWER };

static enum err_code read_auto_pad(const struct node *n, enum auto_pad *ret, struct err *err)
{
	static const char *const names[] = { "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER" };
	struct slice s = node_string(n, "auto_pad", "NOTSET");
	for (int i = 0; i < 4; i++)
		if (slice_is(s, names[i])) {
			*ret = (enum auto_pad)i;
			return ERR_OK;
		}
	return err_set(err, ERR_INVALID_ARGUMENT,
		"auto_pad is '%.*s', it must be NOTSET, VALID, SAME_UPPER or SAME_LOWER",
		SLICE_ARG(s));
}

/* The list attribute `name` of `want` numbers in [min, WINDOW_MAX], or all `otherwise`. */
static enum err_code read_ints(const struct node *n, const char *name, int want, int64_t min,
	int64_t otherwise, int64_t *ret, struct err *err)
{
	int32_t have;
	const int64_t *v = node_ints(n, name, &have);
	if (have && have != want)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s has %d entries, %d are needed", name,
			have, want);
	for (int i = 0; i < want; i++) {
		ret[i] = have ? v[i] : otherwise;
		if (ret[i] < min || ret[i] > WINDOW_MAX)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"%s[%d] is %" PRId64 ", it must be in [%" PRId64 ",%d]", name, i,
				ret[i], min, WINDOW_MAX);
	}
	return ERR_OK;
}

/* What all three have in common: X's rank, strides, dilations, explicit pads. */
static enum err_code read_common(const struct node *n, const struct shape *x,
	struct conv_geometry *g, enum auto_pad *ret_auto, struct err *err)
{
	int64_t pads[2 * SPATIAL_MAX];
	if (x->rank < 3)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input X is %s, it must have a rank of 3 or more", SHAPE_TEXT(x));
	*g = (struct conv_geometry){ .spatial = x->rank - 2, .group = 1 };
	for (int i = 0; i < g->spatial; i++)
		g->in[i] = x->dim[i + 2];
	enum err_code rc = read_auto_pad(n, ret_auto, err);
	if (rc == ERR_OK)
		rc = read_ints(n, "strides", g->spatial, 1, 1, g->stride, err);
	if (rc == ERR_OK)
		rc = read_ints(n, "dilations", g->spatial, 1, 1, g->dilation, err);
	if (rc == ERR_OK)
		rc = read_ints(n, "pads", 2 * g->spatial, 0, 0, pads, err);
	for (int i = 0; i < g->spatial && rc == ERR_OK && *ret_auto == AUTO_PAD_NOTSET; i++) {
		g->pad_begin[i] = pads[i];
		g->pad_end[i] = pads[g->spatial + i];
	}
	return rc;
}

/* The kernel's size comes from W, kernel_shape must agree; where W is not known,
   kernel_shape is all there is. */
static enum err_code read_kernel(const struct node *n, const struct shape *w,
	struct conv_geometry *g, struct err *err)
{
	int64_t attr[SPATIAL_MAX];
	enum err_code rc = read_ints(n, "kernel_shape", g->spatial, 1, 1, attr, err);
	if (rc != ERR_OK)
		return rc;
	bool has_attr = node_attr(n, "kernel_shape");
	if (w->rank != g->spatial + 2)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"weights W are %s, X needs them with rank %d", SHAPE_TEXT(w),
			g->spatial + 2);
	for (int i = 0; i < g->spatial; i++) {
		int64_t k = w->dim[i + 2];
		if (k < 0)
			k = has_attr ? attr[i] : DIM_UNKNOWN;
		if (has_attr && k != attr[i])
			return err_set(err, ERR_INVALID_ARGUMENT,
				"kernel_shape[%d] is %" PRId64 ", weights W are %s", i, attr[i],
				SHAPE_TEXT(w));
		if (k == 0 || k > WINDOW_MAX)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"weights W are %s, a kernel dimension must be in [1,%d]",
				SHAPE_TEXT(w), WINDOW_MAX);
		g->kernel[i] = k;
	}
	return ERR_OK;
}

static enum err_code read_group(const struct node *n, const struct shape *w,
	struct conv_geometry *g, struct err *err)
{
	g->group = node_int(n, "group", 1);
	if (g->group < 1 || g->group > WINDOW_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"group is %" PRId64 ", it must be in [1,%d]", g->group, WINDOW_MAX);
	if (w->dim[0] >= 0 && w->dim[0] % g->group)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"weights W are %s, group %" PRId64 " must divide their first dimension",
			SHAPE_TEXT(w), g->group);
	return ERR_OK;
}

/* Splits the padding that a SAME_* output needs. */
static void split_pad(struct conv_geometry *g, int i, int64_t total, bool more_at_end)
{
	if (total < 0)
		total = 0;
	g->pad_begin[i] = more_at_end ? total / 2 : total - total / 2;
	g->pad_end[i] = total - g->pad_begin[i];
}

/* SAME_*: as many outputs as strides fit into the input. */
static void solve_same(struct conv_geometry *g, int i, bool upper)
{
	if (g->in[i] < 0) {
		g->out[i] = g->stride[i] == 1 ? g->in[i] : DIM_UNKNOWN;
		return;
	}
	g->out[i] = (g->in[i] + g->stride[i] - 1) / g->stride[i];
	if (g->kernel[i] > 0)
		split_pad(
			g, i, (g->out[i] - 1) * g->stride[i] + conv_extent(g, i) - g->in[i], upper);
}

/* Explicit pads. With ceil_mode the last window may hang over the end, but it may not
   start in the padding there; it may be the first, of a kernel larger than all (EfficientNet's). */
static enum err_code solve_explicit(struct conv_geometry *g, int i, bool ceil_mode, struct err *err)
{
	g->out[i] = DIM_UNKNOWN;
	if (g->kernel[i] < 0)
		return ERR_OK;
	int64_t pads = g->pad_begin[i] + g->pad_end[i], extent = conv_extent(g, i);
	if (g->in[i] < 0) {
		if (g->stride[i] == 1 && pads == extent - 1)
			g->out[i] = g->in[i];
		return ERR_OK;
	}
	int64_t room = g->in[i] + pads - extent, stride = g->stride[i];
	g->out[i] = floor_div(room, stride) + 1;
	if (ceil_mode && room % stride && g->out[i] * stride < g->in[i] + g->pad_begin[i])
		g->out[i]++;
	if (g->out[i] < 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"the kernel spans %" PRId64
			" of spatial axis %d, more than the padded input's %" PRId64,
			extent, i, g->in[i] + pads);
	return ERR_OK;
}

static enum err_code solve(struct conv_geometry *g, enum auto_pad auto_pad, bool ceil_mode,
	struct err *err)
{
	for (int i = 0; i < g->spatial; i++) {
		if (auto_pad == AUTO_PAD_SAME_UPPER || auto_pad == AUTO_PAD_SAME_LOWER) {
			solve_same(g, i, auto_pad == AUTO_PAD_SAME_UPPER);
			continue;
		}
		enum err_code rc = solve_explicit(g, i, ceil_mode, err);
		if (rc != ERR_OK)
			return rc;
	}
	return ERR_OK;
}

enum err_code conv_geometry(const struct node *n, const struct shape *x, const struct shape *w,
	struct conv_geometry *ret, struct err *err)
{
	struct conv_geometry g;
	enum auto_pad auto_pad;
	enum err_code rc = read_common(n, x, &g, &auto_pad, err);
	if (rc == ERR_OK)
		rc = read_kernel(n, w, &g, err);
	if (rc == ERR_OK)
		rc = read_group(n, w, &g, err);
	if (rc != ERR_OK)
		return rc;
	int64_t c = x->dim[1], per_group = w->dim[1];
	if (c >= 0 && per_group >= 0 && (c % g.group || c / g.group != per_group))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input X is %s, but weights W are %s: with group %" PRId64
			" they take %" PRId64 " channels per group",
			SHAPE_TEXT(x), SHAPE_TEXT(w), g.group, per_group);
	rc = solve(&g, auto_pad, false, err);
	if (rc == ERR_OK)
		*ret = g;
	return rc;
}

enum err_code pool_geometry(const struct node *n, const struct shape *x, struct conv_geometry *ret,
	struct err *err)
{
	struct conv_geometry g;
	enum auto_pad auto_pad;
	enum err_code rc = read_common(n, x, &g, &auto_pad, err);
	if (rc == ERR_OK)
		rc = read_ints(n, "kernel_shape", g.spatial, 1, 1, g.kernel, err);
	for (int i = 0; i < g.spatial && rc == ERR_OK; i++)
		if (g.pad_begin[i] >= conv_extent(&g, i) || g.pad_end[i] >= conv_extent(&g, i))
			rc = err_set(err, ERR_INVALID_ARGUMENT,
				"pads of spatial axis %d are %" PRId64 " and %" PRId64
				", each must be less than the kernel's extent, %" PRId64,
				i, g.pad_begin[i], g.pad_end[i], conv_extent(&g, i));
	if (rc == ERR_OK)
		rc = solve(&g, auto_pad,
			auto_pad == AUTO_PAD_NOTSET && node_int(n, "ceil_mode", 0) != 0, err);
	if (rc == ERR_OK)
		*ret = g;
	return rc;
}

/* Output and padding of axis i of a transposed convolution; `want` is output_shape[i] or
   0. The padding is what is left over when the output's size is given. */
static enum err_code solve_transpose(struct conv_geometry *g, int i, enum auto_pad auto_pad,
	int64_t adjust, int64_t want, struct err *err)
{
	bool same = auto_pad == AUTO_PAD_SAME_UPPER || auto_pad == AUTO_PAD_SAME_LOWER;
	int64_t strided, full;
	g->out[i] = want ? want : DIM_UNKNOWN;
	if (g->in[i] < 0 || g->kernel[i] < 0)
		return ERR_OK;
	if (mul_i64_overflows(g->in[i], g->stride[i], &strided) ||
		add_i64_overflows(strided, conv_extent(g, i) + adjust - g->stride[i], &full))
		return err_set(
			err, ERR_INVALID_ARGUMENT, "spatial axis %d of the output is too large", i);
	if (same && !want)
		want = strided;
	if (want) {
		split_pad(g, i, full - want, auto_pad == AUTO_PAD_SAME_UPPER);
		g->out[i] = want;
		return ERR_OK;
	}
	g->out[i] = full - g->pad_begin[i] - g->pad_end[i];
	if (g->out[i] < 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"pads of spatial axis %d are %" PRId64 " and %" PRId64
			", more than the %" PRId64 " outputs there are",
			i, g->pad_begin[i], g->pad_end[i], full);
	return ERR_OK;
}

enum err_code conv_transpose_geometry(const struct node *n, const struct shape *x,
	const struct shape *w, struct conv_geometry *ret, struct err *err)
{
	struct conv_geometry g;
	enum auto_pad auto_pad;
	int64_t adjust[SPATIAL_MAX], want[SPATIAL_MAX];
	enum err_code rc = read_common(n, x, &g, &auto_pad, err);
	if (rc == ERR_OK)
		rc = read_kernel(n, w, &g, err);
	if (rc == ERR_OK)
		rc = read_group(n, w, &g, err);
	if (rc == ERR_OK)
		rc = read_ints(n, "output_padding", g.spatial, 0, 0, adjust, err);
	if (rc == ERR_OK)
		rc = read_ints(n, "output_shape", g.spatial, 0, 0, want, err);
	if (rc != ERR_OK)
		return rc;
	if (x->dim[1] >= 0 && w->dim[0] >= 0 && x->dim[1] != w->dim[0])
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input X is %s, weights W are %s: their dimensions 1 and 0 must be equal",
			SHAPE_TEXT(x), SHAPE_TEXT(w));
	for (int i = 0; i < g.spatial && rc == ERR_OK; i++)
		rc = solve_transpose(&g, i, auto_pad, adjust[i], want[i], err);
	if (rc == ERR_OK)
		*ret = g;
	return rc;
}

enum err_code
unpool_shape(const struct node *n, const struct shape *x, struct shape *ret, struct err *err)
{
	struct conv_geometry g;
	enum auto_pad auto_pad;
	enum err_code rc = read_common(n, x, &g, &auto_pad, err);
	if (rc == ERR_OK)
		rc = read_ints(n, "kernel_shape", g.spatial, 1, 1, g.kernel, err);
	if (rc != ERR_OK)
		return rc;
	*ret = *x;
	for (int i = 0; i < g.spatial; i++) {
		int64_t strided, *out = &ret->dim[i + 2], pads = g.pad_begin[i] + g.pad_end[i];
		if (g.in[i] < 0) {
			*out = DIM_UNKNOWN;
			continue;
		}
		if (mul_i64_overflows(g.in[i] - 1, g.stride[i], &strided) ||
			add_i64_overflows(strided, g.kernel[i] - pads, out) || *out < 0)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"spatial axis %d of the output would have less than 0, or too many "
				"indices",
				i);
	}
	return ERR_OK;
}

/* Entry i of a list of sizes. */
static enum err_code read_size(const struct tensor *list, int i, const char *name, int64_t *ret,
	struct err *err)
{
	*ret = tensor_int(list, i);
	if (*ret >= 1 && *ret <= WINDOW_MAX)
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "%s[%d] is %" PRId64 ", it must be in [1,%d]",
		name, i, *ret, WINDOW_MAX);
}

enum err_code col2im_geometry(const struct node *n, const struct tensor *image,
	const struct tensor *block, struct conv_geometry *ret, struct err *err)
{
	struct conv_geometry g;
	enum auto_pad auto_pad;
	int64_t spatial = tensor_count(image);
	if (spatial < 1 || spatial > SPATIAL_MAX || tensor_count(block) != spatial)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"image_shape has %" PRId64 " entries and block_shape %" PRId64
			", they must have as many, 1 to %d",
			spatial, tensor_count(block), SPATIAL_MAX);
	struct shape x = { .rank = (int32_t)spatial + 2, .dim = { 1, 1 } };
	enum err_code rc = ERR_OK;
	for (int i = 0; i < spatial && rc == ERR_OK; i++)
		rc = read_size(image, i, "image_shape", &x.dim[i + 2], err);
	if (rc == ERR_OK)
		rc = read_common(n, &x, &g, &auto_pad, err);
	for (int i = 0; i < spatial && rc == ERR_OK; i++)
		rc = read_size(block, i, "block_shape", &g.kernel[i], err);
	if (rc == ERR_OK)
		rc = solve(&g, AUTO_PAD_NOTSET, false, err);
	if (rc == ERR_OK)
		*ret = g;
	return rc;
}

static bool is_pointwise(const struct conv_geometry *g, int i)
{
	return g->kernel[i] == 1 && g->stride[i] == 1 && g->in[i] == g->out[i] &&
	       g->pad_begin[i] == 0;
}

static void move_axis(struct conv_geometry *g, int to, int from)
{
	g->in[to] = g->in[from];
	g->out[to] = g->out[from];
	g->kernel[to] = g->kernel[from];
	g->stride[to] = g->stride[from];
	g->dilation[to] = g->dilation[from];
	g->pad_begin[to] = g->pad_begin[from];
	g->pad_end[to] = g->pad_end[from];
}

void conv_geometry_merge(struct conv_geometry *g)
{
	int n = 0;
	for (int i = 0; i < g->spatial; i++) {
		if (n && is_pointwise(g, n - 1) && is_pointwise(g, i)) {
			g->in[n - 1] *= g->in[i];
			g->out[n - 1] = g->in[n - 1];
		} else {
			move_axis(g, n++, i);
		}
	}
	g->spatial = n;
}
