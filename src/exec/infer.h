/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer.h -- what an operator makes of the types and shapes of its inputs
 *
 * One infer function per operator (family) serves twice: at load, where dimensions may
 * be symbols or unknown, and while planning, where they are numbers. It also sees the
 * data of inputs that are already known: constants always, and, while planning, small
 * results computed so far (Shape -> Gather -> Concat -> Reshape).
 *
 * An infer function checks everything about its node that can be wrong (attributes,
 * types, ranks, dimensions that must agree), so that prepare and run need not. What it
 * cannot know it leaves unknown: out[i].shape is SHAPE_UNKNOWN and out[i].type.dtype is
 * DTYPE_UNDEFINED until it is set. If a static answer needs the value of an input that
 * is not known yet, it calls infer_need_data(); the plan is then cut before the node and
 * goes on when the value is there.
 *
 * Messages: infer_fail() puts the node in front: "node 'fc1' (Gemm): input A is [2,3]...".
 */
#pragma once

#include "exec/graph.h"

struct ivalue {
	struct type type;
	struct shape shape;
	const struct tensor *data; /* NULL: value not known */
};

struct infer {
	const struct graph *graph; /* symbol names, subgraphs */
	const struct node *node;
	int n_in, n_out; /* at least the row's in_max (if not variadic), absent ones NULL */
	const struct ivalue **in;
	struct ivalue *out;
	bool needs_data; /* set by infer_need_data() */
};

/* Sets err to the node's label, then the message. Returns INVALID_ARGUMENT. */
enum err_code infer_fail(const struct infer *x, struct err *err, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* Says that output shapes depend on the value of input i, which is not known. Returns OK. */
enum err_code infer_need_data(struct infer *x, int i);

/* Helpers that most functions are made of. */
static inline bool infer_has(const struct infer *x, int i)
{
	return i < x->n_in && x->in[i];
}
/* Input i present and of one of the types in set; else fails naming both. */
MUST_CHECK enum err_code infer_want_type(const struct infer *x, int i, uint64_t set, struct err *err);
/* Input i, if its rank is known, has it within [min,max]. */
MUST_CHECK enum err_code
infer_want_rank(const struct infer *x, int i, int min, int max, struct err *err);
/* Inputs i and j have one type. */
MUST_CHECK enum err_code infer_want_same_type(const struct infer *x, int i, int j, struct err *err);
void infer_set(struct infer *x, int out, enum dtype dtype, const struct shape *shape);

/* Runs the node's infer. x_out gets n_out entries. Borrowed arrays as above. */
MUST_CHECK enum err_code infer_node(struct infer *x, struct err *err);

/* Symbolic inference over the whole graph, subgraphs included: fills in value types and
   shapes; a declared output type or shape that disagrees with the inferred one is an
   error for types and ranks, and for numbers that differ. */
MUST_CHECK enum err_code infer_graph(struct graph *g, struct err *err);
