/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_signal.c -- Fourier transforms, windows, mel weights
 */
#include "exec/attrs.h"
#include "exec/infer/dft_geometry.h"
#include "exec/infer/infer.h"

#include <inttypes.h>

/* Of a spectrum of which one half may be all that is asked for. */
static int64_t spectrum_dim(int64_t points, bool half)
{
	return points >= 0 && half ? points / 2 + 1 : points >= 0 ? points : DIM_UNKNOWN;
}

enum err_code infer_dft(struct infer *x, struct err *err)
{
	struct dft_geometry g;
	struct shape out = x->in[0]->shape;
	const struct tensor *given[3] = { NULL };
	bool known = true;
	TRY(infer_want_type(x, 0, T_FLOAT, err));
	TRY(infer_want_int(x, "inverse", 0, 0, 1, err));
	TRY(infer_want_int(x, "onesided", 0, 0, 1, err));
	for (int i = 1; i < 3; i++) {
		int64_t v;
		bool has = true;
		if (infer_has(x, i)) {
			TRY(infer_want_number(x, i, &v, &has, err));
			given[i] = x->in[i]->data;
		}
		known &= has;
	}
	for (int i = 0; i < out.rank && !known; i++)
		out.dim[i] = DIM_UNKNOWN;
	if (known && out.rank >= 0) {
		TRY(dft_geometry(x->node, &x->in[0]->shape, given[1], given[2], &g, err));
		out.dim[g.axis] = g.length == DIM_UNKNOWN && !g.onesided
					  ? out.dim[g.axis]
					  : spectrum_dim(g.length, g.onesided && !g.inverse);
		out.dim[out.rank - 1] = g.onesided && g.inverse ? 1 : 2;
	}
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

/* Frames of `points` (a dimension) that a signal has, `step` apart. */
static enum err_code
count_frames(const struct infer *x, int64_t points, int64_t step, int64_t *ret, struct err *err)
{
	bool given = infer_has(x, 3) && x->in[3]->data;
	int64_t n = x->in[0]->shape.dim[1];
	if (step < 1)
		return infer_fail(x, err, "frame_step is %" PRId64 ", it must be at least 1", step);
	if (points == 0 || (given && points < 0))
		return infer_fail(
			x, err, "frames have %" PRId64 " points, at least 1 is needed", points);
	if (n < 0 || points < 0)
		return ERR_OK;
	if (points > n)
		return infer_fail(
			x, err, "frames have %" PRId64 " points, the signal %" PRId64, points, n);
	*ret = (n - points) / step + 1;
	return ERR_OK;
}

enum err_code infer_stft(struct infer *x, struct err *err)
{
	const struct shape *s = &x->in[0]->shape;
	struct shape out = { .rank = 4, .dim = { DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN, 2 } };
	bool half = node_int(x->node, "onesided", 1) != 0, has_step, has_length = true;
	int64_t step = 1, length;
	TRY(infer_want_type(x, 0, T_FLOAT, err));
	TRY(infer_want_rank(x, 0, 3, 3, err));
	TRY(infer_want_int(x, "onesided", 1, 0, 1, err));
	TRY(infer_want_number(x, 1, &step, &has_step, err));
	if (infer_has(x, 2)) {
		TRY(infer_want_type(x, 2, T_FLOAT, err));
		TRY(infer_want_same_type(x, 0, 2, err));
		TRY(infer_want_list(x, 2, -1, err));
	}
	if (infer_has(x, 3))
		TRY(infer_want_number(x, 3, &length, &has_length, err));
	if (s->rank == 3 && s->dim[2] >= 0 && s->dim[2] != 1 && (half || s->dim[2] != 2))
		return infer_fail(x, err, "input 0 is %s, its last dimension must be 1 (real)%s",
			SHAPE_TEXT(s), half ? ", as onesided is 1" : " or 2 (complex)");
	if (s->rank == 3 && has_step && has_length) {
		int64_t points = stft_length(s, infer_has(x, 2) ? &x->in[2]->shape : NULL,
			infer_has(x, 3) ? x->in[3]->data : NULL);
		TRY(count_frames(x, points, step, &out.dim[1], err));
		out.dim[0] = s->dim[0];
		out.dim[2] = spectrum_dim(points, half);
	}
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

enum err_code infer_cosine_window(struct infer *x, struct err *err)
{
	struct shape out = shape_of(DIM_UNKNOWN);
	bool known;
	TRY(infer_want_int(x, "kind", WINDOW_HANN, 0, WINDOW_COUNT_ - 1, err));
	TRY(infer_want_int(x, "periodic", 1, 0, 1, err));
	TRY(infer_want_number(x, 0, &out.dim[0], &known, err));
	if (known && out.dim[0] < 0)
		return infer_fail(
			x, err, "size is %" PRId64 ", it must not be negative", out.dim[0]);
	infer_set(x, 0, DTYPE_F64, &out);
	return ERR_OK;
}

/* Numbers of bins, points and samples are known while planning; the edges may come later. */
enum err_code infer_mel_weights(struct infer *x, struct err *err)
{
	static const char *const names[] = { "num_mel_bins", "dft_length", "sample_rate" };
	struct shape out = shape_of(DIM_UNKNOWN, DIM_UNKNOWN);
	int64_t v[3];
	bool known[3];
	for (int i = 0; i < 3; i++) {
		TRY(infer_want_number(x, i, &v[i], &known[i], err));
		if (known[i] && (v[i] < 1 || v[i] > INT32_MAX))
			return infer_fail(x, err, "%s is %" PRId64 ", it must be in [1,%d]",
				names[i], v[i], INT32_MAX);
	}
	for (int i = 3; i < 5; i++) {
		TRY(infer_want_type(x, i, T_FLOAT, err));
		TRY(infer_want_scalar(x, i, err));
	}
	if (known[0])
		out.dim[1] = v[0];
	if (known[1])
		out.dim[0] = v[1] / 2 + 1;
	infer_set(x, 0, DTYPE_F64, &out);
	return ERR_OK;
}
