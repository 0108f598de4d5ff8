/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_signal.c -- DFT whose axis was an attribute; windows and mel weights, which are made
 * in float64 and then cast
 */
#include "exec/attrs.h"
#include "loader/onnx/lower/lower.h"

#define END { NULL, 0, false }

const struct attr_spec old_dft_17[] = { { "axis", ATTR_INT, false }, END };
const struct attr_spec old_output_datatype[] = { { "output_datatype", ATTR_INT, false }, END };
const struct attr_spec old_window[] = { { "output_datatype", ATTR_INT, false },
	{ "periodic", ATTR_INT, false }, END };

void lower_dft_17(struct lower *x)
{
	lower_set_in(x, 2, lower_scalar(x, lower_take_int(x, "axis", 1)));
}

/* The draft becomes the Cast of v. */
static void cast_to(struct lower *x, int32_t v, int64_t dtype)
{
	x->op = OP_CAST;
	x->n_in = 0;
	lower_set_in(x, 0, v);
	lower_default_int(x, "to", dtype);
}

void lower_window(struct lower *x)
{
	int64_t dtype = lower_take_int(x, "output_datatype", DTYPE_F32);
	lower_with_int(x, "kind", slice_is(x->type, "HannWindow")      ? WINDOW_HANN
				  : slice_is(x->type, "HammingWindow") ? WINDOW_HAMMING
								       : WINDOW_BLACKMAN);
	lower_with_int(x, "periodic", lower_take_int(x, "periodic", 1));
	cast_to(x, LOWER_EMIT(x, COSINE_WINDOW, lower_in(x, 0)), dtype);
}

void lower_mel_weights(struct lower *x)
{
	int64_t dtype = lower_take_int(x, "output_datatype", DTYPE_F32);
	int32_t in[5];
	for (int i = 0; i < 5; i++)
		in[i] = lower_in(x, i);
	cast_to(x, lower_emit(x, OP_MEL_WEIGHTS, 5, in), dtype);
}
