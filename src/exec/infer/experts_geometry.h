/* SPDX-License-Identifier: Apache-2.0 */
/*
 * experts_geometry.h -- what each row of a product is multiplied with, where that is told row by
 * row: the layers of a mixture of experts
 *
 * Inputs: rows [tokens, slots or 1, k], the expert of each slot [tokens, slots], weights
 * [experts, n, k], of few bits their scales and zero points, which lie as MatMulNBits's do, a
 * bias [experts, n]. The result is [tokens, slots, n].
 *
 * Ownership, memory: none. Threads: any.
 */
#pragma once

#include "exec/infer/nbits_geometry.h"

enum {
	EXPERTS_ROWS,
	EXPERTS_INDEX,
	EXPERTS_WEIGHTS,
	EXPERTS_SCALES,
	EXPERTS_ZEROS,
	EXPERTS_BIAS,
	EXPERTS_INPUTS_
};

struct experts_geometry {
	int64_t tokens, slots, experts;
	bool shared;             /* a token's slots have one row */
	struct nbits_geometry g; /* of one expert's weights; bits is 0: floats */
};

/* in: shapes, all known; those of absent inputs are not looked at. */
MUST_CHECK enum err_code experts_geometry(const struct node *n, const struct shape *in,
	struct experts_geometry *ret, struct err *err);
