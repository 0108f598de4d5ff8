/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower.h -- what an operator of an older opset is in today's words
 *
 * Life of a version: watch -> [LOAD] -> check -> compile -> ...
 *
 * exec/ops_old.def says which operator, which opsets, which function. The node comes as a
 * draft: inputs and outputs bound, attributes read and of the kinds that the row lists.
 * The function changes the draft, and may put nodes before it; what the draft is in the
 * end becomes the node that makes the outputs.
 *
 * Errors are sticky: a helper that fails records it, later ones do nothing and return
 * VALUE_NONE, so that a rewrite reads like the formula it is.
 *
 * Ownership: drafts live in scratch memory, what they become in the graph's arena.
 * Threads:   one.
 */
#pragma once

#include "exec/graph.h"

struct infer_ints;

/* What was inferred of a graph so far; one per graph that is being read. */
struct lower_known {
	int32_t n_node; /* of these, outputs have their types and shapes */
	const struct infer_ints **ints; /* per value, or NULL */
	int32_t n_ints;
};

#define LOWER_SPARE 8 /* inputs and attributes that a rewrite may have beyond its node's */

struct lower {
	struct graph *graph;
	struct arena *scratch;
	struct lower_known *known;
	int64_t opset;
	struct slice type; /* the operator's name in the file */
	const char *name;  /* of the node; kept */
	enum op_id op;     /* what it becomes */
	const struct attr_spec *old_attrs; /* of its row */
	int32_t *in, *out;
	int32_t n_in, n_out, n_attr;
	struct attr *attr;
	struct attr next_attr[LOWER_SPARE]; /* of the next lower_emit() */
	int32_t n_next_attr;
	enum err_code rc;
	struct err *err;
};

typedef void (*lower_fn)(struct lower *x);

/* Rewrites the draft by its row of ops_old.def and sets x->op; UNIMPLEMENTED when neither
   an old row nor today's operator has this name at this opset. */
MUST_CHECK enum err_code lower_node(struct lower *x, enum op_domain domain);

void lower_fail(struct lower *x, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Takes the attribute out of the draft; NULL: it has none. */
const struct attr *lower_take(struct lower *x, const char *name);
int64_t lower_take_int(struct lower *x, const char *name, int64_t otherwise);
float lower_take_float(struct lower *x, const char *name, float otherwise);
/* Takes all that the row lists and that are still there. */
void lower_take_rest(struct lower *x);
/* Gives the draft an attribute that it does not have yet. */
void lower_set(struct lower *x, struct attr attr);
void lower_default_int(struct lower *x, const char *name, int64_t i);
void lower_default_float(struct lower *x, const char *name, float f);

/* Input i, which must be there. */
int32_t lower_in(struct lower *x, int i);
/* Makes v the draft's input i; those between are absent. */
void lower_set_in(struct lower *x, int i, int32_t v);
static inline bool lower_has_in(const struct lower *x, int i)
{
	return i < x->n_in && x->in[i] != VALUE_NONE;
}

/* A node before the draft, with one output, which is returned. Attributes for it are given
   first, by lower_with(). */
int32_t lower_emit(struct lower *x, enum op_id op, int32_t n_in, const int32_t *in);
#define LOWER_EMIT(x, id, ...) \
	lower_emit((x), OP_##id, (int32_t)(sizeof((int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t)), \
		(int32_t[]){ __VA_ARGS__ })
/* The same with several outputs: the first is returned, the others are the values after it. */
int32_t lower_emit_outs(
	struct lower *x, enum op_id op, int32_t n_in, const int32_t *in, int32_t n_out);
/* The same with one input, and the draft's output i as its output; the caller takes that
   from the draft. */
int32_t lower_emit_out(struct lower *x, enum op_id op, int32_t in, int i);
void lower_with(struct lower *x, struct attr attr);
void lower_with_int(struct lower *x, const char *name, int64_t i);

/* Is the draft's output i asked for? */
static inline bool lower_wants_out(const struct lower *x, int i)
{
	return i < x->n_out && x->out[i] != VALUE_NONE;
}
/* One with the draft's attributes, which the draft loses. */
int32_t lower_emit_draft(struct lower *x, enum op_id op, int32_t n_in, const int32_t *in);
/* The draft becomes op of these inputs, with its first n_out outputs. */
void lower_become(struct lower *x, enum op_id op, int32_t n_out, int32_t n_in, const int32_t *in);
#define LOWER_BECOME(x, id, n_out, ...) \
	lower_become((x), OP_##id, (n_out), \
		(int32_t)(sizeof((int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t)), \
		(int32_t[]){ __VA_ARGS__ })

/* The draft becomes v quantized; VALUE_NONE: without a zero point. lower_quantize.c */
void lower_quantized(struct lower *x, int32_t v, int32_t scale, int32_t zero);

/* Which of the draft's inputs go with the 8-bit operands 0 and 1. */
struct lower_product {
	int a_scale, b_scale, a_zero, b_zero, bias;
};
/* Their product as float32. lower_quantize.c */
int32_t lower_product_to_float(struct lower *x, const struct lower_product *p);

/* Constants. */
int32_t lower_ints(struct lower *x, const int64_t *v, int32_t n);
int32_t lower_int(struct lower *x, int64_t v); /* of shape [1] */
int32_t lower_scalar(struct lower *x, int64_t v);
int32_t lower_floats(struct lower *x, const float *v, int32_t n);
/* A scalar of that floating-point type. */
int32_t lower_float(struct lower *x, enum dtype dtype, double v);

/* Dimensions [from, to) of v as a list. */
int32_t lower_dims(struct lower *x, int32_t v, int64_t from, int64_t to);
/* v as that type. */
int32_t lower_as(struct lower *x, int32_t v, int64_t to);

/* What is known of a value at this point: types and shapes are inferred on demand. */
enum dtype lower_dtype(struct lower *x, int32_t v); /* DTYPE_UNDEFINED: not known */
/* Good until the next node or value is made. */
const struct shape *lower_shape(struct lower *x, int32_t v);

/* Every rewrite, and the attributes that only the old operator has: lower_*.c. */
#define OP_OLD(domain, name, from, to, fn, attrs) \
	void fn(struct lower *x); \
	extern const struct attr_spec attrs[];
#include "exec/ops_old.def"
#undef OP_OLD
