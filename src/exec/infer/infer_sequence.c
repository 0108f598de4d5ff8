/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_sequence.c -- sequences and optionals. How long a sequence is and what shapes its
 * tensors have is known to a run only; the type of their elements always.
 */
#include "exec/infer/infer.h"

#include <inttypes.h>

static void set_type(struct infer *x, int out, const struct type *type)
{
	x->out[out].type = *type;
	x->out[out].shape = SHAPE_UNKNOWN;
}

static void set_sequence(struct infer *x, enum dtype dtype)
{
	set_type(x, 0, &(struct type){ .dtype = dtype, .is_sequence = true });
}

/* Input 0 is a sequence of tensors. An optional one is let through: a body may have said
   "perhaps" of what it has looked at by then (OptionalHasElement, If). */
static enum err_code want_sequence(const struct infer *x, struct err *err)
{
	const struct type *t = &x->in[0]->type;
	if (t->is_sequence && t->map_key == DTYPE_UNDEFINED)
		return ERR_OK;
	if (t->dtype == DTYPE_UNDEFINED)
		return ERR_OK; /* nothing is known of it yet */
	return infer_fail(x, err, "input 0 is a %s, it must be a sequence of tensors",
		t->map_key != DTYPE_UNDEFINED ? "map" : t->is_optional ? "optional" : "tensor");
}

/* A position in a sequence; absent where that is allowed. */
static enum err_code want_position(const struct infer *x, int i, struct err *err)
{
	if (!infer_has(x, i))
		return ERR_OK;
	TRY(infer_want_type(x, i, T(I32) | T(I64), err));
	return infer_want_scalar(x, i, err);
}

enum err_code infer_sequence_empty(struct infer *x, struct err *err)
{
	TRY(infer_want_int(x, "dtype", DTYPE_F32, DTYPE_UNDEFINED + 1, DTYPE_TENSOR - 1, err));
	set_sequence(x, (enum dtype)node_int(x->node, "dtype", DTYPE_F32));
	return ERR_OK;
}

enum err_code infer_sequence_construct(struct infer *x, struct err *err)
{
	TRY(infer_want_one_type(x, 0, T_ALL, err));
	for (int i = 0; i < x->n_in; i++)
		if (!infer_has(x, i))
			return infer_fail(x, err, "input %d is required", i);
	set_sequence(x, x->in[0]->type.dtype);
	return ERR_OK;
}

enum err_code infer_sequence_insert(struct infer *x, struct err *err)
{
	TRY(want_sequence(x, err));
	TRY(infer_want_type(x, 1, T_ALL, err));
	TRY(want_position(x, 2, err));
	TRY(infer_want_same_type(x, 0, 1, err));
	set_sequence(x, x->in[0]->type.dtype);
	return ERR_OK;
}

enum err_code infer_sequence_erase(struct infer *x, struct err *err)
{
	TRY(want_sequence(x, err));
	TRY(want_position(x, 1, err));
	set_sequence(x, x->in[0]->type.dtype);
	return ERR_OK;
}

enum err_code infer_sequence_at(struct infer *x, struct err *err)
{
	TRY(want_sequence(x, err));
	TRY(want_position(x, 1, err));
	infer_set(x, 0, x->in[0]->type.dtype, &SHAPE_UNKNOWN);
	return ERR_OK;
}

enum err_code infer_sequence_length(struct infer *x, struct err *err)
{
	TRY(want_sequence(x, err));
	infer_set(x, 0, DTYPE_I64, &SHAPE_SCALAR);
	return ERR_OK;
}

enum err_code infer_split_to_sequence(struct infer *x, struct err *err)
{
	int axis;
	TRY(infer_want_type(x, 0, T_ALL, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	TRY(infer_want_int(x, "keepdims", 1, 0, 1, err));
	if (x->in[0]->shape.rank >= 0)
		TRY(infer_axis(x, "axis", 0, x->in[0]->shape.rank, &axis, err));
	if (infer_has(x, 1)) {
		TRY(infer_want_type(x, 1, T(I32) | T(I64), err));
		TRY(infer_want_rank(x, 1, 0, 1, err));
	}
	set_sequence(x, x->in[0]->type.dtype);
	return ERR_OK;
}

enum err_code infer_concat_from_sequence(struct infer *x, struct err *err)
{
	TRY(want_sequence(x, err));
	TRY(infer_want_int(x, "new_axis", 0, 0, 1, err));
	TRY(infer_want_int(x, "axis", 0, -RANK_MAX, RANK_MAX - 1, err));
	infer_set(x, 0, x->in[0]->type.dtype, &SHAPE_UNKNOWN);
	return ERR_OK;
}

/* infer_graph() has been through the body. Inputs after the first are sequences of the same
   length, or tensors that every call gets. */
enum err_code infer_sequence_map(struct infer *x, struct err *err)
{
	const struct graph *body = node_graph(x->node, "body");
	TRY(want_sequence(x, err));
	if (x->n_in != body->n_input + body->n_capture || x->n_out != body->n_output)
		return infer_fail(x, err, "it has %d inputs and %d outputs, its body %d and %d",
			x->n_in - body->n_capture, x->n_out, body->n_input, body->n_output);
	for (int i = 0; i < x->n_out; i++) {
		struct type t = body->value[body->output[i]].type;
		if (!type_is_tensor(&t))
			return infer_fail(x, err, "output %d of its body is no tensor", i);
		t.is_sequence = true;
		set_type(x, i, &t);
	}
	return ERR_OK;
}

/* -- optionals --------------------------------------------------------------------------------- */

enum err_code infer_optional(struct infer *x, struct err *err)
{
	const struct attr *given = node_attr(x->node, "type");
	struct type t = infer_has(x, 0) ? x->in[0]->type : (struct type){ 0 };
	if (!infer_has(x, 0) && !given)
		return infer_fail(x, err, "it has neither an input nor a type");
	if (!infer_has(x, 0))
		t = *given->type;
	if (t.is_optional)
		return infer_fail(x, err, "an optional of an optional is not allowed");
	t.is_optional = true;
	set_type(x, 0, &t);
	return ERR_OK;
}

enum err_code infer_optional_has_element(struct infer *x, struct err *err)
{
	(void)err;
	infer_set(x, 0, DTYPE_BOOL, &SHAPE_SCALAR);
	return ERR_OK;
}

enum err_code infer_optional_get_element(struct infer *x, struct err *err)
{
	struct type t = x->in[0]->type;
	(void)err;
	t.is_optional = false;
	x->out[0].type = t;
	x->out[0].shape = x->in[0]->shape;
	return ERR_OK;
}
