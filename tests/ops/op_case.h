/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op_case.h -- the rows of op_cases.def, as nodes with their operands
 *
 * Operands are text: "[TYPE:]DIMS[=VALUES][~FILL]", separated by spaces.
 *	2x3        of the case's type, filled with numbers of both signs
 *	2x3~p      positive;  ~s  with NaN, infinities, -0, subnormals;  ~w  known, a weight
 *	i64:2=0,1  of its own type, these values, known while planning
 *	s=2        a scalar;  -  an absent operand
 *	str:2='a b','c'   strings, as they stand
 *	{2=1,2;3=4,5,6}   a sequence of operands;  {}  an empty one
 *	<i64:2=5,6;2=1,2>  a map: its keys, its values
 *	?2=1,2     an optional that is there;  ?-  one that is absent
 * Attributes: "axis=1 alpha=0.5f mode='linear' perm=[0,2,1]
 * beta=[0.5f,1f] activations=['Relu','Tanh'] value=@f32:2=1,2"; a fused node's body is
 * 'Mul 0 1; Relu 2', of inputs and of results before.
 * Wanted outputs: as operands with values; NULL: only the rows are compared with each
 * other. TYPE may be given where it is not the case's.
 *
 * Ownership: an op_node owns all it has until op_node_done().
 */
#pragma once

#include "exec/kernel.h"

#define OP_CASE_IO_MAX 14

struct op_case {
	enum op_id op;
	uint64_t types;
	const char *in, *attrs, *want;
	double rtol;
	const char *file;
	int line;
};

extern const struct op_case op_cases[];
extern const int op_cases_count;

struct op_node {
	const struct op_case *c;
	enum dtype dtype;
	struct graph *graph;
	struct node *node;
	int n_in, n_out;
	struct tensor in[OP_CASE_IO_MAX], out[OP_CASE_IO_MAX]; /* out: shapes only, no data */
	struct tensor want[OP_CASE_IO_MAX];                    /* data NULL: none */
	struct type type[OP_CASE_IO_MAX]; /* of inputs */
	bool known[OP_CASE_IO_MAX]; /* the planner knows its value */
};

/* Builds the node for one type and infers its outputs; aborts on a case that is no good.
   false: inference refuses this type. */
bool op_node_init(struct op_node *n, const struct op_case *c, enum dtype dtype);
void op_node_done(struct op_node *n);

/* "line 12: Add float32 [2x3 3]". */
const char *op_node_text(const struct op_node *n);
