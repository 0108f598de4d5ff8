/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unary.h -- float functions of one operand: which one a node asks for
 *
 * unary_reals.h has the expressions, once, for every backend. An activation that was fused into
 * another operator (attrs.h) is one of them too.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/attrs.h"
#include "exec/infer/rnn_geometry.h"

enum unary_id {
#define UNARY(id, T, expr) UNARY_##id,
#include "exec/unary_reals.h"
	UNARY_COUNT_
};

struct unary_call {
	enum unary_id id;
	float alpha, beta;
};

/* What the node's operator computes of its input. false: it is no such operator. */
bool unary_of(const struct node *n, struct unary_call *ret);
/* What a fused operator does to its result. false: nothing. */
bool unary_of_activation(const struct node *n, struct unary_call *ret);

/* The function that a recurrent operator names as an activation. */
enum unary_id unary_of_rnn(enum rnn_function_id id);
