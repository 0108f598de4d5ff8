/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/infer/dft_geometry.h"

#include <inttypes.h>

static enum err_code check_parts(
	const struct dft_geometry *g, const struct shape *x, struct err *err)
{
	int64_t parts = x->dim[x->rank - 1];
	bool real_only = g->onesided && !g->inverse, complex_only = g->onesided && g->inverse;
	if (parts < 0 || (parts == 1 && !complex_only) || (parts == 2 && !real_only))
		return ERR_OK;
	const char *rule = "1 (real) or 2 (complex)";
	if (real_only)
		rule = "1: with onesided it is real";
	else if (complex_only)
		rule = "2: half of a spectrum is complex";
	return err_set(err, ERR_INVALID_ARGUMENT, "input 0 is %s, its last dimension must be %s",
		SHAPE_TEXT(x), rule);
}

enum err_code dft_geometry(const struct node *n, const struct shape *x, const struct tensor *length,
	const struct tensor *axis, struct dft_geometry *ret, struct err *err)
{
	struct dft_geometry g = { .inverse = node_int(n, "inverse", 0) != 0,
		.onesided = node_int(n, "onesided", 0) != 0 };
	int64_t at = axis ? tensor_int(axis, 0) : -2;
	if (x->rank < 2)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input 0 is %s, its rank must be at least 2", SHAPE_TEXT(x));
	if (!shape_axis(at, x->rank, &g.axis) || g.axis == x->rank - 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"axis is %" PRId64 ", it must be one of %s but the last", at,
			SHAPE_TEXT(x));
	int64_t points = x->dim[g.axis];
	bool half = g.inverse && g.onesided;
	g.length = length ? tensor_int(length, 0)
		   : points < 0 ? DIM_UNKNOWN
		   : half	? 2 * (points - 1)
				: points;
	if ((length || points >= 0) && g.length < 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"a transform of %" PRId64 " points: at least 1 is needed", g.length);
	enum err_code rc = check_parts(&g, x, err);
	if (rc == ERR_OK)
		*ret = g;
	return rc;
}

int64_t stft_length(const struct shape *signal, const struct shape *window,
	const struct tensor *frame_length)
{
	if (frame_length)
		return tensor_int(frame_length, 0);
	if (window)
		return window->rank == 1 ? window->dim[0] : DIM_UNKNOWN;
	return signal->rank == 3 ? signal->dim[1] : DIM_UNKNOWN;
}
