/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_rnn.c -- RNN, GRU, LSTM and DynamicQuantizeLSTM
 */
#include "exec/infer/rnn_geometry.h"

#include <inttypes.h>

static void set_outputs(struct infer *x, const struct rnn_geometry *g)
{
	enum dtype dtype = x->in[RNN_X]->type.dtype;
	int64_t d = g->directions, b = g->batch, t = g->steps, h = g->hidden;
	struct shape all = g->batch_first ? shape_of(b, t, d, h) : shape_of(t, d, b, h);
	struct shape last = g->batch_first ? shape_of(b, d, h) : shape_of(d, b, h);
	infer_set(x, 0, dtype, &all);
	infer_set(x, 1, dtype, &last);
	infer_set(x, 2, dtype, &last);
}

static enum err_code infer_shapes(struct infer *x, struct err *err)
{
	struct shape in[RNN_INPUTS_];
	struct rnn_geometry g;
	for (int i = 0; i < RNN_INPUTS_; i++)
		in[i] = infer_has(x, i) ? x->in[i]->shape : SHAPE_UNKNOWN;
	if (infer_has(x, RNN_LENGTHS))
		TRY(infer_want_type(x, RNN_LENGTHS, T(I32), err));
	TRY(rnn_geometry(x->node, in, &g, err));
	set_outputs(x, &g);
	return ERR_OK;
}

enum err_code infer_rnn(struct infer *x, struct err *err)
{
	for (int i = RNN_X; i <= RNN_PEEPHOLES; i++) {
		if (i == RNN_LENGTHS || !infer_has(x, i))
			continue;
		TRY(infer_want_type(x, i, T_FLOAT, err));
		TRY(infer_want_same_type(x, RNN_X, i, err));
	}
	return infer_shapes(x, err);
}

/* One number per direction, or one per direction and column. */
static enum err_code want_scale(const struct infer *x, int i, int64_t directions, struct err *err)
{
	const struct shape *s = &x->in[i]->shape,
			   *w = &x->in[i < RNN_R_SCALE ? RNN_W : RNN_R]->shape;
	TRY(infer_want_rank(x, i, 1, 2, err));
	if (s->rank >= 1 && dim_conflict(s->dim[0], directions))
		return infer_fail(x, err, "input %d is %s, there are %" PRId64 " directions", i,
			SHAPE_TEXT(s), directions);
	if (s->rank == 2 && w->rank == 3 && dim_conflict(s->dim[1], w->dim[2]))
		return infer_fail(x, err, "input %d is %s, its weights are %s", i, SHAPE_TEXT(s),
			SHAPE_TEXT(w));
	return ERR_OK;
}

enum err_code infer_dynamic_quantize_lstm(struct infer *x, struct err *err)
{
	int64_t directions =
		slice_is(node_string(x->node, "direction", "forward"), "bidirectional") ? 2 : 1;
	for (int i = 0; i < RNN_INPUTS_; i++) {
		bool zero = i == RNN_W_ZERO || i == RNN_R_ZERO;
		bool weight = i == RNN_W || i == RNN_R || zero;
		if (i == RNN_LENGTHS || !infer_has(x, i))
			continue;
		TRY(infer_want_type(x, i, weight ? T(I8) | T(U8) : T(F32), err));
		if (zero)
			TRY(infer_want_same_type(x, i < RNN_R_SCALE ? RNN_W : RNN_R, i, err));
		if (i >= RNN_W_SCALE)
			TRY(want_scale(x, i, directions, err));
	}
	for (int i = RNN_W_SCALE; i < RNN_INPUTS_; i++)
		if (!infer_has(x, i))
			return infer_fail(x, err, "input %d is required", i);
	for (int i = RNN_W_SCALE; i < RNN_INPUTS_; i += 2) {
		const struct shape *scale = &x->in[i]->shape, *zero = &x->in[i + 1]->shape;
		if (scale->rank >= 0 && zero->rank >= 0 && scale->rank != zero->rank)
			return infer_fail(x, err, "a scale is %s and its zero point %s",
				SHAPE_TEXT(scale), SHAPE_TEXT(zero));
	}
	return infer_shapes(x, err);
}
