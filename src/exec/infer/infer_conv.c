/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_conv.c -- convolutions, pools, resizing; the numbers come from the geometry files
 */
#include "exec/attrs.h"
#include "exec/infer/conv_geometry.h"
#include "exec/infer/infer.h"
#include "exec/infer/resize_geometry.h"

#include <inttypes.h>


/* A bias is one number per output channel. */
static enum err_code want_bias(const struct infer *x, int i, int64_t channels, struct err *err)
{
	return infer_has(x, i) ? infer_want_list(x, i, channels, err) : ERR_OK;
}

/* The output size along axis i of what has windows: where it is no number, the formula
   is its name, so that branches with equal windows end with equal dimensions. */
static int64_t window_dim(const struct infer *x, const struct conv_geometry *g, int i)
{
	if (g->out[i] != DIM_UNKNOWN || g->in[i] == DIM_UNKNOWN || g->kernel[i] < 0)
		return g->out[i];
	struct slice pad = node_string(x->node, "auto_pad", "NOTSET");
	bool same = slice_is(pad, "SAME_UPPER") || slice_is(pad, "SAME_LOWER");
	int64_t add = same ? -1 : g->pad_begin[i] + g->pad_end[i] - conv_extent(g, i);
	bool ceil_mode = slice_is(pad, "NOTSET") && node_int(x->node, "ceil_mode", 0);
	return infer_derived(x, "%s((s%" PRId64 "%+" PRId64 ")/%" PRId64 ",%" PRId64 ")+1",
		ceil_mode ? "ceil" : "floor", DIM_SYMBOL_INDEX(g->in[i]), add, g->stride[i],
		ceil_mode ? g->pad_begin[i] : 0);
}

static struct shape conv_shape(
	const struct infer *x, const struct conv_geometry *g, int64_t channels)
{
	struct shape out = { .rank = g->spatial + 2 };
	out.dim[0] = x->in[0]->shape.dim[0];
	out.dim[1] = channels;
	for (int i = 0; i < g->spatial; i++)
		out.dim[i + 2] = window_dim(x, g, i);
	return out;
}

static bool ranks_known(const struct infer *x, int n)
{
	for (int i = 0; i < n; i++)
		if (x->in[i]->shape.rank == RANK_UNKNOWN)
			return false;
	return true;
}

enum err_code infer_conv_shape(struct infer *x, struct shape *ret, struct err *err)
{
	struct conv_geometry g;
	*ret = SHAPE_UNKNOWN;
	if (!ranks_known(x, 2))
		return ERR_OK;
	const struct shape *w = &x->in[1]->shape;
	TRY(conv_geometry(x->node, &x->in[0]->shape, w, &g, err));
	*ret = conv_shape(x, &g, w->dim[0]);
	return ERR_OK;
}

