/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fused.h -- FusedElementwise: operators that make one element of one element of each operand,
 * as one node
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...   pass/pass_elementwise.c makes them
 *
 * The attribute "body" is a graph with the node's inputs, without captures, and one output. Each
 * of its nodes is an operator of fused.def; what it makes may be broadcast by those after it.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/graph.h"

#define FUSED_INPUTS_MAX 12
#define FUSED_NODES_MAX 32
#define FUSED_VALUES_MAX (FUSED_INPUTS_MAX + FUSED_NODES_MAX)

enum fused_form {
	FUSED_NONE,
	FUSED_UNARY, /* a function of unary.h */
	FUSED_NOT,
	FUSED_CLIP, /* bounds may be absent */
	FUSED_CAST,
	FUSED_FOLD,    /* the first two operands, then the result with each that follows */
	FUSED_COMPARE, /* yes or no */
	FUSED_WHERE,
	FUSED_QUANTIZE, /* with one scale for all */
	FUSED_DEQUANTIZE,
};

/* FUSED_NONE: no body may have it. */
enum fused_form fused_form(enum op_id op);

/* The node is of fused.def, by operator, types and arity. */
bool fused_takes(const struct graph *g, const struct node *n);

static inline const struct graph *fused_body(const struct node *n)
{
	return node_graph(n, "body");
}
