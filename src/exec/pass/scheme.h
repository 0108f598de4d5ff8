/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheme.h -- how integers of a quantized graph stand for its numbers (inside exec/pass only)
 *
 * Between DequantizeLinear and QuantizeLinear a graph computes with floats; what is read here says
 * which integers they are.
 *
 * Ownership: what is found is the graph's. Threads: as passes. Memory: none.
 */
#pragma once

#include "exec/pass/pass.h"

/* How numbers of a type stand for real ones. */
struct scheme {
	enum dtype dtype;
	double scale;
	int64_t zero;
};

/* A quantized value and its scheme. */
struct scheme_operand {
	int32_t v;
	struct scheme q;
};

/* Constant weights: scale has one element, or one per channel, and so has zero. */
struct scheme_weights {
	int32_t v, zero; /* VALUE_NONE: all are zero */
	const struct tensor *scale;
	int64_t channels;
	int64_t depth; /* products that make one result */
};

/* The range that an activation leaves of the result's type. */
struct scheme_range {
	int64_t low, high;
};

/* Numbers of a constant, or of a constant that is dequantized. No tensor: zeros. */
struct scheme_bias {
	const struct tensor *t, *scale; /* scale NULL: t's are the numbers */
};

/* n is (De)QuantizeLinear between float32 and bytes with one known scale and zero point. */
bool scheme_read(const struct pass_ctx *c, const struct node *n, int32_t bytes, int32_t floats,
	struct scheme *ret);

/* v is such bytes, dequantized. */
bool scheme_operand(const struct pass_ctx *c, int32_t v, struct scheme_operand *ret);

/* v is made of constant bytes, with one scale for all or for each index of the channel axis. */
bool scheme_weights(
	const struct pass_ctx *c, int32_t v, int channel_axis, struct scheme_weights *ret);
double scheme_scale_at(const struct tensor *scale, int64_t i);

bool scheme_bias(const struct pass_ctx *c, int32_t v, struct scheme_bias *ret);
double scheme_bias_at(const struct scheme_bias *b, int64_t i);

struct scheme_range scheme_range(enum dtype dtype);

/* Steps over activations that clamp, which nobody else reads; moves *v before them. */
struct scheme_range scheme_clamps(const struct pass_ctx *c, const struct scheme *y, int32_t *v);
