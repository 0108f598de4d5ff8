/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op_rig.h -- a kernel prepared for the node of an operator's case, and what the CPU's reference
 * makes of it
 *
 * Ownership: a rig owns what its kernel was prepared with. Outputs are the caller's until
 * op_free_outputs(); those of data-dependent operators lie in the rig's arena.
 */
#pragma once

#include "exec/backend.h"
#include "exec/cpu/cpu.h"
#include "ops/op_case.h"

struct op_rig {
	struct arena *plan, *tmp, *run;
	struct packs *packs;
	struct kernel kernel;
	struct tensor seen[OP_CASE_IO_MAX]; /* inputs as prepare sees them */
};

/* One row of a backend's table. */
struct op_row {
	const char *name;
	prepare_fn prepare;
	const struct backend *backend;
	enum precision precision;
	bool bf16_wanted; /* as in struct prep */
};

enum way { WHOLE, UNIT_BY_UNIT, IN_PLACE };

void op_rig_init(struct op_rig *r);
void op_rig_done(struct op_rig *r);
/* false: the row refuses the node. */
bool op_rig_prepare(struct op_rig *r, const struct op_row *row, const struct op_node *n);
/* Runs a kernel of the host a way into new outputs. */
void op_rig_outputs(struct op_rig *r, const struct op_node *n, struct tensor *out, enum way way);
void op_free_outputs(const struct op_node *n, struct tensor *out);

/* Output i is the caller's to make; data-dependent ones are their kernels'. */
bool op_has_room(const struct op_node *n, int i);

struct op_row op_row_of(const struct cpu_row *row);
/* The last row of the host that takes the node, which is all others' measure. */
const struct cpu_row *op_reference(const struct op_node *n);
/* Its outputs, checked against what the case wants. The rig is for op_rig_done(). */
void op_reference_outputs(struct op_rig *r, const struct op_node *n, struct tensor *out);

/* rounding: the part of the largest value that a result may be off by besides; 0: none. */
void op_expect_close(const struct op_node *n, const char *row, const struct tensor *got,
	const struct tensor *want, double rounding);
