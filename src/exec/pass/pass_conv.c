/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_conv.c -- what surrounds a convolution goes into it: Pad before it, a residual
 * addition and an activation after it
 */
#include "exec/infer/conv_geometry.h"
#include "exec/infer/move_geometry.h"
#include "exec/pass/pass.h"

#include <string.h>

/* -- Pad before ------------------------------------------------------------------------------ */

/* Zeros around the spatial axes only; ret gets as many pads as Conv wants. */
static bool match_zero_pad(const struct pass_ctx *c, const struct node *n, int64_t *ret)
{
	struct pad_geometry g;
	double fill;
	const struct shape *x = &pass_value(c, pass_in(c, n, 0))->shape;
	int32_t pads = pass_in(c, n, 1), axes = pass_in(c, n, 3), value = pass_in(c, n, 2);
	if (!slice_is(node_string(n, "mode", "constant"), "constant") || x->rank < 3 ||
		!c->graph->value[pads].constant ||
		(axes != VALUE_NONE && !c->graph->value[axes].constant) ||
		(value != VALUE_NONE && !(pass_scalar(c, value, &fill) && fill == 0)) ||
		pad_geometry(x, c->graph->value[pads].constant,
			axes == VALUE_NONE ? NULL : c->graph->value[axes].constant, &g,
			NULL) != ERR_OK)
		return false;
	for (int i = 0; i < g.rank; i++) {
		if (g.begin[i] < 0 || g.end[i] < 0 || (i < 2 && (g.begin[i] || g.end[i])))
			return false;
		if (i >= 2) {
			ret[i - 2] = g.begin[i];
			ret[g.rank - 2 + i - 2] = g.end[i];
		}
	}
	return true;
}

/* The convolution's attributes with other pads; ret has room for one more. */
static int replace_pads(const struct node *n, const int64_t *pads, int n_pads, struct attr *ret)
{
	int k = 0;
	for (int i = 0; i < n->n_attr; i++)
		if (strcmp(n->attr[i].name, "pads") != 0 &&
			strcmp(n->attr[i].name, "auto_pad") != 0)
			ret[k++] = n->attr[i];
	ret[k++] = (struct attr){ .name = "pads", .kind = ATTR_INTS, .n = n_pads, .ints = pads };
	return k;
}

#define CONV_ATTRS_MAX 16

static enum err_code pad_into_conv(struct pass_ctx *c, struct node *n, struct err *err)
{
	struct conv_geometry g;
	struct attr attr[CONV_ATTRS_MAX];
	if (n->op != OP_CONV || n->n_attr >= CONV_ATTRS_MAX)
		return ERR_OK;
	const struct node *pad = pass_match(c, pass_in(c, n, 0), OP_PAD);
	struct slice mode = node_string(n, "auto_pad", "NOTSET");
	if (!pad || (!slice_is(mode, "NOTSET") && !slice_is(mode, "VALID")) ||
		!pass_is_f32(c, n->out[0]) ||
		conv_geometry(n, &pass_value(c, pass_in(c, n, 0))->shape,
			&pass_value(c, pass_in(c, n, 1))->shape, &g, NULL) != ERR_OK)
		return ERR_OK;
	int64_t *pads = ARENA_ARRAY(c->graph->arena, int64_t, 2 * SPATIAL_MAX);
	if (!pads)
		return err_oom(err);
	if (!match_zero_pad(c, pad, pads))
		return ERR_OK;
	for (int i = 0; i < g.spatial; i++) {
		pads[i] += g.pad_begin[i];
		pads[g.spatial + i] += g.pad_end[i];
	}
	int32_t in[3] = { pass_in(c, pad, 0), pass_in(c, n, 1), pass_in(c, n, 2) };
	int n_attr = replace_pads(n, pads, 2 * g.spatial, attr);
	return pass_rewrite(c, n, OP_CONV, in, 3, attr, n_attr, err);
}

enum err_code pass_pad_into_conv(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, pad_into_conv, err);
}

/* -- addition and activation after ------------------------------------------------------------- */

/* The convolution that makes v, if it can take in something that is done to v, which is
   read `reads` times by what is done. */
static struct node *match_conv(const struct pass_ctx *c, int32_t v, int reads)
{
	struct node *n = pass_producer(c, v);
	bool fusible =
		n && (n->op == OP_CONV || (n->op == OP_FUSED_CONV &&
						  node_int(n, "activation", ACT_NONE) == ACT_NONE));
	return fusible && c->uses[v] == reads && !c->is_output[v] && pass_is_f32(c, v) &&
			n->n_attr + 3 <= CONV_ATTRS_MAX
		? n
		: NULL;
}

/* n becomes the convolution with Z and, if given, an activation. */
static enum err_code fuse(struct pass_ctx *c, struct node *n, const struct node *conv, int32_t z,
	const struct pass_activation *a, struct err *err)
{
	struct attr attr[CONV_ATTRS_MAX];
	int n_attr = 0;
	int32_t in[4] = { pass_in(c, conv, 0), pass_in(c, conv, 1), pass_in(c, conv, 2), z };
	for (int i = 0; i < conv->n_attr; i++)
		attr[n_attr++] = conv->attr[i];
	if (a)
		n_attr += pass_activation_attrs(a, attr + n_attr);
	return pass_rewrite(c, n, OP_FUSED_CONV, in, 4, attr, n_attr, err);
}

/* conv(x) + z of one shape: the later of two convolutions takes the other's result. */
static enum err_code fuse_residual(struct pass_ctx *c, struct node *n, struct err *err)
{
	const struct node *best = NULL;
	int32_t z = VALUE_NONE;
	for (int k = 0; k < 2; k++) {
		const struct node *conv = match_conv(c, pass_in(c, n, k), 1);
		int32_t other = pass_in(c, n, 1 - k);
		if (!conv || node_has_in(conv, 3) || (best && conv < best) ||
			!pass_is_f32(c, other) ||
			!pass_same_shape(&pass_value(c, pass_in(c, n, k))->shape,
				&pass_value(c, other)->shape))
			continue;
		best = conv;
		z = other;
	}
	return best ? fuse(c, n, best, z, NULL, err) : ERR_OK;
}

static enum err_code fuse_conv(struct pass_ctx *c, struct node *n, struct err *err)
{
	struct pass_activation a;
	if (n->op == OP_ADD)
		return fuse_residual(c, n, err);
	if (!pass_match_activation(c, n, &a))
		return ERR_OK;
	const struct node *conv = match_conv(c, a.in, a.reads);
	return conv ? fuse(c, n, conv, pass_in(c, conv, 3), &a, err) : ERR_OK;
}

enum err_code pass_fuse_conv(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, fuse_conv, err);
}
