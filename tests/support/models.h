/* SPDX-License-Identifier: Apache-2.0 */
/*
 * models.h -- tiny graphs built in C, for tests and benches
 *
 *	struct graph *g = model_new();
 *	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(DIM_UNKNOWN, 8));
 *	int32_t y = MODEL_NODE(g, OP_GEMM, x, model_floats(g, shape_of(8, 4), NULL));
 *	model_attr_int(g, "transB", 0);
 *	model_output(g, y);
 *	...
 *	model_free(g);
 *
 * Attributes go to the node made last. What fails (no memory) aborts.
 *
 * Ownership: a model owns its arena, which owns all else.
 */
#pragma once

#include "exec/graph.h"

struct graph *model_new(void);
void model_free(struct graph *g);

/* A body for model_attr_graph(); it shares the parent's arena. */
struct graph *model_body(struct graph *parent, const char *name);
/* A value of the body that stands for one outside: append that to the node's inputs. */
int32_t model_capture(struct graph *body);

int32_t model_input(struct graph *g, const char *name, enum dtype dtype, struct shape shape);
void model_output(struct graph *g, int32_t value);

/* Constants. v NULL: numbers in [-1, 1] from a generator that is seeded by the value's
   index, so that equal models have equal weights. */
int32_t model_floats(struct graph *g, struct shape shape, const float *v);
int32_t model_scalar(struct graph *g, float v);
int32_t model_int64s(struct graph *g, struct shape shape, const int64_t *v);
/* A list of int64: MODEL_INTS(g, 1, -1, 8). */
#define MODEL_INTS(g, ...) \
	model_int64s(g, shape_of(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), \
		(int64_t[]){ __VA_ARGS__ })

/* A node with n_out new outputs; returns the first, the others follow it. */
int32_t model_node(struct graph *g, enum op_id op, int n_out, int n_in, const int32_t *in);
/* One output: MODEL_NODE(g, OP_ADD, x, y). VALUE_NONE is an absent input. */
#define MODEL_NODE(g, op, ...) MODEL_NODE_OUT(g, op, 1, __VA_ARGS__)
#define MODEL_NODE_OUT(g, op, n_out, ...) \
	model_node(g, op, n_out, (int)(sizeof((int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t)), \
		(int32_t[]){ __VA_ARGS__ })

void model_attr_int(struct graph *g, const char *name, int64_t v);
void model_attr_float(struct graph *g, const char *name, float v);
void model_attr_string(struct graph *g, const char *name, const char *v);
void model_attr_ints(struct graph *g, const char *name, int n, const int64_t *v);
void model_attr_floats(struct graph *g, const char *name, int n, const float *v);
/* Borrows the text. */
void model_attr_strings(struct graph *g, const char *name, int n, const struct slice *v);
void model_attr_type(struct graph *g, const char *name, const struct type *t);
void model_attr_tensor(struct graph *g, const char *name, const struct tensor *t);
void model_attr_graph(struct graph *g, const char *name, struct graph *body);
#define MODEL_ATTR_INTS(g, name, ...) \
	model_attr_ints(g, name, (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), \
		(int64_t[]){ __VA_ARGS__ })

/* How many live nodes have this operator; OP_NONE: of any. */
int model_count(const struct graph *g, enum op_id op);
