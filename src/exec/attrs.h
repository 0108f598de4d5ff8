/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attrs.h -- which attributes an operator takes: the lists that ops.def names
 *
 * attrs.c has them, a line each. Defaults are where they are read (node_int(n, "axis", -1)),
 * beside the meaning. Constants: any thread reads them.
 */
#pragma once

#include "exec/graph.h"

#define OP(id, domain, name, since, in_min, in_max, out_min, out_max, flags, infer_fn_, attrs_) \
	extern const struct attr_spec attrs_[];
#include "exec/ops.def"
#undef OP

/* The windows that CosineWindow makes by its attribute "kind". */
enum window_kind { WINDOW_HANN, WINDOW_HAMMING, WINDOW_BLACKMAN, WINDOW_COUNT_ };

/* The activations that FusedConv and FusedMatMul take in their attribute "activation"
   (an ATTR_INT of this enum), with parameters "alpha" and "beta". */
enum activation {
	ACT_NONE,
	ACT_RELU,
	ACT_LEAKY_RELU,   /* alpha */
	ACT_CLIP,         /* alpha = low, beta = high */
	ACT_SIGMOID,
	ACT_TANH,
	ACT_HARD_SIGMOID, /* alpha, beta */
	ACT_HARD_SWISH,
	ACT_SWISH,        /* x * sigmoid(alpha * x) */
	ACT_GELU,         /* erf form */
	ACT_GELU_TANH,
	ACT_COUNT_
};
