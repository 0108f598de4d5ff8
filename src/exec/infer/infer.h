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
 * Messages: infer_node() puts the node in front: "node 'fc1' (Gemm): input A is [2,3]...".
 *
 * Ownership: borrows all; nothing outlives the call but symbols, which are the graph's.
 * Threads:   any, on graphs that do not change; with symbols set, one at a time.
 */
#pragma once

#include "exec/graph.h"

/* What is known at load of the integers in a small tensor of rank 0 or 1: numbers, and
   dimensions of the graph's inputs. That is how a shape made of Shape, Gather, Concat
   keeps its rank and its known dimensions. */
struct infer_ints {
	int32_t rank, n;
	uint32_t literal;    /* bit i: v[i] is the number itself, -1 too */
	int64_t v[RANK_MAX]; /* else DIM_SYMBOL(i) or DIM_UNKNOWN */
};

struct ivalue {
	struct type type;
	struct shape shape;
	const struct tensor *data; /* NULL: value not known */
	const struct infer_ints *ints; /* NULL: nothing is known of it this way either */
};

struct infer {
	const struct graph *graph; /* symbol names, subgraphs */
	const struct node *node;
	int n_in, n_out; /* at least the row's in_max (if not variadic), absent ones NULL */
	const struct ivalue **in;
	struct ivalue *out;
	bool needs_data; /* set by infer_need_data() */
	struct graph *symbols; /* where infer_derived() makes them; NULL while planning */
};

/* Sets the message; infer_node() puts the node's label before it. Returns INVALID_ARGUMENT. */
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
MUST_CHECK enum err_code infer_want_type(
	const struct infer *x, int i, uint64_t set, struct err *err);
/* Input i, if its rank is known, has it within [min,max]. */
MUST_CHECK enum err_code
infer_want_rank(const struct infer *x, int i, int min, int max, struct err *err);
/* Inputs i and j have one type. */
MUST_CHECK enum err_code infer_want_same_type(const struct infer *x, int i, int j, struct err *err);
/* Inputs first .. n_in - 1, those that are there, are of one type in set. */
MUST_CHECK enum err_code
infer_want_one_type(const struct infer *x, int first, uint64_t set, struct err *err);
/* Input i, if its shape is known, has one element and at most one dimension. */
MUST_CHECK enum err_code infer_want_scalar(const struct infer *x, int i, struct err *err);
/* Input i, if its shape is known, is a list of n elements; n < 0: of any length. */
MUST_CHECK enum err_code infer_want_list(const struct infer *x, int i, int64_t n, struct err *err);
/* Input i broadcasts to `to` without changing it. */
MUST_CHECK enum err_code
infer_want_fit(const struct infer *x, int i, const struct shape *to, struct err *err);
/* Attribute `name` as an axis of this rank, made 0..rank-1. */
MUST_CHECK enum err_code infer_axis(const struct infer *x, const char *name, int64_t otherwise,
	int rank, int *ret, struct err *err);
/* Attribute `name` within [min,max]. */
MUST_CHECK enum err_code infer_want_int(const struct infer *x, const char *name, int64_t otherwise,
	int64_t min, int64_t max, struct err *err);
/* Attribute `name`, a string, is one of names, which NULL ends. */
MUST_CHECK enum err_code infer_want_choice(const struct infer *x, const char *name,
	const char *otherwise, const char *const *names, struct err *err);
/* Input i, of type int64, says a shape: a list that is waited for while it is not known.
   ret->rank is the number of entries, RANK_UNKNOWN if even that is not known; entries that
   are no numbers yet are symbols or unknown. */
MUST_CHECK enum err_code infer_want_shape(
	struct infer *x, int i, struct infer_ints *ints, struct shape *ret, struct err *err);
/* Input i, an integer scalar, if it is there: its value, or it is waited for. *ret_known:
   false while it is not. */
MUST_CHECK enum err_code
infer_want_number(struct infer *x, int i, int64_t *ret, bool *ret_known, struct err *err);
/* The shapes of inputs first .. n_in - 1 broadcast together. */
MUST_CHECK enum err_code
infer_broadcast(const struct infer *x, int first, struct shape *ret, struct err *err);
/* The integers of input i, as far as they are known. false: not even how many. */
bool infer_ints(const struct infer *x, int i, struct infer_ints *ret);
/* A dimension that is worked out from others by the formula that the text states: equal
   texts are equal dimensions. DIM_UNKNOWN while planning. */
int64_t infer_derived(const struct infer *x, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Of two dimensions that must be equal: do the numbers differ, and the better known one. */
static inline bool dim_conflict(int64_t a, int64_t b)
{
	return a >= 0 && b >= 0 && a != b;
}
static inline int64_t dim_merge(int64_t a, int64_t b)
{
	return a >= 0 || (a != DIM_UNKNOWN && b < 0) ? a : b;
}

/* Of what convolves input 0 with the weights in input 1; unknown while a rank is. */
MUST_CHECK enum err_code infer_conv_shape(struct infer *x, struct shape *ret, struct err *err);

/* What both shapes say: for results of one body or another. Symbols of a body are those of
   the main graph. */
struct shape infer_common_shape(const struct shape *a, const struct shape *b);
void infer_set(struct infer *x, int out, enum dtype dtype, const struct shape *shape);

/* The operators' own, by the table. */
#define OP(id, domain, name, since, in_min, in_max, out_min, out_max, flags, infer_fn_, attrs_) \
	enum err_code infer_fn_(struct infer *x, struct err *err);
#include "exec/ops.def"
#undef OP

/* Runs the node's infer. x_out gets n_out entries. Borrowed arrays as above. */
MUST_CHECK enum err_code infer_node(struct infer *x, struct err *err);

/* Symbolic inference over the whole graph, subgraphs included: fills in value types and
   shapes; an output's type or shape as known before that disagrees with the inferred one is
   an error for types and ranks, and for numbers that differ. Unknown dimensions of
   the main graph's values become symbols of their own. */
MUST_CHECK enum err_code infer_graph(struct graph *g, struct err *err);
/* The same for a graph as somebody wrote it: what he declares an output's shape to be is a
   remark, which gives way. *ret_doubt: the first such, the graph's arena's; NULL: none. */
MUST_CHECK enum err_code infer_model(struct graph *g, const char **ret_doubt, struct err *err);

/* infer_graph's: what is known of the integers of output 0, once infer_node() has been
   happy. false: nothing. */
bool infer_propagate_ints(const struct infer *x, struct infer_ints *ret);
