/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op_mutant.h -- a valid node of a case, made wrong in one place or a few
 *
 * Ownership: a mutant owns its graph and its inputs until op_mutant_done().
 */
#pragma once

#include "ops/op_case.h"

struct op_mutant {
	struct graph *g;
	int32_t node;
	struct tensor in[OP_CASE_IO_MAX]; /* of the node; data NULL: absent */
	struct type type[OP_CASE_IO_MAX];
	bool known[OP_CASE_IO_MAX];
	int n_in;
	const char *what; /* the last thing done to it */
};

/* Of a case; false: the case is refused as it is. */
bool op_mutant_init(struct op_mutant *m, const struct op_case *c, enum dtype dtype);
/* Of an operator with bodies, for which there are no cases. */
void op_mutant_init_control(struct op_mutant *m, enum op_id op);
void op_mutant_done(struct op_mutant *m);

/* One step, drawn by odd.h: an attribute, a type, a shape, the arity, a known value. */
void op_mutant_step(struct op_mutant *m);

/* Known inputs become constants, the others inputs of the graph; ret_in gets what those
   are given. After the last step. */
void op_mutant_settle(struct op_mutant *m, struct tensor *ret_in);
