/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass.h -- what passes are made of: looking at a graph, and changing it in place
 *
 * A pass usually finds the last node of its pattern, the anchor, by walking the nodes in
 * order, looks at what produces its inputs, and rewrites the anchor in place: operator,
 * inputs and attributes change, name and outputs stay. Nodes that nobody reads any more
 * are dropped by the runner. Where a node turns out to change nothing, pass_bypass() makes
 * its readers read its input.
 *
 * Ownership: as passes.h says. Threads: one at a time.
 */
#pragma once

#include "exec/attrs.h"
#include "exec/pass/passes.h"

struct pass_ctx {
	struct graph *graph;
	const struct backend *backend;
	int32_t *uses;   /* readers of each value, kept current by what is below */
	int32_t *alias;  /* value that stands for each value by now */
	bool *is_output; /* of the graph */
	int32_t cap;     /* of the three */
	enum dtype lower_to; /* pass_lower() only */
	int changes;
};

typedef enum err_code (*pass_fn)(struct pass_ctx *c, struct err *err);

#define PASS(name, fn, flags) enum err_code fn(struct pass_ctx *c, struct err *err);
#include "exec/pass/passes.def"
#undef PASS

/* Calls fn for every live node there is at the beginning, in order. */
typedef enum err_code (*pass_node_fn)(struct pass_ctx *c, struct node *n, struct err *err);
MUST_CHECK enum err_code pass_each(struct pass_ctx *c, pass_node_fn fn, struct err *err);

/* -- looking ------------------------------------------------------------------------------- */

/* Input k as it is by now; VALUE_NONE when absent. */
int32_t pass_in(const struct pass_ctx *c, const struct node *n, int k);

static inline const struct gvalue *pass_value(const struct pass_ctx *c, int32_t v)
{
	return &c->graph->value[v];
}

/* The live node whose output 0 is v; NULL: none. */
struct node *pass_producer(const struct pass_ctx *c, int32_t v);
/* The same if it is of this operator. */
struct node *pass_match(const struct pass_ctx *c, int32_t v, enum op_id op);
/* The same if besides nobody but one reads v, so that it may be absorbed. */
struct node *pass_match_single(const struct pass_ctx *c, int32_t v, enum op_id op);

/* v is a constant of one float32 element (or more that are broadcast by rank only). */
bool pass_scalar(const struct pass_ctx *c, int32_t v, double *ret);
/* The same, and within single precision of `want`. */
bool pass_is(const struct pass_ctx *c, int32_t v, double want);
static inline bool pass_near(double x, double want)
{
	double d = x - want, tol = 1e-5 * (want < 0 ? -want : want);
	return d <= tol && d >= -tol;
}

/* Of shapes that are named (shape.h): equal. */
bool pass_same_shape(const struct shape *a, const struct shape *b);

/* v is a float32 tensor. */
bool pass_is_f32(const struct pass_ctx *c, int32_t v);

/* How a Transpose permutes; false: the rank is not known. ret has room for RANK_MAX. */
bool pass_perm(const struct pass_ctx *c, const struct node *n, int *ret_rank, int64_t *ret);

/* -- changing ------------------------------------------------------------------------------ */

/* Makes n another node with the same outputs. attr is copied (its arrays are shared). */
MUST_CHECK enum err_code pass_rewrite(struct pass_ctx *c, struct node *n, enum op_id op,
	const int32_t *in, int n_in, const struct attr *attr, int n_attr, struct err *err);

/* n becomes a Transpose of x. */
MUST_CHECK enum err_code pass_transpose(struct pass_ctx *c, struct node *n, int32_t x,
	const int64_t *perm, int rank, struct err *err);

/* Readers of n's output 0 read v, which is equal to it; n dies. false: both ends are the
   graph's own, the node must stay. */
bool pass_bypass(struct pass_ctx *c, struct node *n, int32_t v);

/* Output 0 of n, its only one, is this constant; n dies. t lies in the graph's arena. */
void pass_become_constant(struct pass_ctx *c, struct node *n, const struct tensor *t);

/* New values and constants, which have no name. Passes add none in another way: the arrays of
   the context grow with them. */
MUST_CHECK enum err_code pass_add_value(struct pass_ctx *c, int32_t *ret, struct err *err);
/* A node that makes out, which has been some other node's or nobody's. Nodes move in memory; attr
   is copied as by pass_rewrite(). */
MUST_CHECK enum err_code pass_add_node(struct pass_ctx *c, enum op_id op, const char *name,
	const int32_t *in, int n_in, const struct attr *attr, int n_attr, int32_t out,
	struct err *err);
MUST_CHECK enum err_code
pass_add_constant(struct pass_ctx *c, const struct tensor *t, int32_t *ret, struct err *err);
MUST_CHECK enum err_code pass_add_ints(struct pass_ctx *c, int n, const int64_t *v, int32_t *ret,
	struct err *err);

/* -- shared matchers ------------------------------------------------------------------------ */

/* A node that computes one number of one: which function, of which value, and how often
   that value is read to do so. */
struct pass_activation {
	enum activation act;
	float alpha, beta;
	int32_t in;
	int reads;
};
bool pass_match_activation(const struct pass_ctx *c, const struct node *n,
	struct pass_activation *ret);

/* The attributes that FusedConv and FusedMatMul say their activation with; ret has room
   for 3. Returns how many. */
int pass_activation_attrs(const struct pass_activation *a, struct attr *ret);
