/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_rnn.c -- RNN, GRU and LSTM
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
