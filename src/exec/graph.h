/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph.h -- a model as values and nodes
 *
 * Life of a version: watch -> load -> [CHECK] -> compile -> warm -> publish -> drain -> unload
 *
 * A reader builds a graph, graph_check() proves it, passes rewrite it, plans are made
 * from it. Values and nodes are numbered; a value is known by its index, so that adding
 * one moves none. Nodes stand in execution order. Every operator has today's meaning:
 * older opsets are rewritten by the reader (exec/ops_old.def).
 *
 * A subgraph (the body of If, Loop, Scan) is a graph in an attribute of its node. What
 * it captures from outside is explicit: captures[i] of the body is a value of the body,
 * and the node's inputs n_in - n_captures ... n_in - 1 are what stands there. A node
 * with two bodies (If) lists the captures of the first, then of the second.
 *
 * Ownership: all in the graph's arena, subgraphs too (they share it). Constant data is
 *            borrowed from that arena, or from an owner that outlives the graph.
 * Threads:   one at a time while it changes, any number when it does not.
 */
#pragma once

#include "base/arena.h"
#include "exec/ops.h"
#include "exec/tensor.h"

#define VALUE_NONE (-1) /* an optional input or output that is absent */
#define NODE_NONE (-1)

enum attr_kind {
	ATTR_INT,
	ATTR_FLOAT,
	ATTR_STRING,
	ATTR_TENSOR,
	ATTR_GRAPH,
	ATTR_INTS,
	ATTR_FLOATS,
	ATTR_STRINGS,
	ATTR_TENSORS,
	ATTR_TYPE,
};

struct attr {
	const char *name;
	enum attr_kind kind;
	int32_t n; /* of the lists */
	union {
		int64_t i;
		float f;
		struct slice s;
		const struct tensor *t; /* ATTR_TENSOR: one; ATTR_TENSORS: n */
		struct graph *g;
		const int64_t *ints;
		const float *floats;
		const struct slice *strings;
		const struct type *type;
	};
};

struct node {
	enum op_id op;
	const char *name; /* never NULL; "" when the model gives none */
	int32_t n_in, n_out, n_attr;
	int32_t *in;  /* value indices, or VALUE_NONE */
	int32_t *out;
	struct attr *attr;
	bool dead; /* removed by a pass; graph_compact() drops it */
};

struct gvalue {
	const char *name; /* unique in its graph; "" for one that a pass made */
	struct type type;
	struct shape shape; /* with symbols of this graph */
	const struct tensor *constant; /* NULL: not known before run */
	const struct infer_ints *ints; /* infer_graph()'s: small integers as far as known; NULL */
	int32_t producer; /* node, or NODE_NONE for inputs and constants */
};

struct graph {
	struct arena *arena;
	struct graph *parent; /* NULL: the main graph */
	const char *name;
	struct node *node;
	int32_t n_node, cap_node;
	struct gvalue *value;
	int32_t n_value, cap_value;
	int32_t *input;  /* values; a constant input (initializer with a default) is none */
	int32_t *output;
	int32_t *capture; /* values that stand for outer ones; see above */
	int32_t n_input, n_output, n_capture;
	const char **symbol; /* names of DIM_SYMBOL(i); shared with the parent's */
	int32_t n_symbol, cap_symbol;
	int32_t *symbol_place; /* open hash over symbol; NULL: not made yet */
	uint32_t n_symbol_place; /* a power of two */
};

/* Bounds that no honest model meets (bad-input rows M9, M21, M22). */
#define GRAPH_NODES_MAX 1000000
#define GRAPH_VALUES_MAX 4000000
#define GRAPH_NAME_MAX 1024
#define GRAPH_NODE_IO_MAX 16384
#define GRAPH_DEPTH_MAX 64

/* Building. All return owned-by-arena memory or an index; RESOURCE_EXHAUSTED when the
   arena or a bound above is exhausted. */
struct graph *graph_new(struct arena *arena, struct graph *parent, const char *name);
MUST_CHECK enum err_code
graph_add_value(struct graph *g, const char *name, int32_t *ret, struct err *err);
/* The node's in, out and attr arrays are made with room for the counts given; in and out
   filled with VALUE_NONE, attr zeroed. Appended at the end. */
MUST_CHECK enum err_code graph_add_node(struct graph *g, enum op_id op, const char *name,
	int32_t n_in, int32_t n_out, int32_t n_attr, int32_t *ret, struct err *err);
MUST_CHECK enum err_code
graph_add_constant(struct graph *g, const char *name, const struct tensor *t, int32_t *ret,
	struct err *err);
/* The symbol's dimension, DIM_SYMBOL(i), made when it is new. DIM_UNKNOWN: no memory. */
int64_t graph_symbol(struct graph *g, struct slice name);
/* The symbol's name as the model gives it. NULL: no symbol, or one that inference made,
   whose name begins with '?'. */
const char *graph_symbol_name(const struct graph *g, int64_t dim);
/* A tensor in the graph's arena with room for its data, 64-byte aligned and not zeroed.
   NULL: no memory, or the size overflows. */
struct tensor *graph_new_tensor(struct graph *g, enum dtype dtype, const struct shape *shape);

/* Looking. */
int32_t graph_find_value(const struct graph *g, struct slice name); /* VALUE_NONE; linear */
const struct attr *node_attr(const struct node *n, const char *name); /* NULL */
int64_t node_int(const struct node *n, const char *name, int64_t otherwise);
float node_float(const struct node *n, const char *name, float otherwise);
struct slice node_string(const struct node *n, const char *name, const char *otherwise);
/* NULL and *ret_n 0 when absent. */
const int64_t *node_ints(const struct node *n, const char *name, int32_t *ret_n);
const float *node_floats(const struct node *n, const char *name, int32_t *ret_n);
const struct slice *node_strings(const struct node *n, const char *name, int32_t *ret_n);
const struct tensor *node_tensor(const struct node *n, const char *name); /* NULL */
struct graph *node_graph(const struct node *n, const char *name); /* NULL */
static inline bool node_has_in(const struct node *n, int i)
{
	return i < n->n_in && n->in[i] != VALUE_NONE;
}

/* "node 'conv1' (Conv)", for messages; "node #17 (Conv)" when it has no name. */
const char *node_label(const struct graph *g, const struct node *n, char *buf, size_t size);
#define NODE_LABEL_MAX 200

/* Proves what everything later relies on: every input produced before its use and by one
   node only, indices in range, arity as the operator's row says, every attribute known
   to the row and of its kind, required ones present, dtypes set where shapes are, names
   sane; the same for subgraphs, to GRAPH_DEPTH_MAX. */
MUST_CHECK enum err_code graph_check(const struct graph *g, struct err *err);
/* Arity and attributes of one node: what infer_node() relies on. */
MUST_CHECK enum err_code
graph_check_node(const struct graph *g, const struct node *n, struct err *err);

/* Drops dead nodes and sorts producers before users (stable); fixes producer fields. */
MUST_CHECK enum err_code graph_compact(struct graph *g, struct err *err);

/* How many node inputs and graph outputs and subgraph captures read each value.
   ret_uses has g->n_value entries. */
void graph_count_uses(const struct graph *g, int32_t *ret_uses);

/* The part of g that outputs (value indices) need, as a graph of its own that shares
   constants and attributes with g. Inputs are those of g that remain, in g's order. */
MUST_CHECK enum err_code graph_extract(const struct graph *g, const int32_t *output, int n_output,
	struct arena *arena, struct graph **ret, struct err *err);
