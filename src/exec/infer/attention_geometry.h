/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attention_geometry.h -- what the attributes and shapes of Attention say
 *
 * Life of a version: ... -> load [INFER] -> compile [PREPARE] -> ...
 *
 * infer takes the output shapes from it, kernels everything else.
 *
 * Ownership, memory: none. Threads: any.
 */
#pragma once

#include "exec/infer/infer.h"

/* Of heads: times a dimension it is still a number. */
#define HEADS_MAX (1 << 14)

enum attention_input {
	ATTENTION_Q,
	ATTENTION_K,
	ATTENTION_V,
	ATTENTION_MASK,
	ATTENTION_PAST_K,
	ATTENTION_PAST_V,
	ATTENTION_LENGTHS, /* keys of each batch that are no padding */
	ATTENTION_INPUTS_
};

enum attention_output { ATTENTION_Y, ATTENTION_PRESENT_K, ATTENTION_PRESENT_V, ATTENTION_SCORES };

/* What output 3 shows. */
enum attention_mode { ATTENTION_RAW, ATTENTION_CAPPED, ATTENTION_MASKED, ATTENTION_SOFTMAX };

struct attention_geometry {
	bool packed; /* [batch, length, heads * size], else [batch, heads, length, size] */
	/* Sizes, symbols or DIM_UNKNOWN. Keys are past + kv. */
	int64_t batch, q_heads, kv_heads, q_len, kv_len, past_len, head, v_head;
	double scale; /* 0: one over the root of head, which is not known yet */
	double softcap; /* 0: none */
	bool causal;
	enum attention_mode mode;
};

/* Shapes of ATTENTION_INPUTS_ inputs; rank RANK_UNKNOWN: absent or not known.
   INVALID_ARGUMENT: an attribute or a dimension breaks a rule; the message names both. */
MUST_CHECK enum err_code attention_geometry(const struct node *n, const struct shape *in,
	struct attention_geometry *ret, struct err *err);

/* past_len + kv_len. */
int64_t attention_keys(const struct attention_geometry *g);
