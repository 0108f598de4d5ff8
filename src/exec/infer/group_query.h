/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_query.h -- what the attributes and shapes of GroupQueryAttention say
 *
 * Life of a version: ... -> load [INFER] -> compile [PREPARE] -> ...
 *
 * Ownership, memory: none. Threads: any.
 */
#pragma once

#include "exec/infer/infer.h"

enum group_query_input {
	GROUP_QUERY_Q, /* or queries, keys and values side by side */
	GROUP_QUERY_K,
	GROUP_QUERY_V,
	GROUP_QUERY_PAST_K,
	GROUP_QUERY_PAST_V,
	GROUP_QUERY_LENGTHS, /* of each sequence with what is new, less one */
	GROUP_QUERY_TOTAL,   /* the longest; as long as what is new where nothing is past */
	GROUP_QUERY_COS,
	GROUP_QUERY_SIN,
	GROUP_QUERY_POSITIONS,
	GROUP_QUERY_BIAS, /* added to the scores */
	GROUP_QUERY_SINK, /* a score per head that no key has */
	GROUP_QUERY_INPUTS_
};

struct group_query {
	bool packed; /* all in the first input */
	int64_t heads, kv_heads;
	int64_t batch, len, head, past_len; /* sizes, symbols or DIM_UNKNOWN; past_len 0: no past */
};

/* Shapes of GROUP_QUERY_INPUTS_ inputs; rank RANK_UNKNOWN: absent or not known.
   INVALID_ARGUMENT: an attribute or a dimension breaks a rule. */
MUST_CHECK enum err_code group_query_read(const struct node *n, const struct shape *in,
	struct group_query *ret, struct err *err);