enum err_code infer_conv(struct infer *x, struct err *err)
{
	struct shape out;
	TRY(infer_want_one_type(x, 0, T_FLOAT, err));
	TRY(infer_conv_shape(x, &out, err));
	if (out.rank >= 0)
		TRY(want_bias(x, 2, x->in[1]->shape.dim[0], err));
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_fused_conv(struct infer *x, struct err *err)
{
	TRY(infer_want_int(x, "activation", ACT_NONE, ACT_NONE, ACT_COUNT_ - 1, err));
	TRY(infer_conv(x, err));
	if (!infer_has(x, 3))
		return ERR_OK;
	const struct shape *z = &x->in[3]->shape, *out = &x->out[0].shape;
	bool same = z->rank < 0 || out->rank < 0 || z->rank == out->rank;
	for (int i = 0; same && out->rank >= 0 && i < z->rank; i++)
		same = !dim_conflict(z->dim[i], out->dim[i]);
	return same ? ERR_OK : infer_fail(x, err, "Z is %s, the output %s: they must be equal",
					 SHAPE_TEXT(z), SHAPE_TEXT(out));
}

enum err_code infer_conv_transpose(struct infer *x, struct err *err)
{
	struct conv_geometry g;
	struct shape out = SHAPE_UNKNOWN;
	TRY(infer_want_one_type(x, 0, T_FLOAT, err));
	if (ranks_known(x, 2)) {
		TRY(conv_transpose_geometry(x->node, &x->in[0]->shape, &x->in[1]->shape, &g, err));
		int64_t per_group = x->in[1]->shape.dim[1], m = DIM_UNKNOWN;
		if (per_group > INT32_MAX)
			return infer_fail(x, err,
				"weights have %" PRId64 " output channels per group", per_group);
		if (per_group >= 0)
			m = per_group * g.group; /* group is an int32 too */
		TRY(want_bias(x, 2, m, err));
		out = (struct shape){ .rank = g.spatial + 2 };
		out.dim[0] = x->in[0]->shape.dim[0];
		out.dim[1] = m;
		for (int i = 0; i < g.spatial; i++)
			out.dim[i + 2] = g.out[i];
	}
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_pool(struct infer *x, struct err *err)
{
	struct conv_geometry g;
	struct shape out = SHAPE_UNKNOWN;
	bool max = x->node->op == OP_MAX_POOL;
	TRY(infer_want_type(x, 0, max ? T_FLOAT | T(I8) | T(U8) : T_FLOAT, err));
	TRY(infer_want_int(x, "ceil_mode", 0, 0, 1, err));
	TRY(infer_want_int(x, "storage_order", 0, 0, 1, err));
	TRY(infer_want_int(x, "count_include_pad", 0, 0, 1, err));
	TRY(infer_want_int(x, "p", 2, 1, INT32_MAX, err));
	if (ranks_known(x, 1)) {
		TRY(pool_geometry(x->node, &x->in[0]->shape, &g, err));
		out = conv_shape(x, &g, x->in[0]->shape.dim[1]);
	}
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	infer_set(x, 1, DTYPE_I64, &out);
	return ERR_OK;
}

enum err_code infer_global_pool(struct infer *x, struct err *err)
{
	struct shape out = x->in[0]->shape;
	TRY(infer_want_type(x, 0, T_FLOAT, err));
	TRY(infer_want_rank(x, 0, 2, RANK_MAX, err));
	TRY(infer_want_int(x, "p", 2, 1, INT32_MAX, err));
	for (int i = 2; i < out.rank; i++)
		out.dim[i] = 1;
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

/* Inputs roi, scales and sizes: absent, known, or awaited. */
static enum err_code resize_inputs(struct infer *x, const struct tensor *t[4], bool *ret_known,
	struct err *err)
{
	static const uint64_t types[4] = { 0, T_REAL | T(F16), T(F32), T(I64) };
	*ret_known = true;
	for (int i = 1; i < 4; i++) {
		t[i] = NULL;
		if (!infer_has(x, i))
			continue;
		TRY(infer_want_type(x, i, types[i], err));
		TRY(infer_want_list(x, i, -1, err));
		const struct shape *s = &x->in[i]->shape;
		bool empty = s->rank == 1 && s->dim[0] == 0;
		t[i] = x->in[i]->data;
		if (empty || t[i])
			continue;
		bool crop = slice_is(node_string(x->node, "coordinate_transformation_mode", ""),
			"tf_crop_and_resize");
		if (i == 1 && !crop)
			continue;
		*ret_known = false;
		TRY(infer_need_data(x, i));
	}
	return ERR_OK;
}

/* An axis of unknown size that is scaled: the formula is its name. */
static int64_t resized_dim(const struct infer *x, const struct resize_geometry *g, int i)
{
	if (g->out[i] != DIM_UNKNOWN || g->in[i] == DIM_UNKNOWN || g->coord == RESIZE_TF_CROP)
		return g->out[i];
	return infer_derived(
		x, "floor(s%" PRId64 "*%a)", DIM_SYMBOL_INDEX(g->in[i]), (double)g->scale[i]);
}

enum err_code infer_resize(struct infer *x, struct err *err)
{
	const struct tensor *t[4];
	struct resize_geometry g;
	struct infer_ints sizes;
	bool known;
	struct shape out = { .rank = x->in[0]->shape.rank };
	TRY(infer_want_type(x, 0, T_NUM | T_F8 | T(BOOL) | T(STRING), err));
	TRY(resize_inputs(x, t, &known, err));
	for (int i = 0; i < out.rank; i++)
		out.dim[i] = DIM_UNKNOWN;
	if (known && out.rank >= 0) {
		TRY(resize_geometry(x->node, &x->in[0]->shape, t[1], t[2], t[3], &g, err));
		for (int i = 0; i < g.rank; i++)
			out.dim[i] = t[2] ? resized_dim(x, &g, i) : g.out[i];
	} else if (infer_has(x, 3) && infer_ints(x, 3, &sizes) && sizes.n == out.rank &&
		   !node_attr(x->node, "axes") && !node_attr(x->node, "keep_aspect_ratio_policy")) {
		for (int i = 0; i < sizes.n; i++)
			out.dim[i] = sizes.v[i];
	}
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}
