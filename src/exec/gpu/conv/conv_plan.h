/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conv_plan.h -- a convolution and what is done to its result, as a plan of cuDNN's
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Ownership: the version's packs own the plans; equal convolutions share one.
 * Threads:   as in gpu.h.
 */
#pragma once

#include "exec/gpu/lib/dnn.h"
#include "exec/gpu/gpu.h"

/* Ids of what a run brings. */
enum conv_operand { CONV_X = 1, CONV_W, CONV_Y, CONV_BIAS, CONV_Z };

#define CONV_SPATIAL_MAX 3

/* Everything that a plan depends on; no padding, since it is a key. Of a transposed convolution
   (back) x is what it reads, and the windows are those of the convolution that it turns round. */
struct conv_spec {
	const struct backend *backend;
	int64_t n, c, k, group; /* channels of x and of y */
	int64_t in[CONV_SPATIAL_MAX], out[CONV_SPATIAL_MAX], kernel[CONV_SPATIAL_MAX];
	int64_t stride[CONV_SPATIAL_MAX], dilation[CONV_SPATIAL_MAX];
	int64_t pad_begin[CONV_SPATIAL_MAX], pad_end[CONV_SPATIAL_MAX];
	int32_t spatial, dtype;
	int32_t channels_last; /* of x, w, y and z alike */
	int32_t back;
	int32_t bias, z; /* are there; y = act(conv(x) + z + bias) */
	int32_t act;     /* enum activation */
	float alpha, beta;
	uint32_t forbidden; /* of struct dnn_limits */
	int64_t workspace_bytes;
};

/* Can the activation be part of the plan? */
bool conv_plan_takes(const struct conv_spec *s);

/* The graph of a struct conv_spec. */
void conv_describe(struct dnn_graph *g, const void *spec);

/* UNIMPLEMENTED: the library has nothing for it. */
MUST_CHECK enum err_code conv_plan(struct prep *p, const struct conv_spec *s, struct dnn_plan **ret,
	struct err *err);
