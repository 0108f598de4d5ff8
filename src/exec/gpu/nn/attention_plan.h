/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attention_plan.h -- softmax(scale * Q K' + mask) V as one plan of cuDNN's
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Ownership: the version's packs own the plans; equal attentions share one.
 * Threads:   as in gpu.h.
 */
#pragma once

#include "exec/gpu/lib/dnn.h"
#include "exec/gpu/gpu.h"

/* Ids of what a run brings; the scale is a float on the host. */
enum attention_operand { SDPA_Q = 1, SDPA_K, SDPA_V, SDPA_Y, SDPA_MASK, SDPA_SCALE };

/* [batch, heads, length, size], and how far apart. */
struct sdpa_tensor {
	int64_t dim[4], stride[4];
};

/* Everything that a plan depends on; no padding, since it is a key. */
struct sdpa_spec {
	const struct backend *backend;
	struct sdpa_tensor q, k, v, y;
	struct sdpa_tensor mask; /* dim 0: there is none */
	int64_t dtype;
};

/* The graph of it, for a device. */
void sdpa_describe(struct dnn_graph *g, const void *spec);

/* UNIMPLEMENTED: the library has nothing for it. */
MUST_CHECK enum err_code sdpa_plan(struct prep *p, const struct sdpa_spec *s, struct dnn_plan **ret,
	struct err *err);
