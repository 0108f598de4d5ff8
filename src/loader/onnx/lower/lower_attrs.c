/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_attrs.c -- rewrites of what only changed its place or its default: attributes
 * that became inputs, and those that went away
 */
#include "loader/onnx/lower/lower.h"

#include "onnx.pb-c.h"

#define END { NULL, 0, false }
#define CONSUMED { "consumed_inputs", ATTR_INTS, false }

const struct attr_spec old_none[] = { END };
const struct attr_spec old_consumed[] = { CONSUMED, END };
const struct attr_spec old_rnn[] = { { "output_sequence", ATTR_INT, false }, END };
const struct attr_spec old_gemm[] = { { "broadcast", ATTR_INT, false }, END };

void lower_same(struct lower *x)
{
	lower_take_rest(x);
}

void lower_selu(struct lower *x)
{
	lower_take_rest(x);
	lower_default_float(x, "alpha", 1.6732f);
	lower_default_float(x, "gamma", 1.0507f);
}

/* -- axes, shapes, sizes -------------------------------------------------------------------- */

const struct attr_spec old_axes[] = { { "axes", ATTR_INTS, false }, END };
const struct attr_spec old_axes_required[] = { { "axes", ATTR_INTS, true }, END };
const struct attr_spec old_reshape[] = { CONSUMED, { "shape", ATTR_INTS, true }, END };
const struct attr_spec old_slice[] = { { "axes", ATTR_INTS, false }, { "ends", ATTR_INTS, true },
	{ "starts", ATTR_INTS, true }, END };
const struct attr_spec old_split[] = { { "split", ATTR_INTS, false }, END };
const struct attr_spec old_top_k[] = { { "k", ATTR_INT, true }, END };

/* The list becomes input i, if the draft has it. */
static void ints_to_input(struct lower *x, const char *name, int i)
{
	const struct attr *a = lower_take(x, name);
	if (a && a->n > 0)
		lower_set_in(x, i, lower_ints(x, a->ints, a->n));
}

void lower_axes(struct lower *x)
{
	ints_to_input(x, "axes", 1);
}

void lower_reshape(struct lower *x)
{
	const struct attr *a = lower_take(x, "shape");
	lower_set_in(x, 1, lower_ints(x, a->ints, a->n)); /* an empty shape is a scalar's */
	lower_take_rest(x);
}

void lower_slice(struct lower *x)
{
	ints_to_input(x, "starts", 1);
	ints_to_input(x, "ends", 2);
	ints_to_input(x, "axes", 3);
}

void lower_split(struct lower *x)
{
	ints_to_input(x, "split", 1);
	if (!lower_has_in(x, 1))
		lower_default_int(x, "num_outputs", x->n_out);
}

void lower_top_k(struct lower *x)
{
	lower_set_in(x, 1, lower_int(x, lower_take_int(x, "k", 0)));
}

/* -- numbers of the input's type ------------------------------------------------------------- */

const struct attr_spec old_clip[] = { CONSUMED, { "max", ATTR_FLOAT, false },
	{ "min", ATTR_FLOAT, false }, END };
const struct attr_spec old_pad_1[] = { { "paddings", ATTR_INTS, true },
	{ "value", ATTR_FLOAT, false }, END };
const struct attr_spec old_pad[] = { { "pads", ATTR_INTS, true }, { "value", ATTR_FLOAT, false },
	END };

static void float_to_input(struct lower *x, const char *name, int i)
{
	const struct attr *a = lower_take(x, name);
	if (a)
		lower_set_in(x, i, lower_float(x, lower_dtype(x, lower_in(x, 0)), (double)a->f));
}

void lower_clip(struct lower *x)
{
	float_to_input(x, "min", 1);
	float_to_input(x, "max", 2);
	lower_take_rest(x);
}

void lower_pad(struct lower *x)
{
	ints_to_input(x, "paddings", 1);
	ints_to_input(x, "pads", 1);
	float_to_input(x, "value", 2);
}

/* -- defaults and names ---------------------------------------------------------------------- */

const struct attr_spec old_cast[] = { { "to", ATTR_STRING, true }, END };

void lower_cast(struct lower *x)
{
	const struct attr *a = lower_take(x, "to");
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value_by_name(
		&onnx__tensor_proto__data_type__descriptor, a->s.ptr);
	if (v)
		lower_default_int(x, "to", v->value);
	else
		lower_fail(x, ERR_INVALID_ARGUMENT, "there is no type '%.*s'", SLICE_ARG(a->s));
}

void lower_concat(struct lower *x)
{
	lower_default_int(x, "axis", 1);
}

const struct attr_spec old_scan_8[] = { { "directions", ATTR_INTS, false }, END };

void lower_scan_8(struct lower *x)
{
	const struct attr *a = lower_take(x, "directions");
	x->op = OP_BATCHED_SCAN;
	if (!a)
		return;
	struct attr directions = *a;
	directions.name = "scan_input_directions";
	lower_set(x, directions);
}

void lower_scatter(struct lower *x)
{
	x->op = OP_SCATTER_ELEMENTS;
}
